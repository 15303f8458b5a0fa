// The scripted server, spoken to by the providers of the AI SDK. No Temporal server.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, type LanguageModel, Output, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import {
  type Script,
  ScriptedModel,
  type ScriptedModelOptions,
  type ScriptedReply,
  type WireFormat,
} from '../../src/testing';

const KEY = 'key-of-the-test';

// The SDK warns of a model that it does not know.
(globalThis as { AI_SDK_LOG_WARNINGS?: boolean }).AI_SDK_LOG_WARNINGS = false;

let server: ScriptedModel | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function started(script: Script, options?: ScriptedModelOptions): Promise<ScriptedModel> {
  return (server = await ScriptedModel.start(script, options));
}

function modelOf({ url }: ScriptedModel, format: WireFormat, apiKey = KEY): LanguageModel {
  if (format === 'anthropic') return createAnthropic({ baseURL: url, apiKey })('scripted');
  return createOpenAICompatible({
    name: 'openai',
    baseURL: url,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  }).chatModel('scripted');
}

/** Asks once, without retries, and waits for the whole answer. */
async function asked(reply: ScriptedReply, format: WireFormat, options: { stream?: boolean } = {}) {
  const model = modelOf(await started(() => reply), format);
  const prompt = { model, prompt: 'Hello?', maxRetries: 0, abortSignal: AbortSignal.timeout(5000) };
  if (options.stream !== true) return generateText(prompt);
  const errors: unknown[] = [];
  const stream = streamText({ ...prompt, onError: ({ error }) => void errors.push(error) });
  const pieces: string[] = [];
  for await (const piece of stream.textStream) pieces.push(piece);
  if (errors.length > 0) throw errors[0];
  return {
    pieces,
    text: await stream.text,
    usage: await stream.usage,
    finishReason: await stream.finishReason,
  };
}

const search = tool({
  description: 'finds texts',
  inputSchema: z.object({ query: z.string() }),
  execute: ({ query }) => `found ${query}`,
});

