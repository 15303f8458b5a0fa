/**
 * A saga in a workflow of your own. Each step is known as it starts; what was done is undone where the workflow fails,
 * is cancelled or takes too long. The worker's interceptor sees to that (see `interceptors.ts`).
 */
import { CancelledFailure } from '@temporalio/common';
import {
  AsyncLocalStorage,
  CancellationScope,
  condition,
  isCancellation,
  workflowInfo,
} from '@temporalio/workflow';
import { crossingFailure, failureInfo } from '../core/failure-info';
import { CadreError, type FailureInfo } from '../core/failures';
import { canonicalJson, fieldMessage, jsonBytes } from '../core/json';
import {
  type AgentStep,
  INLINE_BUDGET_BYTES,
  INLINE_MINIMUM_BYTES,
  PLAN_MAXIMUM_STEPS,
  kindProblem,
  ownStepProblem,
  stepNeeds,
} from '../core/plan';
import type { Resume } from '../core/resume';
import { type SagaOptions, type StepOutcome, sagaOptionProblems } from '../core/saga';
import { type Stored, isArtifactReference } from '../core/stored';
import { findResume } from '../core/task-resume';
import type { Undoes } from '../core/task-activities';
import { type TaskState, isUnwinding, pivotPassed, planStep, stepState } from '../core/task-state';
import { startEvents, taskRoot } from '../core/task-projection';
import type { AgentInput, AgentName, AgentOutput, AnyTeam } from '../core/team';
import { Attendance } from './attendance';
import { claimLock, giveLockBack } from './claim';
import { HeardPromise } from './heard-promise';
import { loadStored } from './load';
import { endOf, timeLimitReached } from './ending';
import { pinPolicies } from './pin';
import { remember } from './remembering';
import { StepRun } from './step-run';
import { handleMessages } from './task';
import { TaskRecord } from './task-record';
import { begunAt, startTimeLimit } from './time-limit';
import { undoGivenUp, unwind } from './unwinding';

/** A larger output cannot be in a workflow: Temporal takes 2 MB. */
const OUTPUT_MAXIMUM_BYTES = 1024 * 1024;
/** Of all steps as they were given, so that what undoes them can be started with it. */
const STEPS_MAXIMUM_BYTES = 512 * 1024;
/** Of one output as it stands in the state, while all of them have room there. */
const INLINE_BYTES = 8 * 1024;

/** A step of a {@link Saga}. */
export interface OwnStep<Team, Name extends AgentName<Team>>
  extends Omit<AgentStep, 'id' | 'agent' | 'instruction' | 'needs' | 'input' | 'compensate'> {
  readonly agent: Name;
  /** What to do, in words; shown wherever the step is. Default none. */
  readonly instruction?: string;
  readonly input: AgentInput<Team, Name>;
  /**
   * The input holds nothing of what others wrote: a model that gets it may use tools that write. Default false, since outputs
   * of other steps may be in it.
   */
  readonly trusted?: boolean;
  /**
   * Who undoes it. Default: its agent's own `compensate`, where it has one; false: nobody; else another agent, whose
   * input may be made of what is undone. Code that makes it is gone after a terminate: the agent then gets
   * `{ input, outcome, output?, reason }`, like one without an input.
   */
  readonly compensate?: false | OwnCompensation;
}

/** Another agent, whose `act` undoes a step. */
export interface OwnCompensation {
  readonly agent: string;
  readonly input?: unknown;
  readonly inputOf?: (undo: OwnUndo) => unknown;
}

/** What the input of a compensation may be made of. */
export interface OwnUndo {
  readonly input: unknown;
  /** `unknown`: the step failed, timed out or was cut off, and may have had its effect. */
  readonly outcome: StepOutcome;
  /** Present where the outcome is `completed`. */
  readonly output?: unknown;
  /** Why it is undone. */
  readonly reason: FailureInfo;
}

/** A step that waits for {@link Saga.execute}. */
interface Added {
  readonly id: string;
  readonly agent: string;
  /** Its input, or what makes it of the outputs so far. */
  readonly action: unknown;
  readonly compensate?: false | OwnCompensation;
}

/** What the interceptor and the saga of one workflow know of each other. */
interface Guard {
  /** What the whole workflow runs in, and in it the workflow's own code; absent without the interceptor. */
  whole?: CancellationScope;
  forward?: CancellationScope;
  /** The workflow's first argument. */
  start?: unknown;
  saga?: Saga;
  readonly handlers: Set<Handler>;
}

