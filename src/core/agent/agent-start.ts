/** What an agent's workflow begins with. */
import { inputInvalid } from '../failures';
import { isRecord } from '../json';
import type { Resume } from '../resume';
import { type AgentSnapshot, type AgentState, newAgent, restoreAgent } from './agent-state';
import { type Member, readMember, replicaIdOf } from './members';
import type { OutboxJson } from './outbox';

/** What starts a replica: which it is, and whom it may ask for the others. */
export interface NewAgent {
  /** Default: that of its task queue. A replay has another queue, so who starts it says it. */
  readonly cadre?: string;
  readonly member: Member;
  readonly seeds: readonly Member[];
}

/** What a run hands to the next. */
export interface AgentHandover {
  readonly agent: AgentSnapshot;
  readonly outbox: OutboxJson;
}

export type AgentStart = NewAgent | Resume<AgentHandover>;

/** What a run begins with: a new replica, or what the run before it left. */
export type AgentBeginning =
  /** `seeds` by name. */
  | { readonly kind: 'new'; readonly state: AgentState; readonly seeds: readonly Member[] }
  | { readonly kind: 'resumed'; readonly state: AgentState; readonly outbox: OutboxJson };

/** Throws InputInvalid. `queue` is its task queue, `firstRunId` of the first run of the chain. */
export function agentBeginning(start: unknown, queue: string, firstRunId: string): AgentBeginning {
  const given = isRecord(start) ? start : {};
  const { snapshot } = given;
  if (isRecord(snapshot)) {
    return {
      kind: 'resumed',
      state: restoreAgent(snapshot['agent']),
      outbox: snapshot['outbox'] as OutboxJson,
    };
  }
  const { cadre = queue, member, seeds = [] } = given;
  if (typeof cadre !== 'string') throw inputInvalid('`cadre`', "a cadre's name", cadre);
  if (typeof member !== 'string' || readMember(member) === undefined) {
    throw inputInvalid('`member`', 'an agent, or <agent>.<index> for its replicas beyond the first', member);
  }
  if (!Array.isArray(seeds)) throw inputInvalid('`seeds`', 'a list of members', seeds);
  return {
    kind: 'new',
    state: newAgent(cadre, member, replicaIdOf(member, firstRunId)),
    seeds: seeds
      .filter(
        (seed): seed is Member =>
          typeof seed === 'string' && readMember(seed) !== undefined && seed !== member,
      )
      .sort(),
  };
}
