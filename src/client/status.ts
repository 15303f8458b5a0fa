/** The whole cadre at a glance. Each part is read by itself, within its time; what cannot be read keeps none of the others. */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { readMember } from '../core/agent/members';
import { BreakerProjection } from '../core/breaker/breaker-projection';
import type { BreakerState } from '../core/breaker/breaker';
import { CadreError, isCadreError } from '../core/failures';
import {
  BUDGET_WORKFLOW,
  NEEDS_ATTENTION,
  NEEDS_ATTENTION_ATTRIBUTE,
  SAGA_WORKFLOW,
  TASK_WORKFLOW,
  breakerId,
  breakersQueue,
  candidatesQueue,
  leaderQueue,
  poolQueue,
  taskQueue,
} from '../core/names';
import { TaskProjection } from '../core/task-projection';
import type { TaskState } from '../core/task-state';
import { Agents, type KnowledgeCheck } from './agent-standing';
import { hasAttentionAttribute } from './attention-attribute';
import { TemporalBreakers } from './breakers';
import { GRPC_STATUS, hasStatus } from './grpc-status';
import { PRESENT_RUN, readFacts } from './history-reader';
import { type LeaderReport, readLeader } from './leader';
import { describeQueue } from './queue';
import { type WatchOptions, watchChanges } from './watch';

/** A part of a status: what was read, or why it could not be. */
export type Part<Value> =
  | { readonly kind: 'read'; readonly value: Value }
  /** `type`: of the failure, as in `FAILURES`, where it has one. */
  | { readonly kind: 'unread'; readonly why: string; readonly type?: string };

/** A cadre at a glance. Times are in ms since 1970. */
export interface CadreStatus {
  readonly cadre: string;
  /** When it was asked. */
  readonly asOf: number;
  readonly leader: Part<LeaderReport>;
  readonly workers: Part<WorkersStatus>;
  /** Those that are not closed, by key. About a second behind. */
  readonly breakers: Part<readonly OpenBreakerStatus[]>;
  readonly agents: Part<AgentsStatus>;
  readonly open: Part<OpenStatus>;
  /** What waits for a person, the longest first. About a second behind. */
  readonly attention: Part<readonly Attention[]>;
}

export interface WorkersStatus {
  /** Whoever polled a queue of the cadre's in the last 70 s, by identity. A leader polls none of the queue of candidates. */
  readonly workers: readonly WorkerStatus[];
  /** Queues on which something waits for a worker, as far as the server has counted: it may take a while, or miss some. */
  readonly waiting: readonly { readonly queue: string; readonly what: QueueUse; readonly backlog: number }[];
}

export interface WorkerStatus {
  readonly identity: string;
  /** What it polls for, and the pools whose agents it serves. */
  readonly serves: readonly string[];
  /** Milliseconds since its last poll. */
  readonly age: number;
}

/** What a queue is for: `breakers` too are workflows, `leader` is the leader's work, and `pool` a pool's agents. */
export type QueueUse = 'workflows' | 'agents' | 'breakers' | 'candidates' | 'leader' | 'pool';

export interface OpenBreakerStatus {
  readonly key: string;
  readonly kind: BreakerState['phase']['kind'];
  /** Id of its workflow. */
  readonly workflow: string;
  /** Absent where its history could not be read. */
  readonly state?: BreakerState;
}

export interface AgentsStatus {
  /** Names of the agents that remember tasks. */
  readonly agents: readonly string[];
  readonly check: KnowledgeCheck;
}

export interface OpenStatus {
  /** How many are open. */
  readonly tasks: number;
  readonly sagas: number;
  /** The latest of them, at most {@link OPEN_SHOWN}. */
  readonly latest: readonly OpenTask[];
}

export interface OpenTask {
  readonly id: string;
  /** The workflow's type: `task`, `saga`, or that of a workflow of your own. */
  readonly type: string;
  readonly goal: string;
  readonly startedAt: number;
  /** Absent where its history could not be read in time. */
  readonly state?: TaskState;
}

