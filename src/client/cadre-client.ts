import { randomBytes } from 'node:crypto';
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionInfo,
} from '@temporalio/client';
import type { Announcement } from '../core/election';
import { CadreError } from '../core/failures';
import {
  DEFAULT_CADRE,
  NEEDS_ATTENTION,
  TASK_WORKFLOW,
  newTaskId,
  taskQueue,
  validName,
  validTaskId,
} from '../core/names';
import { oneLine } from '../core/one-line';
import { type TaskInput, parseTaskInput } from '../core/task-input';
import { type ArtifactStore, FileArtifactStore } from '../storage/artifact-store';
import { artifactsFolder } from '../storage/folders';
import { type ConnectionFlags, connect, resolveConnection } from './connection';
import { type LeaderReport, readLeader, resignLeader, watchLeader } from './leader';
import { TaskHandle } from './task-handle';

export interface CadreClientOptions extends ConnectionFlags {
  /** Name of the cadre. Default `cadre`. */
  readonly cadre?: string;
  /** `opaque`: ids of new tasks do not hold words of the goal. Default `slug`. */
  readonly ids?: 'slug' | 'opaque';
  /** Must be the workers' store. Default: files in `CADRE_ARTIFACTS`, else in the data folder. */
  readonly artifacts?: ArtifactStore;
}

/** One line of {@link CadreClient.list}. */
export interface TaskSummary {
  readonly id: string;
  readonly runId: string;
  /** Empty for a task started without the client. */
  readonly goal: string;
  /** The step that waits for a person, where one does. */
  readonly needsAttention?: string;
  readonly status: 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timedOut';
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt?: number;
}

const MEMO_GOAL_MAXIMUM_LENGTH = 200;

/** Starts and watches the tasks of one cadre. */
export class CadreClient {
  readonly cadre: string;
  private readonly ids: 'slug' | 'opaque';
  readonly artifacts: ArtifactStore;

  /** Takes a client of Temporal's own, which the caller keeps and closes. */
  constructor(
    readonly temporal: Client,
    options: Omit<CadreClientOptions, keyof ConnectionFlags> = {},
  ) {
    this.cadre = validName('cadre', options.cadre ?? DEFAULT_CADRE);
    this.ids = options.ids ?? 'slug';
    this.artifacts = options.artifacts ?? new FileArtifactStore(artifactsFolder());
  }

  /** Connects by the options, `TEMPORAL_*` or `temporal.toml`. Close it when done. Throws ServerUnreachable, ConfigInvalid. */
  static async connect(options: CadreClientOptions = {}): Promise<CadreClient> {
    return new CadreClient(await connect(resolveConnection(options)), options);
  }

  async close(): Promise<void> {
    await this.temporal.connection.close();
  }

  /**
   * Starts a task. `id` is the caller's own; one is made of the goal without it.
   * Throws, before anything starts: InputInvalid, InputTooLarge, GoalEmpty, PlanInvalid, TaskExists.
   */
  async start(input: TaskInput, options: { id?: string } = {}): Promise<TaskHandle> {
    const checked = parseTaskInput(input);
    const id = validTaskId(options.id ?? newTaskId(checked.goal, randomBytes(4).toString('hex'), this.ids));
    const goal = oneLine(checked.goal, MEMO_GOAL_MAXIMUM_LENGTH);
    try {
      const handle = await this.temporal.workflow.start(TASK_WORKFLOW, {
        workflowId: id,
        taskQueue: taskQueue(this.cadre),
        args: [checked],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
        // After a worker's death the task waits so long for the workflow task that the worker had; Temporal's default is 10 s.
        workflowTaskTimeout: '3s',
        memo: { goal },
        staticSummary: goal,
      });
      return new TaskHandle(this.temporal, this.artifacts, id, handle.firstExecutionRunId);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      throw new CadreError('TaskExists', `There is a task "${id}" already`, { cause: error });
    }
  }

  /** A task by its id. Makes no call; a task that does not exist shows in the handle's first call. */
  task(id: string): TaskHandle {
    return new TaskHandle(this.temporal, this.artifacts, id);
  }

  /** Who leads, who stands, and how earlier terms ended. Needs no worker. */
  leader(): Promise<LeaderReport> {
    return readLeader(this.temporal, this.cadre);
  }

  /**
   * Who leads, at first and whenever the leader or the term changes, until `signal` aborts. Looks every `interval` ms
   * (default 500).
   */
  watchLeader(options: { signal?: AbortSignal; interval?: number } = {}): AsyncGenerator<LeaderReport> {
    return watchLeader(this.temporal, this.cadre, options);
  }

  /**
   * Asks the leader to hand over; resolves with its term and identity once the election has taken the request. Throws
   * NoLeader where nobody leads, or no worker that runs workflows has passed it on within 5 s; ServerUnreachable.
   */
  resignLeader(): Promise<Announcement> {
    return resignLeader(this.temporal, this.cadre);
  }

  /**
   * The cadre's tasks that the server still has: those that run, then the latest ended, at most `limit` (default 20).
   * About a second behind. `needsAttention`: only those that wait for a person.
   */
  async *list(options: { limit?: number; needsAttention?: boolean } = {}): AsyncGenerator<TaskSummary> {
    let left = options.limit ?? 20;
    const query = `WorkflowType = "${TASK_WORKFLOW}" AND TaskQueue = "${taskQueue(this.cadre)}" AND ${options.needsAttention ? 'ExecutionStatus = "Running"' : 'ExecutionStatus != "ContinuedAsNew"'}`;
    for await (const execution of this.temporal.workflow.list({
      query,
      pageSize: Math.min(Math.max(left, 1), 200),
    })) {
      const summary = toSummary(execution);
      if (options.needsAttention && summary.needsAttention === undefined) continue;
      if (left-- <= 0) return;
      yield summary;
    }
  }
}

const STATUS: Readonly<Record<string, TaskSummary['status']>> = {
  RUNNING: 'running',
  CONTINUED_AS_NEW: 'running',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timedOut',
};

function toSummary(execution: WorkflowExecutionInfo): TaskSummary {
  const { closeTime, memo } = execution;
  return {
    id: execution.workflowId,
    runId: execution.runId,
    goal: typeof memo?.['goal'] === 'string' ? memo['goal'] : '',
    ...(typeof memo?.[NEEDS_ATTENTION] === 'string' ? { needsAttention: memo[NEEDS_ATTENTION] } : {}),
    status: STATUS[execution.status.name] ?? 'running',
    startedAt: execution.startTime.getTime(),
    ...(closeTime === undefined ? {} : { endedAt: closeTime.getTime() }),
  };
}
