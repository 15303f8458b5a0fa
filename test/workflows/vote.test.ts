// Votes whose workers stop, or whose workflow looks late. On a real server: the test server loses its way when an
// activity is cancelled as it completes.
import { ApplicationFailure } from '@temporalio/common';
import { readFacts } from '../../src/client/history-reader';
import type { TaskHandle } from '../../src/client/task-handle';
import type { HistoryFact } from '../../src/core/history-facts';
import { MAIN } from '../../src/core/names';
import type { Step } from '../../src/core/plan';
import type { TaskState } from '../../src/core/task-state';
import { TaskProjection } from '../../src/core/task-projection';
import { CadreWorker, type CadreWorkerOptions } from '../../src/workers/cadre-worker';
import { agent, step } from '../support/agents';
import { until } from '../support/cli';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

/** Opened by the test; what waits for it goes on. */
class Gate {
  private readonly opened = new Set<() => void>();
  private isOpen = false;
  open(): void {
    this.isOpen = true;
    for (const go of this.opened) go();
  }
  wait(): Promise<void> {
    return this.isOpen ? Promise.resolve() : new Promise((resolve) => this.opened.add(resolve));
  }
}

const TERM = 7;
/** How long a task may take that is about to end, in ms. */
const PATIENCE = 5000;
let asked: Gate;
/** How many of the agent `leaving` have begun. */
let leavers: number;
let answer: Gate;
let stopping: Gate;
let stopped: Gate;

const aborted = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  );

const agents = [
  agent('yes', async () => {
    asked.open();
    await answer.wait();
    return 'yes';
  }),
  // Takes its time to end, whatever it hears.
  agent('deaf', async () => {
    asked.open();
    await stopped.wait();
    return 'deaf';
  }),
  agent(
    'leaving',
    async (_input, { signal }) => {
      leavers += 1;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      stopping.open();
      await stopped.wait();
      throw signal.reason;
    },
    { pool: 'leaving' },
  ),
  agent('echo', (input) => input),
  agent('patient', (_input, { signal }) => aborted(signal)),
  agent('broken', () => {
    throw ApplicationFailure.nonRetryable('for good', 'Broken');
  }),
  agent('assigner', (_input, { signal }) => {
    asked.open();
    return aborted(signal);
  }),
];

let cadre: ServerCadre;
let leader: Running;
/** Of the test at hand. */
const workers = new Set<Running>();
const tasks = new Set<TaskHandle>();

interface Running {
  readonly stop: () => Promise<void>;
}

beforeAll(async () => {
  cadre = await startServerCadre(agents, { roles: ['agents'], serve: [MAIN] });
  leader = await work({ roles: ['leader'], term: TERM });
  workers.delete(leader);
}, 60_000);

afterAll(async () => {
  await leader.stop();
  await cadre.close();
}, 30_000);

beforeEach(() => {
  leavers = 0;
  asked = new Gate();
  answer = new Gate();
  stopping = new Gate();
  stopped = new Gate();
});

afterEach(async () => {
  for (const gate of [answer, stopping, stopped]) gate.open();
  for (const task of tasks)
    await workflowOf(task)
      .terminate()
      .catch(() => undefined);
  tasks.clear();
  await Promise.all([...workers].map((worker) => worker.stop()));
}, 30_000);

/** A worker that the test stops; at the latest, it is stopped at the test's end. */
async function work(options: Partial<CadreWorkerOptions>): Promise<Running> {
  const worker = await CadreWorker.create({
    connection: cadre.connection,
    agents,
    artifacts: cadre.client.artifacts,
    shutdownGrace: 1,
    ...options,
  });
  const ended = worker.run();
  const running: Running = {
    async stop() {
      workers.delete(running);
      worker.shutdown();
      await ended;
    },
  };
  workers.add(running);
  return running;
}

async function start(...steps: readonly Step[]): Promise<TaskHandle> {
  const task = await cadre.client.start({ goal: 'a goal', plan: { steps } });
  tasks.add(task);
  return task;
}

const vote = (voters: readonly string[], more: object = {}): Step => ({
  id: 'a',
  instruction: 'vote',
  vote: { agents: voters, ...more },
});
const workflowOf = (task: TaskHandle) => cadre.client.temporal.workflow.getHandle(task.id);
const runWorkflows = () => work({ roles: ['workflows'] });
const runLeaving = () => work({ roles: ['agents'], serve: ['leaving'] });

async function factsOf(task: TaskHandle): Promise<HistoryFact[]> {
  const facts: HistoryFact[] = [];
  for await (const fact of readFacts(cadre.client.temporal, task.id)) facts.push(fact);
  return facts;
}

async function typesOf(task: TaskHandle): Promise<string[]> {
  const projection = new TaskProjection();
  return (await factsOf(task)).flatMap((fact) => projection.next(fact)).map(({ type }) => type);
}

const has = (task: TaskHandle, type: string) => async () => (await typesOf(task)).includes(type);
const count = async (task: TaskHandle, kind: HistoryFact['kind']) =>
  (await factsOf(task)).filter((fact) => fact.kind === kind).length;

/** How the task ended, or `running` where it has not in time. */
async function statusOf(task: TaskHandle): Promise<string> {
  const ended = async () => (await workflowOf(task).describe()).status.name !== 'RUNNING';
  await until(ended, PATIENCE).catch(() => undefined);
  return (await workflowOf(task).describe()).status.name;
}

