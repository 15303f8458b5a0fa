// The model agent of the examples without a key: alone, and in a team on the time-skipping test server.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plan } from 'cadre';
import { ScriptedModel, TestCadre, callAgent } from 'cadre/testing';
import { clerk } from '../../examples/model-agent/clerk-agent';
import { script } from '../../examples/model-agent/scripted';

const PLAN = join(__dirname, '../../examples/model-agent/plan.json');
const plan = JSON.parse(readFileSync(PLAN, 'utf8')) as Plan;
const input = { complaint: 'The lamp of order A-17 has not come.' };
const goal = 'a lamp that has not come';

let model: ScriptedModel;
let cadre: TestCadre;

beforeAll(async () => {
  model = await ScriptedModel.start(script);
  Object.assign(process.env, {
    CADRE_MODEL: 'openai/gpt-5-mini',
    OPENAI_BASE_URL: model.url,
    OPENAI_API_KEY: 'any',
  });
  cadre = await TestCadre.create({ agents: [clerk] });
}, 60_000);

afterAll(async () => {
  await cadre?.close();
  await model.close();
  for (const name of ['CADRE_MODEL', 'OPENAI_BASE_URL', 'OPENAI_API_KEY']) delete process.env[name];
});

beforeEach(() => {
  model.calls.length = 0;
});

describe('the clerk', () => {
  test.each([
    ['yes', 'refund'],
    ['no', 'resend'],
  ])('decides by the order and by what a person says: %s', async (answer, decision) => {
    // The question of the second call of a tool.
    const { output } = await callAgent(clerk, input, { answers: { '2.refund': answer } });
    expect(output).toMatchObject({ decision });
    const [, asked, answered] = model.calls.map(({ request }) => request.messages.at(-1)?.text ?? '');
    expect(asked).toContain('"arrived":false');
    expect(answered).toContain(`"answer":"${answer}"`);
  });

  test('waits where no person has answered', async () => {
    await expect(callAgent(clerk, input)).rejects.toMatchObject({ type: 'QuestionAsked' });
  });
});

test('a task asks a person, goes on with the answer, and pays no call twice', async () => {
  const task = await cadre.client.start({ goal, plan, budget: { tokens: 100_000 } });
  const asked = await cadre.asked(task, 'decide');
  expect(asked).toMatchObject({
    question: 'Refund 120 dollars? Shipped on 2026-11-09, and not arrived.',
    options: ['yes', 'no'],
  });
  await task.answer('decide', 'yes', { hash: asked.hash, by: 'mara' });
  expect(await task.result()).toEqual({
    decide: { decision: 'refund', reason: 'The lamp has not arrived, and a person agreed.' },
  });
  expect(model.calls).toHaveLength(3);
});

test('a task that could use more than its budget asks the model nothing', async () => {
  const task = await cadre.client.start({ goal, plan, budget: { tokens: 1000 } });
  await expect(task.result()).rejects.toMatchObject({ type: 'BudgetReached' });
  expect(model.calls).toEqual([]);
});
