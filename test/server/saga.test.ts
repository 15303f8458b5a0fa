// Undoing on a real server: what cancels, and what kills workers in the middle of it.
import type { Undo } from '../../src/activities/define-agent';
import { agent, step } from '../support/agents';
import { until } from '../support/cli';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

const world: string[] = [];
let gate: (() => void) | undefined;
let cadre: ServerCadre;

beforeAll(async () => {
  cadre = await startServerCadre(
    [
      agent('worker', (_input, { step: id }) => world.push(`do ${id}`), {
        async compensate({ outcome }: Undo<unknown, unknown>, { step: id, signal }) {
          world.push(`undoing ${id}`);
          if (id === 'gated') await new Promise<void>((resolve) => (gate = resolve));
          world.push(`undo ${id} ${outcome}${signal.aborted ? ' aborted' : ''}`);
        },
      }),
      agent(
        'slow',
        (_input, { signal, step: id }) => {
          world.push(`do ${id}`);
          return new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        },
        {
          compensate: ({ outcome }: Undo<unknown, unknown>, { step: id }) =>
            void world.push(`undo ${id} ${outcome}`),
        },
      ),
      agent('away', () => undefined, {
        pool: 'nowhere',
        policy: { scheduleToStart: 100 },
        compensate: (_undo, { step: id }) => void world.push(`undo ${id}`),
      }),
    ],
    { serve: ['main'] },
  );
}, 60_000);

afterAll(() => cadre.close());
beforeEach(() => void world.splice(0));

test('a cancelled task is undone, the step that was cut off as unknown', async () => {
  const plan = {
    steps: [step('a', 'worker'), step('b', 'slow', { needs: ['a'] }), step('c', 'worker', { needs: ['b'] })],
  };
  const task = await cadre.client.start({ goal: 'a goal', plan });
  await until(() => world.includes('do b'));
  await task.cancel();
  await expect(task.result()).rejects.toMatchObject({ type: 'Cancelled' });
  expect(world).toEqual(['do a', 'do b', 'undo b unknown', 'undoing a', 'undo a completed']);
  const { state } = await task.describe();
  expect(state.phase).toEqual({ kind: 'cancelled' });
  expect(state.compensations).toMatchObject([
    { step: 'b', kind: 'undone' },
    { step: 'a', kind: 'undone' },
  ]);
}, 30_000);

test('nothing stops the undoing: a second cancel reaches none of it', async () => {
  const plan = {
    steps: [
      step('first', 'worker'),
      step('gated', 'worker', { needs: ['first'] }),
      step('c', 'slow', { needs: ['gated'] }),
    ],
  };
  const task = await cadre.client.start({ goal: 'a goal', plan });
  await until(() => world.includes('do c'));
  await task.cancel();
  await until(() => world.includes('undoing gated'));
  await task.cancel();
  expect((await task.describe()).state.phase.kind).toBe('compensating');
  gate?.();
  await expect(task.result()).rejects.toMatchObject({ type: 'Cancelled' });
  expect(world.slice(3)).toEqual([
    'undo c unknown',
    'undoing gated',
    'undo gated completed',
    'undoing first',
    'undo first completed',
  ]);
}, 30_000);

test('a step that no worker took is not undone, what came before it is', async () => {
  const plan = { steps: [step('a', 'worker'), step('b', 'away', { needs: ['a'] })] };
  const task = await cadre.client.start({ goal: 'a goal', plan });
  await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
  expect(world).toEqual(['do a', 'undoing a', 'undo a completed']);
}, 30_000);
