// What becomes of tasks and sagas whose agents' breakers refuse, on a real server.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { NativeConnection } from '@temporalio/worker';
import type { AgentContext } from '../../../src/activities/agent-context';
import type { AnyAgent, Undo } from '../../../src/activities/define-agent';
import { CadreClient } from '../../../src/client/cadre-client';
import type { TaskHandle } from '../../../src/client/task-handle';
import { sagaLadder } from '../../../src/core/saga-ladder';
import type { TaskEventType } from '../../../src/core/task-events';
import type { LoggedTaskEvent } from '../../../src/core/task-projection';
import type { TaskState } from '../../../src/core/task-state';
import { TestCadre } from '../../../src/testing';
import { FileArtifactStore } from '../../../src/storage/artifact-store';
import { CadreWorker, type CadreWorkerOptions } from '../../../src/workers/cadre-worker';
import { installRuntime } from '../../../src/workers/runtime';
import { agent } from '../../support/agents';
import { until } from '../../support/cli';
import { type DevServer, startDevServer } from '../../support/dev-server';

/** What an agent's provider does, by the agent's name. */
class Provider {
  down = true;
  hangs = false;
  readonly attempts: {
    task: string;
    step: string;
    attempt: number;
    checkpoint: unknown;
    key: string;
    aborted: boolean;
  }[] = [];

  readonly act = async (_input: unknown, context: AgentContext): Promise<string> => {
    const { task, step, attempt, lastCheckpoint, idempotencyKey, signal } = context;
    this.attempts.push({
      task,
      step,
      attempt,
      checkpoint: lastCheckpoint,
      key: idempotencyKey,
      aborted: signal.aborted,
    });
    context.checkpoint({ reached: this.attempts.length });
    if (this.hangs) {
      await once(signal, 'abort');
      signal.throwIfAborted();
    }
    if (this.down) throw Object.assign(new Error('overloaded'), { status: 529 });
    return 'answered';
  };
}

const providers = new Map<string, Provider>();
const provider = (key: string): Provider => {
  const known = providers.get(key) ?? new Provider();
  providers.set(key, known);
  return known;
};

const HOUR = 60 * 60 * 1000;
const opensAtOnce = (key: string, cooldown: number) => ({
  breaker: { key, window: { calls: 4 }, minimumCalls: 1, cooldown, cooldownMax: Math.max(cooldown, 2000) },
  retry: { initialInterval: 20, maximumAttempts: 3 },
});

const undone: string[] = [];
const undoes = {
  compensate: ({ outcome }: Undo<unknown, unknown>, { task, step }: { task: string; step: string }) =>
    void undone.push(`${task} ${step} ${outcome}`),
};
/** Of one task. */
const undoneOf = ({ id }: { id: string }): string[] =>
  undone.filter((one) => one.startsWith(`${id} `)).map((one) => one.slice(id.length + 1));

const guarded = (name: string, cooldown: number, more: object = {}, policy: object = {}) =>
  agent(name, provider(name).act, { policy: { ...opensAtOnce(name, cooldown), ...policy }, ...more });

const forged: { details: unknown; calls: number } = { details: undefined, calls: 0 };
const gate: { open?: () => void } = {};
/** The ids of the tasks of which the deputy was asked. */
const deputies: string[] = [];
const deputy = agent('deputy', (_input, context) => {
  deputies.push(context.task);
  return 'from the deputy';
});
const effects: string[] = [];
let server: DevServer;
let folder: string;
/** One agent at a time. */
let narrow: Side;
let environment: TestWorkflowEnvironment;
let cadre: TestCadre;

