import { randomBytes } from 'node:crypto';
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionInfo,
} from '@temporalio/client';
import type { DatedDecision } from '../core/agent/agent-state';
import type { Announcement } from '../core/election';
import type { BreakerCommandKind } from '../core/breaker/report';
import type { BreakerSettings } from '../core/breaker/settings';
import { CadreError } from '../core/failures';
import {
  BUDGET_WORKFLOW,
  DEFAULT_CADRE,
  NEEDS_ATTENTION,
  NEEDS_ATTENTION_ATTRIBUTE,
  SAGA_WORKFLOW,
  TASK_WORKFLOW,
  newTaskId,
  taskQueue,
  validName,
  validTaskId,
} from '../core/names';
import type { Point, TaskMoment } from '../core/log/point';
import type { LockState } from '../core/lock';
import { oneLine } from '../core/one-line';
import { type SagaInput, parseSagaInput } from '../core/saga-input';
import { type TaskInput, parseTaskInput } from '../core/task-input';
import type { Replica } from '../knowledge/replica';
import type { ArtifactStore } from '../storage/artifact-store';
import { openArtifacts } from '../storage/open-artifacts';
import { hasAttentionAttribute, startFindable } from './attention-attribute';
import { type ConnectionFlags, connect, resolveConnection } from './connection';
import { type CadreCost, type CostOptions, readCost } from './costs';
import { type LeaderReport, readLeader, resignLeader, watchLeader } from './leader';
import {
  type AgentStanding,
  Agents,
  type Exchange,
  type KnowledgeCheck,
  type KnowledgeStanding,
} from './agent-standing';
import { type BreakerStanding, TemporalBreakers, watchBreakers } from './breakers';
import { type AccountStanding, TemporalBudgets } from './budgets';
import { TemporalLocks } from './locks';
import { type SweepReport, resumeExecution, sweepExecutions } from './resume';
import { type ExecutionStatus, executionStatus } from './execution-status';
import { type InboxItem, readInbox } from './inbox';
import { type Relative, familyOf } from './family';
import { type ForkOptions, type Forked, forkTask } from './fork';
import { type Exported, exportLines, serverSource } from './history-export';
import { type FleetCut, readFleetAt } from './fleet';
import { type CadreStatus, type StatusOptions, readStatus, watchStatus } from './status';
import { TaskHandle } from './task-handle';
import type { TaskLog } from './task-log';

export interface CadreClientOptions extends ConnectionFlags {
  /** Name of the cadre. Default `cadre`. */
  readonly cadre?: string;
  /** `opaque`: ids of new tasks do not hold words of the goal. Default `slug`. */
  readonly ids?: 'slug' | 'opaque';
  /** Must be the workers' store. Default: that of `CADRE_ARTIFACTS`, else files in the data folder. */
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
  readonly status: ExecutionStatus;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt?: number;
}

const MEMO_GOAL_MAXIMUM_LENGTH = 200;

