// Budgets on a real server, since the test server answers updates otherwise: what is charged where, and what is refused.
import { randomUUID } from 'node:crypto';
import { NativeConnection } from '@temporalio/worker';
import type { AgentContext } from '../../../src/activities/agent-context';
import { TemporalBudgets } from '../../../src/client/budgets';
import type { TaskHandle } from '../../../src/client/task-handle';
import type { Spent } from '../../../src/core/budget/account';
import { type Budget, agentAccount, taskAccount } from '../../../src/core/budget/budget';
import { budgetId } from '../../../src/core/names';
import type { AgentStep } from '../../../src/core/plan';
import type { ModelUsage } from '../../../src/core/usage';
import { CadreWorker } from '../../../src/workers/cadre-worker';
import { agent } from '../../support/agents';
import { until } from '../../support/cli';
import { type ServerCadre, startServerCadre } from '../../support/server-cadre';

const MODEL = 'scripted/model';
/** What a call sets aside. */
const ASKED = 100;

/** What was paid, by the provider's own count. */
const paid = { calls: 0, tokens: 0, inFlight: 0, mostAtOnce: 0 };
/** How often an agent that waits at a gate was run. */
let gateRuns = 0;

function usage(tokens: number): ModelUsage {
  return {
    model: MODEL,
    tokens,
    microUsd: tokens * 10,
    calls: 1,
    inputTokens: tokens,
    cachedTokens: 0,
    outputTokens: 0,
    unseen: 0,
  };
}

/** A call that comes to `tokens`, after other work has had its turn. */
function call({ calls }: AgentContext, number: number, tokens: number): Promise<unknown> {
  return calls.run({
    kind: 'model',
    name: MODEL,
    request: { number },
    reserves: { tokens: ASKED, microUsd: ASKED * 10, calls: 1 },
    async run() {
      paid.inFlight += 1;
      paid.mostAtOnce = Math.max(paid.mostAtOnce, paid.tokens + paid.inFlight * ASKED);
      await new Promise((resolve) => setImmediate(resolve));
      paid.inFlight -= 1;
      paid.calls += 1;
      paid.tokens += tokens;
      return { number, tokens };
    },
    usageOf: () => usage(tokens),
  });
}

interface CallsInput {
  readonly calls: number;
  readonly tokens: number;
}

async function makeCalls(input: unknown, context: AgentContext): Promise<number> {
  const { calls, tokens } = input as CallsInput;
  for (let number = 1; number <= calls; number += 1) await call(context, number, tokens);
  return calls;
}

/** What calls wait for before they end. */
const gates = new Map<string, Promise<void>>();

/** Makes one call, which sets aside much and comes to little. */
async function waitsAtGate(input: unknown, { calls }: AgentContext): Promise<string> {
  const { gate, asks } = input as { gate?: string; asks: number };
  gateRuns += 1;
  return calls.run({
    kind: 'model',
    name: MODEL,
    request: { asks },
    reserves: { tokens: asks, microUsd: 0, calls: 1 },
    async run() {
      paid.calls += 1;
      await gates.get(gate ?? '');
      return 'said';
    },
    usageOf: () => usage(10),
  });
}

/** How the child of an agent `parent` ended. */
const children: TaskHandle[] = [];

