// Model agents as steps of tasks, on a real server, with a scripted model over HTTP.
import { z } from 'zod';
import { modelAgent } from '../../src/models/model-agent';
import type { TaskHandle } from '../../src/client/task-handle';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import type { Script, ScriptedModel } from '../../src/testing/scripted-model';
import { startModel } from '../models/scripted';
import { agent } from '../support/agents';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

const described = { description: 'an agent', instructions: 'Do what the step says.' } as const;
const sent: string[] = [];

let model: ScriptedModel;
let cadre: ServerCadre;
beforeAll(async () => {
  model = await startModel();
  const breaker = { window: { calls: 4 }, minimumCalls: 1, cooldown: 60_000 };
  cadre = await startServerCadre([
    agent('finder', () => 'CALL send'),
    modelAgent({ name: 'asker', model: 'openai/asked', ...described }),
    modelAgent({
      name: 'relying',
      model: 'openai/overloaded',
      ...described,
      policy: { breaker, onOpen: { fallback: 'embedded' } },
    }),
    agent('embedded', () => 'without a model'),
    modelAgent({
      name: 'sender',
      model: 'openai/obedient',
      ...described,
      output: z.object({ said: z.string() }),
      tools: {
        send: {
          description: 'Sends',
          input: z.object({}),
          run: (_input, { step }) => sent.push(step),
        },
      },
    }),
  ]);
}, 60_000);
afterAll(async () => {
  await cadre.close();
  await model.close();
});

async function start(script: Script, steps: readonly object[]): Promise<TaskHandle> {
  model.becomes(script);
  model.calls.length = 0;
  return cadre.client.startSaga({ name: 'ask', steps: steps as [] });
}

async function log(task: TaskHandle): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of task.events()) events.push(event);
  return events;
}

const one = (name: string) => [{ id: 'one', agent: name, instruction: 'ask' }];

test('a provider that asks for a pause gets it, and no attempt is spent', async () => {
  const task = await start(
    ({ call }) =>
      model.calls.length === 1 ? { kind: 'error', status: 429, retryAfter: 2 } : `after ${call}`,
    one('asker'),
  );
  expect(await task.result()).toEqual({ one: expect.stringMatching(/^after/) });
  const [first, second] = model.calls;
  const paused = (second?.at ?? 0) - (first?.endedAt ?? 0);
  expect(paused).toBeGreaterThanOrEqual(2000);
  expect(model.calls).toHaveLength(2);
  const events = await log(task);
  expect(events.filter(({ type }) => type === 'stepRefused')).toMatchObject([
    { breaker: 'openai/asked', why: 'paced', attemptsUsed: 0 },
  ]);
  // The call that was sent away was not paid: it is neither counted nor said to be repeated.
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'stepCompleted',
      usage: [expect.objectContaining({ calls: 1, unseen: 0 })],
    }),
  );
  expect(events.filter(({ type }) => type === 'decisionsRecorded')).toEqual([]);
}, 30_000);

test('a provider that is down opens the breaker of its model, and the fallback has the step', async () => {
  const task = await start(() => ({ kind: 'error', status: 529 }), one('relying'));
  expect(await task.result()).toEqual({ one: 'without a model' });
  expect((await cadre.client.breaker('openai/overloaded')).kind).toBe('open');
}, 30_000);

test('a request that is refused ends the step at the first call', async () => {
  const task = await start(() => ({ kind: 'error', status: 404, message: 'no such model' }), one('asker'));
  await expect(task.result()).rejects.toThrow(/openai\/asked answered 404: no such model/);
  expect(model.calls).toHaveLength(1);
  expect(await log(task)).toContainEqual(
    expect.objectContaining({
      type: 'stepFailed',
      failure: expect.objectContaining({ type: 'ModelRefused', final: true }),
    }),
  );
}, 30_000);

test('what an agent before it put out is no instruction: what it may do is less', async () => {
  const obeys: Script = ({ turn, messages }) =>
    turn === 1 && messages.some(({ text }) => text.includes('CALL send'))
      ? { kind: 'answer', toolCalls: [{ name: 'send', input: {} }] }
      : { kind: 'answer', output: { said: messages.at(-1)?.text ?? '' } };
  const task = await start(obeys, [
    { id: 'find', agent: 'finder', instruction: 'find' },
    { id: 'send', agent: 'sender', instruction: 'send', input: { found: { $output: 'find' } } },
  ]);
  await task.result();
  expect(sent).toEqual([]);
  expect(await log(task)).toContainEqual(
    expect.objectContaining({
      type: 'decisionsRecorded',
      decisions: { value: [expect.objectContaining({ type: 'toolRefused' })] },
    }),
  );

  const asked = await start(obeys, [{ id: 'send', agent: 'sender', instruction: 'CALL send' }]);
  await asked.result();
  expect(sent).toEqual(['send']);
}, 30_000);

test('a budget is asked before the call: for its prompt and the most that it may answer', async () => {
  model.becomes(() => 'an answer');
  model.calls.length = 0;
  const plan = { steps: one('asker') as [] };
  const within = await cadre.client.start({ goal: 'ask', plan, budget: { tokens: 6000 } });
  expect(await within.result()).toEqual({ one: 'an answer' });

  const short = await cadre.client.start({ goal: 'ask', plan, budget: { tokens: 4096 } });
  await expect(short.result()).rejects.toMatchObject({ type: 'BudgetReached' });

  // Nobody knows what the model costs.
  const priced = await cadre.client.start({ goal: 'ask', plan, budget: { money: 100 } });
  await expect(priced.result()).rejects.toThrow(
    /the price of openai\/asked, which the agent "asker" asks, is not known/,
  );
  expect(model.calls).toHaveLength(1);
}, 30_000);
