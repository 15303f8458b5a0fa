/**
 * A task at one point of its history, and what follows from it: for the workflow, for the log, and for whoever shows it.
 */
import type { AskedQuestion, GivenAnswer } from './asking';
import type { Refusal } from './breaker/refusal';
import type { TaskBudget } from './budget/budget';
import type { Operation } from './crdt/replica';
import type { Decision } from './decision';
import type { FailureInfo } from './failures';
import { type Plan, type Step, finalSteps, stepActor } from './plan';
import type { ResolvedPolicy } from './policy';
import type { Compensation, SagaOptions, StackEntry, StackedEntry } from './saga';
import type { Stored } from './stored';
import type { HandedBack } from './task-activities';
import type { ModelUsage } from './usage';
import type { CastBallot, Undecided } from './vote';

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
  /** A person is to answer what a step's agent asks. */
  | { readonly kind: 'awaitingAnswer'; readonly step: string }
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
  /** `handedBack`: what the attempt left that asked what was answered since. */
  | { readonly kind: 'waiting'; readonly handedBack?: HandedBack }
  /** A person is asked; `hash`: of the input that would run. */
  | { readonly kind: 'awaitingApproval'; readonly hash: string }
  /** A person is asked by its agent; `until`: when the time to answer is over, in ms since 1970. */
  | ({ readonly kind: 'asking'; readonly until?: number } & AskedQuestion & HandedBack)
  /** Waits for the breaker of its agent. */
  | ({ readonly kind: 'refused' } & Refusal)
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
      readonly knowledge?: Stored<readonly Operation[]>;
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
  /** Present where the steps came one by one, from workflow code. */
  readonly own?: true;
  readonly root: string;
  readonly goal: string;
  readonly docs?: string;
  readonly options?: SagaOptions;
  /** When it is to be undone by its time limit, in ms since 1970; absent where it has none. */
  readonly deadline?: number;
  /** What it may use; absent where nothing is limited. */
  readonly budget?: TaskBudget;
  /** Present once it holds the lock of its options. */
  readonly locked?: true;
  readonly phase: TaskPhase;
  /** The highest term seen. */
  readonly term: number;
  /** Absent until it is made. */
  readonly plan?: Plan;
  readonly planDecisions?: Stored<readonly Decision[]>;
  /** Who made the plan: an agent's name, or `caller`. Absent until it is made. */
  readonly plannedBy?: string;
  readonly policies: Readonly<Record<string, ResolvedPolicy>>;
  /** By step id; every step of the plan is in it. */
  readonly steps: Readonly<Record<string, StepState>>;
  /** By step id: those that the leader gave to another agent than the plan did. */
  readonly assignments?: Readonly<Record<string, Assignment>>;
  /** By step id: those of which an attempt has begun that ended without an output. It may have had its effect. */
  readonly attempted?: Readonly<Record<string, true>>;
  /** By step id, or {@link undoStep}: how often a person said to try it again. */
  readonly resolutions?: Readonly<Record<string, number>>;
  /** By step id: what persons answered to it, for its next attempts; of a step that is completed nothing. */
  readonly answers?: Readonly<Record<string, readonly GivenAnswer[]>>;
  /** Steps to undo should the task fail, in the order of their starts. Empty once a pivot is done. */
  readonly stack?: readonly StackedEntry[];
  /** What became of the undoing, in the order in which it was begun. */
  readonly compensations?: readonly Compensation[];
  /** Present once the result is made. */
  readonly aggregated?: {
    readonly term: number;
    readonly by: string;
    readonly outputs?: Readonly<Record<string, Stored>>;
    readonly decisions?: Stored<readonly Decision[]>;
  };
  /** Present once its agents have been told what they decided and learnt in it. */
  readonly remembered?: true;
  /** What calls came to, by whose they were: see `usageOf` and `usageRows`. Absent while there were none. */
  readonly usage?: Readonly<Record<string, readonly ModelUsage[]>>;
}

/** Who has a step that was assigned anew, and who had it before. */
export interface Assignment {
  readonly agent: string;
  readonly before: readonly string[];
  /** How many of them it passed on to its fallback, by no decision of the leader's. Default 0. */
  readonly fellBack?: number;
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
    phase.kind === 'awaitingAnswer' ||
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

/** The policy that the task's steps of `agent` run by; undefined where it knows none. */
export function policyOf(
  { policies }: Pick<TaskState, 'policies'>,
  agent: string,
): ResolvedPolicy | undefined {
  return Object.hasOwn(policies, agent) ? policies[agent] : undefined;
}

/** How often a person said to try `step` again; see {@link undoStep} for undoing it. */
export function resolutionsOf({ resolutions = {} }: TaskState, step: string): number {
  return Object.hasOwn(resolutions, step) ? (resolutions[step] ?? 0) : 0;
}

/** What persons answered to `step`. */
export function answersTo({ answers = {} }: TaskState, step: string): readonly GivenAnswer[] {
  return Object.hasOwn(answers, step) ? (answers[step] ?? []) : [];
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

/** True for a step that was failed or cancelled and that the workflow's code went on without. */
export function isGivenUp(state: TaskState, step: string): boolean {
  const { kind } = stepState(state, step);
  return kind === 'failed' || kind === 'cancelled';
}

/** What is being undone, and what has passed its pivot or may have, goes on to its end. */
export function mayBeCancelled(state: TaskState): boolean {
  const tried = pivotsOf(state).find(({ id }) => isUnsettled(state, id));
  // Its first attempt may still end as if it had never begun.
  const running =
    tried !== undefined &&
    stepState(state, tried.id).kind === 'scheduled' &&
    state.attempted?.[tried.id] !== true;
  return isOpen(state.phase) && !isUnwinding(state) && (running || !goesForward(state));
}

function pivotsOf({ plan }: TaskState): Step[] {
  return (plan?.steps ?? []).filter(({ kind }) => kind === 'pivot');
}

/** By which the undoing of a step is known beside it: in its activity's id and among the resolutions. */
export function undoStep(step: string): string {
  return `${step}/undo`;
}

/** True where it cannot be undone: its pivot is done, or may be, and nobody has said otherwise. */
export function goesForward(state: TaskState): boolean {
  if (isUnwinding(state)) return false;
  return pivotPassed(state) || pivotsOf(state).some(({ id }) => isUnsettled(state, id));
}

/** True for a step that may have happened, and may yet be done. */
export function isUnsettled(state: TaskState, step: string): boolean {
  const { kind } = stepState(state, step);
  if (kind === 'scheduled' || kind === 'parked') return true;
  return WAITS.includes(kind) && state.attempted?.[step] === true;
}

const WAITS: readonly StepState['kind'][] = ['waiting', 'awaitingApproval', 'asking', 'refused'];

/** Whether a step that `agent` starts could be undone. */
export function isUndoable(state: TaskState, { step, agent }: StackEntry): boolean {
  const planned = planStep(state, step);
  if (planned?.kind === 'pivot' || planned?.kind === 'retryable') return false;
  if (planned?.compensate === false || pivotPassed(state)) return false;
  return planned?.compensate !== undefined || policyOf(state, agent)?.compensation !== undefined;
}