/** A task, a saga or a workflow of your own that waits for a person. */
export interface Attention extends OpenTask {
  /** The step that it is about. */
  readonly step: string;
}

export interface StatusOptions {
  /** Pools whose workers are looked at too. Default none: the server does not say which pools a cadre has. */
  readonly pools?: readonly string[];
  /** How long each part may take, in ms, from 1. Default 1000. */
  readonly timeLimit?: number;
}

const TIME_LIMIT = 1000;
/** So long before its time is over, in ms, a part does without the histories that it has not read. */
const STATES_MARGIN = 100;
const OPEN_SHOWN = 10;

/** Never rejects. */
export async function readStatus(
  client: Client,
  cadre: string,
  { pools = [], timeLimit = TIME_LIMIT }: StatusOptions = {},
): Promise<CadreStatus> {
  const asOf = Date.now();
  const look = <Value>(read: () => Promise<Value>): Promise<Part<Value>> => within(client, timeLimit, read);
  const states = new TaskStates(client, asOf + timeLimit - STATES_MARGIN);
  const [leader, workers, breakers, agents, open, attention] = await Promise.all([
    look(() => readLeader(client, cadre)),
    look(() => readWorkers(client, cadre, pools)),
    look(() => readBreakers(client, cadre, states.deadline)),
    look(() => readAgents(client, cadre)),
    look(() => readOpen(client, cadre, states)),
    look(() => readAttention(client, cadre, states)),
  ]);
  return { cadre, asOf, leader, workers, breakers, agents, open, attention };
}

/** Reads at first, and whenever what a person would act on is not what it was. Looks every `interval` ms (default 500). */
export function watchStatus(
  client: Client,
  cadre: string,
  { signal, interval, ...options }: StatusOptions & WatchOptions = {},
): AsyncGenerator<CadreStatus> {
  return watchChanges(() => readStatus(client, cadre, options), seen, {
    ...(signal === undefined ? {} : { signal }),
    ...(interval === undefined ? {} : { interval }),
  });
}

/** Of a status what tells it from another: no ages, and of tasks no more than where they stand. */
function seen({ leader, workers, breakers, agents, open, attention }: CadreStatus): unknown {
  return [
    picked(leader, ({ status, term, leader: holder, candidates }) => [
      status,
      term,
      holder?.identity,
      candidates.map(({ identity }) => identity),
    ]),
    picked(workers, (value) => value.workers.map(({ identity, serves }) => [identity, serves])),
    picked(breakers, (value) => value.map(({ key, kind, state }) => [key, kind, state?.phase.since])),
    picked(agents, ({ agents: names, check }) => [
      names,
      check.agree,
      check.replicas.map(({ member }) => member),
    ]),
    picked(open, ({ tasks, sagas, latest }) => [tasks, sagas, latest.map(standing)]),
    picked(attention, (value) => value.map((one) => [one.step, ...standing(one)])),
  ];
}

function standing({ id, state }: OpenTask): unknown[] {
  const done = Object.values(state?.steps ?? {}).filter(({ kind }) => kind === 'completed').length;
  return [id, state?.phase.kind, done];
}

function picked<Value>(part: Part<Value>, pick: (value: Value) => unknown): unknown {
  return part.kind === 'read' ? pick(part.value) : part.why;
}

/** What `read` comes to within `timeLimit` ms. Never rejects; calls that are still out then are given up. */
async function within<Value>(
  client: Client,
  timeLimit: number,
  read: () => Promise<Value>,
): Promise<Part<Value>> {
  const controller = new AbortController();
  const { signal } = controller;
  // Each call of a part listens to it.
  setMaxListeners(0, signal);
  const late = new CadreError('ServerUnreachable', `no answer within ${timeLimit / 1000} s`);
  const over = delay(timeLimit, undefined, { signal }).then(() => {
    throw late;
  });
  try {
    const reading = client.withAbortSignal(signal, () => client.withDeadline(Date.now() + timeLimit, read));
    return { kind: 'read', value: await Promise.race([reading, over]) };
  } catch (error) {
    return unread(GIVEN_UP.some((code) => hasStatus(error, code)) ? late : error);
  } finally {
    controller.abort();
    await over.catch(() => undefined);
  }
}

