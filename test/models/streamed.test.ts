// Answers that are streamed, beside the same that are not: over HTTP from a scripted model, and from models that are functions.
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3StreamPart,
} from '@ai-sdk/provider';
import { convertArrayToReadableStream } from 'ai/test';
import { z } from 'zod';
import type { Call } from '../../src/activities/calls/recorded-calls';
import { modelAgent } from '../../src/models/model-agent';
import { openModel } from '../../src/models/providers';
import { recordedModel } from '../../src/models/recorded-model';
import { streamed } from '../../src/models/streamed';
import { Cassette, type ScriptedReply } from '../../src/testing';
import { TemporaryFolder } from '../support/temporary-folder';
import { callScripted, modelOfFile } from './scripted';

const OPENAI = 'openai/gpt-5-mini';
const ANTHROPIC = 'anthropic/claude-sonnet-4-5';
/** Its structured output is the input of a tool. */
const ANTHROPIC_OLD = 'anthropic/claude-3-haiku';

const model = modelOfFile();
const folder = TemporaryFolder.ofEachTest();
const described = { description: 'an agent', instructions: 'Do what the step says.' } as const;
const usage = { inputTokens: 100, cachedTokens: 40, outputTokens: 7 };
const ignore = (): void => undefined;

type Options = Partial<LanguageModelV3CallOptions>;

/** What is recorded of a call of `name` that is answered by `reply`, and what was shown of it. */
async function recordOf(name: string, reply: ScriptedReply, stream: boolean, options: Options = {}) {
  model.becomes(() => reply);
  model.calls.length = 0;
  const shown: string[] = [];
  let record: unknown;
  const calls = {
    async run<Result>(call: Call<Result>): Promise<Result> {
      const result = await call.run();
      record = { result: JSON.parse(JSON.stringify(result)) as unknown, usage: call.usageOf?.(result) };
      return result;
    },
  };
  const recorded = await recordedModel(
    await openModel(name),
    name,
    { calls, signal: new AbortController().signal, stream: (text) => void shown.push(text) },
    { stream, maxOutputTokens: () => 1000, onCall: ignore, onMake: ignore, onAnswer: ignore },
  );
  const returned = await recorded.doGenerate({
    prompt: [{ role: 'user', content: [{ type: 'text', text: 'Hello?' }] }],
    ...options,
  });
  return { record, returned, shown };
}

const schema = { type: 'object', properties: { id: { type: 'string' } } } as const;
const tools: Options = {
  tools: [{ type: 'function', name: 'order', description: 'an order', inputSchema: schema }],
};
const structured: Options = { responseFormat: { type: 'json', schema } };
const calls = [
  { name: 'order', input: { id: 'A-17' } },
  { name: 'order', input: {} },
];

describe.each([OPENAI, ANTHROPIC, ANTHROPIC_OLD])('of %s', (name) => {
  beforeEach(() => void jest.spyOn(Date, 'now').mockReturnValue(1_790_000_000_000));
  afterEach(() => jest.restoreAllMocks());

  test.each<[string, ScriptedReply, Options]>([
    ['a text', { kind: 'answer', text: 'Good day to you.', usage }, {}],
    ['a text that was cut off', { kind: 'answer', text: 'Good da', finish: 'length', usage }, {}],
    ['an empty answer', { kind: 'answer', usage }, {}],
    ['a refusal', { kind: 'answer', text: 'No.', finish: 'content-filter', usage }, {}],
    ['calls of tools', { kind: 'answer', toolCalls: calls, usage }, tools],
    ['a text and calls of tools', { kind: 'answer', text: 'I look.', toolCalls: calls, usage }, tools],
    ['reasoning and a text', { kind: 'answer', reasoning: 'Well, now.', text: 'Good day.', usage }, {}],
    ['reasoning and calls of tools', { kind: 'answer', reasoning: 'Which?', toolCalls: calls, usage }, tools],
    ['structured output', { kind: 'answer', output: { id: 'A-17' }, usage }, structured],
    [
      'structured output beside tools',
      { kind: 'answer', output: { id: 'A-17' }, usage },
      { ...structured, ...tools },
    ],
  ])('%s is recorded and returned as without streaming', async (_what, reply, options) => {
    const plain = await recordOf(name, reply, false, options);
    expect(model.calls.map(({ request }) => request.stream)).toEqual([false]);
    const { record, returned } = await recordOf(name, reply, true, options);
    expect(model.calls.map(({ request }) => request.stream)).toEqual([true]);
    expect(record).toEqual(plain.record);
    expect(returned).toEqual(plain.returned);
    expect(record).toMatchObject({ usage: { inputTokens: 100, cachedTokens: 40, outputTokens: 7 } });
    expect(plain.shown).toEqual([]);
  });
});

