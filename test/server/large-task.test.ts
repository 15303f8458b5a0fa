// On a real server whose history limits are lowered, so that continue-as-new comes in seconds.
import { ApplicationFailure } from '@temporalio/common';
import type { TaskState } from '../../src/core/task-state';
import { foldTask } from '../../src/core/task-fold';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { agent, step } from '../support/agents';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

const STEPS = 1000;
let cadre: ServerCadre;
const runs = new Map<string, number>();
/** What was done and undone, in order. */
const done: string[] = [];
const undone: string[] = [];

beforeAll(async () => {
  cadre = await startServerCadre(
    [
      agent('count', (_input, { idempotencyKey }) => {
        runs.set(idempotencyKey, (runs.get(idempotencyKey) ?? 0) + 1);
        return 1;
      }),
      agent('book', (_input, { step: id }) => done.push(id), {
        compensate: (_undo, { step: id }) => {
          undone.push(id);
          return Promise.resolve();
        },
      }),
      agent('broken', () => {
        throw ApplicationFailure.nonRetryable('no', 'Broken');
      }),
      agent('sum', (input) => (input as number[]).reduce((total, value) => total + value, 0)),
    ],
    { settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: 1000 }] },
  );
}, 60_000);

afterAll(() => cadre.close());

test('a task of 1,000 steps ends, over several runs, with each step run once and one log', async () => {
  const counting = Array.from({ length: STEPS - 1 }, (_, index) => step(`s${index}`, 'count'));
  const sum = step('sum', 'sum', { input: counting.map(({ id }) => ({ $output: id })) });
  const task = await cadre.client.start({ goal: 'count', plan: { steps: [sum, ...counting] } });
  expect(await task.result()).toEqual({ sum: STEPS - 1 });
  expect(runs.size).toBe(STEPS - 1);
  expect(Math.max(...runs.values())).toBe(1);

  const events: LoggedTaskEvent[] = [];
  for await (const event of task.events()) events.push(event);
  const ofType = (type: string) => events.filter((event) => event.type === type);
  expect(events.map(({ number }) => number)).toEqual(events.map((_, index) => index + 1));
  expect(ofType('stepCompleted')).toHaveLength(STEPS);
  expect(ofType('continuedAsNew').length).toBeGreaterThan(1);
  const resumed = ofType('taskResumed') as (LoggedTaskEvent & { snapshot: TaskState })[];
  for (const { number, snapshot } of resumed) expect(foldTask(events.slice(0, number - 1))).toEqual(snapshot);
}, 240_000);

test('a saga of 300 steps, one after the other, over several runs, is undone in reverse', async () => {
  const ids = Array.from({ length: 300 }, (_, index) => `b${index}`);
  const steps = [...ids.map((id) => ({ id, agent: 'book' })), { id: 'end', agent: 'broken' }];
  const saga = await cadre.client.startSaga({ name: 'long', steps });
  await expect(saga.result()).rejects.toMatchObject({ type: 'StepFailed' });
  expect(done).toEqual(ids);
  expect(undone).toEqual(ids.toReversed());
  const { state } = await saga.describe();
  expect(state.phase.kind).toBe('compensated');
  expect(state.compensations).toHaveLength(ids.length);
  const types = new Set<string>();
  for await (const { type } of saga.events()) types.add(type);
  expect(types).toContain('continuedAsNew');
}, 120_000);
