/**
 * The events of a task. The workflow records them as it goes, the log projects the same events from Temporal's history
 * (see `task-projection.ts`), and `evolve` (see `task-fold.ts`) is the fold of both.
 *
 * `stepStarted` and `stepRetried` exist only in the log: history keeps of all attempts only what the last one left, so
 * they never change the state.
 */
import type { Answering } from './approval';
import type { AskedQuestion, GivenAnswer } from './asking';
import type { Refusal } from './breaker/refusal';
import type { TaskBudget } from './budget/budget';
import type { Operation } from './crdt/replica';
import type { Decision } from './decision';
import type { FailureInfo } from './failures';
import type { LeaderWork } from './names';
import type { AgentStep, Plan } from './plan';
import type { ResolvedPolicy } from './policy';
import type { ResumeOrigin } from './resume';
import type { Resolution, SagaOptions, StackEntry, StepOutcome } from './saga';
import type { Stored } from './stored';
import type { HandedBack, PinOutcome } from './task-activities';
import type { TaskState } from './task-state';
import type { ModelUsage } from './usage';
import type { CastBallot, Undecided, VoteOutcome } from './vote';

/** What the calls of all attempts came to; of what failed, see its failure. Left out where there were none. */
type Usage = readonly ModelUsage[];
/** What was decided in it, such as that a call was made again. Left out where that is nothing. */
type Decisions = Stored<readonly Decision[]>;