const team = [
  guarded('long', HOUR, undoes),
  guarded('long-too', HOUR, undoes),
  guarded('long-own', HOUR, undoes),
  guarded('long-pivot', HOUR, undoes),
  guarded('brief', 300, undoes),
  guarded('brief-asked', 1500, undoes),
  guarded('mailing', 300),
  guarded('relied', HOUR, {}, { onOpen: { fallback: 'deputy' } }),
  guarded('relied-brief', 300, undoes, { onOpen: { fallback: 'deputy' } }),
  guarded('strict', HOUR, { skills: ['write'], ...undoes }, { onOpen: 'fail' }),
  guarded('chained', HOUR, { skills: ['draw'] }, { onOpen: { fallback: 'chained-2' } }),
  guarded('chained-2', HOUR, { skills: ['draw'] }, { onOpen: { fallback: 'chained-3' } }),
  agent(
    'chained-3',
    () => {
      throw ApplicationFailure.nonRetryable('cannot', 'Broken');
    },
    { skills: ['draw'] },
  ),
  agent('writer', () => 'written', { skills: ['write'] }),
  guarded('after-pivot', 300),
  guarded('terminated', 300),
  guarded('pivotal', 500, {}, { onOpen: { fallback: 'deputy' } }),
  guarded('relied-voter', HOUR, {}, { onOpen: { fallback: 'yes' } }),
  agent(
    'forger',
    () => {
      forged.calls += 1;
      throw ApplicationFailure.create({
        type: 'BreakerOpen',
        message: 'not now',
        nonRetryable: true,
        ...(forged.details === undefined ? {} : { details: [forged.details] }),
      });
    },
    { ...undoes, policy: { retry: { maximumAttempts: 2, initialInterval: 10 } } },
  ),
  agent('painter', () => 'painted', { skills: ['draw'] }),
  deputy,
  agent('does', () => 'done', undoes),
  agent('yes', () => ({ choice: 'yes' })),
  agent('broken', () => {
    throw ApplicationFailure.nonRetryable('it is broken', 'Broken');
  }),
  agent(
    'effective',
    async (_input, { once: effect, step }) => {
      await effect('mail', () => void effects.push(step));
      return provider('effective').down ? Promise.reject(overloaded()) : 'sent';
    },
    { policy: opensAtOnce('effective', 300) },
  ),
];

function overloaded(): Error {
  return Object.assign(new Error('overloaded'), { status: 529 });
}

beforeAll(async () => {
  installRuntime('ERROR');
  server = await startDevServer();
  environment = await TestWorkflowEnvironment.createFromExistingServer({ address: server.address });
  folder = await mkdtemp(join(tmpdir(), 'cadre-steps-test-'));
  narrow = await Side.start(
    [
      agent('gate', () => new Promise<string>((resolve) => (gate.open = () => resolve('opened')))),
      guarded('relying', HOUR, {}, { onOpen: { fallback: 'deputy' } }),
      deputy,
    ],
    undefined,
    { concurrency: 1 },
  );
  cadre = await TestCadre.create({
    environment,
    agents: team,
    workflowsPath: join(__dirname, 'workflows.ts'),
  });
}, 60_000);
afterAll(async () => {
  for (const side of Side.all) await side.stop();
  await cadre.close();
  await rm(folder, { recursive: true, force: true });
  await environment.teardown();
  await server.stop();
});

/** A cadre with a worker of its own on the same server. */
class Side {
  static readonly all: Side[] = [];

  private constructor(
    readonly name: string,
    readonly client: CadreClient,
    readonly stop: () => Promise<void>,
  ) {}

  static async start(
    agents: readonly AnyAgent[],
    name = `side-${randomUUID().slice(0, 8)}`,
    options: Partial<CadreWorkerOptions> = {},
  ): Promise<Side> {
    const artifacts = new FileArtifactStore(folder);
    // One connection takes one worker a queue.
    const connection = await NativeConnection.connect({ address: server.address });
    const worker = await CadreWorker.create({
      connection,
      cadre: name,
      agents,
      artifacts,
      roles: ['workflows', 'agents'],
      shutdownGrace: 100,
      ...options,
    });
    const running = worker.run();
    const client = new CadreClient(environment.client, { cadre: name, artifacts });
    let stopped: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      worker.shutdown();
      await running;
      await connection.close();
    };
    const side = new Side(name, client, () => (stopped ??= stop()));
    Side.all.push(side);
    return side;
  }

  saga(steps: readonly object[]): Promise<TaskHandle> {
    return this.client.startSaga({ name: 'a saga', steps: steps as Steps });
  }
}

type Steps = Parameters<typeof cadre.client.startSaga>[0]['steps'];
const saga = (steps: readonly object[], more: object = {}): Promise<TaskHandle> =>
  cadre.client.startSaga({ name: 'a saga', steps: steps as Steps, ...more });
const task = (steps: readonly object[], more: object = {}): Promise<TaskHandle> =>
  cadre.client.start({ goal: 'a goal', plan: { steps: steps as never }, ...more });
const doing = (id: string, name: string, more: object = {}): object => ({
  id,
  agent: name,
  instruction: `do ${id}`,
  ...more,
});

