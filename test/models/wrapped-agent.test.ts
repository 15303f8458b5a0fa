// Agents of the AI SDK's, as a user may have them, wrapped as they are.
import { z } from 'zod';
import { Output, ToolLoopAgent, hasToolCall, stepCountIs, tool } from 'ai';
import { modelAgent } from '../../src/models/model-agent';
import { openModel } from '../../src/models/providers';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { TemporaryFolder } from '../support/temporary-folder';
import { callScripted, modelOfFile } from './scripted';

const model = modelOfFile();
const folder = TemporaryFolder.ofEachTest();

const weather = z.object({ city: z.string() });
const asks = { kind: 'answer', toolCalls: [{ name: 'weather', input: { city: 'Rome' } }] } as const;

test('its instructions, tools, output and hooks are its own; its calls are recorded, and not retried', async () => {
  const seen: unknown[] = [];
  const agent = new ToolLoopAgent({
    model: await openModel('anthropic/claude-sonnet-4-5'),
    instructions: 'You know the weather.',
    temperature: 0.5,
    tools: {
      weather: tool({
        inputSchema: weather,
        execute: async function* ({ city }, options) {
          seen.push((options as unknown as { cadre: { idempotencyKey: string } }).cadre.idempotencyKey);
          yield 'asking';
          yield `sun in ${city}`;
        },
        toModelOutput: ({ output }) => ({ type: 'json', value: { said: output } }),
      }),
    },
    output: Output.object({ schema: z.object({ sun: z.boolean() }) }),
    onStepFinish: ({ toolResults }) => void seen.push(...toolResults.map(({ output }) => output)),
    maxRetries: 4,
  });
  const wrapped = modelAgent({
    name: 'forecaster',
    description: 'forecasts',
    agent,
    rights: { weather: { effect: 'read' } },
  });
  expect(wrapped.resolvedPolicy.breaker?.key).toBe('anthropic/claude-sonnet-4-5');

  const artifacts = new FileArtifactStore(folder.path);
  const failing = callScripted(
    model,
    wrapped,
    {},
    ({ turn }) => (turn === 1 ? asks : { kind: 'error', status: 529 }),
    { artifacts },
  );
  await expect(failing).rejects.toMatchObject({ type: 'ModelUnavailable' });
  expect(model.calls).toHaveLength(2);

  const { output } = await callScripted(
    model,
    wrapped,
    {},
    () => ({ kind: 'answer', output: { sun: true } }),
    { artifacts, attempt: 2 },
  );
  expect(output).toEqual({ sun: true });
  expect(model.calls).toHaveLength(1);
  // The tool ran once; the hook saw each result in each attempt.
  expect(seen).toEqual([expect.stringMatching(/tool-[0-9a-f]{16}-1$/), 'sun in Rome', 'sun in Rome']);
  const [{ request } = { request: undefined }] = model.calls;
  expect(request?.temperature).toBe(0.5);
  expect(request?.system).toMatch(/^You know the weather\.[\s\S]*<untrusted id=/);
  expect(request?.messages.at(-1)?.text).toMatch(/from="tool weather">\n\{"said":"sun in Rome"\}\n/);
});

test('an answer that its own output refuses is sent back', async () => {
  const agent = new ToolLoopAgent({
    model: 'openai/gpt-5-mini',
    output: Output.object({ schema: z.object({ sun: z.boolean() }) }),
  });
  const wrapped = modelAgent({ name: 'forecaster', description: 'forecasts', agent });
  const { output, decisions } = await callScripted(model, wrapped, {}, () =>
    model.calls.length === 1 ? '{"sun":"yes"}' : '{"sun":true}',
  );
  expect(output).toEqual({ sun: true });
  expect(decisions).toMatchObject([{ type: 'answerSentBack' }]);
});

test('a model that its hooks choose is recorded too, once', async () => {
  const other = await openModel('compatible/other');
  const agent = new ToolLoopAgent({
    model: await openModel('openai/first'),
    prepareCall: ({ instructions: _none, ...options }) => ({ ...options, instructions: 'Prepared.' }),
    prepareStep: ({ stepNumber, model: own }) => ({ model: stepNumber === 0 ? own : other }),
    tools: { weather: tool({ inputSchema: weather, execute: () => 'sun' }) },
    stopWhen: stepCountIs(9),
  });
  const wrapped = modelAgent({
    name: 'forecaster',
    description: 'forecasts',
    agent,
    rights: { weather: { effect: 'read' } },
  });
  const { usage } = await callScripted(model, wrapped, {}, ({ turn }) => (turn === 1 ? asks : 'sun'));
  expect(usage.map(({ model: name, calls }) => [name, calls])).toEqual([
    ['compatible/other', 1],
    ['openai/first', 1],
  ]);
  expect(model.calls.map(({ request }) => request.model)).toEqual(['first', 'other']);
  expect(model.calls[0]?.request.system).toMatch(/^Prepared\./);
});

test('one that stops with a call of a tool has no answer, which is a failure', async () => {
  const agent = new ToolLoopAgent({
    model: 'openai/gpt-5-mini',
    tools: { weather: tool({ inputSchema: weather, execute: () => 'sun' }) },
    stopWhen: hasToolCall('weather'),
  });
  const wrapped = modelAgent({
    name: 'forecaster',
    description: 'forecasts',
    agent,
    rights: { weather: { effect: 'read' } },
  });
  const failing = callScripted(model, wrapped, {}, () => asks);
  await expect(failing).rejects.toMatchObject({
    type: 'ModelOutputInvalid',
    message: 'The model ended with calls of tools, and gave no answer: weather',
  });
});

test('of each tool it must be said what it may do', () => {
  const agent = new ToolLoopAgent({
    model: 'openai/gpt-5-mini',
    tools: { weather: tool({ inputSchema: weather, execute: () => 'sun' }) },
  });
  expect(() => modelAgent({ name: 'forecaster', description: 'forecasts', agent })).toThrow(
    /`rights` of agent "forecaster".*nothing is said of weather/,
  );
});
