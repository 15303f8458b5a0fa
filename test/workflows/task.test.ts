// Runs on the time-skipping server: waits between attempts cost no time here.
import { ApplicationFailure } from '@temporalio/common';
import type { Plan } from '../../src/core/plan';
import { TaskFailedError } from '../../src/client/task-handle';
import { TestCadre } from '../../src/testing';
import { agent, step } from '../support/agents';

const calls: { name: string; input: unknown; attempt: number; key: string }[] = [];
let cadre: TestCadre;

beforeAll(async () => {
  cadre = await TestCadre.create({
    agents: [
      agent('echo', (input, { attempt, idempotencyKey }) => {
        calls.push({ name: 'echo', input, attempt, key: idempotencyKey });
        return input;
      }),
      agent('join', (input) => input),
      agent(
        'flaky',
        (_input, { attempt, checkpoint, lastCheckpoint, idempotencyKey, decide }) => {
          calls.push({ name: 'flaky', input: lastCheckpoint, attempt, key: idempotencyKey });
          decide({ type: 'tried', rationale: `attempt ${attempt}` });
          checkpoint({ attempt });
          if (attempt < 3) throw new Error('not yet');
          return 'at last';
        },
        { policy: { retry: { maximumAttempts: 3, initialInterval: '1 hour' } } },
      ),
      agent('broken', () => {
        throw ApplicationFailure.nonRetryable('no such city', 'CityUnknown');
      }),
      agent('big', () => 'x'.repeat(100_000)),
      agent('local', (input) => input, { policy: { local: true } }),
      agent('slow', async (_input, { signal }) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        throw signal.reason;
      }),
      agent('planner', (input) => {
        const { goal } = input as { goal: string };
        return goal === 'bad'
          ? { steps: [step('a', 'nobody')] }
          : { steps: [step('a', 'echo', { input: goal })] };
      }),
    ],
  });
}, 60_000);

afterAll(() => cadre.close());
beforeEach(() => void calls.splice(0));

const run = (plan: Plan) => cadre.run({ goal: 'a goal', plan });
const failure = async (plan: Plan): Promise<TaskFailedError> => {
  const error: unknown = await run(plan).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TaskFailedError);
  return error as TaskFailedError;
};

test('the planner plans, and the final step gives the result', async () => {
  const { outputs } = await cadre.run({ goal: 'say hello' });
  expect(outputs).toEqual({ a: 'say hello' });
});

test('a step gets the outputs it refers to, and starts after the steps it needs', async () => {
  const { outputs } = await run({
    steps: [
      step('sum', 'join', { input: { parts: [{ $output: 'a' }, { $output: 'b' }] } }),
      step('a', 'echo', { input: 1 }),
      step('b', 'echo', { input: 2, needs: ['a'] }),
    ],
  });
  expect(outputs).toEqual({ sum: { parts: [1, 2] } });
  expect(calls.map(({ input }) => input)).toEqual([1, 2]);
});

test('a step without an input gets goal, instruction and needed outputs', async () => {
  const { outputs } = await run({
    steps: [step('a', 'echo', { input: 1 }), step('b', 'echo', { needs: ['a'] })],
  });
  expect(outputs).toEqual({ b: { goal: 'a goal', instruction: 'do b', needs: { a: 1 } } });
});

test('a failing attempt is retried with its checkpoint and the same idempotency key, and decides once', async () => {
  const { task, outputs } = await run({ steps: [step('a', 'flaky')] });
  expect(outputs).toEqual({ a: 'at last' });
  expect(calls.map(({ attempt, input }) => [attempt, input])).toEqual([
    [1, undefined],
    [2, { attempt: 1 }],
    [3, { attempt: 2 }],
  ]);
  expect(new Set(calls.map(({ key }) => key)).size).toBe(1);
  const { state } = await task.describe();
  expect(state.steps['a']).toEqual({
    kind: 'completed',
    output: { value: 'at last' },
    decisions: { value: [{ type: 'tried', rationale: 'attempt 3' }] },
  });
});

test('a step that fails for good fails the task, which says what finished and keeps the outputs', async () => {
  const error = await failure({
    steps: [
      step('a', 'echo', { input: 1 }),
      step('b', 'broken', { needs: ['a'] }),
      step('c', 'echo', { needs: ['b'] }),
    ],
  });
  expect(error.type).toBe('StepFailed');
  expect(error.message).toBe('Step "b" (broken) failed: no such city');
  expect(error.details).toEqual({
    failed: {
      step: 'b',
      agent: 'broken',
      failure: { type: 'CityUnknown', message: 'no such city', final: true },
    },
    finished: ['a'],
    cancelled: [],
    notStarted: ['c'],
  });
});