test('what is shown is the text, piece by piece, and no thought; the next answer begins on a line of its own', async () => {
  const reply = { kind: 'answer', reasoning: 'Well, now.', text: 'Good day to you.' } as const;
  const { shown } = await recordOf(OPENAI, reply, true);
  expect(shown).toEqual(['Good ', 'day ', 'to ', 'you.', '\n']);
  const ended = await recordOf(ANTHROPIC, { ...reply, text: 'Good day.\n' }, true);
  expect(ended.shown).toEqual(['Good ', 'day.\n']);
});

test('inputs of tools are asked for as a whole', async () => {
  await recordOf(ANTHROPIC, { kind: 'answer', toolCalls: calls }, true, tools);
  const [{ request } = { request: undefined }] = model.calls;
  expect(request?.tools).toHaveLength(1);
  expect(JSON.stringify(request?.body)).not.toContain('eager_input_streaming');
});

test.each([
  [OPENAI, 'openai', 'OPENAI_BASE_URL'],
  [ANTHROPIC, 'anthropic', 'ANTHROPIC_BASE_URL'],
] as const)('from %s it is replayed by a cassette as it was recorded', async (name, provider, variable) => {
  const { [variable]: address } = process.env;
  const path = `${folder.path}/streamed.json`;
  const reply = { kind: 'answer', text: 'I look.', toolCalls: calls, usage } as const;
  const through = async (mode: 'record' | 'replay') => {
    const cassette = await Cassette.open(path, { mode });
    process.env[variable] = cassette[provider];
    const answer = await recordOf(name, reply, true, tools);
    await cassette.close();
    process.env[variable] = address;
    return answer;
  };
  const recorded = await through('record');
  expect(model.calls).toHaveLength(1);
  expect(await through('replay')).toEqual(recorded);
  expect(model.calls).toHaveLength(0);
});

describe('a stream that breaks off', () => {
  const text = 'Good day to you, and to all who read this.';

  test.each([
    [OPENAI, 'end'],
    [OPENAI, 'reset'],
    [ANTHROPIC, 'end'],
    [ANTHROPIC, 'reset'],
  ] as const)('from %s by %s is a failure wherever it does, or all was there', async (name, how) => {
    let failures = 0;
    for (let after = 0; after < 3000; after += 150) {
      const reply = { kind: 'answer', text, usage, cut: { after, how } } as const;
      const answer = await recordOf(name, reply, true).catch((error: unknown) => {
        expect(error).toMatchObject({ type: 'ModelUnavailable', retryable: true });
        failures += 1;
      });
      if (answer !== undefined) expect(answer.returned.content).toEqual([{ type: 'text', text }]);
    }
    expect(failures).toBeGreaterThan(5);
  });
});

