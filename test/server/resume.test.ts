// Going on after a terminate, on a real server: a saga of five steps is terminated at every boundary of its effects and
// compensations, and in every state in which it waits. What counts is a ledger outside of Temporal.
import type { AgentContext } from '../../src/activities/agent-context';
import type { Undo } from '../../src/activities/define-agent';
import type { TaskHandle } from '../../src/client/task-handle';
import { CadreClient } from '../../src/client/cadre-client';
import { resumeId } from '../../src/core/names';
import { taskRoot } from '../../src/core/task-projection';
import type { SagaInput, SagaStep } from '../../src/core/saga-input';
import { agent } from '../support/agents';
import { until } from '../support/cli';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

/** The longest an attempt may take, so that what ran at a terminate is waited for so long. */
const START_TO_CLOSE = 2000;
const STEPS = ['a', 'b', 'c', 'd', 'e'];
const BOUNDARIES = ['act', 'undo'].flatMap((kind) =>
  STEPS.flatMap((id) => [`before-${kind}-${id}`, `after-${kind}-${id}`]),
);

interface Effect {
  readonly task: string;
  readonly step: string;
  readonly kind: 'act' | 'undo';
  readonly outcome?: string;
  readonly key: string;
  readonly at: number;
}

/** Every effect once a key, as a resource outside applies them. */
const ledger: Effect[] = [];
/** `task place` of those that have arrived where they are held. */
const arrived = new Set<string>();
const opened = new Set<string>();
let cadre: ServerCadre;
let client: CadreClient;

function apply(kind: Effect['kind'], context: AgentContext, outcome?: string): void {
  const { step, idempotencyKey: key } = context;
  if (ledger.some((one) => one.key === key)) return;
  const of = outcome === undefined ? {} : { outcome };
  ledger.push({ task: rootOf(context), step, kind, key, at: Date.now(), ...of });
}

/** The workflow that a saga was begun as, whatever goes on with it. */
const rootOf = ({ idempotencyKey }: AgentContext): string => idempotencyKey.split('/')[0] ?? '';

interface Held {
  readonly holdAt?: string;
  /** Hears of nothing, as a process that is cut off. */
  readonly deaf?: boolean;
}

/** Waits at `place` once, where the input says so. */
async function pass(place: string, { holdAt, deaf }: Held, context: AgentContext): Promise<void> {
  const name = `${rootOf(context)} ${place}`;
  if (holdAt !== place || arrived.has(name)) return;
  arrived.add(name);
  await until(() => opened.has(name) || (context.signal.aborted && deaf !== true));
  if (!opened.has(name)) throw context.signal.reason;
}

async function act(input: unknown, context: AgentContext): Promise<string> {
  await pass(`before-act-${context.step}`, input as Held, context);
  apply('act', context);
  await pass(`after-act-${context.step}`, input as Held, context);
  return `did ${context.step}`;
}

async function compensate({ input, outcome }: Undo<unknown, unknown>, context: AgentContext): Promise<void> {
  await pass(`before-undo-${context.step}`, input as Held, context);
  if (opened.has(`refuses ${rootOf(context)} ${context.step}`)) throw new Error('the other side refuses');
  apply('undo', context, outcome);
  await pass(`after-undo-${context.step}`, input as Held, context);
}

function broken(): never {
  throw new Error('no');
}

beforeAll(async () => {
  const policy = {
    startToClose: START_TO_CLOSE,
    heartbeatTimeout: 500,
    retry: { maximumAttempts: 2, initialInterval: 50 },
  };
  const local = { startToClose: START_TO_CLOSE, local: true };
  cadre = await startServerCadre(
    [
      agent('worker', act, { policy, compensation: policy, compensate }),
      agent('local', act, { policy: local, compensation: policy, compensate }),
      agent('plain', act, { policy }),
      agent('broken', broken, { policy: { retry: { maximumAttempts: 1 } } }),
    ],
    // Sagas of five steps go on in a new run, whose history alone does not begin with theirs.
    { settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: 25 }] },
  );
  client = cadre.client;
}, 60_000);

afterAll(() => cadre.close());

const worker = (id: string, held: Held = {}, more: Partial<SagaStep> = {}): SagaStep => ({
  id,
  agent: 'worker',
  input: held,
  ...more,
});

async function begin(
  id: string,
  steps: readonly SagaStep[],
  more: Partial<SagaInput> = {},
): Promise<TaskHandle> {
  await client.temporal.workflow.start('saga', {
    workflowId: id,
    taskQueue: client.cadre,
    args: [{ name: `the saga ${id}`, steps, ...more }],
    workflowTaskTimeout: '3s',
  });
  return client.task(id);
}

