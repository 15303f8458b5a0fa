import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { APICallError } from 'ai';
import { isUnpaid } from '../../src/core/outcome';
import { modelFailure } from '../../src/models/model-failure';
import { checkModelName, chosenModel, openModel, requireModel } from '../../src/models/providers';

describe('the chosen model', () => {
  test.each([
    [{}, undefined],
    [{ CADRE_MODEL: '' }, undefined],
    [{ CADRE_MODEL: 'openai/gpt-5-mini' }, 'openai/gpt-5-mini'],
    [{ CADRE_MODEL: 'openrouter/meta-llama/llama-3.3-70b' }, 'openrouter/meta-llama/llama-3.3-70b'],
    [{ CADRE_MODEL: 'openai/gpt-5-mini', CADRE_OFFLINE: '1' }, undefined],
    // A key alone never switches.
    [{ OPENAI_API_KEY: 'a key', ANTHROPIC_API_KEY: 'a key' }, undefined],
  ])('of %j is %s', (environment, model) => {
    expect(chosenModel(environment)).toBe(model);
  });

  test.each(['gpt-5', 'nobody/gpt', 'openai/', '/gpt', 'openai/with space', `openai/${'a'.repeat(181)}`])(
    'cannot be %j',
    (name) => {
      expect(() => chosenModel({ CADRE_MODEL: name })).toThrow(
        expect.objectContaining({ type: 'ModelUnknown' }),
      );
    },
  );

  test('is missed by who needs one', () => {
    expect(() => requireModel({})).toThrow(/CADRE_MODEL is not set/);
    expect(checkModelName('ollama/llama3.2')).toBe('ollama/llama3.2');
  });
});

describe('a model', () => {
  test.each([
    ['openai/gpt-5-mini', {}, 'ModelKeyMissing', /OPENAI_API_KEY/],
    ['anthropic/claude', {}, 'ModelKeyMissing', /ANTHROPIC_API_KEY/],
    ['anthropic/claude', { ANTHROPIC_BASE_URL: 'http://127.0.0.1:1' }, 'ModelKeyMissing', /ANTHROPIC/],
    ['openrouter/any', {}, 'ModelKeyMissing', /OPENROUTER_API_KEY/],
    ['compatible/any', {}, 'ModelUnknown', /CADRE_MODEL_URL/],
    ['compatible/any', { CADRE_MODEL_URL: 'file:///etc/passwd' }, 'ModelUnknown', /http or https/],
  ])('%s is not opened with %j', async (name, environment, type, message) => {
    await expect(openModel(name, environment)).rejects.toMatchObject({
      type,
      message: expect.stringMatching(message),
    });
  });

  test.each([
    ['openai/gpt-5-mini', { OPENAI_API_KEY: 'a key' }],
    // A server of one's own may ask for no key.
    ['openai/gpt-5-mini', { OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' }],
    ['anthropic/claude', { ANTHROPIC_API_KEY: 'a key' }],
    ['ollama/llama3.2', {}],
    ['vllm/qwen', {}],
    ['lmstudio/any', {}],
    ['openrouter/meta/llama', { OPENROUTER_API_KEY: 'a key' }],
    ['compatible/any', { CADRE_MODEL_URL: 'http://127.0.0.1:1/v1' }],
  ])('%s is opened with %j', async (name, environment) => {
    const { modelId, provider } = await openModel(name, environment);
    expect(`${provider.split('.')[0]}/${modelId}`).toBe(name);
  });
});

describe('a redirect', () => {
  const servers: Server[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => once(server.close(), 'close'))));

  async function serve(handler: Parameters<typeof createServer>[1]): Promise<string> {
    const server = createServer({}, handler).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test.each([
    ['openai/gpt-5-mini', 'OPENAI'],
    ['anthropic/claude', 'ANTHROPIC'],
  ])('of %s to another address is not followed', async (name, prefix) => {
    const asked: unknown[] = [];
    const elsewhere = await serve(({ headers }, response) => {
      asked.push(headers);
      response.end('{}');
    });
    const there = await serve((_request, response) => {
      response.writeHead(307, { location: elsewhere, connection: 'close' }).end();
    });
    const environment = { [`${prefix}_BASE_URL`]: there, [`${prefix}_API_KEY`]: 'a key' };
    const model = await openModel(name, environment);
    const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'hi' }] }];
    await expect(model.doGenerate({ prompt })).rejects.toThrow(/fetch failed/);
    expect(asked).toEqual([]);
  });
});