describe('an error in the middle of an answer', () => {
  const openai = (error: object): ScriptedReply => ({
    kind: 'raw',
    contentType: 'text/event-stream',
    body: [{ choices: [{ index: 0, delta: { content: 'Good ' } }] }, { error }]
      .map((event) => `data: ${JSON.stringify(event)}\n\n`)
      .join(''),
  });
  const anthropic = (error: object): ScriptedReply => {
    const message = { id: 'm', model: 'm', usage: { input_tokens: 1, output_tokens: 1 } };
    const events = [
      { type: 'message_start', message },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'error', error },
    ];
    const body = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
    return { kind: 'raw', contentType: 'text/event-stream', body };
  };

  test.each([
    [OPENAI, openai({ message: 'too much to do', type: 'server_error' })],
    [ANTHROPIC, anthropic({ message: 'too much to do', type: 'overloaded_error' })],
  ])('from %s is for the next attempt, in the words of the provider', async (name, reply) => {
    await expect(recordOf(name, reply, true)).rejects.toMatchObject({
      type: 'ModelUnavailable',
      message: `${name} answered 200: too much to do`,
    });
  });

  test('says by its code that no retry can mend it', async () => {
    const reply = openai({ message: 'no credit', code: 'insufficient_quota' });
    await expect(recordOf(OPENAI, reply, true)).rejects.toMatchObject({ type: 'ModelRefused' });
  });

  test('that is no JSON is not repeated', async () => {
    const reply = {
      kind: 'raw',
      contentType: 'text/event-stream',
      body: 'data: <html>secret</html>\n\n',
    } as const;
    await expect(recordOf(OPENAI, reply, true)).rejects.toMatchObject({
      type: 'ModelUnavailable',
      message: expect.not.stringContaining('secret'),
    });
  });
});

describe('a server that cannot stream', () => {
  const tool = {
    description: 'An order',
    input: z.object({ id: z.string() }),
    effect: 'read' as const,
    run: () => 'shipped',
  };

  test.each([
    ['openai/unverified', 'Your organization must be verified to stream this model.'],
    ['openai/unknowing', "Unknown parameter: 'stream_options'"],
  ])('and says so (%s: %s) is asked for answers as a whole from then on', async (name, message) => {
    const agent = modelAgent({ name: 'asker', model: name, ...described, tools: { order: tool } });
    const { output, usage: paid } = await callScripted(model, agent, {}, ({ stream, turn }) => {
      if (stream) return { kind: 'error', status: 400, message };
      return turn === 1 ? { kind: 'answer', toolCalls: calls.slice(0, 1) } : 'It is shipped.';
    });
    expect(output).toBe('It is shipped.');
    expect(model.calls.map(({ request }) => request.stream)).toEqual([true, false, false]);
    expect(paid).toMatchObject([{ calls: 2, unseen: 0 }]);
  });

  test('and refuses the whole answer as well is asked for a stream again', async () => {
    const refusal = { kind: 'error', status: 400, message: 'The prompt is about streams.' } as const;
    await expect(recordOf('openai/strict', refusal, true)).rejects.toMatchObject({ type: 'ModelRefused' });
    await recordOf('openai/strict', { kind: 'answer', text: 'Good day.' }, true);
    expect(model.calls.map(({ request }) => request.stream)).toEqual([true]);
  });

  test('and sends JSON all the same fails, since that may be paid, and is asked for whole answers then', async () => {
    const reply = { kind: 'raw', body: '{"choices":[{"message":{"content":"Good day."}}]}' } as const;
    await expect(recordOf('openai/whole', reply, true)).rejects.toMatchObject({
      type: 'ModelUnavailable',
      message: expect.stringContaining('JSON instead of a stream'),
    });
    const { shown } = await recordOf('openai/whole', { kind: 'answer', text: 'Good day.' }, true);
    expect(shown).toEqual([]);
    expect(model.calls.map(({ request }) => request.stream)).toEqual([false]);
  });

  test('and says no tokens in its streams is asked for whole answers then', async () => {
    const part = { choices: [{ index: 0, delta: { content: 'Good day.' }, finish_reason: 'stop' }] };
    const body = `data: ${JSON.stringify(part)}\n\ndata: [DONE]\n\n`;
    const reply = { kind: 'raw', body, contentType: 'text/event-stream' } as const;
    expect((await recordOf('openai/tokenless', reply, true)).shown.join('')).toContain('Good day.');
    await recordOf('openai/tokenless', { kind: 'answer', text: 'Good day.' }, true);
    expect(model.calls.map(({ request }) => request.stream)).toEqual([false]);
  });

  test('is asked for no stream by an agent that says so', async () => {
    const agent = modelAgent({ name: 'asker', model: OPENAI, ...described, stream: false });
    expect((await callScripted(model, agent, {}, () => 'Good day.')).output).toBe('Good day.');
    expect(model.calls.map(({ request }) => request.stream)).toEqual([false]);
    const wrong = { name: 'asker', model: OPENAI, ...described, stream: 'no' as unknown as boolean };
    expect(() => modelAgent(wrong)).toThrow(/`stream` of agent "asker" to be true or false, got "no"/);
  });
});