/** The workflow's own state is the fold of its history's events. */
async function expectSameState(task: TaskHandle): Promise<TaskState> {
  const { state } = await workflowOf(task).query<{ state: TaskState }>('state');
  const projection = new TaskProjection();
  for (const fact of await factsOf(task)) projection.next(fact);
  expect(state).toEqual(projection.state);
  return state;
}

/** Tells the pool to stop once `voters` of them have begun in it; they have heard of it, and not ended yet. */
async function leave(pool: Running, voters = 1): Promise<{ readonly ended: Promise<void> }> {
  await until(() => leavers === voters);
  const ended = pool.stop();
  await stopping.wait();
  return { ended };
}

test('a ballot that is handed back after the vote is over leaves the decision as it is', async () => {
  await runWorkflows();
  const pool = await runLeaving();
  const task = await start(vote(['yes', 'yes', 'leaving']));
  const { ended } = await leave(pool);
  answer.open();
  await until(has(task, 'voteDecided'));
  stopped.open();
  await ended;
  expect(await statusOf(task)).toBe('COMPLETED');
  expect((await expectSameState(task)).steps['a']).toMatchObject({ kind: 'completed' });
}, 40_000);

test('a ballot that is handed back after the time limit is asked of nobody', async () => {
  await runWorkflows();
  const pool = await runLeaving();
  const task = await start(vote(['echo', 'leaving'], { timeLimit: 1500 }));
  const { ended } = await leave(pool);
  await until(has(task, 'voteTimedOut'));
  stopped.open();
  await ended;
  expect(await statusOf(task)).toBe('COMPLETED');
  expect((await expectSameState(task)).steps['a']).toMatchObject({ kind: 'completed' });
}, 40_000);

test('a ballot that is handed back as the task is cancelled is not withdrawn', async () => {
  await runWorkflows();
  const pool = await runLeaving();
  const task = await start(vote(['leaving', 'leaving']));
  const { ended } = await leave(pool, 2);
  await task.cancel();
  await until(has(task, 'cancelRequested'));
  stopped.open();
  await ended;
  expect(await statusOf(task)).toBe('CANCELLED');
  await expectSameState(task);
}, 40_000);

test('a ballot that is handed back while the vote is open is cast by another worker', async () => {
  await runWorkflows();
  const pool = await runLeaving();
  const task = await start(vote(['yes', 'leaving'], { quorum: 'unanimous' }));
  const { ended } = await leave(pool);
  stopped.open();
  await ended;
  await runLeaving();
  await until(() => leavers === 2);
  expect((await typesOf(task)).filter((type) => type === 'ballotRequested')).toHaveLength(3);
  const { steps } = await expectSameState(task);
  expect(steps['a']).toMatchObject({ kind: 'voting', spoiled: 0, withdrawn: 0 });
}, 40_000);

test.each([
  ['before', { timeLimit: 6000 }, 'quorum'],
  ['after', { timeLimit: 1000 }, 'leader'],
] as const)(
  'ballots from %s the time limit are told apart, also where the workflow hears of all at once',
  async (when, more, by) => {
    const workflows = await runWorkflows();
    const task = await start(vote(['echo', 'yes', 'yes'], more));
    await until(async () => (await count(task, 'activityCompleted')) === 2);
    await workflows.stop();
    const limit = () => until(async () => (await count(task, 'timerFired')) === 1);
    if (when === 'after') await limit();
    answer.open();
    await until(async () => (await count(task, 'activityCompleted')) === 4);
    await limit();
    await runWorkflows();
    expect(await statusOf(task)).toBe('COMPLETED');
    expect((await expectSameState(task)).steps['a']).toMatchObject({ output: { value: { by } } });
    expect((await typesOf(task)).includes('voteTimedOut')).toBe(when === 'after');
  },
  40_000,
);

test('what needs a vote starts as soon as it is decided, while a voter is still out', async () => {
  await runWorkflows();
  answer.open();
  const task = await start(vote(['deaf', 'yes', 'yes']), step('b', 'echo', { input: { $output: 'a' } }));
  await until(async () => (await typesOf(task)).filter((type) => type === 'stepCompleted').length === 2);
  expect(await typesOf(task)).not.toContain('ballotWithdrawn');
  stopped.open();
  expect(await statusOf(task)).toBe('COMPLETED');
  await expectSameState(task);
}, 40_000);

test('a vote that nobody can decide stops the other steps at once', async () => {
  await runWorkflows();
  const task = await start(vote(['deaf', 'deaf'], { timeLimit: 500 }), step('b', 'patient'));
  await until(has(task, 'arbitrationFailed'));
  await until(has(task, 'stepCancelled'), PATIENCE);
  expect(await typesOf(task)).not.toContain('ballotWithdrawn');
}, 40_000);

test('a task that is cancelled before a workflow looked at it has no steps', async () => {
  const task = await start(vote(['yes', 'yes']));
  await task.cancel();
  await runWorkflows();
  expect(await statusOf(task)).toBe('CANCELLED');
  expect((await expectSameState(task)).steps).toEqual({});
}, 40_000);

test('a task that is cancelled while the leader looks for another agent is cancelled', async () => {
  await runWorkflows();
  const task = await start(step('a', 'broken'));
  await asked.wait();
  await task.cancel();
  expect(await statusOf(task)).toBe('CANCELLED');
}, 40_000);