let cadre: ServerCadre;
let second: CadreWorker;
let running: Promise<void>;
let connection: NativeConnection;
beforeAll(async () => {
  const agents = [
    agent('caller', makeCalls, { policy: { retry: { maximumAttempts: 1 } } }),
    agent('patient', waitsAtGate, { policy: { retry: { maximumAttempts: 1 } } }),
    // A quarter of its time is too short to wait in.
    agent('hasty', waitsAtGate, { policy: { startToClose: 3000, retry: { maximumAttempts: 1 } } }),
    agent('frugal', makeCalls, { budget: { calls: 2 }, policy: { retry: { maximumAttempts: 1 } } }),
    agent('careful', makeCalls, { compensate: () => undefined }),
    agent(
      'parent',
      async (input, { parent }) => {
        const { budget, calls } = input as { budget?: Budget; calls: number };
        const plan = { steps: [step('one', { calls, tokens: 50 })] };
        const child = await cadre.client.start({
          goal: 'a child',
          plan,
          parent,
          ...(budget === undefined ? {} : { budget }),
        });
        children.push(child);
        return child.result();
      },
      { policy: { retry: { maximumAttempts: 1 } } },
    ),
    agent('planner', async (_input, context) => {
      await call(context, 1, 60);
      return { steps: [step('one', { calls: 1, tokens: 10 })] };
    }),
    agent('slow', (_input, { signal }) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    }),
  ];
  cadre = await startServerCadre(agents);
  // Beside it another one, so that an account is told by two.
  connection = await NativeConnection.connect({ address: cadre.server.address });
  second = await CadreWorker.create({
    connection,
    agents,
    artifacts: cadre.client.artifacts,
    roles: ['agents'],
    shutdownGrace: 1000,
  });
  running = second.run();
}, 120_000);
afterAll(async () => {
  second.shutdown();
  await running;
  await connection.close();
  await cadre.close();
});
beforeEach(() => {
  gateRuns = 0;
  Object.assign(paid, { calls: 0, tokens: 0, inFlight: 0, mostAtOnce: 0 });
});

function step(id: string, input: unknown, name = 'caller'): AgentStep {
  return { id, agent: name, instruction: `do ${id}`, input };
}

function start(budget: Budget | undefined, ...steps: AgentStep[]): Promise<TaskHandle> {
  const plan = { steps };
  return cadre.client.start({ goal: 'a goal', plan, ...(budget === undefined ? {} : { budget }) });
}

async function failureOf(task: TaskHandle): Promise<{ type?: string; details?: unknown; message?: string }> {
  return task.result().then(
    () => ({}),
    (error: Error & { type?: string; details?: unknown }) => error,
  );
}

async function accountOf(task: TaskHandle) {
  return cadre.client.budget(taskAccount((await task.describe()).state.root));
}

/** The account once nothing is set aside at it any more. */
async function settledAccount(task: TaskHandle) {
  await until(async () => (await accountOf(task)).state.reserved.tokens === 0, 10_000);
  return (await accountOf(task)).state;
}

test('fifty agents at once never come to more than the budget, by a token', async () => {
  const tokens = 20_030;
  const steps = Array.from({ length: 50 }, (_, index) => step(`s${index}`, { calls: 20, tokens: 70 }));
  const task = await start({ tokens }, ...steps);
  const { type, details } = await failureOf(task);
  expect(type).toBe('BudgetReached');
  expect(details).toMatchObject({ limit: 'tokens', allowed: tokens, asked: ASKED });
  expect(paid.mostAtOnce).toBeLessThanOrEqual(tokens);
  // What was set aside by a step that was cancelled before its call began is given back.
  const { used } = await settledAccount(task);
  expect(used).toEqual({ tokens: paid.tokens, microUsd: paid.tokens * 10, calls: paid.calls, steps: 0 });
  // Refused only where it would not have fitted.
  expect(paid.mostAtOnce).toBeGreaterThan(tokens - 50 * ASKED);
}, 120_000);

async function refusalsOf(task: TaskHandle): Promise<unknown[]> {
  const refusals = [];
  for await (const event of task.events()) if (event.type === 'stepRefused') refusals.push(event);
  return refusals;
}

test('a call that would fit alone waits within its attempt for the calls of others', async () => {
  let open = (): void => undefined;
  gates.set('waits', new Promise((resolve) => (open = resolve)));
  const steps = [80, 90].map((asks, index) => step(`s${index}`, { gate: 'waits', asks }, 'patient'));
  const task = await start({ tokens: 100 }, ...steps);
  // Either may be the first.
  await until(() => gateRuns === 2 && paid.calls === 1, 20_000);
  setTimeout(open, 2000);
  expect(await task.result()).toEqual({ s0: 'said', s1: 'said' });
  expect((await settledAccount(task)).used).toMatchObject({ tokens: 20, calls: 2 });
  expect(await accountOf(task)).toMatchObject({ refused: 0 });
  expect(await refusalsOf(task)).toEqual([]);
  expect(gateRuns).toBe(2);
}, 60_000);

