// The fleet's breaker on a real server: what a step does while its agent's breaker does not let it through.
import { once } from 'node:events';
import { ApplicationFailure } from '@temporalio/common';
import type { AgentContext } from '../../../src/activities/agent-context';
import type { TaskHandle } from '../../../src/client/task-handle';
import type { LoggedTaskEvent } from '../../../src/core/task-projection';
import type { TaskEventType } from '../../../src/core/task-events';
import { agent } from '../../support/agents';
import { until } from '../../support/cli';
import { type ServerCadre, startServerCadre } from '../../support/server-cadre';

/** A provider, by the breaker's key. */
class Provider {
  down = false;
  hangs = false;
  /** What the next call is answered with, once. */
  next: (() => Error) | undefined;
  readonly attempts: { step: string; attempt: number; checkpoint: unknown }[] = [];

  readonly act = async (_input: unknown, context: AgentContext): Promise<string> => {
    const { step, attempt, lastCheckpoint } = context;
    this.attempts.push({ step, attempt, checkpoint: lastCheckpoint });
    context.checkpoint({ reached: this.attempts.length });
    const answer = this.next;
    this.next = undefined;
    if (answer !== undefined) throw answer();
    if (this.hangs) await once(context.signal, 'abort');
    if (this.down) throw Object.assign(new Error('overloaded'), { status: 529 });
    return 'answered';
  };
}

const status = (code: number, headers: Record<string, string> = {}): Error =>
  Object.assign(new Error(`HTTP ${code}`), { status: code, headers });

const providers = new Map<string, Provider>();
const provider = (key: string): Provider => {
  const known = providers.get(key) ?? new Provider();
  providers.set(key, known);
  return known;
};

/** Opens at the first failure, so that a test needs few calls. */
const breakerOf = (key: string) => ({
  breaker: { key, window: { calls: 4 }, minimumCalls: 1, cooldown: 600, cooldownMax: 2000 },
  retry: { initialInterval: 50, maximumAttempts: 2 },
});

let cadre: ServerCadre;
const undone: string[] = [];
beforeAll(async () => {
  const guarded = (name: string, key = name, more: object = {}) =>
    agent(name, provider(key).act, { policy: { ...breakerOf(key), ...more } });
  cadre = await startServerCadre([
    guarded('waits'),
    guarded('slowed'),
    guarded('slowed-too', 'slowed'),
    guarded('refused'),
    // Without a checkpoint.
    agent(
      'crowd',
      (_input, context) => provider('crowd').act(_input, { ...context, checkpoint: () => undefined }),
      {
        policy: {
          breaker: { ...breakerOf('crowd').breaker, cooldown: 8000, cooldownMax: 8000 },
          retry: { maximumAttempts: 1 },
        },
      },
    ),
    agent('patient', provider('patient').act, {
      policy: { breaker: { ...breakerOf('patient').breaker, cooldown: 60_000, cooldownMax: 60_000 } },
    }),
    guarded('hanging', 'hanging', { startToClose: 700 }),
    guarded('local', 'local', { local: true }),
    guarded('strict', 'strict', { onOpen: 'fail' }),
    guarded('first', 'first', { onOpen: { fallback: 'second' } }),
    guarded('second', 'second', { onOpen: { fallback: 'third' } }),
    agent('third', () => 'from memory'),
    agent('deputy', () => 'from the deputy', { skills: ['write'] }),
    agent('writer', provider('writer').act, {
      skills: ['write'],
      policy: { ...breakerOf('writer'), onOpen: 'fail' },
    }),
    agent('payer', provider('payer').act, {
      policy: breakerOf('payer'),
      compensate: (_undo, { step }) => void undone.push(step),
    }),
    agent('broken', () => {
      throw ApplicationFailure.nonRetryable('no', 'Broken');
    }),
    agent('voter', provider('voter').act, { policy: breakerOf('voter') }),
    agent('yes', () => ({ choice: 'yes' })),
  ]);
}, 60_000);
afterAll(() => cadre.close());

function start(name: string, more: object = {}): Promise<TaskHandle> {
  const steps = [{ id: 'one', agent: name, instruction: 'ask', ...more }];
  return cadre.client.startSaga({ name: `ask ${name}`, steps });
}

/** Has the breaker of `key` opened by another task, so that the next one meets it open. */
async function open(name: string, key = name): Promise<void> {
  provider(key).down = true;
  const task = await start(name);
  await until(async () => (await cadre.client.breaker(key)).kind === 'open');
  await task.cancel();
  await task.result().catch(() => undefined);
  provider(key).attempts.length = 0;
  undone.length = 0;
}

async function log(task: TaskHandle): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of task.events()) events.push(event);
  return events;
}

async function ofType<Type extends TaskEventType>(
  task: TaskHandle,
  type: Type,
): Promise<(LoggedTaskEvent & { type: Type })[]> {
  const events = await log(task);
  return events.filter((event): event is LoggedTaskEvent & { type: Type } => event.type === type);
}

