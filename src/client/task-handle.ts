import { type Client, type WorkflowExecutionDescription, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time';
import type { temporal } from '@temporalio/proto';
import { type Answering, inputHash } from '../core/approval';
import { questionHash } from '../core/asking';
import type { Budget } from '../core/budget/budget';
import { failureInfo } from '../core/failure-info';
import { CadreError, type FailureInfo } from '../core/failures';
import { ANSWER_UPDATE, RESOLVE_UPDATE, resumeId } from '../core/names';
import type { HistoryFact } from '../core/history-facts';
import type { Step } from '../core/plan';
import type { Resolution } from '../core/saga';
import type { Stored } from '../core/stored';
import { actInput, approvalSubject } from '../core/step-inputs';
import {
  type StepState,
  type TaskResult,
  type TaskState,
  actorOf,
  isOpen,
  planStep,
  resultOf,
  stepState,
} from '../core/task-state';
import { type LoggedTaskEvent, TaskProjection } from '../core/task-projection';
import type { Resolving } from '../core/task-resolving';
import type { ArtifactStore } from '../storage/artifact-store';
import { load, loadAll } from '../storage/stored-values';
import { type ChainLink, type KnownUsage, type TaskCost, chainCost, costOfTask, knownUsage } from './costs';
import { isNotFound } from './grpc-status';
import { readFacts } from './history-reader';
import { answeredByWorker } from './no-worker';
import { raiseBudget } from './raise';
import { refusedUpdate } from './refused-update';
import { type FollowOptions, TaskLog } from './task-log';
import { type StreamedText, readStream } from './task-stream';

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
  /** Id of the task that goes on with it, where it was terminated, timed out or reached its budget, and somebody resumed it. */
  readonly resumedAs?: string;
}

/** What a step asks a person: whether it may run, or what its agent wants to know. */
export type StepQuestion = ApprovalQuestion | AgentQuestion;

/** What the agent of a step asks. */
export interface AgentQuestion {
  readonly kind: 'question';
  readonly step: string;
  readonly agent: string;
  readonly instruction: string;
  /** The question's name among the step's. */
  readonly name: string;
  readonly question: string;
  /** What may be answered; any text where there are none. */
  readonly options?: readonly string[];
  /** Who may answer; anybody where nobody is named. */
  readonly from?: readonly string[];
  /** What it is about. */
  readonly about?: unknown;
  /** SHA-256 of all that, in hex. */
  readonly hash: string;
  /** When the time to answer is over, in ms since 1970; absent where it stands for ever. */
  readonly until?: number;
}

/** A step that asks a person whether it may run. */
export interface ApprovalQuestion {
  readonly kind: 'approval';
  readonly step: string;
  /** Who would do it. */
  readonly agent: string;
  readonly instruction: string;
  /** What the agent would get, outputs of other steps in their places. */
  readonly input: unknown;
  /** SHA-256 of it, in hex; see `inputHash`. */
  readonly hash: string;
}

