/**
 * A saga in a workflow of your own. Each step is known as it starts; what was done is undone where the workflow fails,
 * is cancelled or takes too long. The worker's interceptor sees to that (see `interceptors.ts`).
 */
import { CancellationScope, isCancellation, workflowInfo } from '@temporalio/workflow';
import { crossingFailure, failureInfo } from '../core/failure-info';
import { CadreError, type FailureInfo } from '../core/failures';
import { fieldMessage } from '../core/json';
import { type AgentStep, kindProblem, planProblems, stepNeeds } from '../core/plan';
import type { Resume } from '../core/resume';
import { type SagaOptions, type StepOutcome, sagaOptionProblems } from '../core/saga';
import { isArtifactReference } from '../core/stored';
import type { Undoes } from '../core/task-activities';
import { type TaskState, isUnwinding, pivotPassed, planStep, stepState } from '../core/task-state';
import { startEvents, taskRoot } from '../core/task-projection';
import type { AgentInput, AgentName, AgentOutput, AnyTeam } from '../core/team';
import { Attendance } from './attendance';
import { claimLock, giveLockBack } from './claim';
import { endOf, timeLimitReached } from './ending';
import { pinPolicies } from './pin';
import { StepRun } from './step-run';
import { handleMessages } from './task';
import { TaskRecord } from './task-record';
import { startTimeLimit } from './time-limit';
import { unwind } from './unwinding';

/** A larger output cannot be in a workflow: Temporal takes 2 MB. */
const OUTPUT_MAXIMUM_BYTES = 1024 * 1024;

/** A step of a {@link Saga}. */
export interface OwnStep<Team, Name extends AgentName<Team>>
  extends Omit<AgentStep, 'id' | 'agent' | 'instruction' | 'needs' | 'input' | 'compensate'> {
  readonly agent: Name;
  /** What to do, in words; shown wherever the step is. Default none. */
  readonly instruction?: string;
  readonly input: AgentInput<Team, Name>;
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
  /** What the workflow's own code runs in; absent without the interceptor. */
  forward?: CancellationScope;
  /** The workflow's first argument. */
  start?: unknown;
  saga?: Saga;
}

const GUARD = Symbol.for('cadre.saga');

/** Of this workflow: its globals are its own. They are where two copies of this module in a bundle meet. */
export const guard: Guard = ((globalThis as { [GUARD]?: Guard })[GUARD] ??= {});

/**
 * Steps that happen all, or are undone. One a workflow: start a child workflow for another.
 *
 * `Team` makes inputs and outputs typed, without any agent's code in the workflow:
 * `new Saga<typeof import('./agents')>()`.
 */
export class Saga<Team = AnyTeam> {
  private readonly task = new TaskRecord();
  private readonly attendance = new Attendance(this.task, { own: true });
  private readonly inFlight = new Set<Promise<unknown>>();
  /** The ids of this run's steps. */
  private readonly used = new Set<string>();
  private readonly inputsOf = new Map<string, (undo: OwnUndo) => unknown>();
  private readonly added: Added[] = [];
  private readonly options: SagaOptions;
  private readonly deadline: number | undefined;
  private readonly stopTimer: () => void;
  private prepared: Promise<void> | undefined;
  private overdue = false;

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
   * Runs a step and returns its agent's output. `id` is unique in the workflow: letters, digits, `.`, `_`, `-`. What an
   * earlier run completed is not run again.
   *
   * Rejects as StepFailed where the step failed for good; what was done before stays until the workflow fails. Rejects
   * as InputInvalid or PlanInvalid for a step that cannot be, AgentUnknown, and AgentOutputInvalid for an output of
   * more than 1 MiB.
   */
  async step<Name extends AgentName<Team>>(
    id: string,
    step: OwnStep<Team, Name>,
  ): Promise<AgentOutput<Team, Name>> {
    const running = this.runStep(id, step as unknown as OwnStep<AnyTeam, string>);
    this.inFlight.add(running);
    try {
      return (await running) as AgentOutput<Team, Name>;
    } finally {
      this.inFlight.delete(running);
    }
  }

