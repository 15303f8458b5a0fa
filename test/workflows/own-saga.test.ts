// The class Saga in workflows of a user's own, on the time-skipping server.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { inputHash } from '../../src/core/approval';
import { ANSWER_UPDATE } from '../../src/core/names';
import type { TaskState } from '../../src/core/task-state';
import { TestCadre } from '../../src/testing';
import { until } from '../support/cli';
import type { Script } from './own-sagas';
import * as team from './own-team';
import { throws, world } from './own-team';

let cadre: TestCadre;

beforeAll(async () => {
  const { finder, worker, undoer, broken, slow, large } = team;
  cadre = await TestCadre.create({
    agents: [finder, worker, undoer, broken, slow, large],
    workflowsPath: join(__dirname, 'own-sagas.ts'),
  });
}, 60_000);

afterAll(() => cadre.close());

beforeEach(() => {
  world.splice(0);
  throws.clear();
});

async function start(type: string, ...args: unknown[]): Promise<WorkflowHandle> {
  return cadre.environment.client.workflow.start(type, {
    workflowId: `${type}-${randomUUID()}`,
    taskQueue: cadre.client.cadre,
    args,
  });
}

const script = (steps: Script['steps'], more: Omit<Script, 'steps'> = {}) =>
  start('scripted', { steps, ...more } satisfies Script);
const stateOf = async ({ workflowId }: WorkflowHandle): Promise<TaskState> =>
  (await cadre.client.task(workflowId).describe()).state;
const reaches = (handle: WorkflowHandle, kind: string) =>
  until(async () => (await stateOf(handle)).phase.kind === kind);

async function failureOf(handle: WorkflowHandle): Promise<ApplicationFailure> {
  const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
  if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) return error.cause;
  throw new Error(`Expected an ApplicationFailure, got ${String(error)}`);
}

/** What the workflow itself has as its state is what the log folds to. */
async function expectToldAsLogged(handle: WorkflowHandle): Promise<void> {
  const { state } = await handle.query<{ state: TaskState }>('state');
  expect(state).toEqual(await stateOf(handle));
}

const work = (id: string) => ({ id, agent: 'worker', input: id }) as const;

test('what its input calls "budget" and "parent" is its own affair', async () => {
  const mine = {
    budget: { money: 0, calls: 0, wallTime: '2h' },
    parent: { task: 'above', lines: [], until: 1 },
  };
  const handle = await start('scripted', { steps: [work('a')], ...mine });
  await handle.result();
  await expectToldAsLogged(handle);
  const state = await stateOf(handle);
  expect(state).not.toHaveProperty('budget');
  expect(state).not.toHaveProperty('deadline');
});

test('steps give what their agents put out, typed, also side by side', async () => {
  const handle = await start('typed');
  await expect(handle.result()).resolves.toBe('did 4 4 object');
  expect((await stateOf(handle)).phase.kind).toBe('completed');
  await expectToldAsLogged(handle);
});

test('what was done is undone in reverse where the workflow fails, whatever with', async () => {
  const handle = await script([work('a'), work('b')], { end: 'fail' });
  const failure = await failureOf(handle);
  expect(failure).toMatchObject({ type: 'OwnFailure', message: 'after all steps' });
  expect(failure.details?.[0]).toMatchObject({
    compensations: [
      { step: 'b', kind: 'undone' },
      { step: 'a', kind: 'undone' },
    ],
  });
  expect(world).toEqual(['do a', 'do b', 'undo b completed', 'undo a completed']);
  expect((await stateOf(handle)).phase.kind).toBe('compensated');
  await expectToldAsLogged(handle);
});

test('or is cancelled', async () => {
  const handle = await script([work('a')], { end: 'wait' });
  await until(async () => (await stateOf(handle)).steps['a']?.kind === 'completed');
  await handle.cancel();
  await expect(handle.result()).rejects.toBeInstanceOf(WorkflowFailedError);
  expect(world).toEqual(['do a', 'undo a completed']);
  expect((await handle.describe()).status.name).toBe('CANCELLED');
  await expectToldAsLogged(handle);
});

test('or takes longer than it may', async () => {
  const handle = await script([work('a')], { end: 60_000, options: { timeLimit: 5000 } });
  expect(await failureOf(handle)).toMatchObject({ type: 'TimeLimitReached' });
  expect(world.at(-1)).toBe('undo a completed');
  await expectToldAsLogged(handle);
});