/** What gRPC says of a call whose time is over: CANCELLED, DEADLINE_EXCEEDED. */
const GIVEN_UP = [1, 4];

function unread(error: unknown): Part<never> {
  if (hasStatus(error, GRPC_STATUS.unimplemented)) {
    return { kind: 'unread', why: 'the server does not say' };
  }
  if (isCadreError(error)) return { kind: 'unread', why: error.message, type: error.type };
  // The SDK's own words are the same for all that the server may say.
  const said = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return { kind: 'unread', why: said instanceof Error ? said.message : String(said) };
}

async function readWorkers(client: Client, cadre: string, pools: readonly string[]): Promise<WorkersStatus> {
  const queues: readonly Queue[] = [
    { queue: taskQueue(cadre), what: 'workflows', kind: 'workflow' },
    { queue: taskQueue(cadre), what: 'agents', kind: 'activity' },
    { queue: candidatesQueue(cadre), what: 'candidates', kind: 'activity' },
    { queue: breakersQueue(cadre), what: 'breakers', kind: 'workflow' },
    { queue: leaderQueue(cadre), what: 'leader', kind: 'activity' },
    ...pools.map((pool): Queue => ({ queue: poolQueue(cadre, pool), what: 'pool', kind: 'activity', pool })),
  ];
  const described = await Promise.all(
    queues.map(async (one) => ({ ...one, ...(await describeQueue(client, one.queue, one.kind)) })),
  );
  const workers = new Map<string, WorkerStatus>();
  for (const { what, pool, pollers } of described) {
    for (const { identity, age } of pollers) {
      const before = workers.get(identity) ?? { identity, serves: [], age };
      const serves = [...new Set([...before.serves, pool === undefined ? what : `pool ${pool}`])];
      workers.set(identity, { identity, serves, age: Math.min(before.age, age) });
    }
  }
  return {
    workers: [...workers.values()].sort(by(({ identity }) => identity)),
    waiting: described.flatMap(({ queue, what, backlog = 0 }) =>
      backlog > 0 ? [{ queue, what, backlog }] : [],
    ),
  };
}

interface Queue {
  readonly queue: string;
  readonly what: QueueUse;
  readonly kind: 'workflow' | 'activity';
  readonly pool?: string;
}

/** From their histories, which needs no worker. */
async function readBreakers(client: Client, cadre: string, stateBy: number): Promise<OpenBreakerStatus[]> {
  const known = await new TemporalBreakers(client, cadre).notClosed();
  const read = known.map(async ({ key, kind }): Promise<OpenBreakerStatus> => {
    const workflow = breakerId(cadre, key);
    const state = await tried(stateBy, () => breakerState(client, workflow));
    return { key, kind: state?.phase.kind ?? kind, workflow, ...(state === undefined ? {} : { state }) };
  });
  const standings = await Promise.all(read);
  // The list is about a second behind.
  return standings.filter(({ kind }) => kind !== 'closed').sort(by(({ key }) => key));
}

async function breakerState(client: Client, workflow: string): Promise<BreakerState | undefined> {
  const projection = new BreakerProjection();
  for await (const fact of readFacts(client, workflow, { firstRunId: PRESENT_RUN })) projection.next(fact);
  return projection.keyed?.state;
}

async function readAgents(client: Client, cadre: string): Promise<AgentsStatus> {
  const check = await new Agents(client, cadre).check();
  const names = check.replicas.map(({ member }) => readMember(member)?.agent ?? member);
  return { agents: [...new Set(names)], check };
}

