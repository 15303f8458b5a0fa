import {
  type Client,
  type WorkflowExecutionDescription,
  WorkflowFailedError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time';
import type { temporal } from '@temporalio/proto';
import { type Answering, inputHash } from '../core/approval';
import { failureInfo } from '../core/failure-info';
import { CadreError, type FailureInfo, isFailureType } from '../core/failures';
import { ANSWER_UPDATE, RESOLVE_UPDATE, resumeId } from '../core/names';
import type { HistoryFact } from '../core/history-facts';
import type { Resolution } from '../core/saga';
import type { Stored } from '../core/stored';
import { actInput, approvalSubject } from '../core/step-inputs';
import { type TaskResult, type TaskState, isOpen, planStep, resultOf, stepState } from '../core/task-state';
import { type LoggedTaskEvent, TaskProjection } from '../core/task-projection';
import type { Resolving } from '../core/task-resolving';
import type { ArtifactStore } from '../storage/artifact-store';
import { loadAll } from '../storage/stored-values';
import { isNotFound } from './grpc-status';
import { readFacts } from './history-reader';
import { type FollowOptions, TaskLog } from './task-log';

/** How a task ended other than with a result. `type` and `message` are those of the failure. */
export class TaskFailedError extends Error {
  override readonly name = 'TaskFailedError';
  readonly type: string;
  /** For `StepFailed`: `{ failed, finished, cancelled, notStarted }` with step ids. */
  readonly details: unknown;

  constructor(failure: FailureInfo, details: unknown, cause: unknown) {
    super(failure.message, { cause });
    this.type = failure.type;
    this.details = details;
  }
}

/** A running activity of a task. */
export interface PendingStep {
  /** Id of the step; `plan` while the plan is made. */
  readonly step: string;
  readonly agent: string;
  /** `scheduled`: waits for a worker; `started`: a worker has it. */
  readonly kind: 'scheduled' | 'started';
  /** 1 for the first. */
  readonly attempt: number;
  /** Identity of the worker that has it, or had it last. */
  readonly worker?: string;
  /** Why the last attempt failed. */
  readonly lastFailure?: string;
  /** Milliseconds since 1970: when this attempt was scheduled or started. */
  readonly since: number;
}

/** Where a task stands, from its history and what the server says of its pending activities. */
export interface TaskDescription {
  readonly id: string;
  readonly runId: string;
  readonly state: TaskState;
  readonly pending: readonly PendingStep[];
  /** By id of each step that waits for a breaker: when it is tried again, in ms since 1970. */
  readonly refusedUntil: Readonly<Record<string, number>>;
  /** Number of the log's last event. */
  readonly events: number;
  /** Of the present run. */
  readonly history: { readonly events: number; readonly bytes: number };
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt?: number;
  /** Id of the task that goes on with it, where it was terminated or timed out and somebody resumed it. */
  readonly resumedAs?: string;
}

/** A step that asks a person whether it may run. */
export interface ApprovalQuestion {
  readonly step: string;
  /** Who would do it. */
  readonly agent: string;
  readonly instruction: string;
  /** What the agent would get, outputs of other steps in their places. */
  readonly input: unknown;
  /** SHA-256 of it, in hex; see `inputHash`. */
  readonly hash: string;
}

/** One task or saga, running or ended. Makes no call until it is asked something. */
export class TaskHandle {
  constructor(
    private readonly client: Client,
    private readonly artifacts: ArtifactStore,
    readonly id: string,
    private readonly firstRunId?: string,
  ) {}

  /**
   * Waits for the task's end and returns the outputs of its final steps, by step id.
   * Throws TaskFailedError where it failed, was cancelled (`type` `Cancelled`) or terminated, and TaskNotFound.
   */
  async result(): Promise<Record<string, unknown>> {
    try {
      const result: TaskResult = await this.client.workflow.getHandle(this.id).result();
      return await loadAll(this.artifacts, result.outputs);
    } catch (error) {
      throw this.translate(error);
    }
  }

  /**
   * The task's events, projected from its history, in order. With `follow` the iteration goes on as they happen and
   * ends with the task; `signal` ends it before. Throws TaskNotFound.
   */
  events(options: FollowOptions = {}): AsyncGenerator<LoggedTaskEvent> {
    return this.log.events(options);
  }

  /** Its log, which can be looked back in. */
  get log(): TaskLog {
    return new TaskLog({ id: this.id, facts: (options) => this.facts(options) });
  }

  private async *facts(options: FollowOptions = {}): AsyncGenerator<HistoryFact> {
    const from = this.firstRunId === undefined ? {} : { firstRunId: this.firstRunId };
    try {
      yield* readFacts(this.client, this.id, { ...options, ...from });
    } catch (error) {
      throw this.translate(error);
    }
  }

  /** Where the task stands now. Needs no worker. Throws TaskNotFound. */
  async describe(): Promise<TaskDescription> {
    try {
      const projection = new TaskProjection();
      let events = 0;
      const until = new Map<string, number>();
      const description = await this.client.workflow.getHandle(this.id).describe();
      for await (const fact of readFacts(this.client, this.id)) {
        for (const event of projection.next(fact)) {
          events += 1;
          if (event.type === 'stepRefused') until.set(event.step, event.time + event.retryAfter);
        }
      }
      const described = toDescription(description, projection.state, events, until);
      return described.state.phase.kind === 'terminated' && (await this.isResumed())
        ? { ...described, resumedAs: resumeId(this.id) }
        : described;
    } catch (error) {
      throw this.translate(error);
    }
  }

  /** The activities that wait for a worker, or that one has. Throws TaskNotFound. */
  async pending(): Promise<PendingStep[]> {
    try {
      const { raw } = await this.client.workflow.getHandle(this.id).describe();
      return (raw.pendingActivities ?? []).map(toPendingStep);
    } catch (error) {
      throw this.translate(error);
    }
  }

  /** What the finished steps put out so far, by step id; also of a task that failed. Throws TaskNotFound, ArtifactMissing. */
  async outputs(): Promise<Record<string, unknown>> {
    const { state } = await this.describe();
    const outputs: Record<string, Stored> = {};
    for (const [id, step] of Object.entries(state.steps))
      if (step.kind === 'completed') outputs[id] = step.output;
    return loadAll(this.artifacts, outputs);
  }

  /** The result so far as a state has it; what {@link result} returns once the task is completed. */
  async resultOf(state: TaskState): Promise<Record<string, unknown>> {
    return loadAll(this.artifacts, resultOf(state).outputs);
  }

  /** Asks the task to stop; its agents' AbortSignals fire with their next heartbeat. Throws TaskNotFound. */
  async cancel(): Promise<void> {
    try {
      await this.client.workflow.getHandle(this.id).cancel();
    } catch (error) {
      throw this.translate(error);
    }
  }

  /**
   * Says what is to become of `step`, or of undoing it, where that failed for good: `retry` tries it again, `skip` goes on
   * without it, `fail` undoes what came before a step that surely had no effect. `note` (up to 500 characters) stands in the log. Throws NotParked where it does not wait for that,
   * InputInvalid, TaskNotFound.
   */
  async resolve(step: string, how: Resolution, note = ''): Promise<void> {
    await this.update(RESOLVE_UPDATE, { step, how, note });
  }

  /**
   * What a step that asks for approval would run on. Needs no worker. Throws NotAsked where it does not ask,
   * ArtifactMissing, TaskNotFound.
   */
  async question(step: string): Promise<ApprovalQuestion> {
    const { state } = await this.describe();
    const asked = stepState(state, step);
    const planned = planStep(state, step);
    if (asked.kind !== 'awaitingApproval' || planned === undefined || !isOpen(state.phase)) {
      const how = planned === undefined ? 'there is no such step' : asked.kind;
      throw new CadreError('NotAsked', `The step "${step}" of ${this.id} does not ask for approval: ${how}`);
    }
    const { agent, outputs, ...given } = approvalSubject(state, planned);
    const hash = inputHash({ agent, outputs, ...given });
    if (hash !== asked.hash) {
      const message = `Of the step "${step}" of ${this.id} another input is known here (${hash}) than the one that is asked about (${asked.hash})`;
      throw new CadreError('NotAsked', message);
    }
    const input = actInput(given, await loadAll(this.artifacts, outputs));
    return { step, agent, instruction: given.instruction, input, hash };
  }

  /**
   * Says yes or no to a step that asks for approval. `hash` is that of the input that was looked at, as {@link question}
   * has it; an answer to any other input is refused. `note` (up to 500 characters) stands in the log. Throws NotAsked,
   * InputInvalid, TaskNotFound.
   */
  async answer(
    step: string,
    answer: Answering['answer'],
    { hash, note = '' }: { hash: string; note?: string },
  ): Promise<void> {
    await this.update(ANSWER_UPDATE, { step, answer, hash, note });
  }

  /** Throws what the workflow refused it as. */
  private async update(name: string, message: Answering | Resolving): Promise<void> {
    try {
      await this.client.workflow
        .getHandle(this.id)
        .executeUpdate<unknown, [Answering | Resolving]>(name, { args: [message] });
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
        const { type, message: reason } = failureInfo(error.cause);
        const details = { task: this.id, step: message.step };
        throw isFailureType(type) ? new CadreError(type, reason, { cause: error, details }) : error;
      }
      throw isNotFound(error) ? await this.refusal(name, message, error) : this.translate(error);
    }
  }

  /** What an update means that nobody takes: there is no such task, or it has ended. */
  private async refusal(update: string, { step }: Answering | Resolving, error: unknown): Promise<unknown> {
    const { state } = await this.describe();
    const type = update === ANSWER_UPDATE ? 'NotAsked' : 'NotParked';
    const details = { task: this.id, step };
    return new CadreError(type, `${this.id} waits for nobody: ${state.phase.kind}`, {
      cause: error,
      details,
    });
  }

  private async isResumed(): Promise<boolean> {
    try {
      await this.client.workflow.getHandle(resumeId(this.id)).describe();
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  private translate(error: unknown): unknown {
    if (isNotFound(error)) {
      return new CadreError(
        'TaskNotFound',
        `There is no task "${this.id}" in namespace "${this.client.options.namespace}"`,
        {
          cause: error,
        },
      );
    }
    return error instanceof WorkflowFailedError ? taskFailed(error.cause, error) : error;
  }
}

function taskFailed(cause: Error | undefined, error: Error): TaskFailedError {
  if (cause instanceof CancelledFailure) {
    return new TaskFailedError({ type: 'Cancelled', message: 'The task was cancelled' }, undefined, error);
  }
  if (cause instanceof TerminatedFailure) {
    return new TaskFailedError({ type: 'Terminated', message: 'The task was terminated' }, undefined, error);
  }
  if (cause instanceof TimeoutFailure) {
    return new TaskFailedError(
      { type: 'TimedOut', message: 'The task exceeded its time limit' },
      undefined,
      error,
    );
  }
  const details = cause instanceof ApplicationFailure ? cause.details?.[0] : undefined;
  return new TaskFailedError(failureInfo(cause), details, error);
}

function toDescription(
  description: WorkflowExecutionDescription,
  state: TaskState,
  events: number,
  until: ReadonlyMap<string, number>,
): TaskDescription {
  const { closeTime, raw } = description;
  const refused = [...until].filter(([step]) => stepState(state, step).kind === 'refused');
  return {
    id: description.workflowId,
    runId: description.runId,
    state,
    pending: (raw.pendingActivities ?? []).map(toPendingStep),
    refusedUntil: Object.fromEntries(refused),
    events,
    history: { events: description.historyLength, bytes: description.historySize ?? 0 },
    startedAt: description.startTime.getTime(),
    ...(closeTime === undefined ? {} : { endedAt: closeTime.getTime() }),
  };
}

function toPendingStep(pending: temporal.api.workflow.v1.IPendingActivityInfo): PendingStep {
  const worker = pending.lastWorkerIdentity;
  const started = pending.state === 2;
  const since = started ? pending.lastStartedTime : pending.scheduledTime;
  return {
    step: pending.activityId ?? '',
    agent: pending.activityType?.name ?? '',
    kind: started ? 'started' : 'scheduled',
    attempt: pending.attempt ?? 1,
    ...(worker ? { worker } : {}),
    ...(pending.lastFailure?.message ? { lastFailure: pending.lastFailure.message } : {}),
    since: since ? tsToMs(since) : 0,
  };
}
