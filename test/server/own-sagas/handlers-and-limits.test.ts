// What runs beside a workflow's own code with a saga, and what is more than it may be, on a real server.
import { randomUUID } from 'node:crypto';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { CadreClient } from '../../../src/client/cadre-client';
import type { TestCadre } from '../../../src/testing';
import { until } from '../../support/cli';
import type { DevServer } from '../../support/dev-server';
import { clear, close, endOf, gates, open, person, start, stateOf, times, toldOf, world } from './stage';

let server: DevServer;
let environment: TestWorkflowEnvironment;
let cadre: TestCadre;

beforeAll(async () => {
  ({ server, environment, cadre } = await open());
}, 60_000);

afterAll(close, 30_000);

beforeEach(clear);

describe('a step that fails with nobody awaiting it yet', () => {
  test.each([
    ['while another runs', 'failsUnheard', 'c'],
    ['while one that was begun with it is awaited first', 'awaitedLater', 'hotel'],
  ])('%s fails the workflow', async (_what, type, gate) => {
    const handle = await start(type);
    await until(() => gates.has(gate));
    await until(
      async () => (await stateOf(handle)).steps[type === 'failsUnheard' ? 'b' : 'flight']?.kind === 'failed',
    );
    gates.get(gate)?.();
    expect(await endOf(handle)).toMatchObject({ status: 'FAILED', type: 'StepFailed' });
  });

  test('with others side by side fails the workflow', async () => {
    expect(await endOf(await start('floatingParallel'))).toMatchObject({
      status: 'FAILED',
      type: 'StepFailed',
    });
  });
});

describe('a workflow that takes errors for failures', () => {
  test('continues as new', async () => {
    expect(await endOf(await start('takesAnyError', {}))).toEqual({
      status: 'COMPLETED',
      result: 'in the second run',
    });
    expect(world).toEqual(['do a']);
  });

  test('is undone where the handler of an update throws one', async () => {
    const handle = await start('failedByUpdate');
    await until(async () => (await stateOf(handle)).steps['a']?.kind === 'completed');
    await handle.executeUpdate('change').catch(() => undefined);
    expect(await endOf(handle)).toMatchObject({ status: 'FAILED', type: 'RangeError' });
    expect(world).toEqual(['do a', 'undo a completed']);
  });
});

describe('what the code has seen to', () => {
  test('a step that it cut off as another was done does not fail it', async () => {
    expect(await endOf(await start('hedged'))).toEqual({ status: 'COMPLETED', result: 'did quick' });
    expect(world).not.toContain('undo quick completed');
  });

  test('a failure that a handler catches after the end does not fail it', async () => {
    const handle = await start('caughtInHandler');
    await handle.signal('more');
    await until(() => gates.has('optional'));
    await until(async () => (await stateOf(handle)).steps['a']?.kind === 'completed');
    gates.get('optional')?.();
    expect(await endOf(handle)).toEqual({ status: 'COMPLETED', result: 'done' });
  });
});

test.each([false, true])(
  'a handler goes on to its end, as the main code has ended; with a pause: %s',
  async (pause) => {
    const handle = await start('goesOnInHandler', { pause });
    await handle.signal('more');
    await until(() => gates.has('x'));
    await until(async () => (await stateOf(handle)).steps['a']?.kind === 'completed');
    gates.get('x')?.();
    expect(await endOf(handle)).toMatchObject({ status: 'COMPLETED' });
    expect(world).toContain('do y');
  },
);

describe('a time limit', () => {
  test('ends a step of a handler, too', async () => {
    const handle = await start('overInHandler');
    await until(async () => (await stateOf(handle)).steps['a']?.kind === 'completed');
    await handle.signal('more');
    expect(await endOf(handle)).toMatchObject({ type: 'TimeLimitReached' });
  }, 30_000);

  test.each([
    ['waits', 'withTimeLimit', { startDelay: 3000 }],
    ['is declared and waits', 'saga', { startDelay: 3000 }],
    ['is of a cron', 'saga', { cronSchedule: '@every 3s' }],
  ])('counts from when what %s may begin', async (_what, type, options) => {
    const input = { name: 'later', timeLimit: 2000, steps: [{ id: 'a', agent: 'napping' }] };
    const handle = await start(type, input, options);
    const { workflowId } = handle;
    try {
      await until(() => world.length === 2);
      expect(world).toEqual(['do a', 'did a']);
    } finally {
      await environment.client.workflow
        .getHandle(workflowId)
        .terminate()
        .catch(() => undefined);
    }
  });

  test('and a cancel end what only a handler does', async () => {
    const handle = await start('cancelledInHandler');
    await handle.signal('more');
    await until(() => world.includes('do x'));
    await handle.cancel();
    expect(await endOf(handle)).toMatchObject({ status: 'CANCELLED' });
  });
});

