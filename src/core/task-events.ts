/**
 * The events of a task and the fold over them. The workflow records them as it goes, the log projects the
 * same events from Temporal's history (see `task-projection.ts`), and `evolve` is the fold of both.
 *
 * 1. `evolve` is pure, and a state survives JSON unchanged.
 * 2. What a workflow records and what its history projects to fold to the same state at every
 *    workflow-task boundary.
 * 3. `stepStarted` and `stepRetried` exist only in the log: history keeps of all attempts only what the last
 *    one left, so they never change the state.
 */
import type { Answering } from './approval';
import type { Decision } from './decision';
import { type FailureInfo, type FailureType, isFailureType } from './failures';
import { assertNever } from './json';
import type { LeaderWork } from './names';
import { type AgentStep, type Plan, type Step, finalSteps, stepActor } from './plan';
import type { ResolvedPolicy } from './policy';
import type { ResumeOrigin } from './resume';
import {
  type Compensation,
  type Resolution,
  type SagaOptions,
  type StackEntry,
  type StackedEntry,
  type StepOutcome,
  dropEntry,
  neverBegan,
  pushEntry,
  sameEntry,
  withCompensation,
} from './saga';
import type { Stored } from './stored';
import type { PinOutcome } from './task-activities';
import type { CastBallot, Undecided, VoteOutcome } from './vote';

export type TaskEvent =
  /** `root`: see the envelope. `deadline`: of its time limit, in milliseconds since 1970. */
  | {
      readonly type: 'taskStarted';
      readonly root: string;
      readonly goal: string;
      readonly docs?: string;
      readonly options?: SagaOptions;
      readonly deadline?: number;
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
      readonly decisions?: Stored<readonly Decision[]>;
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
  /**
   * What the leader was to do comes back undone, and is asked for again without counting: the leader was told to stop,
   * was killed, paused or cut off, or led in a lower term than the task has seen.
   */
  | { readonly type: 'leaderWorkReturned'; readonly work: LeaderWork; readonly why: ReturnReason }
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
    }
  /** There is no other agent for the step: it stays failed. */
  | { readonly type: 'notAssigned'; readonly step: string; readonly reason: string; readonly term: number }
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
      readonly decisions: Stored<readonly Decision[]>;
    }
  | { readonly type: 'stepCompleted'; readonly step: string; readonly output: Stored }
  | { readonly type: 'stepFailed'; readonly step: string; readonly failure: FailureInfo }
  /** It failed for good and must neither fail the task nor be undone: a person is to say what now. */
  | { readonly type: 'stepParked'; readonly step: string; readonly failure: FailureInfo }
  /** `skip`: it counts as done, with the output null. `fail`: it had no effect, and fails. */
  | { readonly type: 'stepResolved'; readonly step: string; readonly how: Resolution; readonly note: string }
  | { readonly type: 'stepCancelled'; readonly step: string }
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
  | ({ readonly type: 'ballotCast'; readonly step: string; readonly late?: true } & CastBallot)
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
  | { readonly type: 'voteDecided'; readonly step: string; readonly outcome: VoteOutcome }
  | { readonly type: 'aggregateRequested'; readonly term: number }
  | {
      readonly type: 'aggregated';
      readonly by: string;
      readonly term: number;
      /** Left out where the outputs of the final steps are the result as they are. */
      readonly outputs?: Readonly<Record<string, Stored>>;
      readonly decisions?: Stored<readonly Decision[]>;
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
  | ({ readonly type: 'compensated' } & StackEntry)
  /** All its attempts failed: the task waits for a person to say what now. */
  | ({ readonly type: 'compensationFailed'; readonly failure: FailureInfo } & StackEntry)
  | {
      readonly type: 'compensationResolved';
      readonly step: string;
      readonly how: Resolution;
      readonly note: string;
    }
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
export type ReturnReason = 'handedBack' | 'heartbeatLost' | 'staleTerm';

/** Where a task stands. */
export type TaskPhase =
  | { readonly kind: 'planning' }
  | { readonly kind: 'running' }
  | { readonly kind: 'aggregating' }
  | { readonly kind: 'cancelling' }
  /** What was done is being undone, in reverse. */
  | { readonly kind: 'compensating' }
  /** A person is to say whether a step may run. */
  | { readonly kind: 'awaitingApproval'; readonly step: string }
  /** A compensation, or a step that is not undone, failed for good, and a person is to say what now. */
  | { readonly kind: 'needsAttention'; readonly step: string; readonly failure: FailureInfo }
  | { readonly kind: 'completed' }
  | { readonly kind: 'failed'; readonly failure: FailureInfo }
  /** Failed, and what was done is undone. */
  | { readonly kind: 'compensated'; readonly failure: FailureInfo }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'terminated'; readonly how: 'terminated' | 'timedOut' };