test('parts come in the order in which they began, with what the provider says beside them', async () => {
  const source = { type: 'source', sourceType: 'url', id: 's', url: 'http://a.test' } as const;
  const file = { type: 'file', mediaType: 'image/png', data: 'AA==' } as const;
  const looked = { type: 'tool-result', toolCallId: 'c', toolName: 'look' } as const;
  const finished = {
    type: 'finish',
    finishReason: { unified: 'stop', raw: 'end' },
    usage: { inputTokens: { total: 1 }, outputTokens: { total: 2 } },
    providerMetadata: { any: { of: 'all' } },
  } as unknown as LanguageModelV3StreamPart;
  const answer = await streamed(
    modelOf([
      { type: 'stream-start', warnings: [] },
      { type: 'response-metadata', id: 'r', modelId: 'm' },
      { type: 'reasoning-start', id: '0' },
      { type: 'reasoning-delta', id: '0', delta: 'Hm' },
      { type: 'text-start', id: '0' },
      { type: 'reasoning-delta', id: '0', delta: '.', providerMetadata: { any: { signed: true } } },
      { type: 'reasoning-end', id: '0' },
      source,
      { type: 'text-delta', id: '0', delta: 'Good day.' },
      { type: 'text-end', id: '0', providerMetadata: { any: { cited: 1 } } },
      { type: 'text-start', id: '0' },
      { type: 'text-delta', id: '0', delta: 'And more.' },
      { type: 'text-end', id: '0' },
      { ...looked, result: 'half', preliminary: true },
      { ...looked, result: 'all' },
      file,
      finished,
    ]),
    { prompt: [] },
    ignore,
  );
  expect(answer).toEqual({
    content: [
      { type: 'reasoning', text: 'Hm.', providerMetadata: { any: { signed: true } } },
      { type: 'text', text: 'Good day.', providerMetadata: { any: { cited: 1 } } },
      source,
      { type: 'text', text: 'And more.' },
      { ...looked, result: 'all' },
      file,
    ],
    finishReason: { unified: 'stop', raw: 'end' },
    usage: { inputTokens: { total: 1 }, outputTokens: { total: 2 } },
    providerMetadata: { any: { of: 'all' } },
    response: { id: 'r', modelId: 'm' },
    warnings: [],
  });
});

test('an error after the first part may have been paid, whatever status it says', async () => {
  const busy = Object.assign(new Error('too busy'), { statusCode: 429 });
  const answerOf = (parts: LanguageModelV3StreamPart[]) => streamed(modelOf(parts), { prompt: [] }, ignore);
  const error: LanguageModelV3StreamPart = { type: 'error', error: busy };
  await expect(answerOf([error])).rejects.toBe(busy);
  await expect(answerOf([{ type: 'text-start', id: '0' }, error])).rejects.toMatchObject({
    message: 'too busy',
    statusCode: 200,
  });
});

test('a model that is an object is asked for a stream only where the agent says so', async () => {
  const asked: string[] = [];
  const own = {
    specificationVersion: 'v3',
    provider: 'any',
    modelId: 'own',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error((asked.push('whole'), 'no'))),
    doStream: () => Promise.reject(new Error((asked.push('stream'), 'no'))),
  } as unknown as LanguageModelV3;
  for (const settings of [{}, { stream: true }]) {
    const agent = modelAgent({ name: 'asker', model: own, ...described, ...settings });
    await expect(callScripted(model, agent, {}, () => 'unused')).rejects.toThrow('no');
  }
  expect(asked).toEqual(['whole', 'stream']);
});

function modelOf(parts: LanguageModelV3StreamPart[]): LanguageModelV3 {
  return {
    provider: 'any',
    doStream: () => Promise.resolve({ stream: convertArrayToReadableStream(parts) }),
  } as unknown as LanguageModelV3;
}