describe('what a call failed with', () => {
  const SECRET = 'sk-canary-0123456789';
  beforeAll(() => {
    process.env['OPENAI_API_KEY'] = SECRET;
  });
  afterAll(() => {
    delete process.env['OPENAI_API_KEY'];
  });

  test('holds no key, no header but Retry-After, and nothing of the request or the body', () => {
    const error = new APICallError({
      message: `Incorrect API key provided: ${SECRET}, ${'x'.repeat(470)} ${SECRET}`,
      url: `https://api.openai.com/v1?key=${SECRET}`,
      requestBodyValues: { prompt: SECRET },
      statusCode: 429,
      responseHeaders: { 'retry-after': '7', authorization: SECRET, 'set-cookie': SECRET },
      responseBody: SECRET,
      data: { error: { message: SECRET, type: 'rate_limit', code: null } },
    });
    const failure = modelFailure(error, 'openai/gpt-5-mini') as Error;
    const all = JSON.stringify(failure, Object.getOwnPropertyNames(failure)) + failure.stack;
    const cause = failure.cause as Error;
    const both = all + JSON.stringify(cause, Object.getOwnPropertyNames(cause)) + cause.stack;
    expect(both).not.toContain('canary');
    expect(failure).toMatchObject({ type: 'ModelUnavailable', retryable: true });
    expect(cause).toMatchObject({ status: 429, code: 'rate_limit', headers: { 'retry-after': '7' } });
    expect(Object.keys((cause as unknown as { headers: object }).headers)).toEqual(['retry-after']);
  });

  test('holds nothing of a secret that another one begins', () => {
    process.env['A_SHORT_TOKEN'] = SECRET.slice(0, 9);
    process.env['Z_LONG_TOKEN'] = `${SECRET.slice(0, 9)}-and-more`;
    try {
      const failure = modelFailure(new Error(`refused ${process.env['Z_LONG_TOKEN']}`), 'openai/gpt-5-mini');
      expect((failure as Error).message).toMatch(/refused \[removed\]$/);
    } finally {
      delete process.env['A_SHORT_TOKEN'];
      delete process.env['Z_LONG_TOKEN'];
    }
  });

  test('says of what was not sent that it was not asked, and not of what may have been', async () => {
    const address = 'http://127.0.0.1:1/v1';
    const blocked: unknown = await fetch(address).catch((thrown: unknown) => thrown);
    const message = 'Cannot connect to API: bad port';
    const unsent = new APICallError({
      message,
      url: address,
      requestBodyValues: {},
      cause: (blocked as Error).cause,
    });
    const misused = Object.assign(new Error('no messages'), { name: 'AI_InvalidPromptError' });
    for (const error of [blocked, unsent, misused]) {
      const failure = modelFailure(error, 'openai/gpt-5-mini');
      expect(failure).toMatchObject({
        message: expect.stringMatching(/^openai\/gpt-5-mini was not asked: /) as string,
      });
      expect(isUnpaid(failure)).toBe(true);
    }
    const lost = modelFailure(Object.assign(new Error('reset'), { code: 'ECONNRESET' }), 'openai/gpt-5-mini');
    expect(lost).toMatchObject({ message: 'openai/gpt-5-mini gave no answer: reset' });
    expect(isUnpaid(lost)).toBe(false);
    const refused = new APICallError({ message, url: address, requestBodyValues: {}, statusCode: 400 });
    expect((modelFailure(refused, 'openai/gpt-5-mini') as Error).cause).toMatchObject({ code: undefined });
  });

  test('a provider without credit is not asked again, whatever its status', () => {
    const error = new APICallError({
      message: 'You exceeded your current quota',
      url: 'https://api.openai.com/v1',
      requestBodyValues: {},
      statusCode: 429,
      data: { error: { message: '', type: 'insufficient_quota', code: 'insufficient_quota' } },
    });
    expect(modelFailure(error, 'openai/gpt-5-mini')).toMatchObject({ type: 'ModelRefused' });
  });
});
