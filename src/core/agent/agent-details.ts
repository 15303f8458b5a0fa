import { WEB_UI_END, escaped, utc } from '../details-text';
import { entriesAt } from '../crdt/knowledge';
import { type AgentState, membersIn } from './agent-state';
import { knownPlaces } from './members';

const DECISIONS_SHOWN = 5;

/** Where an agent's replica stands, as Markdown for Temporal's Web UI. */
export function agentDetails(state: AgentState): string {
  const { member, replica, decided, remembered, rememberedAt, refused, refusals, unread } = state;
  const last = rememberedAt === undefined ? '' : `, the last at ${utc(rememberedAt)}`;
  const others = membersIn(state).filter((other) => other !== member);
  const refusal = refusals.at(-1);
  return [
    `**${member}** ${state.left ? 'has left' : `gossips with ${others.length === 0 ? 'nobody yet' : others.join(', ')}`}`,
    '',
    `tasks remembered: ${remembered}${last}; decisions: ${decided}`,
    ...table('| decided | what | why | task |', decisionRows(state)),
    ...table('| knowledge | kind | entries |', knowledgeRows(replica)),
    ...(refusal === undefined
      ? []
      : ['', `messages refused: ${refused}, the last at ${utc(refusal.at)}: ${escaped(refusal.why)}`]),
    ...(unread.length === 0 ? [] : ['', `messages of a later version, kept: ${unread.length}`]),
    WEB_UI_END,
  ].join('\n');
}

function decisionRows({ decisions }: AgentState): string[] {
  return decisions
    .slice(-DECISIONS_SHOWN)
    .toReversed()
    .map(
      ({ at, type, rationale, task }) =>
        `| ${utc(at)} | ${escaped(type)} | ${escaped(rationale)} | ${escaped(task)} |`,
    );
}

function knowledgeRows({ knowledge }: AgentState['replica']): string[] {
  return knownPlaces(knowledge).map(
    (place) => `| ${escaped(place.name)} | ${place.type} | ${entriesAt(knowledge, place)?.size ?? 0} |`,
  );
}

/** Nothing without rows. */
function table(head: string, rows: readonly string[]): string[] {
  if (rows.length === 0) return [];
  return ['', head, head.replaceAll(/[^|]+/g, '---'), ...rows];
}
