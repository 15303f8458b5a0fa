// What agents stream, as those see it who follow their tasks, on a real server.
import { setTimeout as delay } from 'node:timers/promises';
import { temporal } from '@temporalio/proto';
import { z } from 'zod';
import { defineAgent, modelAgent } from '../../src';
import type { StreamedText } from '../../src/client/task-stream';
import type { TaskHandle } from '../../src/client/task-handle';
import type { Script, ScriptedModel } from '../../src/testing/scripted-model';
import { startModel } from '../models/scripted';
import { step } from '../support/agents';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

/** Is said midway, and stands in no output. */
const CANARY = 'canary-9f3b7c';
const described = { description: 'an agent', instructions: 'Do what the step says.' } as const;

let model: ScriptedModel;
let cadre: ServerCadre;
beforeAll(async () => {
  model = await startModel();
  cadre = await startServerCadre([
    modelAgent({ name: 'asker', model: 'openai/asked', ...described, tools: { look: lookTool() } }),
    modelAgent({ name: 'other', model: 'anthropic/asked', ...described }),
    defineAgent({
      name: 'fails-once',
      description: 'says which attempt it is',
      input: z.unknown(),
      output: z.unknown(),
      policy: { retry: { initialInterval: '10ms' } },
      act: async (_input, { attempt, stream }) => {
        stream(`attempt ${attempt}: ${CANARY}\n`);
        await delay(1500);
        if (attempt === 1) throw new Error('once');
        return 'done';
      },
    }),
    defineAgent({
      name: 'freezes',
      description: 'stands still in its first attempts',
      input: z.number(),
      output: z.unknown(),
      policy: { heartbeatTimeout: '1s', retry: { initialInterval: '3s', maximumAttempts: 2 } },
      act: async (attempts, { attempt, stream }) => {
        if (attempt > attempts) return 'done';
        stream(`attempt ${attempt}: ${CANARY}`);
        await delay(800);
        // As where the process is paused: no heartbeat is sent.
        for (const end = Date.now() + 2000; Date.now() < end; );
        return 'late';
      },
    }),
  ]);
}, 60_000);
afterAll(async () => {
  await cadre.close();
  await model.close();
});

function lookTool() {
  return { description: 'looks', input: z.object({}), effect: 'read' as const, run: () => 'nothing' };
}

async function started(script: Script, steps: readonly ReturnType<typeof step>[]): Promise<TaskHandle> {
  model.becomes(script);
  model.calls.length = 0;
  return cadre.client.start({ goal: 'to stream', plan: { steps } });
}

async function collected(task: TaskHandle): Promise<StreamedText[]> {
  const seen: StreamedText[] = [];
  for await (const one of task.stream()) seen.push(one);
  return seen;
}

const textOf = (seen: readonly StreamedText[], of: string): string =>
  seen.flatMap(({ step: id, text }) => (id === of ? [text] : [])).join('');

/** All that the server has of a task's history, as it has it. */
async function historyOf(task: TaskHandle | undefined): Promise<string> {
  const history = await cadre.client.temporal.workflow.getHandle(task?.id ?? '').fetchHistory();
  return Buffer.from(temporal.api.history.v1.History.encode(history).finish()).toString('latin1');
}

test('text is seen while the model says it, at most twice a second, and none of it is in the history', async () => {
  const words = Array.from({ length: 100 }, (_, index) => `word${index}`);
  const text = [...words.slice(0, 50), CANARY, ...words.slice(50)].join(' ');
  const task = await started(
    ({ turn }) =>
      turn === 1
        ? { kind: 'answer', text, pace: 30, toolCalls: [{ name: 'look', input: {} }] }
        : { kind: 'answer', text: 'It is done.', pace: 300 },
    [step('write', 'asker')],
  );
  const seen = await collected(task);
  expect(await task.result()).toEqual({ write: 'It is done.' });
  expect(textOf(seen, 'write')).toContain(CANARY);
  expect(`${text}\nIt is done.\n`).toContain(textOf(seen, 'write'));
  expect(seen.every(({ skipped }) => skipped === undefined)).toBe(true);
  expect(seen[0]).toMatchObject({ step: 'write', agent: 'asker', attempt: 1 });

  const times = seen.map(({ time }) => time);
  expect(times.length).toBeGreaterThan(4);
  const span = (times.at(-1) ?? 0) - (times[0] ?? 0);
  expect(times.length - 1).toBeLessThanOrEqual(span / 450);

  const history = await historyOf(task);
  expect(history).toContain('It is done.');
  expect(history).not.toContain(CANARY);
  expect(history).not.toContain('word1');
}, 60_000);

test('steps side by side are told apart, and so are attempts; nothing of one is told as of the next', async () => {
  const text = Array.from({ length: 30 }, (_, index) => `word${index}`).join(' ');
  const task = await started(
    () => ({ kind: 'answer', text, pace: 70 }),
    [step('one', 'asker'), step('two', 'other'), step('three', 'fails-once')],
  );
  const seen = await collected(task);
  expect(text.startsWith(textOf(seen, 'one'))).toBe(true);
  expect(text.startsWith(textOf(seen, 'two'))).toBe(true);
  expect(textOf(seen, 'one')).toContain('word5');
  expect(textOf(seen, 'two')).toContain('word5');
  const attempts = seen.flatMap(({ step: id, attempt, text: said }) =>
    id === 'three' ? [[attempt, said]] : [],
  );
  expect(attempts).toEqual([
    [1, `attempt 1: ${CANARY}\n`],
    [2, `attempt 2: ${CANARY}\n`],
  ]);
  expect(await historyOf(task)).not.toContain(CANARY);
}, 60_000);

test('a reader ends with its signal, and says so of a task that there is not', async () => {
  const task = await started(
    () => ({ kind: 'answer', text: 'a b c d e f', pace: 500 }),
    [step('one', 'asker')],
  );
  const stop = new AbortController();
  for await (const { text } of task.stream({ signal: stop.signal })) {
    expect(text).toMatch(/^a /);
    stop.abort();
  }
  expect((await task.describe()).state.phase.kind).toBe('running');
  await task.result();
  await expect(collected(cadre.client.task('nobody'))).rejects.toMatchObject({ type: 'TaskNotFound' });
}, 60_000);

test('only of a step whose last attempt times out the history has what its last heartbeat carried', async () => {
  const [once, twice] = await Promise.all(
    [1, 2].map((input) => started(() => '', [step('a', 'freezes', { input })])),
  );
  expect(await once?.result()).toEqual({ a: 'done' });
  await expect(twice?.result()).rejects.toMatchObject({ type: 'StepFailed' });
  expect(await historyOf(once)).not.toContain(CANARY);
  expect(await historyOf(twice)).toContain(`attempt 2: ${CANARY}`);
}, 60_000);