test('steps beside one that fails are cancelled and waited for before anything is undone', async () => {
  const handle = await start('beside');
  expect(await failureOf(handle)).toMatchObject({ type: 'StepFailed' });
  expect(world).toEqual(['do a', 'do b', 'undo b unknown', 'undo a completed']);
  await expectToldAsLogged(handle);
});

test('a builder runs steps in order, and undoes them by what each says', async () => {
  const handle = await start('literal');
  const failure = await failureOf(handle);
  expect(failure.message).toBe('Step "broken" (broken) failed: it is broken');
  expect(world).toEqual([
    'do worker',
    'do worker-2',
    'undoer of worker: {"was":"did {\\"temperature\\":4}","outcome":"completed"}',
  ]);
  await expectToldAsLogged(handle);
});

test('a compensation that fails for good waits for a person', async () => {
  throws.set('a', [ApplicationFailure.nonRetryable('cannot')]);
  const handle = await script([work('a')], { end: 'fail' });
  await reaches(handle, 'needsAttention');
  await cadre.client.task(handle.workflowId).resolve('a', 'retry');
  await failureOf(handle);
  expect(world.at(-1)).toBe('undo a completed');
  await expectToldAsLogged(handle);
});

test('a step that asks for approval says what it would run on', async () => {
  const handle = await script([{ id: 'send', agent: 'worker', input: 'hello', approval: {} }]);
  await reaches(handle, 'awaitingApproval');
  await expectToldAsLogged(handle);
  const state = await stateOf(handle);
  expect(state.plan?.steps).toMatchObject([{ id: 'send', agent: 'worker', input: 'hello' }]);
  const hash = inputHash({ agent: 'worker', goal: '', instruction: '', input: 'hello', outputs: {} });
  await handle.executeUpdate(ANSWER_UPDATE, { args: [{ step: 'send', answer: 'yes', hash, note: '' }] });
  await expect(handle.result()).resolves.toEqual(['did hello']);
  await expectToldAsLogged(handle);
});

test('a pivot leaves only the way forward', async () => {
  const handle = await script([work('a'), { ...work('pay'), kind: 'pivot' }], { end: 'fail' });
  expect(await failureOf(handle)).toMatchObject({ type: 'OwnFailure' });
  expect(world).toEqual(['do a', 'do pay']);
});

test('a saga that continues as new undoes what earlier runs did', async () => {
  const handle = await start('long', { total: 7, each: 3, fail: true });
  expect(await failureOf(handle)).toMatchObject({ type: 'OwnFailure' });
  expect(world.slice(7)).toEqual([6, 5, 4, 3, 2, 1, 0].map((at) => `undo s${at} completed`));
});

test('one that forgets to carry itself over does not continue', async () => {
  const failure = await failureOf(await start('long', { total: 7, each: 3, forget: true }));
  expect(failure.message).toContain('saga.snapshot()');
  expect(world.at(-1)).toBe('undo s0 completed');
});

test.each([
  ['two sagas', () => start('two'), 'InputInvalid', /one saga/],
  ['two steps of one id', () => script([work('a'), work('a')]), 'InputInvalid', /Two steps/],
  ['an id with a space', () => script([{ ...work('a'), id: 'a b' }]), 'PlanInvalid', /id/],
  [
    'an agent that nobody has',
    () => script([{ id: 'a', agent: 'nobody', input: 1 }]),
    'AgentUnknown',
    /nobody/,
  ],
  [
    'options out of their range',
    () => script([], { options: { timeLimit: 1 } }),
    'InputInvalid',
    /timeLimit/,
  ],
  [
    'too large an output',
    () => script([{ id: 'a', agent: 'large', input: null }]),
    'AgentOutputInvalid',
    /1500002 bytes/,
  ],
  [
    'a compensable step that nobody can undo',
    () => script([{ id: 'a', agent: 'finder', input: { city: 'Rome' }, kind: 'compensable' }]),
    'PlanInvalid',
    /finder/,
  ],
] as [string, () => Promise<WorkflowHandle>, string, RegExp][])(
  '%s: refused by a clear failure',
  async (_what, begin, type, message) => {
    const failure = await failureOf(await begin());
    expect(failure.type).toBe(type);
    expect(failure.message).toMatch(message);
  },
);