const terminate = (id: string) => client.temporal.workflow.getHandle(id).terminate('by a person');
const phaseOf = async (task: TaskHandle): Promise<string> => (await task.describe()).state.phase.kind;
const effects = (id: string, kind: Effect['kind']): string[] =>
  ledger.filter((one) => one.task === id && one.kind === kind).map(({ step }) => step);

/** What was done is undone in the reverse order, each once. */
function expectUndone(id: string): void {
  const done = effects(id, 'act');
  const reversed = effects(id, 'undo');
  expect(reversed.filter((step) => done.includes(step))).toEqual(done.toReversed());
}

/** Resolves with the failure that an undone saga ends with. */
async function undone(task: TaskHandle): Promise<Record<string, unknown>> {
  const error: unknown = await task.result().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ type: 'TerminatedBefore' });
  return error as Record<string, unknown>;
}

test('terminated at any boundary of an effect or a compensation, all is undone, and nothing twice', async () => {
  const sagas = BOUNDARIES.map(async (holdAt) => {
    const id = `at-${holdAt}`;
    await begin(id, [...STEPS.map((step) => worker(step, { holdAt })), { id: 'last', agent: 'broken' }]);
    await until(() => arrived.has(`${id} ${holdAt}`));
    await terminate(id);
    const [resumed, again] = await Promise.all([client.resumeSaga(id), client.resumeSaga(id)]);
    expect([resumed.id, again.id]).toEqual([resumeId(id), resumeId(id)]);
    await undone(resumed);
    return { id, holdAt, state: (await resumed.describe()).state };
  });
  let continued = 0;
  for (const { id, holdAt, state } of await Promise.all(sagas)) {
    expectUndone(id);
    expect(state.phase.kind).toBe('compensated');
    expect(state.compensations?.every(({ kind }) => kind === 'undone')).toBe(true);
    const [when, kind, step] = holdAt.split('-');
    const acted = effects(id, 'act');
    expect(acted).toEqual(
      kind === 'undo' ? STEPS : STEPS.slice(0, STEPS.indexOf(step ?? '') + Number(when === 'after')),
    );
    // What ran at the terminate is undone as unknown, and it alone.
    const unknown = ledger
      .filter((one) => one.task === id && one.outcome === 'unknown')
      .map((one) => one.step);
    expect(unknown).toEqual(kind === 'act' ? [step] : []);
    const { runId } = await client.temporal.workflow.getHandle(id).describe();
    if (state.root !== taskRoot(id, runId)) continued += 1;
    // To resume it once more changes nothing.
    expect((await client.resumeSaga(id)).id).toBe(resumeId(id));
  }
  expect(continued).toBeGreaterThan(0);
  const keys = ledger.map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
}, 120_000);

test('the step that ran at the terminate is waited out, and what it still did is undone', async () => {
  const id = 'late';
  await begin(id, [worker('a'), worker('b', { holdAt: 'before-act-b', deaf: true })]);
  await until(() => arrived.has(`${id} before-act-b`));
  const at = Date.now();
  await terminate(id);
  const resumed = await client.resumeSaga(id);
  expect((await resumed.describe()).state.phase.kind).toBe('compensating');
  opened.add(`${id} before-act-b`);
  await until(() => effects(id, 'act').includes('b'));
  await undone(resumed);
  expectUndone(id);
  expect(effects(id, 'undo')).toEqual(['b', 'a']);
  const first = ledger.find((one) => one.task === id && one.kind === 'undo');
  expect((first?.at ?? 0) - at).toBeGreaterThanOrEqual(START_TO_CLOSE - 100);
}, 30_000);

test('a resume that is terminated while it waits is gone on with, and waits as long', async () => {
  const id = 'resumed-early';
  await begin(id, [worker('a'), worker('b', { holdAt: 'after-act-b', deaf: true })]);
  await until(() => arrived.has(`${id} after-act-b`));
  const at = Date.now();
  await terminate(id);
  const first = await client.resumeSaga(id);
  await terminate(first.id);
  const second = await client.resumeSaga(id);
  expect(second.id).toBe(`${id}.resume.resume`);
  expect((await client.resumeSaga(first.id)).id).toBe(second.id);
  await undone(second);
  expectUndone(id);
  expect(effects(id, 'undo')).toEqual(['b', 'a']);
  const undo = ledger.find((one) => one.task === id && one.kind === 'undo');
  expect(undo).toMatchObject({ outcome: 'unknown' });
  expect((undo?.at ?? 0) - at).toBeGreaterThanOrEqual(START_TO_CLOSE - 100);
  opened.add(`${id} after-act-b`);
}, 30_000);