async function own(type: string, input: unknown): Promise<TaskHandle> {
  const workflowId = `${type}-${randomUUID()}`;
  await environment.client.workflow.start(type, {
    workflowId,
    taskQueue: cadre.client.cadre,
    args: [input],
  });
  return cadre.client.task(workflowId);
}

/** Has another task open the breaker. */
async function open(name: string, client = cadre.client): Promise<void> {
  const known = provider(name);
  if ((await client.breaker(name).catch(() => undefined))?.kind === 'open') return;
  known.down = true;
  const opening = await client.startSaga({ name: 'opens', steps: [doing('opens', name)] as Steps });
  await until(async () => (await client.breaker(name)).kind === 'open');
  await opening.cancel();
  await opening.result().catch(() => undefined);
}

async function log(of: TaskHandle): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of of.events()) events.push(event);
  return events;
}

async function ofType<Type extends TaskEventType>(
  of: TaskHandle,
  type: Type,
): Promise<(LoggedTaskEvent & { type: Type })[]> {
  const events = await log(of);
  return events.filter((event): event is LoggedTaskEvent & { type: Type } => event.type === type);
}

const waits = (of: TaskHandle, times = 1): Promise<void> =>
  until(async () => (await ofType(of, 'stepRefused')).length >= times);
/** Refused after an attempt. */
const waitsBegun = (of: TaskHandle): Promise<void> =>
  until(async () => (await ofType(of, 'stepRefused')).some(({ began }) => began));

/** The state as the workflow has it, which its log must tell as well. */
async function stateOf(of: TaskHandle): Promise<TaskState> {
  const { state } = await environment.client.workflow.getHandle(of.id).query<{ state: TaskState }>('state');
  expect((await of.describe()).state).toEqual(state);
  return state;
}
const attemptsOf = (name: string, { id }: TaskHandle) =>
  provider(name).attempts.filter((one) => one.task === id);

describe('a saga that waits for a breaker', () => {
  test('undoes nothing of a step that never began, where its time is over', async () => {
    await open('long');
    const waiting = await saga([doing('a', 'does'), doing('b', 'long')], { timeLimit: 1000 });
    await expect(waiting.result()).rejects.toMatchObject({ type: 'TimeLimitReached' });
    expect(undoneOf(waiting)).toEqual(['a completed']);
    expect((await stateOf(waiting)).phase.kind).toBe('compensated');
    const { up, down } = sagaLadder(await log(waiting));
    expect(up).toMatchObject([
      { step: 'a', state: 'completed' },
      { step: 'b', state: 'waiting', attempts: 0 },
    ]);
    expect(down).toMatchObject([{ step: 'a', state: 'undone' }]);
  });

  test('undoes as unknown what had begun, where its time is over', async () => {
    const waiting = await saga([doing('b', 'long-too')], { timeLimit: 2000 });
    await waitsBegun(waiting);
    await expect(waiting.result()).rejects.toMatchObject({ type: 'TimeLimitReached' });
    expect(undoneOf(waiting)).toEqual(['b unknown']);
    await stateOf(waiting);
  });

  test('is resumed after a terminate, and undoes what had begun and nothing else', async () => {
    await open('long');
    const never = await saga([doing('a', 'does'), doing('b', 'long')]);
    await waits(never);
    await environment.client.workflow.getHandle(never.id).terminate();
    const resumed = await cadre.client.resumeSaga(never.id);
    await expect(resumed.result()).rejects.toMatchObject({ type: 'TerminatedBefore' });
    expect(undoneOf(resumed)).toEqual(['a completed']);
    await stateOf(resumed);
  });

  test('ends at once where another of its steps fails', async () => {
    await open('long');
    const failing = await task([doing('a', 'long'), doing('b', 'broken')]);
    await expect(failing.result()).rejects.toMatchObject({ type: 'StepFailed' });
    expect(undoneOf(failing)).toEqual([]);
    await stateOf(failing);
  });

  test('undoes by an agent whose breaker is open', async () => {
    await open('mailing');
    provider('mailing').down = false;
    const failing = await saga([
      doing('a', 'deputy', { compensate: { agent: 'mailing' } }),
      doing('b', 'broken'),
    ]);
    await expect(failing.result()).rejects.toMatchObject({ type: 'StepFailed' });
    expect(await ofType(failing, 'compensated')).toHaveLength(1);
    await stateOf(failing);
  });
});