/** Where a step stands. */
export type StepState =
  | { readonly kind: 'waiting' }
  /** A person is asked; `hash`: of the input that would run. */
  | { readonly kind: 'awaitingApproval'; readonly hash: string }
  | { readonly kind: 'scheduled'; readonly decisions?: Stored<readonly Decision[]> }
  | {
      readonly kind: 'voting';
      readonly ballots: readonly CastBallot[];
      readonly spoiled: number;
      readonly withdrawn: number;
    }
  /** The time limit is over, or no quorum was reached: the leader decides, and later ballots change nothing. */
  | {
      readonly kind: 'arbitrating';
      readonly ballots: readonly CastBallot[];
      readonly why: Undecided;
      /** Present while the leader has failed to decide. */
      readonly failure?: FailureInfo;
    }
  | {
      readonly kind: 'completed';
      readonly output: Stored;
      readonly decisions?: Stored<readonly Decision[]>;
      /** Why a person said to go on without it; its output is null then. */
      readonly skipped?: string;
    }
  | { readonly kind: 'failed'; readonly failure: FailureInfo }
  /** Failed for good, and a person is to say what now. */
  | { readonly kind: 'parked'; readonly failure: FailureInfo }
  | { readonly kind: 'cancelled' };

/** A task at one point of its history. At most 1 MiB of JSON, by the plan's limits. */
export interface TaskState {
  readonly version: 1;
  readonly root: string;
  readonly goal: string;
  readonly docs?: string;
  readonly options?: SagaOptions;
  /** When it is to be undone by its time limit, in ms since 1970; absent where it has none. */
  readonly deadline?: number;
  /** Present once it holds the lock of its options. */
  readonly locked?: true;
  readonly phase: TaskPhase;
  /** The highest term seen. */
  readonly term: number;
  /** Absent until it is made. */
  readonly plan?: Plan;
  readonly planDecisions?: Stored<readonly Decision[]>;
  readonly policies: Readonly<Record<string, ResolvedPolicy>>;
  /** By step id; every step of the plan is in it. */
  readonly steps: Readonly<Record<string, StepState>>;
  /** By step id: those that the leader gave to another agent than the plan did. */
  readonly assignments?: Readonly<Record<string, Assignment>>;
  /** By step id: those of which an attempt has begun that ended without an output. It may have had its effect. */
  readonly attempted?: Readonly<Record<string, true>>;
  /** By step id, or {@link undoStep}: how often a person said to try it again. */
  readonly resolutions?: Readonly<Record<string, number>>;
  /** Steps to undo should the task fail, in the order of their starts. Empty once a pivot is done. */
  readonly stack?: readonly StackedEntry[];
  /** What became of the undoing, in the order in which it was begun. */
  readonly compensations?: readonly Compensation[];
  /** Present once the result is made. */
  readonly aggregated?: { readonly term: number; readonly outputs?: Readonly<Record<string, Stored>> };
}

/** Who has a step that was assigned anew, and who had it before. */
export interface Assignment {
  readonly agent: string;
  readonly before: readonly string[];
}

/** The state before the first event. */
export const INITIAL_TASK_STATE: TaskState = {
  version: 1,
  root: '',
  goal: '',
  phase: { kind: 'planning' },
  term: 0,
  policies: {},
  steps: {},
};