const GUARD = Symbol.for('cadre.saga');

/** A signal's or update's handler while it runs. */
interface Handler {
  hasSteps: boolean;
}

const handling = new AsyncLocalStorage<Handler>();

/** Runs a handler, so that its steps are known to be its. */
export async function inHandler<Result>(work: () => Promise<Result>): Promise<Result> {
  const handler: Handler = { hasSteps: false };
  guard.handlers.add(handler);
  try {
    return await handling.run(handler, work);
  } finally {
    guard.handlers.delete(handler);
  }
}

/** Of this workflow: its globals are its own. They are where two copies of this module in a bundle meet. */
export const guard: Guard = ((globalThis as { [GUARD]?: Guard })[GUARD] ??= {
  handlers: new Set(),
});

/**
 * Steps that happen all, or are undone. One a workflow: start a child workflow for another.
 *
 * `Team` makes inputs and outputs typed, without any agent's code in the workflow:
 * `new Saga<typeof import('./agents')>()`.
 */
export class Saga<Team = AnyTeam> {
  private readonly task = new TaskRecord();
  private readonly attendance = new Attendance(this.task, { own: true });
  /** The steps, alone and side by side, that have not ended, each in a scope of its own. */
  private readonly inFlight = new Map<Promise<unknown>, CancellationScope>();
  /** What the workflow's code was given and that rejected, with what. */
  private readonly rejected: { readonly given: HeardPromise<unknown>; readonly error: unknown }[] = [];
  /** Their kinds, by id. */
  private readonly open = new Map<string, AgentStep['kind']>();
  /** The ids of this run's steps. */
  private readonly used = new Set<string>();
  /** What this run's steps put out that stands in the state as a reference. */
  private readonly outputs = new Map<string, unknown>();
  /** Of the steps as they were given, in bytes, by id. */
  private readonly sizes = new Map<string, number>();
  private outputBytes = 0;
  private readonly inputsOf = new Map<string, (undo: OwnUndo) => unknown>();
  private readonly added: Added[] = [];
  private readonly options: SagaOptions;
  private readonly deadline: number | undefined;
  private readonly stopTimer: () => void;
  private prepared: Promise<void> | undefined;
  private overdue = false;
  /** True once no step may begin any more. */
  private closing = false;
  /** What a signal's handler failed with, which fails the workflow. */
  private failedBy: unknown;

  /**
   * Fails as InputInvalid for options out of their range, for a second saga in a workflow, and on a worker without
   * Cadre's interceptor.
   */
  constructor(options: SagaOptions = {}) {
    if (guard.forward === undefined) {
      throw refused('Nothing here undoes a saga: have a worker of Cadre run the workflow');
    }
    if (guard.saga !== undefined) {
      throw refused('A workflow has one saga: give that all steps, or start a child workflow for the other');
    }
    const [problem] = sagaOptionProblems({ ...options });
    if (problem !== undefined) throw refused(fieldMessage(options, problem));
    guard.saga = this as unknown as Saga;
    this.begin();
    const { plan, steps } = this.task.state;
    for (const step of plan?.steps ?? []) this.sizes.set(step.id, jsonBytes(step));
    this.outputBytes = jsonBytes(steps);
    this.options = this.task.state.options ?? options;
    this.deadline = this.task.state.deadline ?? deadlineOf(options);
    handleMessages(() => this.task.state, this.attendance);
    this.stopTimer = startTimeLimit(this.task, () => this.timeIsOver(), this.deadline);
  }

  /** Where it stands. */
  get state(): TaskState {
    return this.task.state;
  }

  /**
   * What the next run must get, as its first argument or as a field of that, so that it can undo what this one did:
   * `continueAsNew({ ...input, saga: saga.snapshot() })`. Its `new Saga()` finds it there.
   */
  snapshot(): Resume<TaskState> {
    const { workflowId, runId } = workflowInfo();
    return {
      snapshot: this.task.state,
      origin: { kind: 'continuedAsNew', workflowId, runId },
      overrides: {},
    };
  }

