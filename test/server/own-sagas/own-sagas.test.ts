// Workflows of a user's own with the class Saga, in odd hands, on a real server.
import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { TestCadre } from '../../../src/testing';
import { until } from '../../support/cli';
import type { DevServer } from '../../support/dev-server';
import { clear, close, endOf, gates, open, start, stateOf, times, toldOf, world } from './stage';

let server: DevServer;
let environment: TestWorkflowEnvironment;
let cadre: TestCadre;

beforeAll(async () => {
  ({ server, environment, cadre } = await open());
}, 60_000);

afterAll(close, 30_000);

beforeEach(clear);

describe('a step that fails', () => {
  test('has another that nobody awaits yet cut off, and both are undone', async () => {
    expect(await endOf(await start('begunBoth'))).toMatchObject({
      status: 'FAILED',
      type: 'StepFailed',
      message: expect.stringContaining('flight') as string,
    });
    expect(times('undo hotel unknown')).toBe(times('do hotel'));
  });

  test('and that nobody awaited when the code ended fails the workflow', async () => {
    expect(await endOf(await start('floating'))).toMatchObject({ status: 'FAILED', type: 'StepFailed' });
    expect(world).toEqual(['do a', 'undo a completed']);
  });

  test('and may have happened is undone where the code goes on with another', async () => {
    const handle = await start('secondTry');
    expect(await endOf(handle)).toEqual({ status: 'COMPLETED', result: 'did second' });
    expect(world).toEqual(['do first', 'do second', 'undo first unknown']);
    expect((await stateOf(handle)).phase.kind).toBe('completed');
  });

  test('or was cancelled, with the code going on, is undone too', async () => {
    const handle = await start('catching');
    await until(() => world.includes('do long'));
    await handle.cancel();
    expect(await endOf(handle)).toEqual({ status: 'COMPLETED', result: 'done' });
    expect(world).toEqual(['do a', 'do long', 'undo long unknown']);
  });

  test('before it begins is not undone, whatever its name', async () => {
    expect(await endOf(await start('namedConstructor'))).toMatchObject({ status: 'FAILED' });
    expect(world).toEqual(['do first', 'undo first unknown']);
  });
});

describe('a workflow that ends amid a step', () => {
  test('by a cancel ends as cancelled', async () => {
    const handle = await start('inStep', {});
    await until(() => world.includes('do long'));
    await handle.cancel();
    expect(await endOf(handle)).toEqual({ status: 'CANCELLED', cancelled: true });
    expect(world).toEqual(['do a', 'do long', 'undo long unknown', 'undo a completed']);
  });

  test('by its time limit says so', async () => {
    expect(await endOf(await start('inStep', { timeLimit: 1000 }))).toMatchObject({
      type: 'TimeLimitReached',
    });
  });

  test('by its own failure is not told as cancelled', async () => {
    const handle = await start('failsBeside');
    await until(() => gates.has('running') && world.includes('do a'));
    await until(async () => (await stateOf(handle)).steps['a']?.kind === 'completed');
    expect(await stateOf(handle)).toEqual(await toldOf(handle));
    gates.get('running')?.();
    expect(await endOf(handle)).toMatchObject({ type: 'OwnFailure' });
    expect(world.slice(-2).sort()).toEqual(['undo a completed', expect.stringMatching(/^undo running/)]);
  });

  test('by an error that its options take for a failure is undone', async () => {
    expect(await endOf(await start('plainError'))).toMatchObject({ status: 'FAILED', type: 'RangeError' });
    expect(world).toEqual(['do a', 'undo a completed']);
  });

  test('by a signal that its handler fails at is undone', async () => {
    const handle = await start('failedBySignal');
    await until(() => world.includes('do a'));
    await handle.signal('more');
    expect(await endOf(handle)).toMatchObject({ status: 'FAILED', message: 'the handler fails' });
    expect(world).toEqual(['do a', 'undo a completed']);
  });
});

describe('a step of a handler', () => {
  test('that runs when the code fails is waited for, and no other begins', async () => {
    const handle = await start('bySignal', { fails: true });
    await handle.signal('more');
    await until(() => gates.has('x'));
    await handle.signal('stop');
    await until(async () =>
      ((await handle.fetchHistory()).events ?? []).some(
        (event) => event.activityTaskCancelRequestedEventAttributes,
      ),
    );
    expect(times('undo')).toBe(0);
    gates.get('x')?.();
    expect(await endOf(handle)).toMatchObject({ type: 'OwnFailure' });
    // They begin side by side.
    expect(world.slice(0, 2).sort()).toEqual(['do a', 'do x']);
    expect(world[2]).toBe('did x');
    expect(world.slice(3).sort()).toEqual(['undo a completed', expect.stringMatching(/^undo x/)]);
  });

  test('that runs when the code ends well is waited for, and the next as well', async () => {
    const handle = await start('bySignal', { fails: false });
    await handle.signal('more');
    await until(() => gates.has('x'));
    await handle.signal('stop');
    gates.get('x')?.();
    await until(() => gates.has('y'));
    gates.get('y')?.();
    expect(await endOf(handle)).toEqual({ status: 'COMPLETED', result: 'done' });
    expect(world.at(-1)).toBe('did y');
  });
});