async function readOpen(client: Client, cadre: string, states: TaskStates): Promise<OpenStatus> {
  const open = (type: string): string =>
    `TaskQueue = "${taskQueue(cadre)}" AND ExecutionStatus = "Running" AND WorkflowType ${type}`;
  const listed = async (): Promise<OpenTask[]> => {
    const found: OpenTask[] = [];
    const query = open(`IN ("${TASK_WORKFLOW}", "${SAGA_WORKFLOW}")`);
    for await (const execution of client.workflow.list({ query, pageSize: OPEN_SHOWN })) {
      found.push(openTask(execution));
      if (found.length >= OPEN_SHOWN) break;
    }
    return states.added(found);
  };
  const [tasks, sagas, latest] = await Promise.all([
    client.workflow.count(open(`= "${TASK_WORKFLOW}"`)),
    client.workflow.count(open(`= "${SAGA_WORKFLOW}"`)),
    listed(),
  ]);
  return { tasks: tasks.count, sagas: sagas.count, latest };
}

async function readAttention(client: Client, cadre: string, states: TaskStates): Promise<Attention[]> {
  // Of accounts there may be many, and they wait for nobody.
  const running = `TaskQueue = "${taskQueue(cadre)}" AND ExecutionStatus = "Running" AND WorkflowType != "${BUDGET_WORKFLOW}"`;
  const query = (await hasAttentionAttribute(client)) ? `${running}${NOT_UNNEEDED}` : running;
  const found: Attention[] = [];
  for await (const execution of client.workflow.list({ query, pageSize: 200 })) {
    const step = execution.memo?.[NEEDS_ATTENTION];
    if (typeof step === 'string') found.push({ ...openTask(execution), step });
  }
  return states.added(found.sort(by(({ startedAt }) => startedAt)));
}

/** Leaves out what surely waits for nobody; what was started without the attribute is known by its memo. */
const NOT_UNNEEDED = ` AND (${NEEDS_ATTENTION_ATTRIBUTE.name} != "no" OR ${NEEDS_ATTENTION_ATTRIBUTE.name} IS NULL)`;

function openTask({ workflowId, type, memo, startTime }: WorkflowExecutionInfo): OpenTask {
  const goal = memo?.['goal'];
  return {
    id: workflowId,
    type,
    goal: typeof goal === 'string' ? goal : '',
    startedAt: startTime.getTime(),
  };
}

/** Where tasks stand, each read once. */
class TaskStates {
  private readonly read = new Map<string, Promise<TaskState | undefined>>();

  /** `deadline`: when to do without, in ms since 1970. */
  constructor(
    private readonly client: Client,
    readonly deadline: number,
  ) {}

  /** `open` with the states of the first {@link STATES_MAXIMUM}, those that can be read in time. */
  added<Open extends OpenTask>(open: readonly Open[]): Promise<Open[]> {
    return Promise.all(
      open.map(async (one, index) => {
        const state = index < STATES_MAXIMUM ? await this.of(one.id) : undefined;
        return state === undefined ? one : { ...one, state };
      }),
    );
  }

  private of(id: string): Promise<TaskState | undefined> {
    const reading = this.read.get(id) ?? tried(this.deadline, () => taskState(this.client, id));
    this.read.set(id, reading);
    return reading;
  }
}

const STATES_MAXIMUM = 20;

/** Of its present run, which begins with all that was before. */
async function taskState(client: Client, id: string): Promise<TaskState> {
  const projection = new TaskProjection();
  for await (const fact of readFacts(client, id, { firstRunId: PRESENT_RUN })) projection.next(fact);
  return projection.state;
}

/** Undefined where `read` fails, or takes longer than until `deadline`. */
function tried<Value>(deadline: number, read: () => Promise<Value>): Promise<Value | undefined> {
  const controller = new AbortController();
  const over = delay(Math.max(0, deadline - Date.now()), undefined, { signal: controller.signal });
  const reading = read()
    .catch(() => undefined)
    .finally(() => controller.abort());
  return Promise.race([reading, over.catch(() => reading)]);
}

function by<Value>(key: (value: Value) => string | number): (a: Value, b: Value) => number {
  return (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
}