test('a resume that is terminated while it undoes is gone on with where it was', async () => {
  const id = 'resumed-late';
  await begin(id, [
    worker('a'),
    worker('b', { holdAt: 'after-undo-b' }),
    worker('c', { holdAt: 'after-act-c' }),
  ]);
  await until(() => arrived.has(`${id} after-act-c`));
  await terminate(id);
  const first = await client.resumeSaga(id);
  await until(() => arrived.has(`${id} after-undo-b`));
  await terminate(first.id);
  await undone(await client.resumeSaga(id));
  expectUndone(id);
  expect(effects(id, 'undo')).toEqual(['c', 'b', 'a']);
}, 30_000);

test('what waits for a person when it is terminated is tried again', async () => {
  const id = 'parked';
  opened.add(`refuses ${id} b`);
  const task = await begin(id, [worker('a'), worker('b'), { id: 'last', agent: 'broken' }]);
  await until(async () => (await phaseOf(task)) === 'needsAttention');
  await terminate(id);
  opened.delete(`refuses ${id} b`);
  await undone(await client.resumeSaga(id));
  expectUndone(id);
  expect(effects(id, 'undo')).toEqual(['b', 'a']);
}, 30_000);

test('terminated between two steps, while it asks for approval, what it did is undone as done', async () => {
  const id = 'asking';
  const task = await begin(id, [worker('a'), worker('b', {}, { approval: {} })]);
  await until(async () => (await phaseOf(task)) === 'awaitingApproval');
  await terminate(id);
  await undone(await client.resumeSaga(id));
  expect(effects(id, 'act')).toEqual(['a']);
  expect(ledger.filter((one) => one.task === id && one.kind === 'undo')).toMatchObject([
    { step: 'a', outcome: 'completed' },
  ]);
}, 30_000);

test('after its pivot it is finished, not undone', async () => {
  const id = 'forward';
  await begin(id, [
    worker('a'),
    { id: 'b', agent: 'plain', input: {}, kind: 'pivot' },
    { id: 'c', agent: 'plain', input: { holdAt: 'after-act-c' } },
    { id: 'd', agent: 'plain', input: {} },
  ]);
  await until(() => arrived.has(`${id} after-act-c`));
  await terminate(id);
  expect(await (await client.resumeSaga(id)).result()).toEqual({ d: 'did d' });
  expect(effects(id, 'act')).toEqual(['a', 'b', 'c', 'd']);
  expect(effects(id, 'undo')).toEqual([]);
}, 30_000);

test('a pivot that ran at the terminate waits for a person', async () => {
  const id = 'at-pivot';
  await begin(id, [
    worker('a'),
    { id: 'b', agent: 'plain', input: { holdAt: 'before-act-b' }, kind: 'pivot' },
  ]);
  await until(() => arrived.has(`${id} before-act-b`));
  await terminate(id);
  const resumed = await client.resumeSaga(id);
  await until(async () => (await phaseOf(resumed)) === 'needsAttention');
  await resumed.resolve('b', 'retry');
  expect(await resumed.result()).toEqual({ b: 'did b' });
}, 30_000);

test('one that timed out before it was undone is undone', async () => {
  const id = 'timed-out';
  await client.temporal.workflow.start('saga', {
    workflowId: id,
    taskQueue: client.cadre,
    args: [
      {
        name: 'a saga',
        steps: [worker('a', { holdAt: 'before-undo-a' }), worker('b', { holdAt: 'after-act-b' })],
      },
    ],
    workflowRunTimeout: 2000,
  });
  const status = async () => (await client.temporal.workflow.getHandle(id).describe()).status.name;
  await until(async () => (await status()) === 'TIMED_OUT');
  await undone(await client.resumeSaga(id));
  expect(effects(id, 'undo')).toEqual(['b', 'a']);
}, 30_000);

test('a step of a local agent that may be undone does not run locally, and is undone as unknown', async () => {
  const id = 'local';
  await begin(id, [worker('a'), { id: 'b', agent: 'local', input: { holdAt: 'after-act-b' } }]);
  await until(() => arrived.has(`${id} after-act-b`));
  await terminate(id);
  const resumed = await client.resumeSaga(id);
  opened.add(`${id} after-act-b`);
  await undone(resumed);
  expect(ledger.filter((one) => one.task === id && one.kind === 'undo')).toMatchObject([
    { step: 'b', outcome: 'unknown' },
    { step: 'a', outcome: 'completed' },
  ]);
}, 30_000);