/** The state after `event`. */
export function evolve(state: TaskState, event: TaskEvent): TaskState {
  switch (event.type) {
    case 'taskStarted':
      return started(event);
    case 'taskResumed':
      return event.origin.kind === 'terminated' ? afterTerminate(event.snapshot) : event.snapshot;
    case 'pinned':
      // What was pinned first stays so.
      return pinned(state, event);
    case 'stepAdded':
      return added(state, event.step);
    case 'lockAcquired':
      return { ...state, locked: true };
    case 'approvalRequested': {
      const { step, hash } = event;
      return attended(withStep(state, step, { kind: 'awaitingApproval', hash }));
    }
    case 'approvalAnswered':
    case 'approvalWithdrawn':
      return attended(withStep(state, event.step, { kind: 'waiting' }));
    case 'stepParked': {
      const { step, failure } = event;
      return attended(withStep(withAttempt(state, step, failure), step, { kind: 'parked', failure }));
    }
    case 'stepResolved':
      return stepResolved(state, event);
    case 'planned':
      return {
        ...withTerm(state, event.term),
        phase: state.phase.kind === 'planning' ? { kind: 'running' } : state.phase,
        plan: event.plan,
        policies: event.policies,
        ...(event.decisions === undefined ? {} : { planDecisions: event.decisions }),
        steps: Object.fromEntries(event.plan.steps.map((step) => [step.id, { kind: 'waiting' }])),
      };
    case 'stepScheduled':
      return withStep(onStack(withTerm(state, event.term), event), event.step, { kind: 'scheduled' });
    case 'decisionsRecorded':
      return withDecisions(state, event.step, event.decisions);
    case 'stepCompleted': {
      const before = stepState(state, event.step);
      const decisions = before.kind === 'scheduled' ? before.decisions : undefined;
      return completed(state, event.step, {
        kind: 'completed',
        output: event.output,
        ...(decisions === undefined ? {} : { decisions }),
      });
    }
    case 'assigned':
      return assigned(state, event);
    case 'ballotRequested':
      return stepState(state, event.step).kind !== 'waiting'
        ? withTerm(state, event.term)
        : withStep(withTerm(state, event.term), event.step, {
            kind: 'voting',
            ballots: [],
            spoiled: 0,
            withdrawn: 0,
          });
    case 'ballotCast':
      return withBallot(state, event);
    case 'ballotSpoiled':
      return withVote(state, event.step, (vote) => ({ ...vote, spoiled: vote.spoiled + 1 }));
    case 'ballotWithdrawn':
      return withVote(state, event.step, (vote) => ({ ...vote, withdrawn: vote.withdrawn + 1 }));
    case 'voteTimedOut':
      return withArbitration(state, event.step, 'timeLimit');
    case 'arbitrationRequested':
      return withArbitration(withTerm(state, event.term), event.step, event.why);
    case 'arbitrationFailed':
      return withArbitration(state, event.step, 'noQuorum', event.failure);
    case 'voteDecided':
      return withTerm(state, event.outcome.term);
    case 'aggregateRequested':
      return state.phase.kind === 'running' ? { ...state, phase: { kind: 'aggregating' } } : state;
    case 'aggregated': {
      const { term, outputs } = event;
      return {
        ...withTerm(state, term),
        aggregated: { term, ...(outputs === undefined ? {} : { outputs }) },
      };
    }
    case 'stepFailed':
      return stepFailed(state, event.step, event.failure);
    case 'compensationScheduled': {
      const { step, agent, outcome } = event;
      return attended(undoing(state, { step, agent, outcome, kind: 'running' }));
    }
    case 'compensated':
      return undoing(state, { ...compensationOf(state, event), kind: 'undone' });
    case 'compensationFailed': {
      const { failure } = event;
      return attended(undoing(state, { ...compensationOf(state, event), kind: 'failed', failure }));
    }
    case 'compensationResolved':
      return resolved(state, event);
    case 'stepHandedBack':
      return withStep(withAttempt(state, event.step), event.step, { kind: 'waiting' });
    case 'stepCancelled':
      return withStep(state, event.step, { kind: 'cancelled' });
    case 'cancelRequested':
    case 'timeLimitReached':
      return mayBeCancelled(state) ? { ...state, phase: { kind: 'cancelling' } } : state;
    case 'taskCompleted':
      return { ...state, phase: { kind: 'completed' } };
    case 'taskFailed':
      return {
        ...state,
        phase: { kind: state.compensations === undefined ? 'failed' : 'compensated', failure: event.failure },
      };
    case 'taskCancelled':
      return { ...state, phase: { kind: 'cancelled' } };
    case 'taskTerminated':
      return { ...state, phase: { kind: 'terminated', how: event.how } };
    case 'planRequested':
    case 'planFailed':
    case 'lockRequested':
    case 'lockRefused':
    case 'compensationStarted':
    case 'approvalTimedOut':
    case 'leaderWorkReturned':
    case 'assignRequested':
    case 'notAssigned':
    case 'assignFailed':
    case 'aggregateFailed':
    case 'stepStarted':
    case 'stepRetried':
    case 'continuedAsNew':
      return state;
    default:
      return assertNever(event);
  }
}