describe.each(['openai', 'anthropic'] as const)('over the format of %s', (format) => {
  test.each([{ stream: false }, { stream: true }])(
    'answers with text and usage, streamed: $stream',
    async ({ stream }) => {
      const usage = { inputTokens: 100, cachedTokens: 40, outputTokens: 7 };
      const reply = { kind: 'answer', text: 'Good day to you.', usage } as const;
      const { text, usage: told, finishReason } = await asked(reply, format, { stream });
      expect({ text, finishReason }).toEqual({ text: 'Good day to you.', finishReason: 'stop' });
      expect(told).toMatchObject({
        inputTokens: 100,
        outputTokens: 7,
        inputTokenDetails: { cacheReadTokens: 40 },
      });
    },
  );

  test('streams a text word by word', async () => {
    const { pieces } = (await asked('Good day to you.', format, { stream: true })) as { pieces: string[] };
    expect(pieces).toEqual(['Good ', 'day ', 'to ', 'you.']);
  });

  test.each([{ stream: false }, { stream: true }])(
    'has tools called, and is told of their results, streamed: $stream',
    async ({ stream }) => {
      const model = modelOf(
        await started(({ turn, messages }) =>
          turn === 1
            ? {
                kind: 'answer',
                toolCalls: ['a', 'b'].map((query) => ({ name: 'search', input: { query } })),
              }
            : messages.flatMap(({ role, text }) => (role === 'tool' ? [text] : [])).join(' and '),
        ),
        format,
      );
      const task = { model, prompt: 'Search!', tools: { search }, stopWhen: stepCountIs(3), maxRetries: 0 };
      const result = stream ? streamText(task) : await generateText(task);
      expect(await result.text).toBe('found a and found b');
      const [first, second] = server?.calls.map(({ request }) => request) ?? [];
      expect(first?.tools).toMatchObject([{ name: 'search', description: 'finds texts' }]);
      const { id = '' } = second?.messages[1]?.toolCalls[0] ?? {};
      expect(second?.messages[2]).toMatchObject({ role: 'tool', text: 'found a', answers: id });
    },
  );

  test('gives structured output in the way in which it is asked for', async () => {
    const schema = z.object({ city: z.string() });
    const script: Script = ({ outputSchema, mustCall }) => {
      expect([outputSchema, mustCall].filter((one) => one !== undefined)).toHaveLength(1);
      return { kind: 'answer', output: { city: 'Graz' } };
    };
    const model = modelOf(await started(script), format);
    const { output } = await generateText({
      model,
      prompt: 'Where?',
      output: Output.object({ schema }),
      maxRetries: 0,
    });
    expect(output).toEqual({ city: 'Graz' });
  });

  test('gives output as the input of a tool that must be called', async () => {
    const open = await started(() => ({ kind: 'answer', output: { query: 'q' } }));
    const { toolCalls } = await generateText({
      model: modelOf(open, format),
      prompt: 'Search!',
      tools: { search },
      toolChoice: { type: 'tool', toolName: 'search' },
      maxRetries: 0,
    });
    expect(toolCalls).toMatchObject([{ toolName: 'search', input: { query: 'q' } }]);
  });

  test('reads the system prompt, the limits and the texts of a request', async () => {
    const model = modelOf(await started(() => 'ok'), format);
    await generateText({
      model,
      system: 'Be brief.',
      messages: [
        { role: 'user', content: 'One?' },
        { role: 'assistant', content: 'One.' },
        { role: 'user', content: 'Two?' },
      ],
      maxOutputTokens: 50,
      temperature: 0.5,
      maxRetries: 0,
      headers: { 'idempotency-key': 'call-7' },
    });
    expect(server?.calls[0]).toMatchObject({
      hadKey: true,
      idempotencyKey: 'call-7',
      answered: true,
      request: {
        call: 1,
        turn: 2,
        format,
        model: 'scripted',
        system: 'Be brief.',
        messages: [
          { role: 'user', text: 'One?' },
          { role: 'assistant', text: 'One.' },
          { role: 'user', text: 'Two?' },
        ],
        maxOutputTokens: 50,
        temperature: 0.5,
      },
    });
  });

  test('words an error as the provider does, with Retry-After', async () => {
    const reply = { kind: 'error', status: 429, message: 'Slow down', retryAfter: 7 } as const;
    const error = await asked(reply, format).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: 'Slow down', statusCode: 429, isRetryable: true });
    expect((error as APICallError).responseHeaders?.['retry-after']).toBe('7');
  });

  test('lets no other key in than the one it was given, and keeps none', async () => {
    const open = await started(() => 'in', { key: KEY });
    const ask = (apiKey: string) =>
      generateText({ model: modelOf(open, format, apiKey), prompt: '?', maxRetries: 0 });
    await expect(ask('another')).rejects.toMatchObject({ statusCode: 401 });
    expect((await ask(KEY)).text).toBe('in');
    expect(open.calls).toHaveLength(1);
    expect(JSON.stringify(open.calls)).not.toContain(KEY);
  });

  test('says so when the limit of the output cut an answer off', async () => {
    const { finishReason } = await asked({ kind: 'answer', text: 'half of', finish: 'length' }, format);
    expect(finishReason).toBe('length');
  });

  test('hangs until the caller goes away', async () => {
    const open = await started(() => ({ kind: 'hang' }));
    const away = new AbortController();
    const failed = generateText({
      model: modelOf(open, format),
      prompt: '?',
      maxRetries: 0,
      abortSignal: away.signal,
    }).catch((error: unknown) => error);
    await until(() => open.inFlight === 1);
    away.abort();
    expect(await failed).toMatchObject({ name: 'AbortError' });
    await until(() => open.inFlight === 0);
    expect(open.calls[0]).toMatchObject({ answered: false, reply: { kind: 'hang' } });
  });

  test('breaks the connection before anything is answered', async () => {
    await expect(asked({ kind: 'reset' }, format)).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
  });

  test.each([
    ['breaks off in the middle of the body', { kind: 'answer', text: 'whole', cut: { after: 20 } }],
    ['ends the body too early', { kind: 'answer', text: 'whole', cut: { after: 20, how: 'end' } }],
    ['answers with what is no JSON', { kind: 'raw', body: '{"choices": [' }],
  ] as const)('%s', async (_title, reply) => {
    await expect(asked(reply, format)).rejects.toBeInstanceOf(APICallError);
  });

  test('breaks a stream off where it is told to', async () => {
    const reply = { kind: 'answer', text: 'one two three', cut: { after: 450 } } as const;
    await expect(asked(reply, format, { stream: true })).rejects.toBeDefined();
    expect(server?.calls[0]?.answered).toBe(false);
  });

  test('refuses a conversation with a call of a tool that has no result', async () => {
    const open = await started(() => 'never');
    const call = { id: 'c1', name: 'search', input: {} };
    const messages =
      format === 'openai'
        ? [
            {
              role: 'assistant',
              tool_calls: [{ id: call.id, function: { name: 'search', arguments: '{}' } }],
            },
          ]
        : [{ role: 'assistant', content: [{ type: 'tool_use', ...call }] }];
    const answer = await fetch(`${open.url}/${format === 'openai' ? 'chat/completions' : 'messages'}`, {
      method: 'POST',
      headers: { 'anthropic-version': '2023-06-01' },
      body: JSON.stringify({ model: 'm', max_tokens: 1, messages }),
    });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('c1');
    expect(open.calls).toHaveLength(0);
  });

  test('fails a call that its script has no reply for', async () => {
    const open = await started(() => undefined as unknown as ScriptedReply);
    await expect(
      generateText({ model: modelOf(open, format), prompt: '?', maxRetries: 0 }),
    ).rejects.toMatchObject({ statusCode: 500 });
  });

  test('says what a script threw, and refuses the call', async () => {
    const open = await started(() => {
      throw new Error('no line for this');
    });
    await expect(
      generateText({ model: modelOf(open, format), prompt: '?', maxRetries: 0 }),
    ).rejects.toMatchObject({
      statusCode: 400,
      message: expect.stringContaining('no line for this') as string,
    });
  });
});

test('another script takes over for the calls that come after it', async () => {
  const open = await started(() => 'before');
  const ask = async (): Promise<string> =>
    (await generateText({ model: modelOf(open, 'openai'), prompt: '?', maxRetries: 0 })).text;
  expect(await ask()).toBe('before');
  open.becomes(({ call }) => `after ${call - 1}`);
  expect(await ask()).toBe('after 1');
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