test('a step that may not wait in its attempt does so without a worker, spends no attempt, and runs again', async () => {
  let open = (): void => undefined;
  gates.set('held', new Promise((resolve) => (open = resolve)));
  let begin = (): void => undefined;
  gates.set('before', new Promise((resolve) => (begin = resolve)));
  const task = await start(
    { tokens: 100 },
    step('first', { gate: 'held', asks: 80 }, 'patient'),
    step('before', { gate: 'before', asks: 10 }, 'patient'),
    { ...step('held', { asks: 70 }, 'hasty'), needs: ['before'] },
  );
  await until(() => paid.calls === 2, 20_000);
  begin();
  const held = async (): Promise<string> => (await task.describe()).state.steps['held']?.kind ?? '';
  await until(async () => (await held()) === 'refused', 20_000);
  open();
  expect(await task.result()).toEqual({ first: 'said', held: 'said' });
  expect(await refusalsOf(task)).toMatchObject([
    { why: 'setAside', retryAfter: 30_000, held: 30_000, attemptsUsed: 0 },
  ]);
  expect(gateRuns).toBe(4);
}, 90_000);

test("a task's account stays for longer than a task may wait", async () => {
  const task = await start({ calls: 1 }, step('one', { calls: 1, tokens: 1 }));
  await task.result();
  const { state } = await accountOf(task);
  const account = cadre.client.temporal.workflow.getHandle(budgetId(cadre.client.cadre, state.account));
  const { events = [] } = await account.fetchHistory();
  const timer = events?.find(({ timerStartedEventAttributes }) => timerStartedEventAttributes);
  const days = Number(timer?.timerStartedEventAttributes?.startToFireTimeout?.seconds) / 86_400;
  expect(days).toBeGreaterThan(365);
}, 60_000);

test('a task goes on with more where it was, and pays nothing twice', async () => {
  const task = await start({ tokens: 250, calls: 10 }, step('first', { calls: 1, tokens: 100 }), {
    ...step('second', { calls: 4, tokens: 50 }),
    needs: ['first'],
  });
  expect(await failureOf(task)).toMatchObject({ type: 'BudgetReached' });
  expect(paid.calls).toBe(3);
  await expect(task.resume({ budget: { tokens: 200 } })).rejects.toMatchObject({ type: 'InputInvalid' });
  const resumed = await task.resume({ budget: { tokens: 1000 } });
  expect(resumed.id).toBe(`${task.id}.resume`);
  expect(await resumed.result()).toEqual({ second: 4 });
  expect(paid.calls).toBe(5);
  expect((await settledAccount(resumed)).used).toMatchObject({ tokens: 300, calls: 5 });
  const { state } = await resumed.describe();
  expect(state.budget?.given).toEqual({ tokens: 1000, calls: 10 });
  expect((await task.describe()).resumedAs).toBe(resumed.id);
  await expect(task.resume({ budget: { tokens: 2000 } })).rejects.toMatchObject({ type: 'NothingToResume' });
}, 60_000);

test('a task that has what it did undone is not gone on with', async () => {
  const task = await start({ calls: 1 }, step('one', { calls: 2, tokens: 1 }, 'careful'));
  expect(await failureOf(task)).toMatchObject({ type: 'BudgetReached' });
  await expect(task.resume({ budget: { calls: 5 } })).rejects.toMatchObject({
    type: 'NothingToResume',
    message: expect.stringContaining('fork'),
  });
}, 60_000);

test('of two who go on with a task at once, what is more holds, and nobody loses it in silence', async () => {
  const both = Array.from({ length: 4 }, async () => {
    const task = await start({ calls: 1 }, step('one', { calls: 4, tokens: 1 }));
    expect(await failureOf(task)).toMatchObject({ type: 'BudgetReached' });
    const [less, more] = await Promise.allSettled([
      task.resume({ budget: { calls: 3 } }),
      task.resume({ budget: { calls: 9 } }),
    ]);
    if (less.status === 'rejected') {
      expect(less.reason).toMatchObject({
        type: 'InputInvalid',
        message: expect.stringMatching(
          /^Expected `budget\.calls` to be at least 9, which \S+\.resume may use/,
        ) as string,
      });
    }
    if (more.status === 'rejected') throw more.reason as Error;
    expect(await more.value.result()).toEqual({ one: 4 });
    expect((await accountOf(task)).state.limits).toEqual({ calls: 9 });
  });
  await Promise.all(both);
}, 60_000);