describe('what a wait must not lose', () => {
  test('a step that a person is asked about again keeps its attempts and its checkpoint', async () => {
    provider('brief-asked').down = true;
    const asking = await saga([doing('a', 'brief-asked', { approval: { validFor: 1000 } })]);
    const answered = new Set<number>();
    let done = false;
    const ended = asking.result().finally(() => (done = true));
    await until(async () => {
      for (const asked of await ofType(asking, 'approvalRequested')) {
        if (answered.has(asked.number)) continue;
        if (answered.size === 1) provider('brief-asked').down = false;
        answered.add(asked.number);
        await asking.answer('a', 'yes', { hash: asked.hash });
      }
      return done;
    });
    expect(await ended).toEqual({ a: 'answered' });
    expect(answered.size).toBeGreaterThanOrEqual(2);
    expect(attemptsOf('brief-asked', asking)).toMatchObject([
      { attempt: 1 },
      { attempt: 2, checkpoint: { reached: expect.any(Number) } },
    ]);
    await stateOf(asking);
  });

  test('an effect happens once, and the key stays the same', async () => {
    provider('effective').down = true;
    const sending = await saga([doing('a', 'effective')]);
    await waits(sending, 2);
    provider('effective').down = false;
    expect(await sending.result()).toEqual({ a: 'sent' });
    expect(effects).toEqual(['a']);
  });

  test('the idempotency key is that of the first attempt', async () => {
    provider('brief').down = true;
    const waiting = await saga([doing('a', 'brief')]);
    await waits(waiting, 2);
    provider('brief').down = false;
    await waiting.result();
    expect(new Set(attemptsOf('brief', waiting).map(({ key }) => key)).size).toBe(1);
  });
});

describe('a fallback', () => {
  test('is approved on its own', async () => {
    await open('relied');
    const asking = await saga([doing('a', 'relied', { approval: {} })]);
    const hashes: string[] = [];
    for (const _round of [1, 2]) {
      await until(async () => (await ofType(asking, 'approvalRequested')).length > hashes.length);
      const { hash } = await asking.question('a');
      hashes.push(hash);
      await asking.answer('a', 'yes', { hash });
    }
    expect(await asking.result()).toEqual({ a: 'from the deputy' });
    expect(new Set(hashes).size).toBe(2);
    await stateOf(asking);
  });

  test('leaves no rung that waits', async () => {
    await open('relied');
    const done = await saga([doing('a', 'relied')]);
    await done.result();
    expect(sagaLadder(await log(done)).up.filter(({ state }) => state === 'waiting')).toEqual([]);
  });

  test('takes none of the leader’s assignments', async () => {
    await open('chained-2');
    await open('chained');
    const given = await task([doing('a', 'chained')]);
    expect(await given.result()).toEqual({ a: 'painted' });
    await stateOf(given);
  });
});

describe('a workflow with a saga of its own', () => {
  test('undoes what it may have done of a step that it no longer waits for', async () => {
    const going = await own('impatient', { agent: 'long-own', wait: 1000 });
    await environment.client.workflow.getHandle(going.id).result();
    expect(undoneOf(going)).toEqual(['one unknown']);
    await stateOf(going);
  });

  test('undoes it also where it goes on to a pivot', async () => {
    const going = await own('impatientPivot', { agent: 'long-pivot', wait: 1000 });
    await environment.client.workflow.getHandle(going.id).result();
    expect(undoneOf(going)).toEqual(['one unknown']);
    await stateOf(going);
  });

  test('ends at once where a step beside one that waits fails', async () => {
    await open('long');
    const going = await own('beside', { agent: 'long' });
    await expect(environment.client.workflow.getHandle(going.id).result()).rejects.toThrow('failed');
    expect(undoneOf(going)).toEqual([]);
    await stateOf(going);
  });

  test('has a fallback approved on its own', async () => {
    await open('relied');
    const going = await own('single', { agent: 'relied', approval: {} });
    const hashes: string[] = [];
    for (const _round of [1, 2]) {
      await until(async () => (await ofType(going, 'approvalRequested')).length > hashes.length);
      const { hash } = await going.question('one');
      hashes.push(hash);
      await going.answer('one', 'yes', { hash });
    }
    await environment.client.workflow.getHandle(going.id).result();
    expect(new Set(hashes).size).toBe(2);
    await stateOf(going);
  });
});