  /**
   * Runs steps side by side and returns their outputs, by id. Where one fails the others are cancelled and waited for,
   * and it rejects as that step does.
   */
  async parallel<Names extends Readonly<Record<string, AgentName<Team>>>>(
    steps: {
      readonly [Id in keyof Names]: OwnStep<Team, Names[Id]>;
    },
  ): Promise<{ -readonly [Id in keyof Names]: AgentOutput<Team, Names[Id]> }> {
    const scope = new CancellationScope();
    const failures: unknown[] = [];
    const outputs = await scope.run(() =>
      Promise.all(
        Object.entries(steps as unknown as Record<string, OwnStep<Team, AgentName<Team>>>).map(
          async ([id, step]) => {
            try {
              return [id, await this.step(id, step)] as const;
            } catch (error) {
              failures.push(error);
              scope.cancel();
              return [id, undefined] as const;
            }
          },
        ),
      ),
    );
    if (failures.length > 0) throw failures[0];
    return Object.fromEntries(outputs) as { -readonly [Id in keyof Names]: AgentOutput<Team, Names[Id]> };
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

  /** Ends it well: nothing is undone any more. Called by the interceptor. */
  async complete(): Promise<void> {
    await this.settled();
    this.stopTimer();
    await giveLockBack(this.task);
    this.task.record({ type: 'taskCompleted' });
  }

  /** Undoes what was done, and returns what is to end the workflow. Called by the interceptor. */
  async fail(error: unknown): Promise<unknown> {
    guard.forward?.cancel();
    await CancellationScope.nonCancellable(() => this.settled());
    this.stopTimer();
    const reason = this.overdue && isCancellation(error) ? timeLimitReached() : error;
    await unwind(this.task, this.attendance, failureInfo(reason), (step, undoes) =>
      this.inputsOf.get(step.id)?.(undoOf(undoes)),
    );
    await giveLockBack(this.task);
    return endOf(this.task, reason);
  }

  private async settled(): Promise<void> {
    await Promise.allSettled(this.inFlight);
  }

  private begin(): void {
    CancellationScope.current().cancelRequested.catch(() => this.task.record({ type: 'cancelRequested' }));
    const { workflowId, firstExecutionRunId, startTime } = workflowInfo();
    const root = taskRoot(workflowId, firstExecutionRunId);
    for (const event of startEvents(guard.start, root, startTime.getTime())) this.task.record(event);
  }

  private async runStep(id: string, given: OwnStep<AnyTeam, string>): Promise<unknown> {
    if (this.used.has(id)) throw refused(`Two steps have the id "${id}": give each its own`);
    this.used.add(id);
    await (this.prepared ??= this.prepare());
    const done = stepState(this.state, id);
    if (done.kind === 'completed') return this.outputOf(id);
    const { compensate, instruction = '', ...rest } = given;
    const added = { ...rest, ...compensation(compensate) };
    const { agent, input, ...saga } = added;
    const step: AgentStep = { id, agent, instruction, ...(input === undefined ? {} : { input }), ...saga };
    if (planStep(this.state, id) === undefined) this.check(step);
    if (compensate && compensate.inputOf !== undefined) this.inputsOf.set(id, compensate.inputOf);
    const failure = await new StepRun(this.task, this.attendance, step, OUTPUT_MAXIMUM_BYTES, saga).execute();
    if (failure !== undefined) throw stepFailed(step, failure);
    return this.outputOf(id);
  }

  /** Learns the agents' policies and takes the lock: once a workflow. */
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
    const { policies, steps } = this.state;
    // What it refers to is known, and no part of a plan of one step.
    const [problem] = planProblems({ steps: [step] }, new Set(Object.keys(policies))).filter(
      ({ code }) => code !== 'UnknownNeed',
    );
    const wrong = problem ?? kindProblem({ steps: [step] }, policies);
    if (wrong !== undefined) {
      const type = wrong.code === 'UnknownAgent' ? 'AgentUnknown' : 'PlanInvalid';
      throw crossingFailure(new CadreError(type, wrong.message));
    }
    const open = stepNeeds(step).find((need) => stepState(this.state, need).kind !== 'completed');
    if (open !== undefined) throw refused(`Step "${step.id}" refers to "${open}", which is not completed`);
    if (isUnwinding(this.state)) throw refused(`Step "${step.id}" comes too late: the saga is being undone`);
    if (pivotPassed(this.state) && (step.kind === 'pivot' || step.kind === 'compensable')) {
      throw refused(`Step "${step.id}" comes after the pivot and is never undone: make it retryable`);
    }
    const beside = Object.entries(steps).find(([, { kind }]) => kind === 'scheduled');
    if (step.kind === 'pivot' && beside !== undefined) {
      throw refused(`Step "${beside[0]}" runs beside the pivot "${step.id}": await it first`);
    }
  }

  private outputOf(id: string): unknown {
    const state = stepState(this.state, id);
    if (state.kind !== 'completed')
      throw crossingFailure(new CadreError('StepFailed', `Step "${id}" has no output`));
    if (!isArtifactReference(state.output)) return state.output.value;
    const message = `The output of step "${id}" is ${state.output.bytes} bytes, of which a workflow takes ${OUTPUT_MAXIMUM_BYTES}: have its agent keep it in context.artifacts and put out the reference`;
    throw crossingFailure(new CadreError('AgentOutputInvalid', message));
  }

  private timeIsOver(): void {
    if (this.state.phase.kind !== 'cancelling') return;
    this.overdue = true;
    guard.forward?.cancel();
  }
}

function deadlineOf({ timeLimit }: SagaOptions): number | undefined {
  return timeLimit === undefined ? undefined : workflowInfo().startTime.getTime() + timeLimit;
}

/** What of a compensation can stand in history. */
function compensation(compensate: false | OwnCompensation | undefined): Pick<AgentStep, 'compensate'> {
  if (compensate === undefined || compensate === false) return compensate === false ? { compensate } : {};
  const { agent, input } = compensate;
  return { compensate: { agent, ...(input === undefined ? {} : { input }) } };
}

function undoOf({ input, outcome, output, reason }: Undoes): OwnUndo {
  const value = output === undefined || isArtifactReference(output) ? {} : { output: output.value };
  return { input, outcome, ...value, reason };
}

function stepFailed({ id, agent }: AgentStep, failure: FailureInfo): unknown {
  return crossingFailure(
    new CadreError('StepFailed', `Step "${id}" (${agent}) failed: ${failure.message}`, {
      details: { failed: { step: id, agent, failure } },
    }),
  );
}

function refused(message: string): unknown {
  return crossingFailure(new CadreError('InputInvalid', message));
}