test('large inputs that undo are sent', async () => {
  expect(await endOf(await start('largeUndoing'))).toMatchObject({ message: 'after all steps' });
}, 40_000);

describe('failures with long messages', () => {
  test('go with it into the next run', async () => {
    expect(await endOf(await start('wordyFailures', { goOn: true }))).toMatchObject({
      message: 'in the second run',
    });
    expect(times('undo a')).toBe(1);
  }, 60_000);

  test('do not keep a saga from being resumed', async () => {
    const handle = await start('wordyFailures', { goOn: false });
    await until(() => world.includes('do long'), 30_000);
    await handle.terminate();
    const resumed = await cadre.client.resumeSaga(handle.workflowId);
    await expect(resumed.result()).rejects.toMatchObject({ type: 'TerminatedBefore' });
    expect(times('undo a')).toBe(1);
  }, 60_000);
});

test('a cancel in a scope of the code is told alike by the state and the log', async () => {
  const handle = await start('impatient');
  const end = await endOf(handle);
  expect([end, (await stateOf(handle)).phase.kind]).toEqual([end, (await toldOf(handle)).phase.kind]);
});

test('what never began takes no room', async () => {
  expect(await endOf(await start('cancelledAtOnce'))).toEqual({ status: 'COMPLETED', result: 'did b' });
});

describe('what was given up and waits for a person', () => {
  test('is skipped, as the saga ends well', async () => {
    const handle = await start('stubborn', {});
    await until(async () => (await stateOf(handle)).phase.kind === 'needsAttention');
    await handle.cancel();
    await cadre.client.task(handle.workflowId).resolve('odd', 'skip', 'it is fine');
    expect(await endOf(handle)).toEqual({ status: 'COMPLETED', result: 'done' });
    expect(world).toEqual(['do a', 'do odd']);
    expect(await stateOf(handle)).toEqual(await toldOf(handle));
  });

  test('is undone with the rest after a terminate, and the lock is free then', async () => {
    const lock = `key-${randomUUID()}`;
    const handle = await start('stubborn', { lock });
    await until(async () => (await stateOf(handle)).phase.kind === 'needsAttention');
    await handle.terminate();
    person.mended = true;
    const resumed = await cadre.client.resumeSaga(handle.workflowId);
    await expect(resumed.result()).rejects.toMatchObject({ type: 'TerminatedBefore' });
    expect(world).toEqual(['do a', 'do odd', 'undo odd', 'undo a completed']);
    await until(async () => (await cadre.client.lockHolder(lock)) === undefined);
  });
});

test('a saga that is being undone does not continue as new', async () => {
  const handle = await start('leavesAmidUndoing', {});
  await until(() => gates.has('a'));
  await handle.signal('stop');
  await until(async () =>
    ((await handle.fetchHistory()).events ?? []).some(
      ({ workflowExecutionSignaledEventAttributes: one }) => one,
    ),
  );
  gates.get('a')?.();
  expect(await endOf(handle)).toMatchObject({ status: 'FAILED' });
});

test('a step that would be undone is refused after the pivot', async () => {
  await endOf(await start('undoableAfterPivot'));
  expect(world).toEqual(['do charge']);
});

test("an attempt of Temporal's own retry that is cut off twice is resumed twice, with its lock", async () => {
  const lock = `key-${randomUUID()}`;
  const handle = await start(
    'secondAttempt',
    { lock },
    { retry: { maximumAttempts: 3, initialInterval: 100 } },
  );
  await until(() => world.includes('do long'));
  await environment.client.workflow.getHandle(handle.workflowId).terminate();
  const first = await cadre.client.resumeSaga(handle.workflowId);
  await environment.client.workflow.getHandle(first.id).terminate();
  const second = await cadre.client.resumeSaga(handle.workflowId);
  expect(second.id).toBe(`${handle.workflowId}.resume.resume`);
  expect(await cadre.client.lockHolder(lock)).toBeDefined();
  await expect(second.result()).rejects.toMatchObject({ type: 'TerminatedBefore' });
  expect(world).toEqual([
    'do a',
    'undo a completed',
    'do a',
    'do long',
    'undo long unknown',
    'undo a completed',
  ]);
  await until(async () => (await cadre.client.lockHolder(lock)) === undefined);
}, 30_000);

test.each([3, 6])(
  '%s large outputs do not keep a saga from being resumed',
  async (count) => {
    const handle = await start('manyLarge', count);
    await until(() => world.includes('do long'));
    await handle.terminate();
    const client = await CadreClient.connect({ cadre: cadre.client.cadre, address: server.address });
    try {
      const resumed = await client.resumeSaga(handle.workflowId);
      await until(() => times('undo') === count + 1);
      expect(resumed.id).toBe(`${handle.workflowId}.resume`);
    } finally {
      await client.close();
    }
  },
  30_000,
);