describe('a pivot', () => {
  test('that is refused falls back to nobody once the saga is cancelled', async () => {
    await open('relying', narrow.client);
    const blocking = await narrow.saga([doing('holds', 'gate')]);
    await until(() => gate.open !== undefined);
    const cancelled = await narrow.saga([doing('a', 'relying', { kind: 'pivot' })]);
    await until(async () => (await ofType(cancelled, 'stepScheduled')).length > 0);
    await cancelled.cancel();
    await until(async () => (await ofType(cancelled, 'cancelRequested')).length > 0);
    gate.open?.();
    await expect(cancelled.result()).rejects.toMatchObject({ type: 'Cancelled' });
    expect(deputies).not.toContain(cancelled.id);
    await blocking.result();
    await stateOf(cancelled);
  });

  test('that never began waits no longer once the saga is cancelled', async () => {
    await open('long');
    const waiting = await saga([doing('a', 'does'), doing('b', 'long', { kind: 'pivot' })]);
    await waits(waiting);
    await waiting.cancel();
    await expect(waiting.result()).rejects.toMatchObject({ type: 'Cancelled' });
    expect(undoneOf(waiting)).toEqual(['a completed']);
    await stateOf(waiting);
  });

  test('that has begun stays with its agent, and a cancel comes to nothing', async () => {
    provider('pivotal').down = true;
    const waiting = await saga([doing('a', 'does'), doing('b', 'pivotal', { kind: 'pivot' })]);
    await waitsBegun(waiting);
    await waiting.cancel();
    provider('pivotal').down = false;
    expect(await waiting.result()).toEqual({ b: 'answered' });
    expect(undoneOf(waiting)).toEqual([]);
    expect(await ofType(waiting, 'stepFellBack')).toEqual([]);
    await stateOf(waiting);
  });

  test('lets what comes after it wait on, though the saga is cancelled', async () => {
    provider('after-pivot').down = true;
    const waiting = await saga([
      doing('a', 'does', { kind: 'pivot' }),
      doing('b', 'after-pivot', { kind: 'retryable' }),
    ]);
    await waits(waiting);
    await waiting.cancel();
    await waits(waiting, 2);
    provider('after-pivot').down = false;
    expect(await waiting.result()).toEqual({ b: 'answered' });
    await stateOf(waiting);
  });

  test('lets what comes after it keep its attempts over a terminate', async () => {
    provider('terminated').down = true;
    const cut = await saga([
      doing('a', 'does', { kind: 'pivot' }),
      doing('b', 'terminated', { kind: 'retryable' }),
    ]);
    await waitsBegun(cut);
    await environment.client.workflow.getHandle(cut.id).terminate();
    provider('terminated').down = false;
    const resumed = await cadre.client.resumeSaga(cut.id);
    expect(await resumed.result()).toEqual({ b: 'answered' });
    expect(provider('terminated').attempts.at(-1)).toMatchObject({
      attempt: 2,
      checkpoint: { reached: expect.any(Number) as number },
    });
    await stateOf(resumed);
  });

  test('that failed as refused is for the leader to give to another', async () => {
    await open('strict');
    const given = await task([doing('a', 'strict', { kind: 'pivot' })]);
    expect(await given.result()).toEqual({ a: 'written' });
    await stateOf(given);
  });
});

describe('an agent that throws what looks like a refusal', () => {
  test.each([
    ['nothing', undefined],
    ['rubbish', { retryAfter: Number.NaN, attemptsUsed: 'x', why: { toString: 1, valueOf: 1 }, breaker: 7 }],
    ['fractions', { retryAfter: 0.5, attemptsUsed: 0.5 }],
    ['negatives', { retryAfter: -1, attemptsUsed: -5 }],
    ['a huge checkpoint', { retryAfter: 0, checkpoint: 'x'.repeat(200_000) }],
  ])('with %s as its details fails like any other', async (_what, details) => {
    forged.details = details;
    forged.calls = 0;
    const forging = await saga([doing('a', 'forger')]);
    const end = await Promise.race([
      forging.result().catch((error: unknown) => error),
      until(() => forged.calls > 4, 3000).then(
        () => 'called again and again',
        () => 'waits',
      ),
    ]);
    if (typeof end === 'string') await forging.cancel();
    expect(end).toMatchObject({ type: 'StepFailed' });
    expect(undoneOf(forging)).toEqual(['a unknown']);
  });
});