/** The state with one step as it was `before`; not an event, since history never heard of what came after. */
export function restoreStep(state: TaskState, step: string, before: TaskState): TaskState {
  const was = before.stack ?? [];
  const stack = (state.stack ?? []).filter(
    (entry) => entry.step !== step || was.some((one) => sameEntry(one, entry)),
  );
  const restored = withStack(state, stack);
  if (planStep(before, step) === undefined) return withoutStep(restored, step);
  return withStep(restored, step, stepState(before, step));
}

/** The state without a step that was just added. */
function withoutStep(state: TaskState, step: string): TaskState {
  const { [step]: _gone, ...steps } = state.steps;
  const plan = { steps: (state.plan?.steps ?? []).filter(({ id }) => id !== step) };
  return { ...state, plan, steps };
}

/** The state after all of `events`, in order. */
export function foldTask(events: Iterable<TaskEvent>, from: TaskState = INITIAL_TASK_STATE): TaskState {
  let state = from;
  for (const event of events) state = evolve(state, event);
  return state;
}

/** Where the step stands; `waiting` for one that the plan does not have. */
export function stepState(state: TaskState, step: string): StepState {
  return Object.hasOwn(state.steps, step) ? (state.steps[step] as StepState) : { kind: 'waiting' };
}

/** The plan's step of that id; undefined where it has none. */
export function planStep({ plan }: TaskState, step: string): Step | undefined {
  return plan?.steps.find(({ id }) => id === step);
}

/** True while the task has not ended. */
export function isOpen(phase: TaskPhase): boolean {
  return (
    phase.kind === 'planning' ||
    phase.kind === 'running' ||
    phase.kind === 'aggregating' ||
    phase.kind === 'awaitingApproval' ||
    phase.kind === 'cancelling' ||
    phase.kind === 'compensating' ||
    phase.kind === 'needsAttention'
  );
}

/** Who has `step`: the agent that the leader gave it to last; undefined for a vote. */
export function agentOf(state: TaskState, step: Step): string | undefined {
  return assignmentOf(state, step.id)?.agent ?? step.agent;
}

/** Who does `step`, in a word or few: the agent that has it, or how many vote. */
export function actorOf(state: TaskState, step: Step): string {
  return agentOf(state, step) ?? stepActor(step);
}

/** To whom the leader gave the step last; undefined where it has whom the plan says. */
export function assignmentOf({ assignments = {} }: TaskState, step: string): Assignment | undefined {
  return Object.hasOwn(assignments, step) ? assignments[step] : undefined;
}

/** What a finished task returns. */
export interface TaskResult {
  /** What the leader's `aggregator` made of them, else the outputs of the steps that no other step needs. */
  readonly outputs: Readonly<Record<string, Stored>>;
  /** The term in which the result was made. */
  readonly term: number;
}

/** The result of a state in which every step is completed; of any other, what there is of it. */
export function resultOf(state: TaskState): TaskResult {
  const { aggregated, term } = state;
  return { outputs: aggregated?.outputs ?? finalOutputs(state), term: aggregated?.term ?? term };
}

/** The outputs of the completed steps that no other step needs, by step id. */
export function finalOutputs(state: TaskState): Record<string, Stored> {
  const outputs: Record<string, Stored> = {};
  for (const { id } of state.plan === undefined ? [] : finalSteps(state.plan)) {
    const step = stepState(state, id);
    if (step.kind === 'completed') outputs[id] = step.output;
  }
  return outputs;
}

function started({ root, goal, docs, options, deadline }: TaskEvent & { type: 'taskStarted' }): TaskState {
  return {
    ...INITIAL_TASK_STATE,
    root,
    goal,
    ...(docs === undefined ? {} : { docs }),
    ...(options === undefined ? {} : { options }),
    ...(deadline === undefined ? {} : { deadline }),
  };
}

function pinned(state: TaskState, { policies, options, deadline }: PinOutcome): TaskState {
  return {
    ...state,
    policies: { ...policies, ...state.policies },
    ...(options === undefined ? {} : { options }),
    ...(deadline === undefined ? {} : { deadline }),
  };
}

function added(state: TaskState, step: AgentStep): TaskState {
  const steps = [...(state.plan?.steps ?? []), step];
  const phase: TaskPhase = state.phase.kind === 'planning' ? { kind: 'running' } : state.phase;
  return withStep({ ...state, phase, plan: { steps } }, step.id, { kind: 'waiting' });
}