/** What {@link TaskHandle.answer} says beside the answer. */
export type AnswerOptions = Pick<Answering, 'hash' | 'by'> & Partial<Pick<Answering, 'note'>>;

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

  /**
   * What its agents stream while they act: the text of models' answers as it comes, and what agents give to `context.stream`.
   * Looks every 400 ms from now on, and ends with the task; `signal` ends it before. Of no step it is the whole, nor the end:
   * that is its output. Throws TaskNotFound.
   */
  async *stream({ signal }: Pick<FollowOptions, 'signal'> = {}): AsyncGenerator<StreamedText> {
    try {
      yield* readStream(this.client, this.id, signal);
    } catch (error) {
      throw this.translate(error);
    }
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
      return mayBeResumed(described.state) && (await this.isResumed())
        ? { ...described, resumedAs: resumeId(this.id) }
        : described;
    } catch (error) {
      throw this.translate(error);
    }
  }

  /**
   * What its calls of models came to, by step, agent and model; and what those of the tasks did with which it goes on, or which
   * go on with it. Of steps that were cut off the artifact store is asked. Needs no worker. Throws TaskNotFound.
   */
  async cost(): Promise<TaskCost> {
    const look = async (id: string): Promise<ChainLink & KnownUsage> => {
      const described = await new TaskHandle(this.client, this.artifacts, id).describe();
      return { ...described, ...(await knownUsage(described, this.artifacts)) };
    };
    const known = await look(this.id);
    const chain = await chainCost(known, look);
    return { ...costOfTask(this.id, known), ...(chain === undefined ? {} : { chain }) };
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
   * without it, `fail` undoes what came before a step that surely had no effect. `note` (up to 500 characters) stands in the
   * log. Throws NotParked where it does not wait for that, NoWorker where none that runs workflows is there for 3 s,
   * InputInvalid, TaskNotFound.
   */
  async resolve(step: string, how: Resolution, note = ''): Promise<void> {
    await this.update(RESOLVE_UPDATE, { step, how, note });
  }

  /**
   * What `step` asks: whether it may run on an input, or what its agent wants to know. Needs no worker. Throws NotAsked where
   * it asks nothing, ArtifactMissing, TaskNotFound.
   */
  async question(step: string): Promise<StepQuestion> {
    const { state } = await this.describe();
    const asked = stepState(state, step);
    const planned = planStep(state, step);
    if (planned !== undefined && isOpen(state.phase)) {
      if (asked.kind === 'awaitingApproval') return this.approvalQuestion(state, planned, asked.hash);
      if (asked.kind === 'asking') return this.agentQuestion(state, planned, asked);
    }
    const how = planned === undefined ? 'there is no such step' : asked.kind;
    throw new CadreError('NotAsked', `The step "${step}" of ${this.id} asks nothing: ${how}`);
  }

  private async approvalQuestion(state: TaskState, step: Step, asked: string): Promise<ApprovalQuestion> {
    const { agent, outputs, ...given } = approvalSubject(state, step);
    const hash = inputHash({ agent, outputs, ...given });
    if (hash !== asked) throw this.otherwiseKnown(step.id, hash, asked);
    const input = actInput(given, await loadAll(this.artifacts, outputs));
    return { kind: 'approval', step: step.id, agent, instruction: given.instruction, input, hash };
  }

  private async agentQuestion(
    state: TaskState,
    step: Step,
    asked: StepState & { kind: 'asking' },
  ): Promise<AgentQuestion> {
    const { kind: _asking, attemptsUsed: _used, checkpoint: _kept, about: stored, hash, ...question } = asked;
    const about = stored === undefined ? {} : { about: await load(this.artifacts, stored) };
    const known = questionHash({ ...question, ...about });
    if (known !== hash) throw this.otherwiseKnown(step.id, known, hash);
    const { id, instruction } = step;
    return {
      kind: 'question',
      step: id,
      agent: actorOf(state, step),
      instruction,
      ...question,
      ...about,
      hash,
    };
  }

  private otherwiseKnown(step: string, known: string, asked: string): CadreError {
    const message = `Of the step "${step}" of ${this.id} something else is known here (${known}) than what is asked about (${asked})`;
    return new CadreError('NotAsked', message);
  }

  /**
   * Answers what `step` asks: yes or no to an approval, else one of the question's options or any text. `hash` is that of what
   * was looked at, as {@link question} has it; an answer to anything else is refused. `note` (up to 500 characters) stands in
   * the log, and `by` (up to 200) says who answers. Throws NotAsked, NoWorker where none that runs workflows is there for 3 s,
   * InputInvalid, TaskNotFound.
   */
  async answer(step: string, answer: string, { hash, note = '', by }: AnswerOptions): Promise<void> {
    await this.update(ANSWER_UPDATE, { step, answer, hash, note, ...(by === undefined ? {} : { by }) });
  }

  /**
   * Goes on with the task where it, or what resumed it last, ended as BudgetReached, with `budget` in all (what it does not
   * say stays as it is; times begin anew): in `<id>.resume`, whose handle this is. Its steps that are not done are
   * tried again; no recorded call is paid again. Of one that has not ended its account may use more from now on, also where
   * somebody else has gone on with it just now. Throws NothingToResume where it ended otherwise or what it had done is undone,
   * InputInvalid, NoWorker, TaskNotFound.
   */
  async resume({ budget = {} }: { readonly budget?: Budget } = {}): Promise<TaskHandle> {
    return new TaskHandle(this.client, this.artifacts, await raiseBudget(this.client, this.id, budget));
  }

  /** Throws what the workflow refused it as, and NoWorker. */
  private async update(name: string, message: Answering | Resolving): Promise<void> {
    const task = this.client.workflow.getHandle(this.id);
    const send = (): Promise<unknown> =>
      task.executeUpdate<unknown, [Answering | Resolving]>(name, { args: [message] });
    try {
      const { status, taskQueue: queue } = await task.describe();
      // What has ended refuses it without a worker.
      await (status.name === 'RUNNING'
        ? answeredByWorker(this.client, { id: this.id, queue }, send)
        : send());
    } catch (error) {
      const refused = refusedUpdate(error, { task: this.id, step: message.step });
      if (refused !== undefined) throw refused;
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

function mayBeResumed({ phase }: TaskState): boolean {
  return phase.kind === 'terminated' || (phase.kind === 'failed' && phase.failure.short !== undefined);
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
