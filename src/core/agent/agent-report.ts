/** What an agent's workflow answers. */
import { type VersionVector, beyondGaps } from '../crdt/causal-context';
import type { ReplicaId } from '../crdt/causal-context';
import {
  type ContextJson,
  type KnowledgeJson,
  countEntries,
  decodeContext,
  encodeContext,
  encodeKnowledge,
} from '../crdt/knowledge-json';
import { jsonBytes } from '../json';
import { type AgentState, type DatedDecision, type Refused, membersIn } from './agent-state';
import { type Member, readMember } from './members';

/** One replica of an agent. Times are in ms since 1970. */
export interface AgentReport {
  readonly agent: string;
  readonly member: Member;
  /** Under what it writes. */
  readonly replica: ReplicaId;
  /** The last 100, oldest first; long ones without their evidence. */
  readonly decisions: readonly DatedDecision[];
  /** How many there were in all. */
  readonly decided: number;
  /** How many tasks it remembers, and since when. */
  readonly remembered: number;
  readonly rememberedAt?: number;
  readonly versionVector: VersionVector;
  /** Operations that came before others which are still missing. */
  readonly beyondGaps: number;
  /** Of its knowledge, as JSON. */
  readonly bytes: number;
  /** Who its members are stands among its knowledge too, and is not counted. */
  readonly entries: number;
  /** The replicas of the cadre, as this one knows of them. */
  readonly members: readonly Member[];
  /** How many messages, or parts of one, were refused; and the last. */
  readonly refused: number;
  readonly refusals: readonly Refused[];
  /** How many messages of a later version are kept for a later build. */
  readonly unread: number;
  /** True while it begins, and has not heard from another yet. */
  readonly searching: boolean;
  /** True once it has left the cadre. */
  readonly left: boolean;
  readonly historyLength: number;
}

/** What of a replica's knowledge somebody lacks. */
export interface KnowledgePart {
  readonly replica: ReplicaId;
  /** True once it has left the cadre, and hears of nothing more. */
  readonly left: boolean;
  readonly seen: ContextJson;
  readonly delta: KnowledgeJson;
}

export function agentReport(
  state: AgentState,
  run: Pick<AgentReport, 'searching' | 'historyLength'>,
): AgentReport {
  const { replica, member } = state;
  const members = membersIn(state);
  return {
    agent: readMember(member)?.agent ?? member,
    member,
    replica: replica.id,
    decisions: state.decisions,
    decided: state.decided,
    remembered: state.remembered,
    ...(state.rememberedAt === undefined ? {} : { rememberedAt: state.rememberedAt }),
    versionVector: replica.versionVector,
    beyondGaps: beyondGaps(replica.context),
    bytes: jsonBytes(encodeKnowledge(replica.knowledge)),
    entries: countEntries(replica.knowledge) - members.length,
    members,
    refused: state.refused,
    refusals: state.refusals,
    unread: state.unread.length,
    left: state.left,
    ...run,
  };
}

/** Throws InputInvalid for a `seen` that is none. */
export function knowledgePart({ replica, left }: AgentState, seen: unknown = {}): KnowledgePart {
  return {
    replica: replica.id,
    left,
    seen: encodeContext(replica.context),
    delta: encodeKnowledge(replica.since(decodeContext(seen, '`seen`'))),
  };
}