async function timersOf({ id }: TaskHandle): Promise<string[]> {
  const { events } = await cadre.client.temporal.workflow.getHandle(id).fetchHistory();
  return (events ?? [])
    .filter(({ timerStartedEventAttributes: timer }) => timer)
    .map(({ userMetadata }) => Buffer.from(userMetadata?.summary?.data ?? []).toString());
}

test('a step waits as long as the agent is away, and loses neither attempt nor checkpoint', async () => {
  const { attempts } = provider('waits');
  provider('waits').down = true;
  const task = await start('waits');
  await until(async () => (await cadre.client.breaker('waits')).opened > 0);
  // Longer than two cooldowns: probes fail, and the policy has but two attempts.
  await until(() => attempts.length >= 3);
  provider('waits').down = false;
  expect(await task.result()).toEqual({ one: 'answered' });
  const refusals = await ofType(task, 'stepRefused');
  expect(refusals.length).toBeGreaterThan(1);
  expect(refusals[0]).toMatchObject({ breaker: 'waits', agent: 'waits', attemptsUsed: 1 });
  // The first attempt counted; no probe did.
  expect(attempts.map(({ attempt }) => attempt)).toEqual([1, ...attempts.slice(1).map(() => 2)]);
  expect(attempts.map(({ checkpoint }) => checkpoint)).toEqual([
    undefined,
    ...attempts.slice(1).map((_, index) => ({ reached: index + 1 })),
  ]);
  expect((await cadre.client.breaker('waits')).kind).toBe('closed');
}, 30_000);

test('a probe that hangs spends no attempt either', async () => {
  const hanging = provider('hanging');
  hanging.hangs = true;
  const task = await start('hanging');
  await until(() => hanging.attempts.length >= 4);
  hanging.hangs = false;
  expect(await task.result()).toEqual({ one: 'answered' });
  expect(hanging.attempts.slice(0, 4).map(({ attempt }) => attempt)).toEqual([1, 2, 2, 2]);
}, 30_000);

test('the wait is a timer that bears the names of step and breaker', async () => {
  await open('waits');
  const task = await start('waits');
  await until(async () => (await timersOf(task)).length > 0);
  expect(await timersOf(task)).toEqual(['"one: breaker waits"']);
  provider('waits').down = false;
  await task.result();
}, 30_000);

test('a call that its provider paces waits as long as that said, spends no attempt, and slows the others of its key', async () => {
  const slowed = provider('slowed');
  slowed.next = () => status(429, { 'retry-after': '2' });
  const task = await start('slowed');
  await until(() => slowed.attempts.length === 1);
  await until(async () => (await ofType(task, 'stepRefused')).length > 0);
  const other = await start('slowed-too');
  await Promise.all([task.result(), other.result()]);
  const [mine] = await ofType(task, 'stepRefused');
  const [others] = await ofType(other, 'stepRefused');
  expect(mine).toMatchObject({ why: 'paced', attemptsUsed: 0 });
  expect(mine?.retryAfter).toBeGreaterThanOrEqual(2000);
  expect(mine?.retryAfter).toBeLessThanOrEqual(2200);
  expect(others).toMatchObject({ why: 'paced', agent: 'slowed-too' });
  const [, ...again] = slowed.attempts;
  expect(again.map(({ attempt }) => attempt)).toEqual([1, 1]);
}, 30_000);

test('what no retry can mend is tried once, and does not count', async () => {
  provider('refused').next = () => status(401);
  await expect((await start('refused')).result()).rejects.toMatchObject({ type: 'StepFailed' });
  expect(provider('refused').attempts).toHaveLength(1);
  expect(await cadre.client.breaker('refused')).toMatchObject({ kind: 'closed', opened: 0 });
}, 30_000);

test('a local agent is guarded too', async () => {
  provider('local').down = true;
  const task = await start('local');
  await until(async () => (await ofType(task, 'stepRefused')).length > 0);
  provider('local').down = false;
  expect(await task.result()).toEqual({ one: 'answered' });
}, 30_000);

test('with `fail` the step fails as BreakerOpen, and nothing of it is undone', async () => {
  await open('strict');
  const task = await start('strict');
  await expect(task.result()).rejects.toMatchObject({
    type: 'StepFailed',
    details: { failed: { failure: { type: 'BreakerOpen' } } },
  });
  expect(provider('strict').attempts).toEqual([]);
}, 30_000);

test('with `fail` the leader gives the step to an agent whose breaker is closed', async () => {
  await open('writer');
  const task = await cadre.client.start({
    goal: 'write',
    plan: { steps: [{ id: 'one', agent: 'writer', instruction: 'write' }] },
  });
  expect(await task.result()).toEqual({ one: 'from the deputy' });
}, 30_000);

