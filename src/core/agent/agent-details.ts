import { escaped, utc } from '../details-text';
import { entriesAt } from '../crdt/knowledge';
import { places } from '../crdt/knowledge-json';
import { type AgentState, membersIn } from './agent-state';
import { MEMBERS } from './members';

const DECISIONS_SHOWN = 5;

/** Where an agent's replica stands, as Markdown for Temporal's Web UI. */
export function agentDetails(state: AgentState): string {
  const { member, replica, decided, decisions, remembered, rememberedAt, refused, refusals, unread } = state;
  const last = rememberedAt === undefined ? '' : `, the last at ${utc(rememberedAt)}`;
  const others = membersIn(state).filter((other) => other !== member);
  const sizes = places(replica.knowledge)
    .filter(({ name }) => name !== MEMBERS.name)
    .map(
      (place) => `${escaped(place.name)} (${place.type}): ${entriesAt(replica.knowledge, place)?.size ?? 0}`,
    );
  const refusal = refusals.at(-1);
  return [
    `**${member}** ${state.left ? 'has left' : `gossips with ${others.length === 0 ? 'nobody yet' : others.join(', ')}`}`,
    '',
    `${remembered} tasks remembered${last}; ${decided} decisions`,
    ...decisions
      .slice(-DECISIONS_SHOWN)
      .toReversed()
      .map(
        ({ at, type, rationale, task }) =>
          `- ${utc(at)} **${escaped(type)}**: ${escaped(rationale)} (${escaped(task)})`,
      ),
    '',
    `Knowledge, entries: ${sizes.length === 0 ? 'none' : sizes.join(', ')}`,
    ...(refusal === undefined
      ? []
      : ['', `${refused} refused, the last at ${utc(refusal.at)}: ${escaped(refusal.why)}`]),
    ...(unread.length === 0 ? [] : ['', `${unread.length} messages of a later version are kept`]),
  ].join('\n');
}