function stepFailed(state: TaskState, step: string, failure: FailureInfo): TaskState {
  const next = withAttempt(state, step, failure);
  const failed = withStep(next.attempted?.[step] ? next : offStack(next, step), step, {
    kind: 'failed',
    failure,
  });
  // Nobody can answer any more where its time was over.
  return failed.phase.kind === 'awaitingApproval' ? attended(failed) : failed;
}

/** Remembers that an attempt of `step` has begun, unless `failure` says that it never did. */
function withAttempt(state: TaskState, step: string, failure?: FailureInfo): TaskState {
  const refused = REFUSALS.some((type) => type === failure?.type);
  if (refused || (failure !== undefined && neverBegan(failure))) return state;
  return { ...state, attempted: { ...state.attempted, [step]: true } };
}

/** True once a pivot is done: nothing is undone any more. */
export function pivotPassed(state: TaskState): boolean {
  return (
    state.plan?.steps.some(({ id, kind }) => kind === 'pivot' && stepState(state, id).kind === 'completed') ??
    false
  );
}

/** True while what was done is being undone. */
export function isUnwinding(state: TaskState): boolean {
  return state.compensations !== undefined;
}

/** What is being undone, and what has passed its pivot or may have, goes on to its end. */
export function mayBeCancelled(state: TaskState): boolean {
  const pivot = state.plan?.steps.find(({ kind }) => kind === 'pivot');
  // Its first attempt may still end as if it had never begun.
  const running =
    pivot !== undefined &&
    stepState(state, pivot.id).kind === 'scheduled' &&
    state.attempted?.[pivot.id] !== true;
  return isOpen(state.phase) && !isUnwinding(state) && (running || !goesForward(state));
}

/** The phase that follows from what waits for a person, where something does. */
function attended(state: TaskState): TaskState {
  const failed = state.compensations?.find(({ kind }) => kind === 'failed');
  if (failed?.kind === 'failed') {
    const { step, failure } = failed;
    return { ...state, phase: { kind: 'needsAttention', step, failure } };
  }
  if (isUnwinding(state)) return { ...state, phase: { kind: 'compensating' } };
  const steps = Object.entries(state.steps);
  for (const [step, now] of steps) {
    if (now.kind === 'parked') {
      return { ...state, phase: { kind: 'needsAttention', step, failure: now.failure } };
    }
  }
  if (state.phase.kind === 'cancelling') return state;
  const asks = steps.find(([, { kind }]) => kind === 'awaitingApproval');
  return {
    ...state,
    phase: asks === undefined ? { kind: 'running' } : { kind: 'awaitingApproval', step: asks[0] },
  };
}

/** A pivot that is done leaves nothing to undo, and a cancel that came while it ran comes to nothing. */
function completed(state: TaskState, step: string, end: StepState & { kind: 'completed' }): TaskState {
  const next = withStep(state, step, end);
  if (planStep(state, step)?.kind !== 'pivot') return next;
  const phase: TaskPhase = next.phase.kind === 'cancelling' ? { kind: 'running' } : next.phase;
  return withStack({ ...next, phase }, []);
}

function stepResolved(state: TaskState, event: TaskEvent & { type: 'stepResolved' }): TaskState {
  const { step, how, note } = event;
  if (stepState(state, step).kind !== 'parked') return state;
  const parked = stepState(state, step);
  if (how === 'fail' && parked.kind === 'parked') {
    return attended(withStep(state, step, { kind: 'failed', failure: parked.failure }));
  }
  if (how === 'skip') {
    return attended(completed(state, step, { kind: 'completed', output: { value: null }, skipped: note }));
  }
  return attended(withStep(resolvedOnceMore(state, step), step, { kind: 'waiting' }));
}

function resolvedOnceMore(state: TaskState, step: string): TaskState {
  return { ...state, resolutions: { ...state.resolutions, [step]: (state.resolutions?.[step] ?? 0) + 1 } };
}

/** By which the undoing of a step is known beside it: in its activity's id and among the resolutions. */
export function undoStep(step: string): string {
  return `${step}/undo`;
}

/** What a failure of `step` leaves: it fails, or is parked where it must not; the same for the workflow and the log. */
export function failureEvent(state: TaskState, step: string, failure: FailureInfo): TaskEvent {
  return { type: mustPark(state, step, failure) ? 'stepParked' : 'stepFailed', step, failure };
}

