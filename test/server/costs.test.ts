// What calls of models came to, on a real server: from the memos of what has ended, and the histories of what has not.
import type { AgentContext } from '../../src/activities/agent-context';
import type { TaskCost } from '../../src/client/costs';
import type { TaskHandle } from '../../src/client/task-handle';
import type { CostKey } from '../../src/core/cost';
import { USAGE_MEMO } from '../../src/core/names';
import type { Plan } from '../../src/core/plan';
import { usageOf } from '../../src/models/prices';
import { agent, step } from '../support/agents';
import { until } from '../support/cli';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

/** A dollar a million tokens: a token is a millionth of a dollar. */
const PRICE = { input: 1, output: 1 };

/** What a step has its agent do. */
interface Work {
  readonly model?: string;
  readonly tokens?: number;
  readonly fails?: boolean;
  readonly gate?: string;
}

const opened = new Set<string>();
let cadre: ServerCadre;

async function work(input: unknown, { calls, signal }: AgentContext): Promise<string> {
  const { model, tokens = 0, fails, gate } = input as Work;
  if (model !== undefined) {
    await calls.run({
      kind: 'model',
      name: model,
      request: tokens,
      reserves: { tokens, microUsd: tokens, calls: 1 },
      run: async () => 'said',
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

/** What all calls of `model` came to by now, in tokens. */
async function tokensOf(model: string, since?: number): Promise<number> {
  const { costs } = await cadre.client.cost({ by: 'model', ...(since === undefined ? {} : { since }) });
  return costs.find(({ key }) => key === model)?.tokens ?? 0;
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
  const listed = async (): Promise<boolean> => {
    for await (const { id, status } of cadre.client.list())
      if (id === 'cut.resume') return status === 'failed';
    return false;
  };
  await until(listed);
  expect(await tokensOf('cut/big')).toBe(50);
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
