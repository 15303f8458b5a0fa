// A task's steps are undone where it fails. Runs on the time-skipping server: waits between attempts cost no time here.
import { ApplicationFailure } from '@temporalio/common';
import type { CompensationPolicy, Undo } from '../../src/activities/define-agent';
import { TaskFailedError, type TaskHandle } from '../../src/client/task-handle';
import type { Plan, Step } from '../../src/core/plan';
import { TestCadre } from '../../src/testing';
import { agent, step } from '../support/agents';
import { until } from '../support/cli';

/** What the agents did outside, in order: `do a`, `undo a completed`. */
const world: string[] = [];
const keys: string[] = [];
/** By step: how many of its compensation's attempts fail. */
const stubborn = new Map<string, number>();
let cadre: TestCadre;

function undoing(
  name: string,
  act: (id: string) => unknown = () => undefined,
  compensation: CompensationPolicy = {},
) {
  return agent(
    name,
    (_input, { step: id, idempotencyKey }) => {
      world.push(`do ${id}`);
      keys.push(idempotencyKey);
      return act(id) ?? `did ${id}`;
    },
    {
      policy: { retry: { maximumAttempts: 2 } },
      compensation,
      compensate({ outcome, output }: Undo<unknown, unknown>, { step: id, idempotencyKey }) {
        const left = stubborn.get(id) ?? 0;
        stubborn.set(id, left - 1);
        if (left > 0) throw new Error('not now');
        keys.push(idempotencyKey);
        world.push(`undo ${id} ${outcome}${output === undefined ? '' : `: ${output as string}`}`);
      },
    },
  );
}

beforeAll(async () => {
  cadre = await TestCadre.create({
    agents: [
      undoing('worker'),
      undoing('late', () => {
        throw new Error('the answer was lost');
      }),
      undoing('brief', undefined, { retry: { maximumAttempts: 1 } }),
      agent('broken', () => {
        throw ApplicationFailure.nonRetryable('no such city', 'CityUnknown');
      }),
      agent('echo', (input) => input),
    ],
  });
}, 60_000);

afterAll(() => cadre.close());

beforeEach(() => {
  world.splice(0);
  keys.splice(0);
  stubborn.clear();
});

async function fail(steps: readonly Step[]) {
  const plan: Plan = { steps };
  const task = await cadre.client.start({ goal: 'a goal', plan });
  const error: unknown = await task.result().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TaskFailedError);
  return { task, error: error as TaskFailedError };
}

test('what was done is undone in the reverse order of the starts, with a key of its own', async () => {
  const { task, error } = await fail([
    step('a', 'worker'),
    step('b', 'worker', { needs: ['a'] }),
    step('c', 'echo', { needs: ['b'], input: 1 }),
    step('d', 'broken', { needs: ['c'] }),
    step('e', 'worker', { needs: ['d'] }),
  ]);
  expect(world).toEqual(['do a', 'do b', 'undo b completed: did b', 'undo a completed: did a']);
  expect(keys.map((key) => key.split('/').slice(2).join('/'))).toEqual([
    'a/act',
    'b/act',
    'b/undo',
    'a/undo',
  ]);
  expect(error).toMatchObject({ type: 'StepFailed', message: 'Step "d" (broken) failed: no such city' });
  expect(error.details).toMatchObject({
    failed: { step: 'd' },
    compensations: [
      { step: 'b', agent: 'worker', outcome: 'completed', kind: 'undone' },
      { step: 'a', agent: 'worker', outcome: 'completed', kind: 'undone' },
    ],
  });
  const { state } = await task.describe();
  expect(state.phase).toMatchObject({ kind: 'compensated', failure: { type: 'StepFailed' } });
});

test('a step that failed may have happened, and is undone as unknown', async () => {
  await fail([step('a', 'worker'), step('b', 'late', { needs: ['a'] })]);
  expect(world).toEqual(['do a', 'do b', 'do b', 'undo b unknown', 'undo a completed: did a']);
});

test('a step whose agent surely never began is not undone', async () => {
  const { task } = await fail([step('a', 'broken')]);
  const { state } = await task.describe();
  expect(state.phase.kind).toBe('failed');
  expect(state.compensations).toBeUndefined();
});

test('a compensation is retried by its own policy', async () => {
  stubborn.set('a', 9);
  await fail([step('a', 'worker'), step('b', 'broken', { needs: ['a'] })]);
  expect(world).toEqual(['do a', 'undo a completed: did a']);
});

/** A task that waits for a person, since undoing `b` has failed for good; `a` is still to be undone. */
async function parked(): Promise<TaskHandle> {
  stubborn.set('b', 1);
  const plan = {
    steps: [step('a', 'brief'), step('b', 'brief', { needs: ['a'] }), step('c', 'broken', { needs: ['b'] })],
  };
  const task = await cadre.client.start({ goal: 'a goal', plan });
  await until(async () => (await task.describe()).state.phase.kind === 'needsAttention');
  return task;
}

test('one that fails for good waits for a person, who has it tried again', async () => {
  const task = await parked();
  expect((await task.describe()).state.phase).toMatchObject({ step: 'b', failure: { message: 'not now' } });
  expect(world).toEqual(['do a', 'do b']);
  await expect(task.resolve('a', 'retry')).rejects.toMatchObject({ type: 'NotParked' });
  await expect(task.resolve('b', 'maybe' as 'skip')).rejects.toMatchObject({ type: 'InputInvalid' });
  await task.resolve('b', 'retry', 'the service is back');
  await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
  expect(world.slice(2)).toEqual(['undo b completed: did b', 'undo a completed: did a']);
  const types: string[] = [];
  for await (const { type } of task.events()) if (/ompensat(?!ionStarted)/.test(type)) types.push(type);
  expect(types).toEqual([
    'compensationScheduled',
    'compensationFailed',
    'compensationResolved',
    'compensationScheduled',
    'compensated',
    'compensationScheduled',
    'compensated',
  ]);
});

test('or who has the rest undone without it, and says why; nothing of it is lost', async () => {
  const task = await parked();
  await task.resolve('b', 'skip', 'undone by hand');
  const error: unknown = await task.result().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    type: 'StepFailed',
    details: {
      compensations: [
        { step: 'b', kind: 'skipped', note: 'undone by hand', failure: { message: 'not now' } },
        { step: 'a', kind: 'undone' },
      ],
    },
  });
  const { state } = await task.describe();
  const told = await cadre.environment.client.workflow.getHandle(task.id).query<{ state: unknown }>('state');
  expect(told.state).toEqual(state);
});