describe('scopes', () => {
  test('what one scope cancels is no matter of later steps', async () => {
    expect(await endOf(await start('cancelledScope'))).toEqual({ status: 'COMPLETED', result: 'did b' });
  });

  test('a saga that was made in a scope is not cancelled with it', async () => {
    const handle = await start('madeInScope');
    await until(() => world.includes('do a'));
    expect((await toldOf(handle)).phase.kind).toBe('running');
    await handle.terminate();
  });
});

describe('a step that cannot be', () => {
  test.each([
    ['beside a pivot', 'besidePivot', { pivotFirst: true }],
    ['a pivot beside another', 'besidePivot', { pivotFirst: false }],
    ['with an id like those of activities', 'impossible', { id: '1', bigint: false }],
    ['whose input is not JSON', 'impossible', { id: 'b', bigint: true }],
    ['with too large inputs', 'largeInputs', 20],
  ])('%s is refused, and the rest is undone', async (_what, type, input) => {
    const end = await endOf(await start(type, input));
    expect(end).toMatchObject({ status: 'FAILED', type: expect.stringMatching(/^(Input|Plan)Invalid$/) });
    expect(times('undo')).toBe(times('do '));
    expect(world).not.toContain('do charge');
  });
});

test('a mistake in what makes the input of an undoing is for the code to mend', async () => {
  const handle = await start('inputOfThrows');
  expect(await endOf(handle)).toEqual({ stuck: expect.stringMatching(/^attempt/) as string });
  const failed = ((await handle.fetchHistory()).events ?? []).flatMap(
    ({ workflowTaskFailedEventAttributes: attributes }) => attributes?.failure?.message ?? [],
  );
  expect(failed[0]).toBe('The input of what undoes the step "a" cannot be made: a mistake in the code');
  expect((await stateOf(handle)).compensations).toBeUndefined();
});

describe('large outputs', () => {
  test.each([
    ['are undone, five at once', {}, 'undo'],
    ['are undone by another agent', { undoneBy: 'undoer' }, 'undoer of'],
    ['are undone by the next run', { goOn: true }, 'undo'],
  ])(
    '%s',
    async (_what, more, undone) => {
      const handle = await start('largeOutputs', { ids: ['a', 'b', 'c', 'd', 'e'], ...more });
      expect(await endOf(handle)).toMatchObject({ message: 'after all steps' });
      expect(times(undone)).toBe(5);
    },
    40_000,
  );

  test.each([false, true])('reach the code and what undoes them; in a later run: %s', async (goOn) => {
    expect(await endOf(await start('toldOutputs', { goOn }))).toMatchObject({
      message: 'it was 1000000 long',
    });
    expect(world).toEqual(['do a', 'undoer of a by {"length":1000000}']);
  });
});

describe('a saga that continues as new', () => {
  test('does not while a step runs', async () => {
    const handle = await start('continuing', {});
    await until(() => gates.has('running'));
    await until(async () => (await stateOf(handle)).steps['a']?.kind === 'completed');
    gates.get('running')?.();
    expect(await endOf(handle)).toMatchObject({
      message: 'Steps run (running): await them before continueAsNew',
    });
    expect(times('undo')).toBe(2);
  });

  test('does not with a snapshot of what was', async () => {
    expect(await endOf(await start('staleSnapshot', {}))).toMatchObject({ type: 'InputInvalid' });
    expect(world).toEqual(['do a', 'undo a completed']);
  });

  test('does nothing twice after its pivot', async () => {
    expect(await endOf(await start('overThePivot', {}))).toMatchObject({ status: 'COMPLETED' });
    expect(world).toEqual(['do a', 'do charge', 'do ship']);
  });

  test('takes its inputs with it', async () => {
    expect(await endOf(await start('manyInputs', { goOn: true }))).toMatchObject({
      message: 'in the second run',
    });
    expect(times('undo')).toBe(10);
  });
});

