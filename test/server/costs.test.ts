// What calls of models came to, on a real server: from the memos of what has ended, and the histories of what has not.
import type { AgentContext } from '../../src/activities/agent-context';
import type { TaskCost } from '../../src/client/costs';
import { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import type { CostKey } from '../../src/core/cost';
import { USAGE_MEMO } from '../../src/core/names';
import type { Plan } from '../../src/core/plan';
import { usageRows } from '../../src/core/task-usage';
import { usageOf } from '../../src/models/prices';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { CallJournal } from '../../src/storage/call-journal';
import { agent, step } from '../support/agents';
import { until } from '../support/cli';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';
import { TemporaryFolder } from '../support/temporary-folder';

/** A dollar a million tokens: a token is a millionth of a dollar. */
const PRICE = { input: 1, output: 1 };

/** What a step has its agent do. */
interface Work {
  readonly model?: string;
  readonly tokens?: number;
  /** How many calls it makes. Default 1. */
  readonly calls?: number;
  readonly fails?: boolean;
  readonly gate?: string;
  /** The call of the model never ends. */
  readonly hangs?: boolean;
}

const opened = new Set<string>();
let cadre: ServerCadre;

async function work(input: unknown, { calls, signal }: AgentContext): Promise<string> {
  const { model, tokens = 0, calls: times = 1, fails, gate, hangs } = input as Work;
  for (let number = 1; number <= times; number += 1) {
    if (model === undefined) break;
    await calls.run({
      kind: 'model',
      name: model,
      request: { tokens, number },
      reserves: { tokens, microUsd: tokens, calls: 1 },
      run: async () => {
        if (hangs) await until(() => signal.aborted, 60_000);
        signal.throwIfAborted();
        return 'said';
      },
      usageOf: () => usageOf(model, { inputTokens: tokens, outputTokens: 0 }, PRICE),
    });
  }
  if (gate !== undefined) await until(() => opened.has(gate) || signal.aborted);
  if (fails) throw new Error('it cannot');
  return 'done';
}

/** What goes on with a terminated task first waits for as long as an attempt may take. */
const once = { policy: { retry: { maximumAttempts: 1 }, startToClose: 2000 } };
const agents = [
  agent('asks', work, once),
  agent('tells', work, once),
  agent('does', work, { ...once, compensate: () => undefined }),
];

beforeAll(async () => {
  cadre = await startServerCadre(agents);
}, 60_000);

afterAll(() => cadre.close());

type Given = readonly [id: string, agent: string, work: Work, needs?: string];

function start(id: string, ...steps: readonly Given[]): Promise<TaskHandle> {
  return cadre.client.start({ goal: id, plan: planOf(steps) }, { id });
}

function planOf(steps: readonly Given[]): Plan {
  return {
    steps: steps.map(([name, who, input, needs]) =>
      step(name, who, { input, ...(needs === undefined ? {} : { needs: [needs] }) }),
    ),
  };
}

async function memoOf(id: string): Promise<unknown> {
  return (await cadre.client.temporal.workflow.getHandle(id).describe()).memo?.[USAGE_MEMO];
}

/** How many calls of the step `a` of `task` are recorded. */
async function recordedCalls(model: string, task: TaskHandle): Promise<number> {
  const { root } = (await task.describe()).state;
  const usage = await new CallJournal(cadre.client.artifacts, `${root}/a/act`, 'asks').usage();
  return usage.find((row) => row.model === model && row.unseen === 0)?.calls ?? 0;
}

/** What all calls of `model` came to by now, in tokens. */
async function tokensOf(model: string, since?: number): Promise<number> {
  const { costs } = await cadre.client.cost({ by: 'model', ...(since === undefined ? {} : { since }) });
  return costs.find(({ key }) => key === model)?.tokens ?? 0;
}

async function isListed(id: string, status: string): Promise<boolean> {
  for await (const one of cadre.client.list()) if (one.id === id) return one.status === status;
  return false;
}

const sums = ({ steps, agents: byAgent, models, total }: TaskCost) => ({
  steps: steps.map(({ step: id, agent: who, key, tokens }) => [id, who, key, tokens]),
  agents: byAgent.map(({ key, tokens }) => [key, tokens]),
  models: models.map(({ key, tokens }) => [key, tokens]),
  total: [total.calls, total.tokens, total.microUsd],
});

test('a task says by step, agent and model what it came to, and once it has ended in its memo', async () => {
  const task = await start(
    'told',
    ['a', 'asks', { model: 'told/big', tokens: 100 }],
    ['b', 'asks', { model: 'told/small', tokens: 10 }, 'a'],
    ['c', 'tells', { model: 'told/small', tokens: 1 }, 'b'],
  );
  await task.result();
  const cost = await task.cost();
  expect(cost).toMatchObject({ id: 'told', running: false });
  expect(sums(cost)).toEqual({
    steps: [
      ['a', 'asks', 'told/big', 100],
      ['b', 'asks', 'told/small', 10],
      ['c', 'tells', 'told/small', 1],
    ],
    agents: [
      ['asks', 110],
      ['tells', 1],
    ],
    models: [
      ['told/big', 100],
      ['told/small', 11],
    ],
    total: [3, 111, 111],
  });
  expect(await memoOf('told')).toMatchObject({
    asks: [{ model: 'told/big', tokens: 100, microUsd: 100, calls: 1 }, { model: 'told/small' }],
    tells: [{ model: 'told/small', tokens: 1 }],
  });
});

test('one that called no model says nothing, and its history has no event for it', async () => {
  const task = await start('silent', ['a', 'asks', {}]);
  await task.result();
  expect(await memoOf('silent')).toBeUndefined();
  const { events } = await cadre.client.temporal.workflow.getHandle('silent').fetchHistory();
  expect(events?.some((event) => event.workflowPropertiesModifiedEventAttributes)).toBe(false);
  expect((await task.cost()).total).toMatchObject({ calls: 0, microUsd: 0 });
});

test('one that failed says what was paid for it', async () => {
  const task = await start('failed', ['a', 'asks', { model: 'failed/big', tokens: 7, fails: true }]);
  await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
  expect(await memoOf('failed')).toMatchObject({ asks: [{ model: 'failed/big', tokens: 7 }] });
  expect(sums(await task.cost()).steps).toEqual([['a', 'asks', 'failed/big', 7]]);
});

test('of one that runs, what its ended steps used counts', async () => {
  const task = await start(
    'runs',
    ['a', 'asks', { model: 'runs/big', tokens: 20 }],
    ['b', 'tells', { model: 'runs/big', tokens: 3, gate: 'runs' }, 'a'],
  );
  await until(async () => (await task.describe()).state.steps['a']?.kind === 'completed');
  expect(await task.cost()).toMatchObject({ running: true, total: { tokens: 20 } });
  await until(async () => (await tokensOf('runs/big')) === 20);
  opened.add('runs');
  await task.result();
  await until(async () => (await tokensOf('runs/big')) === 23);
});

test('a call that outlasts its step counts with what was set aside for it, though no event says so', async () => {
  const task = await start('late', ['a', 'asks', { model: 'late/big', tokens: 9, hangs: true }]);
  await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
  const { state } = await task.describe();
  expect(usageRows(state)).toEqual([]);
  const cost = await task.cost();
  expect(sums(cost).steps).toEqual([['a', 'asks', 'late/big', 9]]);
  expect(cost).toMatchObject({ total: { calls: 1, unseen: 1 }, unread: [] });
});

test('what a step paid that was cancelled counts', async () => {
  const task = await start('called-off', [
    'a',
    'asks',
    { model: 'called-off/big', tokens: 6, gate: 'never' },
  ]);
  await until(async () => (await task.pending()).some(({ kind }) => kind === 'started'));
  await until(async () => (await recordedCalls('called-off/big', task)) === 1);
  await task.cancel();
  await expect(task.result()).rejects.toMatchObject({ type: 'Cancelled' });
  expect(sums(await task.cost()).steps).toEqual([['a', 'asks', 'called-off/big', 6]]);
});

test('where the artifact store is another than the workers’, the steps that were cut off are named', async () => {
  const task = await start(
    'elsewhere',
    ['a', 'tells', { model: 'elsewhere/big', tokens: 5 }],
    ['b', 'asks', { model: 'elsewhere/big', tokens: 7, hangs: true }, 'a'],
  );
  await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
  const folder = new TemporaryFolder();
  try {
    const other = new FileArtifactStore(folder.path);
    const { temporal } = cadre.client;
    const there = await new CadreClient(temporal, { artifacts: other }).task('elsewhere').cost();
    expect(there).toMatchObject({ total: { tokens: 5 }, unread: ['b'] });
    expect(await task.cost()).toMatchObject({ total: { tokens: 12 }, unread: [] });
  } finally {
    folder.remove();
  }
});

test('one that was terminated counts, and not again in what goes on with it', async () => {
  const task = await start(
    'cut',
    ['a', 'does', { model: 'cut/big', tokens: 50 }],
    ['b', 'asks', { gate: 'cut' }, 'a'],
  );
  await until(async () => (await task.describe()).pending.some(({ step: id }) => id === 'b'));
  await cadre.client.temporal.workflow.getHandle('cut').terminate();
  opened.add('cut');
  await until(async () => (await tokensOf('cut/big')) === 50);
  const resumed = await cadre.client.resumeSaga('cut');
  await expect(resumed.result()).rejects.toMatchObject({ type: 'TerminatedBefore' });
  expect(await memoOf('cut.resume')).toMatchObject({ does: [{ model: 'cut/big', tokens: 50 }] });
  // The list is about a second behind: first it has what was terminated, then what went on with it.
  await until(() => isListed('cut.resume', 'failed'));
  expect(await tokensOf('cut/big')).toBe(50);
}, 90_000);

test('one that reached its budget does not count again past a link that was terminated', async () => {
  const plan = planOf([
    ['a', 'asks', { model: 'links/big', tokens: 30 }],
    ['b', 'asks', { model: 'links/big', tokens: 40 }, 'a'],
    ['c', 'does', { model: 'links/big', tokens: 5 }, 'b'],
    ['d', 'asks', { gate: 'links' }, 'c'],
  ]);
  const task = await cadre.client.start({ goal: 'links', plan, budget: { tokens: 50 } }, { id: 'links' });
  await expect(task.result()).rejects.toMatchObject({ type: 'BudgetReached' });
  const resumed = await task.resume({ budget: { tokens: 200 } });
  await until(async () => (await resumed.describe()).pending.some(({ step: id }) => id === 'd'));
  await cadre.client.temporal.workflow.getHandle('links.resume').terminate();
  opened.add('links');
  const last = await cadre.client.resumeSaga('links.resume');
  await expect(last.result()).rejects.toMatchObject({ type: 'TerminatedBefore' });
  expect(await memoOf('links')).toMatchObject({ asks: [{ tokens: 30 }] });
  expect(await memoOf('links.resume')).toBeUndefined();
  expect(await memoOf('links.resume.resume')).toMatchObject({
    asks: [{ tokens: 70 }],
    does: [{ tokens: 5 }],
  });
  await until(() => isListed('links.resume.resume', 'failed'));
  expect(await tokensOf('links/big')).toBe(75);
}, 90_000);

test('one that reached its budget counts, and of what goes on with it only what is new', async () => {
  const plan = planOf([
    ['a', 'asks', { model: 'short/big', tokens: 30 }],
    ['b', 'asks', { model: 'short/big', tokens: 40 }, 'a'],
  ]);
  const task = await cadre.client.start({ goal: 'short', plan, budget: { tokens: 50 } }, { id: 'short' });
  await expect(task.result()).rejects.toMatchObject({ type: 'BudgetReached' });
  const resumed = await task.resume({ budget: { tokens: 200 } });
  await resumed.result();
  expect((await task.cost()).total.tokens).toBe(30);
  expect((await resumed.cost()).total.tokens).toBe(70);
  await until(async () => (await tokensOf('short/big')) >= 70);
  expect(await tokensOf('short/big')).toBe(70);
});

test('a task and what goes on with it say what they are together, no recorded call twice', async () => {
  const plan = planOf([
    ['a', 'asks', { model: 'chain/big', tokens: 30 }],
    ['b', 'asks', { model: 'chain/big', tokens: 10, calls: 3 }, 'a'],
  ]);
  const task = await cadre.client.start({ goal: 'chain', plan, budget: { tokens: 45 } }, { id: 'chain' });
  await expect(task.result()).rejects.toMatchObject({ type: 'BudgetReached' });
  expect(await task.cost()).toMatchObject({ total: { tokens: 40 } });
  expect(await task.cost()).not.toHaveProperty('chain');
  const resumed = await task.resume({ budget: { tokens: 55 } });
  await expect(resumed.result()).rejects.toMatchObject({ type: 'BudgetReached' });
  const last = await task.resume({ budget: { tokens: 200 } });
  await last.result();
  for (const one of [task, resumed, last]) {
    expect((await one.cost()).chain).toMatchObject({
      tasks: [
        { key: 'chain', calls: 2, tokens: 40, microUsd: 40 },
        { key: 'chain.resume', calls: 1, tokens: 10 },
        { key: 'chain.resume.resume', calls: 1, tokens: 10 },
      ],
      total: { key: 'total', calls: 4, tokens: 60, microUsd: 60 },
    });
  }
  expect((await last.cost()).total.tokens).toBe(60);
  await until(async () => (await tokensOf('chain/big')) >= 60);
  expect(await tokensOf('chain/big')).toBe(60);
}, 60_000);

test('the costs of all are the same in all by agent, model and day, and none are from before `since`', async () => {
  const by = (key: CostKey) => cadre.client.cost({ by: key });
  const [agentCosts, models, days] = await Promise.all([by('agent'), by('model'), by('day')]);
  expect(agentCosts.costs.map(({ key }) => key)).toEqual(['asks', 'does', 'tells']);
  expect(models.costs.length).toBeGreaterThan(3);
  for (const { key } of days.costs) expect(key).toMatch(/^\d{4}-\d\d-\d\d$/);
  expect(agentCosts.total.tokens).toBeGreaterThan(100);
  expect(models.total).toEqual(agentCosts.total);
  expect(days.total).toEqual(agentCosts.total);
  expect(agentCosts).toMatchObject({ by: 'agent', unread: [] });
  expect(await tokensOf('told/big', Date.now() - 3_600_000)).toBe(100);
  expect(await tokensOf('told/big', Date.now())).toBe(0);
});