test('a task is gone on with as a task', async () => {
  const id = 'task';
  const plan = {
    steps: [
      { id: 'a', agent: 'worker', instruction: 'do a', input: {} },
      { id: 'b', agent: 'worker', instruction: 'do b', input: { holdAt: 'after-act-b' }, needs: ['a'] },
    ],
  };
  await client.start({ goal: 'a goal', plan }, { id });
  await until(() => arrived.has(`${id} after-act-b`));
  await terminate(id);
  const resumed = await client.resumeSaga(id);
  await undone(resumed);
  expectUndone(id);
  const { type, memo } = await client.temporal.workflow.getHandle(resumed.id).describe();
  expect([type, memo]).toMatchObject(['task', { goal: 'a goal' }]);
}, 30_000);

test('one that another use of its id went on with is refused, and not passed over', async () => {
  const id = 'used-again';
  for (const use of ['first', 'second']) {
    await begin(id, [worker('a', { holdAt: `${use} hold` }), worker('b', { holdAt: 'before-act-b' })]);
    await until(() => arrived.has(`${id} before-act-b`));
    await terminate(id);
    arrived.delete(`${id} before-act-b`);
    if (use === 'first') await undone(await client.resumeSaga(id));
  }
  await expect(client.resumeSaga(id)).rejects.toMatchObject({
    type: 'TaskExists',
    message: expect.stringMatching(/^used-again.resume went on with an earlier use of the id/) as string,
  });
}, 30_000);

test('an id of the greatest length, in any script, can be gone on with', async () => {
  const id = `größe-${'x'.repeat(194)}`;
  await begin(id, [worker('a', { holdAt: 'after-act-a' })]);
  await until(() => arrived.has(`${id} after-act-a`));
  await terminate(id);
  await undone(await client.resumeSaga(id));
  expect(effects(id, 'undo')).toEqual(['a']);
}, 30_000);

test('the lock survives the terminate, and is free when the resume has ended', async () => {
  const id = 'locked';
  await begin(id, [worker('a', { holdAt: 'after-act-a' })], { lock: 'order-42' });
  await until(() => arrived.has(`${id} after-act-a`));
  await terminate(id);
  expect(await client.lockHolder('order-42')).toMatchObject({ holder: { workflowId: id } });
  const resumed = await client.resumeSaga(id);
  expect(await client.lockHolder('order-42')).toMatchObject({ holder: { workflowId: id } });
  await undone(resumed);
  await until(async () => (await client.lockHolder('order-42')) === undefined);
}, 30_000);

describe('there is nothing to resume', () => {
  const refused = async (id: string): Promise<string> => {
    const error: unknown = await client.resumeSaga(id).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ type: 'NothingToResume' });
    return String(error);
  };

  test('of a saga that runs, which is to be cancelled', async () => {
    await begin('running', [worker('a', { holdAt: 'before-act-a' })]);
    expect(await refused('running')).toMatch(/has not ended.*cadre cancel running/);
    await terminate('running');
  });

  test('of a saga that ended by itself, well or undone', async () => {
    await (await begin('completed', [worker('a')])).result();
    expect(await refused('completed')).toMatch(/ended by itself \(completed\)/);
    const failed = await begin('failed', [worker('a'), { id: 'b', agent: 'broken' }]);
    await failed.result().catch(() => undefined);
    expect(await refused('failed')).toMatch(/ended by itself \(failed\)/);
  });

  test('of a saga of which no step began', async () => {
    const nobody = new CadreClient(client.temporal, { cadre: 'nobody' });
    await client.temporal.workflow.start('saga', {
      workflowId: 'unbegun',
      taskQueue: 'nobody',
      args: [{ name: 'a saga', steps: [worker('a')] }],
    });
    await terminate('unbegun');
    await expect(nobody.resumeSaga('unbegun')).rejects.toMatchObject({ type: 'NothingToResume' });
    await expect(client.resumeSaga('unbegun')).rejects.toMatchObject({
      type: 'InputInvalid',
      message: 'unbegun belongs to the cadre "nobody", not to "cadre"',
    });
  });

  test('of a workflow that is none of ours, whatever it was started with', async () => {
    await client.temporal.workflow.start('another', {
      workflowId: 'another',
      taskQueue: client.cadre,
      args: [{ lock: 'order-43', name: 'a saga', steps: [worker('a')] }],
    });
    await terminate('another');
    expect(await refused('another')).toMatch(/left nothing to undo/);
  });

  test('of an id that there is not', async () => {
    for (const id of ['nowhere', '']) {
      await expect(client.resumeSaga(id)).rejects.toMatchObject({ type: 'TaskNotFound' });
    }
  });
});