  /**
   * Runs a step and returns its agent's output. `id` is unique in the workflow: letters, digits, `.`, `_`, `-`, and not
   * digits alone. What an earlier run completed is not run again.
   *
   * Rejects as StepFailed where the step failed for good, and with the cancellation where it was cancelled. What was done
   * before stays until the workflow fails; what the step itself may have done is undone at the latest before the workflow
   * completes. A step that nobody has awaited when the workflow's code ends is waited for, and fails it where it fails.
   *
   * Rejects as InputInvalid or PlanInvalid for a step that cannot be: one that begins beside a pivot or once the saga
   * ends, or that brings all steps, as they are given, over 512 KiB or 1,000; as AgentUnknown; and as AgentOutputInvalid
   * for an output of more than 1 MiB.
   */
  step<Name extends AgentName<Team>>(
    id: string,
    step: OwnStep<Team, Name>,
  ): Promise<AgentOutput<Team, Name>> {
    const handler = handling.getStore();
    if (handler !== undefined) handler.hasSteps = true;
    const scope = new CancellationScope();
    const running = scope.run(() => this.runStep(id, step as unknown as OwnStep<AnyTeam, string>));
    return this.given(running as Promise<AgentOutput<Team, Name>>, scope);
  }

  /** `work`, which `scope` cancels, as the workflow's code is to have it; in flight until it ends. */
  private given<Value>(work: Promise<Value>, scope: CancellationScope): Promise<Value> {
    const given = HeardPromise.of(work);
    const ended: Promise<void> = work
      .then(
        () => undefined,
        (error: unknown) => void this.rejected.push({ given, error }),
      )
      .then(() => void this.inFlight.delete(ended));
    this.inFlight.set(ended, scope);
    return given;
  }

  /**
   * Runs steps side by side and returns their outputs, by id. Where one fails the others are cancelled and waited for,
   * and it rejects as that step does.
   */
  parallel<Names extends Readonly<Record<string, AgentName<Team>>>>(
    steps: {
      readonly [Id in keyof Names]: OwnStep<Team, Names[Id]>;
    },
  ): Promise<{ -readonly [Id in keyof Names]: AgentOutput<Team, Names[Id]> }> {
    const all = steps as unknown as Record<string, OwnStep<Team, AgentName<Team>>>;
    const scope = new CancellationScope();
    const running = this.sideBySide(Object.entries(all), scope);
    type Outputs = { -readonly [Id in keyof Names]: AgentOutput<Team, Names[Id]> };
    return this.given(running as Promise<Outputs>, scope);
  }

  private async sideBySide(
    entries: readonly [string, OwnStep<Team, AgentName<Team>>][],
    scope: CancellationScope,
  ): Promise<Record<string, unknown>> {
    const pivot = entries.find(([, { kind }]) => kind === 'pivot');
    if (pivot !== undefined && entries.length > 1) {
      throw refused(`Step "${pivot[0]}" is a pivot and runs alone: take it out of the parallel ones`);
    }
    const failures: unknown[] = [];
    const outputs = await scope.run(() =>
      Promise.all(
        entries.map(async ([id, step]) => {
          try {
            return [id, await this.step(id, step)] as const;
          } catch (error) {
            failures.push(error);
            scope.cancel();
            return [id, undefined] as const;
          }
        }),
      ),
    );
    if (failures.length > 0) throw failures[0];
    return Object.fromEntries(outputs);
  }

  /**
   * Adds a step for {@link execute}: the agent, its input (or what makes it of the outputs so far, by step id), and who
   * undoes it. Its id is the agent's name; the second of an agent has `NAME-2`.
   */
  add<Name extends AgentName<Team>>(
    agent: Name,
    action: AgentInput<Team, Name> | ((outputs: Readonly<Record<string, unknown>>) => AgentInput<Team, Name>),
    compensate?: false | OwnCompensation,
  ): this {
    const earlier = this.added.filter((one) => one.agent === agent).length;
    const id = earlier === 0 ? agent : `${agent}-${earlier + 1}`;
    this.added.push({ id, agent, action, ...(compensate === undefined ? {} : { compensate }) });
    return this;
  }

  /** Runs the steps that were added, in order, and returns their outputs, by step id. Rejects as {@link step} does. */
  async execute(): Promise<Record<string, unknown>> {
    const outputs: Record<string, unknown> = {};
    for (const { id, agent, action, compensate } of this.added) {
      const input: unknown = typeof action === 'function' ? action(outputs) : action;
      const step = { agent, input, ...(compensate === undefined ? {} : { compensate }) };
      outputs[id] = await this.step(id, step as OwnStep<Team, AgentName<Team>>);
    }
    return outputs;
  }