describe('a run that Temporal begins anew', () => {
  test('by its retry does its work again', async () => {
    const handle = await start('failing', null, { retry: { maximumAttempts: 2, initialInterval: 100 } });
    await expect(handle.result()).rejects.toBeInstanceOf(WorkflowFailedError);
    expect(world).toEqual(['do a', 'undo a completed', 'do a', 'undo a completed']);
  });

  test('by a cron has its effects again', async () => {
    const steps = [{ id: 'a', agent: 'counting' }];
    const handle = await start('saga', { name: 'each second', steps }, { cronSchedule: '@every 1s' });
    await until(() => world.length >= 3);
    await environment.client.workflow.getHandle(handle.workflowId).terminate();
    expect(new Set(world)).toEqual(new Set(['effect a']));
  });

  test('by a reset has what was done, and no sweep undoes that', async () => {
    const steps = [
      { id: 'quick', agent: 'worker' },
      { id: 'long', agent: 'slow' },
    ];
    const handle = await start('saga', { name: 'reset', steps });
    await until(() => world.includes('do long'));
    const { events = [] } = await handle.fetchHistory();
    const done = events?.filter(({ workflowTaskCompletedEventAttributes: one }) => one).at(-1)?.eventId;
    const { workflowId } = handle;
    await environment.client.workflowService.resetWorkflowExecution({
      namespace: server.namespace,
      workflowExecution: { workflowId },
      workflowTaskFinishEventId: done ?? null,
      reason: 'test',
      requestId: randomUUID(),
    });
    const ended = `WorkflowId = "${workflowId}" AND ExecutionStatus = "Terminated"`;
    await until(async () => (await environment.client.workflow.count(ended)).count > 0);
    const { executions } = await cadre.client.sweepSagas();
    expect(executions.find(({ id }) => id === workflowId)).toMatchObject({ kind: 'nothingToResume' });
    const latest = environment.client.workflow.getHandle(workflowId);
    await until(() => times('do long') === 2);
    await latest.cancel();
    await expect(latest.result()).rejects.toBeInstanceOf(WorkflowFailedError);
    // The sweep undoes what other tests left, too.
    const its = world.filter((one) => /^undo (quick|long) /.test(one));
    expect(its).toEqual(['undo long unknown', 'undo quick completed']);
  }, 40_000);
});

describe('what was terminated', () => {
  test.each([
    ['after its pivot', 'slowAfterPivot', null],
    ['after its pivot, of which a step was cancelled before', 'givenUp', { kind: 'cancelled' }],
    ['after its pivot, of which a step failed before', 'givenUp', { kind: 'failed' }],
  ])(
    '%s is finished',
    async (_what, type, input) => {
      const handle = await start(type, input);
      await until(() => world.includes('do ship'));
      await handle.terminate();
      const resumed = await cadre.client.resumeSaga(handle.workflowId);
      await until(() => times('do ship') === 2);
      expect((await resumed.describe()).state.steps).toMatchObject({
        charge: { kind: 'completed' },
        ship: { kind: 'scheduled' },
      });
      await environment.client.workflow.getHandle(resumed.id).terminate();
    },
    30_000,
  );

  test('before its pivot is undone, however large its inputs', async () => {
    const handle = await start('manyInputs', { goOn: false });
    await until(() => world.includes('do long'));
    await handle.terminate();
    const resumed = await cadre.client.resumeSaga(handle.workflowId);
    await expect(resumed.result()).rejects.toMatchObject({ type: 'TerminatedBefore' });
    expect(times('undo')).toBe(11);
  }, 30_000);

  test.each(['cancelled', 'failed'] as const)(
    'goes on without a step that was %s, and ends',
    async (kind) => {
      const steps = [
        { id: 'x', agent: 'worker', instruction: '' },
        { id: 'charge', agent: 'worker', instruction: '', kind: 'pivot', needs: ['x'] },
      ];
      const snapshot = {
        version: 1,
        root: 'by-hand/run',
        goal: '',
        phase: { kind: 'running' },
        term: 0,
        plan: { steps },
        policies: {},
        steps: {
          x: kind === 'failed' ? { kind, failure: { type: 'Broken', message: 'it is broken' } } : { kind },
          charge: { kind: 'completed', output: { value: null } },
        },
      };
      const origin = { kind: 'terminated', workflowId: 'by-hand', runId: 'run', at: 0 };
      const handle = await start('saga', { snapshot, origin, overrides: {} });
      await endOf(handle);
      const { runId, raw } = await handle.describe();
      expect(raw.workflowExecutionInfo?.firstRunId).toBe(runId);
    },
  );
});

test('an agent may be named after what every object has', async () => {
  const steps = [
    { id: 'a', agent: 'constructor' },
    { id: 'b', agent: 'broken' },
  ];
  expect(await endOf(await start('saga', { name: 'named', steps }))).toMatchObject({
    message: 'Step "b" (broken) failed: it is broken',
  });
  expect(world).toEqual(['do a', 'undo a completed']);
});

test('times may be parts of a millisecond', async () => {
  const policy = { startToClose: 1000.123456789, retry: { initialInterval: 1.5 } };
  const approval = { answerWithin: 1000.123456789, validFor: 1000.5 };
  const steps = [
    { id: 'a', agent: 'worker', policy },
    { id: 'b', agent: 'worker', approval },
  ];
  const handle = await start('saga', { name: 'parts', steps, timeLimit: 30_000.123456 });
  expect(await endOf(handle)).toMatchObject({
    message: expect.stringContaining('Nobody answered in time') as string,
  });
  expect(world).toEqual(['do a', 'undo a completed']);
});

test('a step whose lock was held may be asked for again', async () => {
  const holder = await start('saga', { name: 'holds', lock: 'key', steps: [{ id: 'x', agent: 'gated' }] });
  await until(() => gates.has('x'));
  const handle = await start('locksAgain', { lock: 'key' });
  await until(async () => (await stateOf(handle)).phase.kind === 'planning');
  gates.get('x')?.();
  await holder.result();
  expect(await endOf(handle)).toEqual({ status: 'COMPLETED', result: 'did a' });
});