/**
 * A step that is retryable never fails the task. A pivot does where it surely had no effect; else neither direction is
 * safe. Nor is it for any step whose effect is neither recorded nor to be found out.
 */
function mustPark(state: TaskState, step: string, failure: FailureInfo): boolean {
  if (failure.type === ('OutcomeUnknown' satisfies FailureType)) return true;
  const refused = REFUSALS.some((type) => type === failure.type);
  if (refused) return goesForward(state);
  const kind = pivotPassed(state) ? 'retryable' : planStep(state, step)?.kind;
  if (kind === 'retryable') return true;
  if (kind !== 'pivot') return false;
  if (neverBegan(failure)) return state.attempted?.[step] === true;
  // What is final by Cadre's own word (such as an output that its schema refuses) comes after the agent has acted.
  return failure.final !== true || isFailureType(failure.type);
}

/** A step that a person did not allow. */
const REFUSALS: readonly FailureType[] = ['ApprovalRefused', 'ApprovalTimedOut'];

/**
 * Where a terminated execution is gone on with. What was in flight may have happened: it is undone as unknown; after
 * the pivot it is done again; a pivot itself is for a person to say. A compensation that had not ended is done again.
 */
function afterTerminate(state: TaskState): TaskState {
  const forward = goesForward(state);
  const cut = state.plan?.steps.find(({ id, kind }) => kind === 'pivot' && isUnsettled(state, id));
  const steps = Object.entries(state.steps).map(([id, step]): [string, StepState] => {
    if (id === cut?.id) {
      return [id, step.kind === 'parked' ? step : { kind: 'parked', failure: CUT_OFF }];
    }
    if (!IN_FLIGHT.includes(step.kind)) return [id, step];
    const again = forward || step.kind === 'awaitingApproval';
    return [id, again ? { kind: 'waiting' } : { kind: 'cancelled' }];
  });
  const compensations = state.compensations?.map((one): Compensation => {
    const { step, agent, outcome } = one;
    return one.kind === 'running' || one.kind === 'failed' ? { step, agent, outcome, kind: 'retry' } : one;
  });
  const { deadline: _over, ...kept } = state;
  const next: TaskState = {
    ...kept,
    phase: { kind: forward ? 'running' : 'compensating' },
    steps: Object.fromEntries(steps),
    ...(compensations === undefined ? {} : { compensations }),
    ...(cut === undefined ? {} : { attempted: { ...kept.attempted, [cut.id]: true } }),
  };
  return forward ? attended(next) : next;
}

const IN_FLIGHT: readonly StepState['kind'][] = [
  'scheduled',
  'voting',
  'arbitrating',
  'awaitingApproval',
  'parked',
];
const CUT_OFF: FailureInfo = { type: 'Terminated', message: 'It was running when the task was terminated' };

/** True where it cannot be undone: its pivot is done, or may be, and nobody has said otherwise. */
export function goesForward(state: TaskState): boolean {
  if (isUnwinding(state)) return false;
  const pivot = state.plan?.steps.find(({ kind }) => kind === 'pivot');
  return pivot !== undefined && (pivotPassed(state) || isUnsettled(state, pivot.id));
}

/** True for a step that may have happened, and may yet be done. */
function isUnsettled(state: TaskState, step: string): boolean {
  const { kind } = stepState(state, step);
  if (kind === 'scheduled' || kind === 'parked') return true;
  return (kind === 'waiting' || kind === 'awaitingApproval') && state.attempted?.[step] === true;
}

/** Whether a step that `agent` starts could be undone. */
export function isUndoable(state: TaskState, { step, agent }: StackEntry): boolean {
  const planned = planStep(state, step);
  if (planned?.kind === 'pivot' || planned?.kind === 'retryable') return false;
  if (planned?.compensate === false || pivotPassed(state)) return false;
  return planned?.compensate !== undefined || state.policies[agent]?.compensation !== undefined;
}

function onStack(state: TaskState, { step, agent }: StackEntry): TaskState {
  if (!isUndoable(state, { step, agent })) return state;
  const inFlight = (other: string): boolean => stepState(state, other).kind === 'scheduled';
  return withStack(state, pushEntry(state.stack ?? [], { step, agent }, inFlight));
}