  /**
   * Ends it well: of what was completed nothing is undone any more. Rejects where a step fails that nobody awaited, or a
   * signal's handler has. Called by the interceptor.
   */
  async complete(): Promise<void> {
    const cancelledBefore = guard.whole?.consideredCancelled;
    await this.settled();
    while ([...guard.handlers].some(({ hasSteps }) => hasSteps)) {
      await condition(() => ![...guard.handlers].some(({ hasSteps }) => hasSteps));
      await this.settled();
    }
    this.closing = true;
    if (this.failedBy !== undefined) throw this.failedBy;
    // What the code has caught is its own matter.
    if (!cancelledBefore && guard.whole?.consideredCancelled)
      throw new CancelledFailure('Workflow cancelled');
    if (this.overdue) throw crossingFailure(timeLimitReached(this.task.state));
    const lost = this.rejected.find(({ given }) => !given.heard);
    if (lost !== undefined) throw lost.error;
    await undoGivenUp(this.task, this.attendance, (step, undoes) => this.inputOf(step.id, undoes));
    this.stopTimer();
    await giveLockBack(this.task);
    await remember(this.task);
    this.task.record({ type: 'taskCompleted' });
  }

  /** Undoes what was done, and returns what is to end the workflow. Called by the interceptor. */
  async fail(error: unknown): Promise<unknown> {
    this.closing = true;
    this.stop();
    await CancellationScope.nonCancellable(() => this.settled());
    this.stopTimer();
    const reason = this.reasonOf(error);
    await unwind(this.task, this.attendance, failureInfo(reason), (step, undoes) =>
      this.inputOf(step.id, undoes),
    );
    await giveLockBack(this.task);
    await remember(this.task);
    return endOf(this.task, reason, guard.whole?.consideredCancelled);
  }

  /** Cuts off the workflow's own code, and the steps of handlers, which run beside it. */
  private stop(): void {
    guard.forward?.cancel();
    for (const scope of this.inFlight.values()) scope.cancel();
  }

  /** Has the workflow fail by what a handler threw. Called by the interceptor. */
  failBy(error: unknown): void {
    if (this.closing || (isCancellation(error) && guard.forward?.consideredCancelled)) return;
    this.failedBy ??= error;
    this.stop();
  }

  /** Throws InputInvalid where the next run, which begins with `input`, could not undo what this one did. Called by the interceptor. */
  checkContinuing(input: unknown): void {
    const { state } = this.task;
    if (this.closing) throw refused('It is too late for continueAsNew: the saga ends');
    if (this.inFlight.size > 0) {
      throw refused(`Steps run (${[...this.open.keys()].join(', ')}): await them before continueAsNew`);
    }
    if (state.plan === undefined && state.locked !== true) return;
    const given = findResume(input)?.snapshot;
    if (given !== undefined && (given === state || canonicalJson(given) === canonicalJson(state))) return;
    throw refused(
      'Expected the first argument of continueAsNew to be, or to have as a field, what saga.snapshot() returns then: without it nothing that was done could be undone, and it would be done again',
    );
  }

  private reasonOf(error: unknown): unknown {
    if (isCancellation(error) && this.failedBy !== undefined) return this.failedBy;
    return isCancellation(error) && this.overdue ? timeLimitReached(this.task.state) : error;
  }

  /** Waits until no step is in flight. */
  private async settled(): Promise<void> {
    while (this.inFlight.size > 0) await Promise.all(this.inFlight.keys());
  }