export type TaskEvent =
  /** `root`: see the envelope. `deadline`: of its time limit, in milliseconds since 1970. */
  | {
      readonly type: 'taskStarted';
      readonly root: string;
      readonly goal: string;
      readonly docs?: string;
      readonly options?: SagaOptions;
      readonly deadline?: number;
      readonly budget?: TaskBudget;
    }
  /** First event of a run that goes on from an earlier one. */
  | { readonly type: 'taskResumed'; readonly origin: ResumeOrigin; readonly snapshot: TaskState }
  | { readonly type: 'planRequested'; readonly term: number }
  | {
      readonly type: 'planned';
      readonly plan: Plan;
      /** By agent name: the policies that the steps run by. */
      readonly policies: Readonly<Record<string, ResolvedPolicy>>;
      /** Who made the plan: an agent's name, or `caller`. */
      readonly by: string;
      readonly term: number;
      readonly decisions?: Decisions;
      readonly usage?: Usage;
    }
  | { readonly type: 'planFailed'; readonly failure: FailureInfo }
  /** Of a saga, which has no leader: the policies that its steps run by, by agent name; and what its code says of it. */
  | ({ readonly type: 'pinned' } & PinOutcome)
  /** Of a saga in workflow code, whose steps become known as they start. */
  | { readonly type: 'stepAdded'; readonly step: AgentStep }
  | { readonly type: 'lockRequested'; readonly key: string }
  | { readonly type: 'lockAcquired'; readonly key: string }
  | { readonly type: 'lockRefused'; readonly key: string; readonly failure: FailureInfo }
  /** A person is asked whether the step may run on the input of that hash. */
  | { readonly type: 'approvalRequested'; readonly step: string; readonly hash: string }
  | ({ readonly type: 'approvalAnswered' } & Answering)
  | { readonly type: 'approvalTimedOut'; readonly step: string }
  /** Nobody has to answer any more. */
  | { readonly type: 'approvalWithdrawn'; readonly step: string }
  /** The step's agent asks a person; it waits without a worker, and spends no attempt. `until`: in ms since 1970. */
  | ({
      readonly type: 'questionAsked';
      readonly step: string;
      readonly agent: string;
      readonly until?: number;
      readonly usage?: Usage;
    } & AskedQuestion &
      HandedBack)
  /** The step is tried again, with the answer. */
  | ({ readonly type: 'questionAnswered'; readonly step: string } & Omit<
      GivenAnswer & { kind: 'answered' },
      'kind'
    >)
  /** The step is tried again, and its agent hears that nobody answered in time. */
  | { readonly type: 'questionExpired'; readonly step: string }
  /** Nobody has to answer any more. */
  | { readonly type: 'questionWithdrawn'; readonly step: string }
  /**
   * What the leader was to do comes back undone, and is asked for again without counting: the leader was told to stop,
   * was killed, paused or cut off, or led in a lower term than the task has seen; or the breaker of the agent by which it
   * thinks did not let it through, for so many ms.
   */
  | {
      readonly type: 'leaderWorkReturned';
      readonly work: LeaderWork;
      readonly why: ReturnReason;
      readonly retryAfter?: number;
    }
  /** A step failed for good; the leader is to name another agent for it. */
  | { readonly type: 'assignRequested'; readonly step: string; readonly term: number }
  | {
      readonly type: 'assigned';
      readonly step: string;
      readonly agent: string;
      readonly policy: ResolvedPolicy;
      readonly by: string;
      readonly reason: string;
      readonly term: number;
      readonly decisions?: Decisions;
      readonly usage?: Usage;
    }
  /** There is no other agent for the step: it stays failed. */
  | {
      readonly type: 'notAssigned';
      readonly step: string;
      readonly reason: string;
      readonly term: number;
      readonly decisions?: Decisions;
      readonly usage?: Usage;
    }
  | { readonly type: 'assignFailed'; readonly step: string; readonly failure: FailureInfo }
  | { readonly type: 'stepScheduled'; readonly step: string; readonly agent: string; readonly term: number }
  | { readonly type: 'stepStarted'; readonly step: string; readonly attempt: number; readonly worker: string }
  /** `attempts` failed, the last of them with `failure`, where the server says. */
  | {
      readonly type: 'stepRetried';
      readonly step: string;
      readonly attempts: number;
      readonly failure?: FailureInfo;
    }
  | {
      readonly type: 'decisionsRecorded';
      readonly step: string;
      readonly decisions: Decisions;
    }
  | {
      readonly type: 'stepCompleted';
      readonly step: string;
      readonly output: Stored;
      /** What its agent did to its knowledge; it counts once the task has ended, unless the step is undone. */
      readonly knowledge?: Stored<readonly Operation[]>;
      readonly usage?: Usage;
    }
  | { readonly type: 'stepFailed'; readonly step: string; readonly failure: FailureInfo }
  /** It failed for good and must neither fail the task nor be undone: a person is to say what now. */
  | { readonly type: 'stepParked'; readonly step: string; readonly failure: FailureInfo }
  /** `skip`: it counts as done, with the output null. `fail`: it had no effect, and fails. */
  | { readonly type: 'stepResolved'; readonly step: string; readonly how: Resolution; readonly note: string }
  | { readonly type: 'stepCancelled'; readonly step: string }
  /** The breaker of its agent did not let it through: it waits, and spends no attempt. */
  | ({ readonly type: 'stepRefused'; readonly step: string; readonly agent: string } & Refusal)
  /** The breaker of its agent, `from`, did not let it through: another agent has it now. */
  | ({
      readonly type: 'stepFellBack';
      readonly step: string;
      readonly agent: string;
      readonly from: string;
    } & Refusal)
  /** In the log only: a voter's breaker did not let it through, and the ballot waits. */
  | ({
      readonly type: 'ballotRefused';
      readonly step: string;
      readonly voter: number;
      readonly agent: string;
    } & Pick<Refusal, 'breaker' | 'why' | 'retryAfter'>)
  /** A worker that was told to stop gave it back unfinished; it is scheduled again. */
  | { readonly type: 'stepHandedBack'; readonly step: string }
  | {
      readonly type: 'ballotRequested';
      readonly step: string;
      readonly voter: number;
      readonly agent: string;
      readonly term: number;
    }
  /** `late`: the vote was over. */
  | ({
      readonly type: 'ballotCast';
      readonly step: string;
      readonly late?: true;
      readonly decisions?: Decisions;
      readonly usage?: Usage;
    } & CastBallot)
  /** The voter failed, or gave no answer that counts. */
  | {
      readonly type: 'ballotSpoiled';
      readonly step: string;
      readonly voter: number;
      readonly agent: string;
      readonly failure: FailureInfo;
    }
  /** The vote was over before the voter was. */
  | {
      readonly type: 'ballotWithdrawn';
      readonly step: string;
      readonly voter: number;
      readonly agent: string;
    }
  | { readonly type: 'voteTimedOut'; readonly step: string }
  | {
      readonly type: 'arbitrationRequested';
      readonly step: string;
      readonly why: Undecided;
      readonly term: number;
    }
  | { readonly type: 'arbitrationFailed'; readonly step: string; readonly failure: FailureInfo }
  | {
      readonly type: 'voteDecided';
      readonly step: string;
      readonly outcome: VoteOutcome;
      readonly decisions?: Decisions;
      readonly usage?: Usage;
    }
  | { readonly type: 'aggregateRequested'; readonly term: number }
  | {
      readonly type: 'aggregated';
      readonly by: string;
      readonly term: number;
      /** Left out where the outputs of the final steps are the result as they are. */
      readonly outputs?: Readonly<Record<string, Stored>>;
      readonly decisions?: Decisions;
      readonly usage?: Usage;
    }
  | { readonly type: 'aggregateFailed'; readonly failure: FailureInfo }
  /** The undoing of a step; `outcome` is what is known of the step. */
  | ({ readonly type: 'compensationScheduled'; readonly outcome: StepOutcome } & StackEntry)
  /** In the log only, like `stepStarted`. */
  | ({
      readonly type: 'compensationStarted';
      readonly attempt: number;
      readonly worker: string;
    } & StackEntry)
  | ({ readonly type: 'compensated'; readonly decisions?: Decisions; readonly usage?: Usage } & StackEntry)
  /** All its attempts failed: the task waits for a person to say what now. */
  | ({ readonly type: 'compensationFailed'; readonly failure: FailureInfo } & StackEntry)
  | {
      readonly type: 'compensationResolved';
      readonly step: string;
      readonly how: Resolution;
      readonly note: string;
    }
  /** Its agents have been told what they decided and learnt in it. */
  | { readonly type: 'remembered'; readonly agents: readonly string[] }
  | { readonly type: 'rememberFailed'; readonly failure: FailureInfo }
  | { readonly type: 'cancelRequested' }
  | { readonly type: 'timeLimitReached' }
  | { readonly type: 'continuedAsNew' }
  | { readonly type: 'taskCompleted' }
  | { readonly type: 'taskFailed'; readonly failure: FailureInfo }
  | { readonly type: 'taskCancelled' }
  /** Ended from outside, without a chance to run code. */
  | { readonly type: 'taskTerminated'; readonly how: 'terminated' | 'timedOut' };

export type TaskEventType = TaskEvent['type'];

/** Why the leader's work came back undone. */
export type ReturnReason = 'handedBack' | 'heartbeatLost' | 'staleTerm' | 'refused';