test('a running task may use more from now on, and no less', async () => {
  const task = await start({ calls: 5, tokens: 100 }, step('one', {}, 'slow'));
  await until(async () => (await task.pending()).some(({ kind }) => kind === 'started'), 10_000);
  await expect(task.resume({ budget: { wallTime: '1h' } })).rejects.toMatchObject({ type: 'InputInvalid' });
  expect((await task.resume({ budget: { calls: 7 } })).id).toBe(task.id);
  expect((await accountOf(task)).state).toMatchObject({ limits: { calls: 7, tokens: 100 }, revision: 1 });
  await expect(task.resume({ budget: { calls: 6 } })).rejects.toMatchObject({
    type: 'InputInvalid',
    message: expect.stringContaining(`at least 7, which ${task.id} may use already`) as string,
  });
  await task.resume({ budget: { tokens: 200 } });
  expect((await accountOf(task)).state).toMatchObject({ limits: { calls: 7, tokens: 200 }, revision: 2 });
  await until(async () => (await accountOf(task)).task?.running === true, 10_000);
  await task.cancel();
  await failureOf(task);
}, 60_000);

test('what a child uses is charged to its parent too, whose limit holds for it', async () => {
  const task = await start(
    { tokens: 250, depth: 1 },
    step('one', { calls: 9, budget: { tokens: 5000 } }, 'parent'),
  );
  await failureOf(task);
  const child = children.at(-1) as TaskHandle;
  const { state } = await task.describe();
  const account = taskAccount(state.root);
  expect(await failureOf(child)).toMatchObject({
    type: 'BudgetReached',
    details: { account, limit: 'tokens' },
  });
  expect((await settledAccount(task)).used).toMatchObject({ tokens: 200, calls: 4 });
  // What the parent refused was given back to the child's own.
  expect((await settledAccount(child)).used).toMatchObject({ tokens: 200, calls: 4 });
}, 60_000);

test('a task whose depth is used up has no children', async () => {
  const before = children.length;
  const task = await start({ depth: 0 }, step('one', { calls: 1 }, 'parent'));
  expect(await failureOf(task)).toMatchObject({ type: 'BudgetReached', details: { limit: 'depth' } });
  expect(children).toHaveLength(before);
}, 60_000);

test('what is set aside for a task that has ended is never seen to end', async () => {
  const task = await start({ tokens: 100 }, step('one', { calls: 1, tokens: 10 }));
  await task.result();
  const { account } = await accountOf(task);
  await new TemporalBudgets(cadre.client.temporal, cadre.client.cadre).exchange(account, {
    worker: randomUUID(),
    turn: 1,
    limits: { tokens: 100 },
    revision: 0,
    operations: [{ do: 'reserve', id: 'lost', amount: { tokens: 60, microUsd: 0, calls: 1, steps: 0 } }],
  });
  await until(async () => (await accountOf(task)).task?.running === false, 10_000);
  const { task: whose, rows } = await accountOf(task);
  expect(whose).toEqual({ id: task.id, running: false });
  expect(rows[0]).toEqual({ unit: 'tokens', allowed: 100, used: 10, reserved: 0, unseen: 60 });
}, 60_000);

test('steps are counted, each once', async () => {
  const calls = { calls: 1, tokens: 1 };
  const task = await start({ steps: 1 }, step('one', calls), { ...step('two', calls), needs: ['one'] });
  expect(await failureOf(task)).toMatchObject({
    type: 'BudgetReached',
    details: { limit: 'steps', allowed: 1, failed: { step: 'two' } },
  });
  expect(paid.calls).toBe(1);
  const counted = { unit: 'steps', allowed: 1, used: 1, reserved: 0, unseen: 0 };
  expect((await accountOf(task)).rows).toContainEqual(counted);
  const resumed = await task.resume({ budget: { steps: 2 } });
  expect(await resumed.result()).toEqual({ two: 1 });
}, 60_000);

