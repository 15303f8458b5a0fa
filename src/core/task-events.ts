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
import type { Decision } from './decision';
import type { FailureInfo } from './failures';
import { assertNever } from './json';
import { type Plan, finalSteps } from './plan';
import type { ResolvedPolicy } from './policy';
import type { ResumeOrigin } from './resume';
import type { Stored } from './stored';

export type TaskEvent =
  /** `root`: see the envelope. */
  | { readonly type: 'taskStarted'; readonly root: string; readonly goal: string; readonly docs?: string }
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
  | { readonly type: 'stepCancelled'; readonly step: string }
  /** A worker that was told to stop gave it back unfinished; it is scheduled again. */
  | { readonly type: 'stepHandedBack'; readonly step: string }
  | { readonly type: 'cancelRequested' }
  | { readonly type: 'continuedAsNew' }
  | { readonly type: 'taskCompleted' }
  | { readonly type: 'taskFailed'; readonly failure: FailureInfo }
  | { readonly type: 'taskCancelled' }
  /** Ended from outside, without a chance to run code. */
  | { readonly type: 'taskTerminated'; readonly how: 'terminated' | 'timedOut' };

export type TaskEventType = TaskEvent['type'];

/** Where a task stands. */
export type TaskPhase =
  | { readonly kind: 'planning' }
  | { readonly kind: 'running' }
  | { readonly kind: 'cancelling' }
  | { readonly kind: 'completed' }
  | { readonly kind: 'failed'; readonly failure: FailureInfo }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'terminated'; readonly how: 'terminated' | 'timedOut' };

/** Where a step stands. */
export type StepState =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'scheduled'; readonly decisions?: Stored<readonly Decision[]> }
  | { readonly kind: 'completed'; readonly output: Stored; readonly decisions?: Stored<readonly Decision[]> }
  | { readonly kind: 'failed'; readonly failure: FailureInfo }
  | { readonly kind: 'cancelled' };

/** A task at one point of its history. At most 1 MiB of JSON, by the plan's limits. */
export interface TaskState {
  readonly version: 1;
  readonly root: string;
  readonly goal: string;
  readonly docs?: string;
  readonly phase: TaskPhase;
  /** The highest term seen. */
  readonly term: number;
  /** Absent until it is made. */
  readonly plan?: Plan;
  readonly planDecisions?: Stored<readonly Decision[]>;
  readonly policies: Readonly<Record<string, ResolvedPolicy>>;
  /** By step id; every step of the plan is in it. */
  readonly steps: Readonly<Record<string, StepState>>;
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
      return {
        ...INITIAL_TASK_STATE,
        root: event.root,
        goal: event.goal,
        ...(event.docs === undefined ? {} : { docs: event.docs }),
      };
    case 'taskResumed':
      return event.snapshot;
    case 'planned':
      return {
        ...state,
        phase: state.phase.kind === 'planning' ? { kind: 'running' } : state.phase,
        term: Math.max(state.term, event.term),
        plan: event.plan,
        policies: event.policies,
        ...(event.decisions === undefined ? {} : { planDecisions: event.decisions }),
        steps: Object.fromEntries(event.plan.steps.map((step) => [step.id, { kind: 'waiting' }])),
      };
    case 'stepScheduled':
      return withStep({ ...state, term: Math.max(state.term, event.term) }, event.step, {
        kind: 'scheduled',
      });
    case 'decisionsRecorded':
      return withDecisions(state, event.step, event.decisions);
    case 'stepCompleted': {
      const before = stepState(state, event.step);
      const decisions = before.kind === 'scheduled' ? before.decisions : undefined;
      return withStep(state, event.step, {
        kind: 'completed',
        output: event.output,
        ...(decisions === undefined ? {} : { decisions }),
      });
    }
    case 'stepFailed':
      return withStep(state, event.step, { kind: 'failed', failure: event.failure });
    case 'stepHandedBack':
      return withStep(state, event.step, { kind: 'waiting' });
    case 'stepCancelled':
      return withStep(state, event.step, { kind: 'cancelled' });
    case 'cancelRequested':
      return isOpen(state.phase) ? { ...state, phase: { kind: 'cancelling' } } : state;
    case 'taskCompleted':
      return { ...state, phase: { kind: 'completed' } };
    case 'taskFailed':
      return { ...state, phase: { kind: 'failed', failure: event.failure } };
    case 'taskCancelled':
      return { ...state, phase: { kind: 'cancelled' } };
    case 'taskTerminated':
      return { ...state, phase: { kind: 'terminated', how: event.how } };
    case 'planRequested':
    case 'planFailed':
    case 'stepStarted':
    case 'stepRetried':
    case 'continuedAsNew':
      return state;
    default:
      return assertNever(event);
  }
}

/** The state as if the step had not been scheduled; not an event, since history never heard of it. */
export function withdrawStep(state: TaskState, step: string): TaskState {
  return withStep(state, step, { kind: 'waiting' });
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

/** True while the task has not ended. */
export function isOpen(phase: TaskPhase): boolean {
  return phase.kind === 'planning' || phase.kind === 'running' || phase.kind === 'cancelling';
}

/** What a finished task returns: the outputs of the steps that no other step needs. */
export interface TaskResult {
  readonly outputs: Readonly<Record<string, Stored>>;
}

/** The result of a state in which every step is completed. */
export function resultOf(state: TaskState): TaskResult {
  const outputs: Record<string, Stored> = {};
  for (const { id } of state.plan === undefined ? [] : finalSteps(state.plan)) {
    const step = stepState(state, id);
    if (step.kind === 'completed') outputs[id] = step.output;
  }
  return { outputs };
}

function withStep(state: TaskState, step: string, next: StepState): TaskState {
  return { ...state, steps: { ...state.steps, [step]: next } };
}

function withDecisions(state: TaskState, step: string, decisions: Stored<readonly Decision[]>): TaskState {
  const before = stepState(state, step);
  return before.kind === 'scheduled' ? withStep(state, step, { ...before, decisions }) : state;
}