/** Without the entry of who has the step now. */
function offStack(state: TaskState, step: string): TaskState {
  const planned = planStep(state, step);
  const agent = planned === undefined ? undefined : agentOf(state, planned);
  return agent === undefined ? state : withStack(state, dropEntry(state.stack ?? [], { step, agent }));
}

function withStack(state: TaskState, stack: readonly StackedEntry[]): TaskState {
  const { stack: _before, ...rest } = state;
  return stack.length === 0 ? rest : { ...rest, stack };
}

function undoing(state: TaskState, change: Compensation): TaskState {
  return { ...state, compensations: withCompensation(state.compensations ?? [], change) };
}

function compensationOf(state: TaskState, entry: StackEntry): StackEntry & { outcome: StepOutcome } {
  const { step, agent } = entry;
  const known = state.compensations?.find((one) => sameEntry(one, entry));
  return { step, agent, outcome: known?.outcome ?? 'unknown' };
}

/** `retry`: the compensation is begun anew; `skip`: the unwinding goes on without it. */
function resolved(state: TaskState, event: TaskEvent & { type: 'compensationResolved' }): TaskState {
  const { step, how, note } = event;
  const failed = state.compensations?.find((one) => one.step === step && one.kind === 'failed');
  if (failed?.kind !== 'failed') return state;
  const { agent, outcome, failure } = failed;
  if (how !== 'retry') {
    return attended(undoing(state, { step, agent, outcome, kind: 'skipped', failure, note }));
  }
  return attended(undoing(resolvedOnceMore(state, undoStep(step)), { step, agent, outcome, kind: 'retry' }));
}

function withTerm(state: TaskState, term: number): TaskState {
  return term > state.term ? { ...state, term } : state;
}

function assigned(state: TaskState, event: TaskEvent & { type: 'assigned' }): TaskState {
  const { step, agent, policy, term } = event;
  const planned = planStep(state, step)?.agent;
  const last = assignmentOf(state, step);
  const before = last === undefined ? [planned ?? ''] : [...last.before, last.agent];
  const given: TaskState = {
    ...withTerm(state, term),
    // What was pinned with the plan stays so.
    policies: { [agent]: policy, ...state.policies },
    assignments: { ...state.assignments, [step]: { agent, before } },
  };
  const { [step]: _begun, ...attempted } = given.attempted ?? {};
  const { attempted: _before, ...rest } = given;
  // Whether the agent that has it now will have begun is another matter.
  const anew: TaskState = Object.keys(attempted).length === 0 ? rest : { ...rest, attempted };
  return withStep(anew, step, { kind: 'waiting' });
}

function withBallot(state: TaskState, event: TaskEvent & { type: 'ballotCast' }): TaskState {
  const { step, voter, agent, choice, reason } = event;
  const ballot: CastBallot = { voter, agent, choice, ...(reason === undefined ? {} : { reason }) };
  return withVote(state, step, (vote) => ({ ...vote, ballots: [...vote.ballots, ballot] }));
}

/** A vote of which every ballot is in or out, and one was withdrawn, is cancelled. */
function withVote(
  state: TaskState,
  step: string,
  change: (before: StepState & { kind: 'voting' }) => StepState & { kind: 'voting' },
): TaskState {
  const before = stepState(state, step);
  if (before.kind !== 'voting') return state;
  const vote = change(before);
  const closed = vote.ballots.length + vote.spoiled + vote.withdrawn;
  const voters = planStep(state, step)?.vote?.agents.length ?? 0;
  const cancelled = vote.withdrawn > 0 && closed >= voters;
  return withStep(state, step, cancelled ? { kind: 'cancelled' } : vote);
}

function withArbitration(state: TaskState, step: string, why: Undecided, failure?: FailureInfo): TaskState {
  const before = stepState(state, step);
  if (before.kind !== 'voting' && before.kind !== 'arbitrating') return state;
  const { ballots } = before;
  return withStep(state, step, {
    kind: 'arbitrating',
    ballots,
    why: before.kind === 'arbitrating' ? before.why : why,
    ...(failure === undefined ? {} : { failure }),
  });
}

function withStep(state: TaskState, step: string, next: StepState): TaskState {
  return { ...state, steps: { ...state.steps, [step]: next } };
}

function withDecisions(state: TaskState, step: string, decisions: Stored<readonly Decision[]>): TaskState {
  const before = stepState(state, step);
  return before.kind === 'scheduled' ? withStep(state, step, { ...before, decisions }) : state;
}