test('a task whose time is over ends as that, and goes on with more', async () => {
  const task = await start({ wallTime: 1500 }, step('one', {}, 'slow'));
  expect(await failureOf(task)).toMatchObject({ type: 'BudgetReached', details: { limit: 'wallTime' } });
  const resumed = await task.resume({ budget: { wallTime: 1000 } });
  expect(await failureOf(resumed)).toMatchObject({ type: 'BudgetReached', details: { limit: 'wallTime' } });
}, 60_000);

test('the leader plans by the budget of the task too', async () => {
  const task = await cadre.client.start({ goal: 'to be planned', budget: { tokens: 50 } });
  expect(await failureOf(task)).toMatchObject({ type: 'BudgetReached' });
  expect(paid.calls).toBe(0);
  const resumed = await task.resume({ budget: { tokens: 500 } });
  expect(await resumed.result()).toEqual({ one: 1 });
  expect((await settledAccount(resumed)).used).toMatchObject({ tokens: 70, calls: 2 });
}, 60_000);

test('an agent uses no more a day than it may, in all tasks together', async () => {
  const one = await start(undefined, step('one', { calls: 1, tokens: 10 }, 'frugal'));
  await one.result();
  const two = await start({ tokens: 500 }, step('one', { calls: 2, tokens: 10 }, 'frugal'));
  expect(await failureOf(two)).toMatchObject({
    type: 'BudgetReached',
    details: { account: agentAccount('frugal'), limit: 'calls', allowed: 2 },
  });
  // What the task had set aside for the call that its agent could not make is given back.
  expect((await settledAccount(two)).used).toMatchObject({ tokens: 10, calls: 1 });
  const listed = (await cadre.client.budgets()).map(({ account }) => account);
  await until(async () => (await cadre.client.budgets()).length > 1, 10_000);
  expect(listed).toContain(agentAccount('frugal'));
}, 60_000);

test('a task without a budget asks no account', async () => {
  const task = await start(undefined, step('one', { calls: 2, tokens: 10 }));
  await task.result();
  const account = await accountOf(task);
  expect(account).toMatchObject({ running: false, rows: [] });
  const envelopes = (await cadre.client.temporal.workflow.getHandle(task.id).fetchHistory()).events ?? [];
  const inputs = envelopes.flatMap(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.input?.payloads ?? [],
  );
  expect(inputs.length).toBeGreaterThan(0);
  for (const { data } of inputs) expect(Buffer.from(data ?? []).toString()).not.toContain('"budget"');
}, 60_000);

test('an account goes on in a new run with all that it knows', async () => {
  const account = 'task.00000000000000aa';
  const budgets = new TemporalBudgets(cadre.client.temporal, cadre.client.cadre);
  const worker = randomUUID();
  const amount: Spent = { tokens: 1, microUsd: 0, calls: 1, steps: 0 };
  const tell = (turn: number) =>
    budgets.exchange(account, {
      worker,
      turn,
      limits: { calls: 249 },
      revision: 0,
      operations: [{ do: 'reserve', id: String(turn), amount }],
    });
  for (let turn = 1; turn <= 249; turn += 1) expect(await tell(turn)).toEqual({ short: {} });
  expect((await tell(250)).short).toMatchObject({ 0: { limit: 'calls', reserved: 249 } });
  const { runId } = await cadre.client.temporal.workflow.getHandle(budgetId('cadre', account)).describe();
  const [first] = await runsOf(budgetId('cadre', account));
  expect(first).not.toBe(runId);
}, 120_000);

/** The runs of a workflow, the eldest first. */
async function runsOf(id: string): Promise<string[]> {
  const runs: { runId: string; startTime: Date }[] = [];
  for await (const run of cadre.client.temporal.workflow.list({ query: `WorkflowId = "${id}"` }))
    runs.push(run);
  return runs.sort((a, b) => a.startTime.getTime() - b.startTime.getTime()).map(({ runId }) => runId);
}