test('a failure stops the steps that run beside it', async () => {
  const error = await failure({ steps: [step('a', 'slow'), step('b', 'broken')] });
  expect(error.details).toMatchObject({ failed: { step: 'b' }, cancelled: ['a'] });
});

test.each([
  ['an unknown agent', 'AgentUnknown', /"a" names the agent "nobody"/, [step('a', 'nobody')]],
  [
    'an unknown need',
    'PlanInvalid',
    /"a" needs "b", which is not a step/,
    [step('a', 'echo', { needs: ['b'] })],
  ],
  [
    'a circle',
    'PlanInvalid',
    /in a circle/,
    [step('a', 'echo', { needs: ['b'] }), step('b', 'echo', { needs: ['a'] })],
  ],
  ['two steps of one id', 'PlanInvalid', /Two steps have the id "a"/, [step('a', 'echo'), step('a', 'echo')]],
] as const)('a plan with %s is refused before anything starts', async (_what, type, message, steps) => {
  const error: unknown = await run({ steps: [...steps] }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ type, message: expect.stringMatching(message) as string });
  expect(calls).toEqual([]);
});

test("a planner's invalid plan fails the task with the reason", async () => {
  await expect(cadre.run({ goal: 'bad' })).rejects.toMatchObject({ type: 'AgentUnknown' });
});

test('an output over 32 KiB stands in history as a reference', async () => {
  const { task, outputs } = await run({ steps: [step('a', 'big')] });
  expect((outputs['a'] as string).length).toBe(100_000);
  const { state, history } = await task.describe();
  expect(state.steps['a']).toMatchObject({
    output: { artifact: expect.stringMatching(/^sha256:/) as string, bytes: 100_002 },
  });
  expect(history.bytes).toBeLessThan(20_000);
});

test('a local agent runs inside the workflow task and stands in the log', async () => {
  const { task, outputs } = await run({ steps: [step('a', 'local', { input: 7 })] });
  expect(outputs).toEqual({ a: 7 });
  const types: string[] = [];
  for await (const event of task.events()) types.push(event.type);
  expect(types).toEqual([
    'taskStarted',
    'planRequested',
    'planned',
    'stepScheduled',
    'stepCompleted',
    'aggregateRequested',
    'aggregated',
    'taskCompleted',
  ]);
});

test('the log has every event in order, with its cause', async () => {
  const { task } = await run({ steps: [step('a', 'flaky'), step('b', 'echo', { needs: ['a'] })] });
  const events: unknown[] = [];
  for await (const { number, type, cause, actor } of task.events()) events.push([number, type, actor, cause]);
  expect(events).toEqual([
    [1, 'taskStarted', 'caller', undefined],
    [2, 'planRequested', 'task', 1],
    [3, 'planned', 'caller', 2],
    [4, 'stepScheduled', 'task', 3],
    [5, 'stepRetried', 'flaky', 4],
    [6, 'stepStarted', 'flaky', 4],
    [7, 'decisionsRecorded', 'flaky', 4],
    [8, 'stepCompleted', 'flaky', 4],
    [9, 'stepScheduled', 'task', 8],
    [10, 'stepStarted', 'echo', 9],
    [11, 'stepCompleted', 'echo', 9],
    [12, 'aggregateRequested', 'task', 11],
    [13, 'aggregated', 'leader', 12],
    [14, 'remembered', 'task', 13],
    [15, 'taskCompleted', 'task', 13],
  ]);
});

test('a cancelled task aborts its agents and starts no further step', async () => {
  const task = await cadre.client.start({
    goal: 'a goal',
    plan: { steps: [step('a', 'slow'), step('b', 'echo', { needs: ['a'] })] },
  });
  await started(task.id);
  await task.cancel();
  await expect(task.result()).rejects.toMatchObject({ type: 'Cancelled' });
  const { state } = await task.describe();
  expect(state.phase).toEqual({ kind: 'cancelled' });
  expect(state.steps).toEqual({ a: { kind: 'cancelled' }, b: { kind: 'waiting' } });
  expect(calls).toEqual([]);
});

test('the query `state` answers with the fold of the history it names', async () => {
  const { task } = await run({ steps: [step('a', 'echo', { input: 1 })] });
  const report = await cadre.environment.client.workflow
    .getHandle(task.id)
    .query<{ historyLength: number; state: unknown }>('state');
  expect(report.state).toEqual((await task.describe()).state);
});

/** Resolves when a worker has the task's step. */
async function started(id: string): Promise<void> {
  for (;;) {
    const { pending } = await cadre.client.task(id).describe();
    if (pending.some(({ kind, step: pendingStep }) => kind === 'started' && pendingStep === 'a')) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
