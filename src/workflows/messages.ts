/** Every signal, query and update that a Cadre workflow takes. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Answering } from '../core/approval';
import type { Gossip, Remember } from '../core/agent/agent-messages';
import type { AgentReport, KnowledgePart } from '../core/agent/agent-report';
import type { ContextJson } from '../core/crdt/knowledge-json';
import type { Announcement, ElectionState, Resignation } from '../core/election';
import type { BreakerState } from '../core/breaker/breaker';
import type { BreakerCommand, BreakerReply, BreakerReport } from '../core/breaker/report';
import type { AccountExchange, AccountReply, AccountState } from '../core/budget/account';
import type { LockRelease, LockState } from '../core/lock';
import {
  ANNOUNCE_SIGNAL,
  ANSWER_UPDATE,
  EXCHANGE_UPDATE,
  GOSSIP_SIGNAL,
  HOLDER,
  LEAVE_SIGNAL,
  OPERATE_UPDATE,
  RELEASE_SIGNAL,
  REMEMBER_SIGNAL,
  REPORT_UPDATE,
  RESIGN_UPDATE,
  RESOLVE_UPDATE,
} from '../core/names';
import type { TaskState } from '../core/task-state';
import type { Resolving } from '../core/task-resolving';

/** What the query `state` answers. */
export interface TaskReport {
  /**
   * Length of the history in events. `state` is the fold of it, but for what came after the last workflow task began,
   * which a worker that replays for the query counts already.
   */
  readonly historyLength: number;
  readonly state: TaskState;
}

/** Asks a `task` where it stands. */
export const stateQuery = defineQuery<TaskReport>('state');

/**
 * Answers what a step asks: yes or no to an approval, what its agent asks else. Refused as `NotAsked` where it does not ask,
 * or asks something else; as `InputInvalid` for what is none of the answers, or by somebody else.
 */
export const answerUpdate = defineUpdate<Answering, [Answering]>(ANSWER_UPDATE);

/** Says what is to become of what failed for good. Refused as `NotParked` where nothing of the step waits. */
export const resolveUpdate = defineUpdate<Resolving, [Resolving]>(RESOLVE_UPDATE);

/** Tells a `lock` that its holder has ended. Any other's is ignored. */
export const releaseSignal = defineSignal<[LockRelease]>(RELEASE_SIGNAL);

/** Asks a `lock` who holds it, and since when. */
export const holderQuery = defineQuery<LockState>(HOLDER);

/** Asks an `election` who leads, in which term, and how earlier terms ended. */
export const leaderQuery = defineQuery<ElectionState>('leader');

/** Tells an `election` who has taken the term it offers. */
export const announceSignal = defineSignal<[Announcement]>(ANNOUNCE_SIGNAL);

/** Asks the leader to hand over; answers with whom it asked. Refused as `NoLeader` while nobody leads. */
export const resignUpdate = defineUpdate<Announcement, [Resignation]>(RESIGN_UPDATE);

/** Tells a `breaker` how calls went, and asks it for probes; answers with where it stands. */
export const reportUpdate = defineUpdate<BreakerReply, [BreakerReport]>(REPORT_UPDATE);

/** Trips, resets, isolates or releases a `breaker`; answers with its state. Refused as `InputInvalid`. */
export const operateUpdate = defineUpdate<BreakerState, [BreakerCommand]>(OPERATE_UPDATE);

/** Asks a `breaker` for its key and state. */
export const breakerQuery = defineQuery<BreakerAnswer>('breaker');

/** What the query `breaker` answers. */
export interface BreakerAnswer {
  readonly key: string;
  readonly state: BreakerState;
}

/** Sets aside and settles at a `budget`; answers with what did not fit. Refused as `InputInvalid`. */
export const exchangeUpdate = defineUpdate<AccountReply, [AccountExchange]>(EXCHANGE_UPDATE);

/** Asks a `budget` for its account. */
export const accountQuery = defineQuery<AccountState>('account');

/** Tells an `agent` what one task decided and learnt in it. What comes twice counts once. */
export const rememberSignal = defineSignal<[Remember]>(REMEMBER_SIGNAL);

/** Tells an `agent` what another replica knows, and asks it for what that lacks. */
export const gossipSignal = defineSignal<[Gossip]>(GOSSIP_SIGNAL);

/** Has an `agent` tell the others what it knows, leave the cadre, and end. */
export const leaveSignal = defineSignal(LEAVE_SIGNAL);

/** Asks an `agent` what it has decided and how it stands. */
export const agentQuery = defineQuery<AgentReport>('agent');

/** Asks an `agent` for the knowledge that somebody lacks who has seen so much; for all without it. */
export const knowledgeQuery = defineQuery<KnowledgePart, [seen?: ContextJson]>('knowledge');
