// A pivot of which nobody knows whether it happened: no cancel may have what came before it undone. On the time-skipping
// server.
import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import type { TaskHandle } from '../../src/client/task-handle';
import { SAGA_WORKFLOW } from '../../src/core/names';
import type { SagaStep } from '../../src/core/saga-input';
import type { TaskEvent } from '../../src/core/task-events';
import { foldTask } from '../../src/core/task-fold';
import type { TaskState } from '../../src/core/task-state';
import { startEvents } from '../../src/core/task-projection';
import { TestCadre } from '../../src/testing';
import { agent } from '../support/agents';
import { until } from '../support/cli';

/** What the agents did outside, in order. */
let world: string[] = [];
/** What the next attempts throw. */
let throws: unknown[] = [];
let cadre: TestCadre;

const MINUTE = 60_000;
const once = { retry: { maximumAttempts: 1 } };
const a: SagaStep = { id: 'a', agent: 'worker' };
const pivot: SagaStep = { id: 'pivot', agent: 'worker', kind: 'pivot' };
const steps = [a, pivot];

beforeAll(async () => {
  cadre = await TestCadre.create({
    agents: [
      agent(
        'worker',
        (_input, { step }) => {
          world.push(`do ${step}`);
          const error = step === 'pivot' ? throws.shift() : undefined;
          if (error !== undefined) throw error;
          return `did ${step}`;
        },
        {
          policy: { ...once, startToClose: 10 * MINUTE },
          compensation: once,
          compensate: (_undo, { step }) => Promise.resolve(void world.push(`undo ${step}`)),
        },
      ),
    ],
  });
}, 60_000);

afterAll(() => cadre.close());

beforeEach(() => {
  world = [];
  throws = [];
});

async function start(input: unknown): Promise<TaskHandle> {
  const workflowId = `saga-${randomUUID()}`;
  const { workflow } = cadre.environment.client;
  await workflow.start(SAGA_WORKFLOW, { workflowId, taskQueue: cadre.client.cadre, args: [input] });
  return cadre.client.task(workflowId);
}

/** Waits until a person is asked about the pivot; what waits in the workflow is over then. */
const asked = (task: TaskHandle): Promise<void> =>
  until(async () => {
    const { memo } = await cadre.environment.client.workflow.getHandle(task.id).describe();
    return memo?.['needsAttention'] === 'pivot';
  });

/** What goes on with a saga that was terminated while its pivot ran. */
async function resumeOfPivot(): Promise<unknown> {
  const { policies } = await policiesOf();
  const before: TaskEvent[] = [
    ...startEvents({ name: 'a saga', steps }, 'saga/run', 0),
    { type: 'pinned', policies },
    { type: 'stepScheduled', step: 'a', agent: 'worker', term: 0 },
    { type: 'stepCompleted', step: 'a', output: { value: 'did a' } },
    { type: 'stepScheduled', step: 'pivot', agent: 'worker', term: 0 },
    { type: 'taskTerminated', how: 'terminated' },
  ];
  const at = await cadre.environment.currentTimeMs();
  const origin = { kind: 'terminated', workflowId: 'saga', runId: 'run', at };
  return { snapshot: foldTask(before), origin, overrides: {} };
}

/** As a saga has them that has pinned them. */
async function policiesOf(): Promise<Pick<TaskState, 'policies'>> {
  const task = await start({ name: 'policies', steps: [a] });
  await task.result();
  world = [];
  return (await task.describe()).state;
}

test('a cancel while what was terminated is waited for leaves a person to say', async () => {
  const resumed = await start(await resumeOfPivot());
  await resumed.cancel();
  await cadre.environment.sleep(11 * MINUTE);
  await asked(resumed);
  expect(world).toEqual([]);
  await resumed.resolve('pivot', 'retry');
  await expect(resumed.result()).resolves.toEqual({ pivot: 'did pivot' });
  expect(world).toEqual(['do pivot']);
}, 30_000);

test('a cancel before what may have happened is approved again changes nothing', async () => {
  throws = [new Error('the answer was lost')];
  const task = await start({ name: 'a saga', steps: [a, { ...pivot, approval: { validFor: 1000 } }] });
  await until(async () => (await task.describe()).state.phase.kind === 'awaitingApproval');
  const { hash } = await task.question('pivot');
  await task.answer('pivot', 'yes', { hash });
  await asked(task);
  await cadre.environment.sleep(MINUTE);
  await task.cancel();
  await task.resolve('pivot', 'retry');
  await until(async () => (await task.describe()).state.phase.kind === 'awaitingApproval');
  await task.answer('pivot', 'no', { hash });
  await asked(task);
  await task.resolve('pivot', 'skip');
  await expect(task.result()).resolves.toEqual({ pivot: null });
  expect(world).toEqual(['do a', 'do pivot']);
}, 30_000);

test('a pivot that says itself that it did not happen has what came before it undone', async () => {
  throws = [ApplicationFailure.nonRetryable('no such account', 'Refused')];
  const task = await start({ name: 'a saga', steps });
  await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
  expect(world).toEqual(['do a', 'do pivot', 'undo a']);
});