/** Starts and watches the tasks and sagas of one cadre. */
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
    this.artifacts = options.artifacts ?? openArtifacts();
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
    return this.begin(TASK_WORKFLOW, checked.goal, checked, options.id);
  }

  /**
   * Starts a saga: steps that happen all, or are undone. It needs no leader. `id` is the caller's own; one is made of the
   * name without it. Throws, before anything starts: InputInvalid, InputTooLarge, PlanInvalid, TaskExists.
   */
  async startSaga(input: SagaInput, options: { id?: string } = {}): Promise<TaskHandle> {
    const checked = parseSagaInput(input);
    return this.begin(SAGA_WORKFLOW, checked.name, checked, options.id);
  }

  private async begin(
    type: string,
    title: string,
    input: TaskInput | SagaInput,
    given: string | undefined,
  ): Promise<TaskHandle> {
    const id = validTaskId(given ?? newTaskId(title, randomBytes(4).toString('hex'), this.ids));
    const goal = oneLine(title, MEMO_GOAL_MAXIMUM_LENGTH);
    try {
      const handle = await startFindable(this.temporal, type, {
        workflowId: id,
        taskQueue: taskQueue(this.cadre),
        args: [input],
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

  /** The log of a task or saga by its id: its events, and its state at any point. Makes no call. Needs no worker. */
  log(id: string): TaskLog {
    return this.task(id).log;
  }

  /** The state of a task or saga at a point of its log: an event's number, a time, or `last`. Throws TaskNotFound. */
  stateAt(id: string, point: Point): Promise<TaskMoment> {
    return this.log(id).stateAt(point);
  }

  /**
   * Starts a task that shares the past of another up to a point of its log, and only then runs; the other is untouched.
   * `of`: a task's id, or a log, which may be a file's. Throws ForkRefused, InputInvalid, PlanInvalid, TaskNotFound.
   */
  async fork(of: string | TaskLog, options: ForkOptions = {}): Promise<Forked> {
    return forkTask(this.temporal, this.cadre, typeof of === 'string' ? this.task(of).log : of, options);
  }

  /**
   * The lines of a file with the whole history of a workflow of that id, its log and their hash chain, each without its line
   * feed; returns the head of the chain, which is to be kept elsewhere. Read it with `fileSource`, check it with
   * `checkExport`. Holds none of the history. Throws TaskNotFound.
   */
  async *export(id: string): AsyncGenerator<string, Exported> {
    return yield* exportLines(await serverSource(this.temporal, this.cadre, id));
  }

  /** A task with its forks and what resumed it, from the eldest on. Needs no worker. */
  family(id: string): Promise<Relative> {
    return familyOf(this.temporal, id);
  }

  /**
   * The whole cadre at a glance: who leads, who works, breakers that are not closed, whether the agents' replicas agree, what
   * is open, what waits for a person. Needs no worker. Each part is read within `timeLimit` ms (default 1000); one that cannot be
   * says why, and keeps none of the others. Never rejects.
   */
  status(options: StatusOptions = {}): Promise<CadreStatus> {
    return readStatus(this.temporal, this.cadre, options);
  }

  /** {@link status} at first, and whenever something of it changes, until `signal` aborts. Looks every `interval` ms (default 500). */
  watchStatus(
    options: StatusOptions & { signal?: AbortSignal; interval?: number } = {},
  ): AsyncGenerator<CadreStatus> {
    return watchStatus(this.temporal, this.cadre, options);
  }

  /**
   * The whole cadre at `time`, in ms since 1970 by the server's clock (default: now): leader and term, agents and what they
   * knew, breakers, open tasks and sagas; how far back one can look, and where the cut is not causal. Runs nothing, needs no
   * worker. Throws InputInvalid for a time that is to come.
   */
  fleetAt(time?: number): Promise<FleetCut> {
    return readFleetAt(this.temporal, this.cadre, time);
  }

  /**
   * What the calls of models of all tasks came to, by agent, model or day (see `by`): of those that have ended since `since`,
   * that run, or that were cut off. Of one task: `client.task(id).cost()`. Needs no worker. About a second behind.
   */
  cost(options: CostOptions = {}): Promise<CadreCost> {
    return readCost(this.temporal, this.cadre, options);
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

  /** The breakers that somebody has needed lately, those that are not closed first. About a second behind. Throws NoWorker. */
  breakers(): Promise<BreakerStanding[]> {
    return this.sharedBreakers().list();
  }

  /**
   * {@link breakers} at first, and whenever one comes or goes, changes its state, opens anew, or is paced until another
   * time, until `signal` aborts. Looks every `interval` ms (default 500). Throws NoWorker where none answers for a breaker.
   */
  watchBreakers(
    options: { signal?: AbortSignal; interval?: number } = {},
  ): AsyncGenerator<BreakerStanding[]> {
    return watchBreakers(this.sharedBreakers(), options);
  }

  /** The breaker of `key`; one that nobody has needed yet is closed. Throws InputInvalid, NoWorker, ServerUnreachable. */
  breaker(key: string): Promise<BreakerStanding> {
    return this.sharedBreakers().read(key);
  }

  /**
   * `trip` opens the breaker of `key` until its cooldown is over and a probe succeeds; `reset` closes it; `isolate` opens it
   * until `release`. Workers hear of it within about 6 s; what waits for it asks again when its wait is over.
   * `note` (up to 500 characters) is shown. `settings` are in force from then on; without them those that workers told it,
   * or the defaults where none has yet. Returns where it stands then. Throws InputInvalid where it does not apply,
   * NoWorker, ServerUnreachable.
   */
  operateBreaker(
    key: string,
    how: BreakerCommandKind,
    note = '',
    { settings }: { settings?: BreakerSettings } = {},
  ): Promise<BreakerStanding> {
    const command = { how, note, ...(settings === undefined ? {} : { settings }) };
    return this.sharedBreakers().command(key, command);
  }

  private sharedBreakers(): TemporalBreakers {
    return new TemporalBreakers(this.temporal, this.cadre);
  }

  /** What may be used of the budgets that are in use, and what was. About a second behind. Throws NoWorker, ServerUnreachable. */
  budgets(): Promise<AccountStanding[]> {
    return new TemporalBudgets(this.temporal, this.cadre).list();
  }

  /**
   * A budget by its account: `cadre`, `agent.NAME`, or `task.HASH` as {@link budgets} and BudgetReached name it. Of one that
   * nobody has used nothing is. Throws InputInvalid, NoWorker, ServerUnreachable.
   */
  budget(account: string): Promise<AccountStanding> {
    return new TemporalBudgets(this.temporal, this.cadre).read(account);
  }

  /** The agents that have been told of a task, by name. About a second behind. Throws ServerUnreachable. */
  agents(): Promise<AgentStanding[]> {
    return this.sharedAgents().list();
  }

  /** What `name` decided, and how its replicas stand. Throws AgentNotFound, ServerUnreachable. */
  agent(name: string): Promise<AgentStanding> {
    return this.sharedAgents().read(validName('agent', name));
  }

  /**
   * All that `name` decided since `since` (ms since 1970; default: ever), oldest first, as far back as the server has its
   * histories. Needs no worker. Throws AgentNotFound.
   */
  agentDecisions(name: string, options: { since?: number } = {}): AsyncGenerator<DatedDecision> {
    return this.sharedAgents().decisions(validName('agent', name), options);
  }

  /** What the agent `name` knows; without a name what the first knows. Throws AgentNotFound, ServerUnreachable. */
  knowledge(name?: string): Promise<KnowledgeStanding> {
    return this.sharedAgents().knowledge(name === undefined ? undefined : validName('agent', name));
  }

  /** {@link knowledge} at first and whenever it changes, until `signal` aborts. Looks every `interval` ms (default 500). */
  watchKnowledge(
    name?: string,
    options: { signal?: AbortSignal; interval?: number } = {},
  ): AsyncGenerator<KnowledgeStanding> {
    return this.sharedAgents().watch(name, options);
  }

  /**
   * Whether all replicas know the same, and who lacks what. The server's list of them is about a second behind: `members`
   * are looked at too, such as `research`. Throws ServerUnreachable.
   */
  checkKnowledge({ members = [] }: { members?: readonly string[] } = {}): Promise<KnowledgeCheck> {
    return this.sharedAgents().check(members);
  }

  /**
   * Gives `replica`, of `cadre/knowledge`, what the cadre knows, and the cadre what it knows. Resolves once one of the
   * cadre's replicas (of the agent `agent`, else the first) has it; gossip takes it to the others. Throws AgentNotFound,
   * ClockAhead or ExchangeRefused where it was not taken, NoWorker, ServerUnreachable; to repeat it is harmless.
   */
  exchange(replica: Replica, { agent }: { agent?: string } = {}): Promise<Exchange> {
    return this.sharedAgents().exchange(
      replica,
      agent === undefined ? {} : { name: validName('agent', agent) },
    );
  }

  /**
   * Has the replicas of `name` tell the others what they know, leave the cadre and end: for an agent that is no more.
   * Returns which. A task that tells it again starts it anew. Throws AgentNotFound.
   */
  leaveAgent(name: string): Promise<string[]> {
    return this.sharedAgents().leave(validName('agent', name));
  }

  private sharedAgents(): Agents {
    return new Agents(this.temporal, this.cadre);
  }

  /** Who holds `key`, and since when; undefined while nobody does. Needs no worker. Throws InputInvalid. */
  lockHolder(key: string): Promise<LockState | undefined> {
    return new TemporalLocks(this.temporal, this.cadre).holderOf(key);
  }

  /**
   * Goes on where the task, saga or workflow with sagas `id` was terminated or timed out: in `<id>.resume`, whose handle
   * this is, what it did is undone, or finished where its pivot was passed. Needs a worker. To repeat it is harmless, and a
   * `.resume` that was terminated is gone on with in its turn. Throws NothingToResume where it has not ended, has ended by
   * itself or left nothing; TaskNotFound, InputInvalid.
   */
  async resumeSaga(id: string): Promise<TaskHandle> {
    const resumed = await resumeExecution(this.temporal, this.cadre, id);
    return new TaskHandle(this.temporal, this.artifacts, resumed.id);
  }

  /**
   * Does what {@link resumeSaga} does to all of the cadre's executions that need it (of the 1,000 that ended last; about a
   * second behind), and frees the keys whose holders have ended. Waits for none of them. To repeat it, or many at once, is
   * harmless. A worker that runs workflows does it when it starts.
   */
  sweepSagas(): Promise<SweepReport> {
    return sweepExecutions(this.temporal, this.cadre);
  }

  /**
   * All that waits for a person: what agents ask, approvals, and steps and undoings that failed for good, the longest first.
   * About a second behind. Needs no worker.
   */
  inbox(): Promise<InboxItem[]> {
    return readInbox(this.temporal, this.list({ limit: Infinity, needsAttention: true }));
  }

  /**
   * The cadre's tasks and sagas that the server still has: those that run, then the latest ended, at most `limit`
   * (default 20). About a second behind. `needsAttention`: only those that wait for a person, and workflows of your own
   * that do.
   */
  async *list(options: { limit?: number; needsAttention?: boolean } = {}): AsyncGenerator<TaskSummary> {
    let left = options.limit ?? 20;
    const which = options.needsAttention
      ? `ExecutionStatus = "Running" AND WorkflowType != "${BUDGET_WORKFLOW}"${(await hasAttentionAttribute(this.temporal)) ? NOT_UNNEEDED : ''}`
      : `WorkflowType IN ("${TASK_WORKFLOW}", "${SAGA_WORKFLOW}") AND ExecutionStatus != "ContinuedAsNew"`;
    const query = `TaskQueue = "${taskQueue(this.cadre)}" AND ${which}`;
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

/** Leaves out what surely waits for nobody; what was started without the attribute is known by its memo. */
const NOT_UNNEEDED = ` AND (${NEEDS_ATTENTION_ATTRIBUTE.name} != "no" OR ${NEEDS_ATTENTION_ATTRIBUTE.name} IS NULL)`;

function toSummary(execution: WorkflowExecutionInfo): TaskSummary {
  const { closeTime, memo } = execution;
  const status = executionStatus(execution);
  const waits = memo?.[NEEDS_ATTENTION];
  return {
    id: execution.workflowId,
    runId: execution.runId,
    goal: typeof memo?.['goal'] === 'string' ? memo['goal'] : '',
    // One that was terminated while it waited keeps its memo.
    ...(typeof waits === 'string' && status === 'running' ? { needsAttention: waits } : {}),
    status,
    startedAt: execution.startTime.getTime(),
    ...(closeTime === undefined ? {} : { endedAt: closeTime.getTime() }),
  };
}