describe('a vote', () => {
  const vote = (agents: string[], more: object = {}): object => ({
    id: 'v',
    instruction: 'yes or no?',
    vote: { agents, quorum: 'majority', choices: ['yes', 'no'], ...more },
  });

  test('of which all voters wait is the leader’s when its time is over', async () => {
    await open('long');
    const voting = await task([vote(['long', 'long', 'long'], { timeLimit: 1000 })]);
    await expect(voting.result()).rejects.toMatchObject({ type: 'StepFailed' });
    await stateOf(voting);
  });

  test('ends at once where its task is cancelled', async () => {
    await open('long');
    const voting = await task([vote(['long', 'yes', 'long'])]);
    await until(async () => (await ofType(voting, 'ballotRefused')).length === 2);
    await voting.cancel();
    await expect(voting.result()).rejects.toMatchObject({ type: 'Cancelled' });
  });

  test('is decided by fallbacks', async () => {
    await open('relied-voter');
    const voting = await task([vote(['relied-voter', 'relied-voter', 'yes'])]);
    expect(await voting.result()).toMatchObject({ v: { choice: 'yes' } });
    await stateOf(voting);
  });

  test('counts voters whose refusal is final as spoiled', async () => {
    await open('strict');
    const voting = await task([vote(['strict', 'yes', 'yes'])]);
    expect(await voting.result()).toMatchObject({ v: { choice: 'yes' } });
    await stateOf(voting);
  });
});

describe('another deployment', () => {
  test('has a step wait of whose breaker the task does not know, and gives none to an agent that is gone', async () => {
    const first = await Side.start([
      agent('later', () => 'not asked'),
      agent('before', () => 'not asked', {
        policy: { ...opensAtOnce('before', HOUR), onOpen: { fallback: 'gone' } },
      }),
      agent('gone', () => 'not asked'),
    ]);
    const waiting = await first.saga([doing('a', 'later', { approval: {} })]);
    const falling = await first.saga([doing('a', 'before', { approval: {} })]);
    for (const one of [waiting, falling]) {
      await until(async () => (await ofType(one, 'approvalRequested')).length > 0);
    }
    await first.stop();
    provider('later').down = true;
    provider('before').down = true;
    const second = await Side.start([guarded('later', 300), guarded('before', 300)], first.name);
    for (const one of [waiting, falling]) {
      const { hash } = await one.question('a');
      await one.answer('a', 'yes', { hash });
    }
    await waits(waiting, 2);
    provider('later').down = false;
    expect(await waiting.result()).toEqual({ a: 'answered' });
    await until(async () => (await ofType(falling, 'stepFellBack')).length > 0);
    const { hash } = await falling.question('a');
    await falling.answer('a', 'yes', { hash });
    await expect(falling.result()).rejects.toMatchObject({ details: { failed: { agent: 'gone' } } });
    await second.stop();
  });
});

describe('a worker that is told to stop', () => {
  test('while it probes gives back the permit, and spends no attempt', async () => {
    const key = 'handed';
    const [here, there] = [new Provider(), new Provider()];
    const made = (of: Provider) => [agent(key, of.act, { policy: opensAtOnce(key, 300) })];
    const first = await Side.start(made(here));
    const waiting = await first.saga([doing('a', key)]);
    await waits(waiting);
    Object.assign(here, { down: false, hangs: true });
    await until(() => here.attempts.length === 2);
    there.down = false;
    const second = await Side.start(made(there), first.name);
    await first.stop();
    expect(await waiting.result()).toEqual({ a: 'answered' });
    expect(there.attempts).toMatchObject([{ attempt: 2, checkpoint: { reached: 2 } }]);
    await until(async () => (await second.client.breaker(key)).kind === 'closed');
    await second.stop();
  });

  test('while calls ask the breaker loses none of them', async () => {
    const key = 'asking';
    const both = new Provider();
    const made = [agent(key, both.act, { policy: opensAtOnce(key, 200) })];
    let side = await Side.start(made);
    const { name } = side;
    const all = await Promise.all([1, 2, 3, 4].map(() => side.saga([doing('a', key)])));
    for (const _round of [1, 2, 3]) {
      const next = await Side.start(made, name);
      await side.stop();
      side = next;
    }
    both.down = false;
    for (const one of all) expect(await one.result()).toEqual({ a: 'answered' });
    await side.stop();
  });
});
