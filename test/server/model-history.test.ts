// How much a model agent leaves in its task's history, on a real server; the figures of 500 calls are the bench's.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { z } from 'zod';
import { modelAgent } from '../../src';
import { ScriptedModel } from '../../src/testing';
import { step } from '../support/agents';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

/** Of 200,000 tokens, at four bytes each. */
const CONTEXT_BYTES = 800_000;

let model: ScriptedModel;
let cadre: ServerCadre;

beforeAll(async () => {
  model = await ScriptedModel.start(({ turn, messages }) => {
    const calls = Number(/(\d+) calls/.exec(messages[0]?.text ?? '')?.[1]);
    const place = { name: 'look', input: { place: turn } };
    return turn > calls ? `after ${turn - 1}` : { kind: 'answer', toolCalls: [place] };
  });
  const provider = createOpenAICompatible({ name: 'scripted', baseURL: model.url });
  const looker = modelAgent({
    name: 'looker',
    description: 'looks at places',
    model: provider.chatModel('scripted'),
    instructions: 'Look at each place.',
    tools: {
      look: {
        description: 'looks at a place',
        input: z.object({ place: z.number() }),
        effect: 'read',
        maxResultBytes: 2 ** 20,
        run: ({ place }) => (place === 1 ? 'x'.repeat(CONTEXT_BYTES) : `nothing at ${place}`),
      },
    },
    maxSteps: 100,
  });
  cadre = await startServerCadre([looker]);
}, 60_000);

afterAll(async () => {
  await cadre.close();
  await model.close();
});

test('a history does not grow with the calls of a model and of tools, nor with what they carry', async () => {
  const few = await historyOf(2);
  const many = await historyOf(60);
  expect(Math.max(...model.calls.map(({ request }) => request.bytes))).toBeGreaterThan(CONTEXT_BYTES);
  expect(model.calls).toHaveLength(3 + 61);
  expect(many.events).toBe(few.events);
  expect(many.bytes - few.bytes).toBeLessThan(200);
  expect(many.bytes).toBeLessThan(20_000);
}, 120_000);

async function historyOf(calls: number) {
  const input = `Make ${calls} calls.`;
  const task = await cadre.client.start({
    goal: 'look',
    plan: { steps: [step('look', 'looker', { input })] },
  });
  expect(await task.result()).toEqual({ look: `after ${calls}` });
  return (await task.describe()).history;
}