  /** What the workflow's code makes the input of an undoing of. What it throws is a mistake in it, and no failure. */
  private async inputOf(step: string, undoes: Undoes): Promise<unknown> {
    const make = this.inputsOf.get(step);
    if (make === undefined) return undefined;
    const { input, outcome, output, reason } = undoes;
    const known = output === undefined ? {} : { output: await this.valueOf(step, output) };
    try {
      const made = make({ input, outcome, ...known, reason });
      const bytes = jsonBytes(made);
      if (bytes > OUTPUT_MAXIMUM_BYTES)
        throw new TypeError(`it is ${bytes} bytes of ${OUTPUT_MAXIMUM_BYTES}`);
      if (made === undefined || bytes > 0) return made;
      throw new TypeError('it is not JSON');
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`The input of what undoes the step "${step}" cannot be made: ${why}`, { cause });
    }
  }

  /** Undefined for what no artifact store has any more. */
  private async valueOf(step: string, output: Stored): Promise<unknown> {
    if (this.outputs.has(step)) return this.outputs.get(step);
    if (isArtifactReference(output) && output.bytes > OUTPUT_MAXIMUM_BYTES) return undefined;
    return loadStored(output, `output of ${step}`).catch(() => undefined);
  }

  private begin(): void {
    guard.whole?.cancelRequested.catch(() => this.task.record({ type: 'cancelRequested' }));
    const { workflowId, firstExecutionRunId, continuedFromExecutionRunId } = workflowInfo();
    const root = taskRoot(workflowId, firstExecutionRunId, continuedFromExecutionRunId);
    for (const event of startEvents(guard.start, root, begunAt(), true)) this.task.record(event);
  }

  private async runStep(id: string, given: OwnStep<AnyTeam, string>): Promise<unknown> {
    if (this.closing) throw tooLate(id);
    if (this.used.has(id)) throw refused(`Two steps have the id "${id}": give each its own`);
    if (stepState(this.state, id).kind !== 'completed') this.refuseBesidePivot(id, given.kind);
    this.used.add(id);
    this.open.set(id, given.kind);
    try {
      await this.ready();
      if (this.closing) throw tooLate(id);
      return await this.carryOut(id, given);
    } finally {
      this.open.delete(id);
      if (planStep(this.state, id) === undefined) {
        this.used.delete(id);
        this.sizes.delete(id);
      }
    }
  }

  private async carryOut(id: string, given: OwnStep<AnyTeam, string>): Promise<unknown> {
    const { compensate } = given;
    if (compensate && compensate.inputOf !== undefined) this.inputsOf.set(id, compensate.inputOf);
    if (stepState(this.state, id).kind === 'completed') return this.outputOf(id);
    const { compensate: _compensate, instruction = '', trusted = false, ...rest } = given;
    const { agent, input, ...added } = { ...rest, ...compensation(compensate) };
    const step: AgentStep = { id, agent, instruction, ...(input === undefined ? {} : { input }), ...added };
    if (planStep(this.state, id) === undefined) this.check(step);
    const made = input === undefined || trusted ? {} : { madeByCode: true as const };
    const own = { added, returnMaximum: OUTPUT_MAXIMUM_BYTES, ...made };
    const run = new StepRun(this.task, this.attendance, step, this.inlineMaximum(), own);
    const failure = await run.execute();
    if (failure !== undefined) throw stepFailed(step, failure);
    if (run.returned !== undefined) this.outputs.set(id, run.returned);
    this.outputBytes += jsonBytes(stepState(this.state, id));
    return this.outputOf(id);
  }

  /** The largest output that stands in the state itself, so that what all steps leave there fits what undoes them is started with. */
  private inlineMaximum(): number {
    const free = INLINE_BUDGET_BYTES - this.outputBytes - this.open.size * INLINE_BYTES;
    return free > 0 ? INLINE_BYTES : INLINE_MINIMUM_BYTES;
  }

  /** Nothing may be undone beside a pivot, since nothing could be once that is done. */
  private refuseBesidePivot(id: string, kind: AgentStep['kind']): void {
    const pivot = [...this.open].find(([, one]) => one === 'pivot');
    const [beside] = kind === 'pivot' ? this.open.keys() : [];
    if (pivot !== undefined) {
      throw refused(`Step "${id}" would run beside the pivot "${pivot[0]}": await that first`);
    }
    if (beside !== undefined) throw refused(`Step "${beside}" runs beside the pivot "${id}": await it first`);
  }

  /** Resolves once the agents' policies are known and the lock is taken, whoever asked first; tries again where that failed. */
  private ready(): Promise<void> {
    const forward = guard.forward ?? CancellationScope.current();
    return (this.prepared ??= forward
      .run(() => this.prepare())
      .catch((error: unknown) => {
        this.prepared = undefined;
        throw error;
      }));
  }

  /** Learns the agents' policies and takes the lock. */
  private async prepare(): Promise<void> {
    if (Object.keys(this.state.policies).length === 0) {
      const { options, deadline } = this;
      await pinPolicies(this.task, {
        ...(Object.keys(options).length === 0 ? {} : { options }),
        ...(deadline === undefined ? {} : { deadline }),
      });
    }
    await claimLock(this.task);
  }

  /** Refuses a step that no plan could have here. */
  private check(step: AgentStep): void {
    const { policies, plan } = this.state;
    const problem = ownStepProblem(step, new Set(Object.keys(policies)));
    const wrong = problem ?? kindProblem({ steps: [step] }, policies);
    if (wrong !== undefined) {
      const type = wrong.code === 'UnknownAgent' ? 'AgentUnknown' : 'PlanInvalid';
      throw crossingFailure(new CadreError(type, wrong.message));
    }
    const open = stepNeeds(step).find((need) => stepState(this.state, need).kind !== 'completed');
    if (open !== undefined) throw refused(`Step "${step.id}" refers to "${open}", which is not completed`);
    if (isUnwinding(this.state)) throw refused(`Step "${step.id}" comes too late: the saga is being undone`);
    const undone = step.kind === 'compensable' || Boolean(step.compensate);
    if (pivotPassed(this.state) && (step.kind === 'pivot' || undone)) {
      throw refused(`Step "${step.id}" comes after the pivot and is never undone: make it retryable`);
    }
    if (/^\d+$/.test(step.id)) {
      throw refused(`Step "${step.id}" has an id of digits alone, like activities of your own: add a letter`);
    }
    const count = plan?.steps.length ?? 0;
    if (count >= PLAN_MAXIMUM_STEPS) {
      throw refused(`Step "${step.id}" is one too many: a saga has at most ${PLAN_MAXIMUM_STEPS}`);
    }
    this.sizes.set(step.id, jsonBytes(step));
    const bytes = [...this.sizes.values()].reduce((sum, size) => sum + size, 0);
    if (bytes > STEPS_MAXIMUM_BYTES) {
      throw refused(
        `With step "${step.id}" all steps are ${bytes} bytes, of which a saga takes ${STEPS_MAXIMUM_BYTES}: give large inputs by reference, such as to context.artifacts or a path`,
      );
    }
  }

  private outputOf(id: string): unknown {
    const state = stepState(this.state, id);
    if (state.kind === 'cancelled') throw new CancelledFailure(`Step "${id}" was cancelled`);
    if (state.kind !== 'completed')
      throw crossingFailure(new CadreError('StepFailed', `Step "${id}" has no output`));
    const { output } = state;
    if (!isArtifactReference(output)) return output.value;
    if (this.outputs.has(id)) return this.outputs.get(id);
    // Of an earlier run.
    if (output.bytes <= OUTPUT_MAXIMUM_BYTES) return loadStored(output, `output of ${id}`);
    const message = `The output of step "${id}" is ${output.bytes} bytes, of which a workflow takes ${OUTPUT_MAXIMUM_BYTES}: have its agent keep it in context.artifacts and put out the reference`;
    throw crossingFailure(new CadreError('AgentOutputInvalid', message));
  }

  private timeIsOver(): void {
    if (this.state.phase.kind !== 'cancelling') return;
    this.overdue = true;
    this.stop();
  }
}

function deadlineOf({ timeLimit }: SagaOptions): number | undefined {
  return timeLimit === undefined ? undefined : begunAt() + timeLimit;
}

/** What of a compensation can stand in history. */
function compensation(compensate: false | OwnCompensation | undefined): Pick<AgentStep, 'compensate'> {
  if (compensate === undefined || compensate === false) return compensate === false ? { compensate } : {};
  const { agent, input } = compensate;
  return { compensate: { agent, ...(input === undefined ? {} : { input }) } };
}

function stepFailed({ id, agent }: AgentStep, failure: FailureInfo): unknown {
  return crossingFailure(
    new CadreError('StepFailed', `Step "${id}" (${agent}) failed: ${failure.message}`, {
      details: { failed: { step: id, agent, failure } },
    }),
  );
}

function tooLate(id: string): unknown {
  return refused(`Step "${id}" comes too late: the saga ends`);
}

function refused(message: string): unknown {
  return crossingFailure(new CadreError('InputInvalid', message));
}