test('fallbacks chain, each behind a breaker of its own', async () => {
  await open('first');
  const task = await start('first');
  provider('second').down = false;
  expect(await task.result()).toEqual({ one: 'answered' });
  expect(await ofType(task, 'stepFellBack')).toMatchObject([
    { from: 'first', agent: 'second', breaker: 'first' },
  ]);
  await open('second');
  await open('first');
  const other = await start('first');
  expect(await other.result()).toEqual({ one: 'from memory' });
  expect(await ofType(other, 'stepFellBack')).toMatchObject([{ agent: 'second' }, { agent: 'third' }]);
}, 30_000);

test('a step that waits and never began is not undone where the saga is cancelled', async () => {
  await open('payer');
  const task = await start('payer');
  await until(async () => (await ofType(task, 'stepRefused')).length > 0);
  await task.cancel();
  await expect(task.result()).rejects.toMatchObject({ type: 'Cancelled' });
  expect(undone).toEqual([]);
  expect(provider('payer').attempts).toEqual([]);
}, 30_000);

test('a step that waits after an attempt is undone as unknown where the saga is cancelled', async () => {
  provider('payer').down = true;
  await cadre.client.operateBreaker('payer', 'reset');
  undone.length = 0;
  const task = await start('payer');
  await until(async () => (await ofType(task, 'stepRefused')).some(({ began }) => began));
  await task.cancel();
  await expect(task.result()).rejects.toMatchObject({ type: 'Cancelled' });
  expect(undone).toEqual(['one']);
  expect(await ofType(task, 'compensationScheduled')).toMatchObject([{ outcome: 'unknown' }]);
}, 30_000);

test('a ballot waits too, and the vote goes on without it', async () => {
  await open('voter');
  const task = await cadre.client.start({
    goal: 'vote',
    plan: {
      steps: [
        {
          id: 'one',
          instruction: 'yes or no?',
          vote: { agents: ['yes', 'yes', 'voter'], quorum: 'majority', choices: ['yes', 'no'] },
        },
      ],
    },
  });
  expect(await task.result()).toMatchObject({ one: { choice: 'yes' } });
  expect(await ofType(task, 'ballotRefused')).toMatchObject([{ agent: 'voter', voter: 3, breaker: 'voter' }]);
}, 30_000);

test('tripped by hand it refuses a worker whose calls go well, within seconds', async () => {
  provider('slowed').down = false;
  expect(await (await start('slowed')).result()).toEqual({ one: 'answered' });
  const tripped = await cadre.client.operateBreaker('slowed', 'isolate', 'maintenance');
  expect(tripped).toMatchObject({ kind: 'isolated', why: 'by hand: maintenance' });
  let task = await start('slowed');
  await until(async () => {
    if ((await ofType(task, 'stepRefused')).length > 0) return true;
    if ((await ofType(task, 'taskCompleted')).length > 0) task = await start('slowed');
    return false;
  }, 15_000);
  expect((await ofType(task, 'stepRefused'))[0]).toMatchObject({ why: 'isolated' });
  expect(await cadre.client.breakers()).toEqual(
    expect.arrayContaining([expect.objectContaining({ key: 'slowed', kind: 'isolated' })]),
  );
  await expect(cadre.client.operateBreaker('slowed', 'trip')).rejects.toMatchObject({ type: 'InputInvalid' });
  expect(await cadre.client.operateBreaker('slowed', 'release')).toMatchObject({ kind: 'closed' });
  expect(await task.result()).toEqual({ one: 'answered' });
}, 60_000);

test('steps that wait do not keep others from starting, however many they are', async () => {
  await open('crowd');
  const waiting = Array.from({ length: 130 }, (_, index) => ({ id: `w${index}`, agent: 'crowd', needs: [] }));
  const others = Array.from({ length: 20 }, (_, index) => ({ id: `o${index}`, agent: 'third', needs: [] }));
  const task = await cadre.client.startSaga({ name: 'a crowd', steps: [...waiting, ...others] });
  const done = async () => (await ofType(task, 'stepCompleted')).map(({ step }) => step);
  await until(async () => (await done()).length === others.length);
  expect((await done()).every((step) => step.startsWith('o'))).toBe(true);
  provider('crowd').down = false;
  expect(Object.keys(await task.result())).toHaveLength(150);
  expect(new Set(provider('crowd').attempts.map(({ attempt }) => attempt))).toEqual(new Set([1]));
}, 60_000);

test('once it is reset by hand, a new task goes within seconds, however long it was to be open', async () => {
  await open('patient');
  provider('patient').down = false;
  expect(await cadre.client.operateBreaker('patient', 'reset')).toMatchObject({ kind: 'closed' });
  let task = await start('patient');
  await until(async () => {
    if ((await ofType(task, 'taskCompleted')).length > 0) return true;
    if ((await ofType(task, 'stepRefused')).length > 0) task = await start('patient');
    return false;
  }, 15_000);
  expect(await task.result()).toEqual({ one: 'answered' });
}, 30_000);
