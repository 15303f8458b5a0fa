// The real AI SDK against a cassette, whose provider is a scripted model on loopback.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { generateText, streamText } from 'ai';
import { z } from 'zod';
import { isRecord } from '../../src/core/json';
import { modelAgent } from '../../src/models/model-agent';
import { openModel } from '../../src/models/providers';
import { callAgent } from '../../src/testing/call-agent';
import { Cassette, type CassetteOptions } from '../../src/testing/cassette';
import { type Script, ScriptedModel, type ScriptedReply } from '../../src/testing/scripted-model';
import { TemporaryFolder } from '../support/temporary-folder';

const KEY = 'sk-canary-0123456789abcdef';
const VARIABLES = ['OPENAI_BASE_URL', 'OPENAI_API_KEY', 'ANTHROPIC_BASE_URL', 'ANTHROPIC_API_KEY'] as const;

let folder: TemporaryFolder;
let path: string;
let environment: NodeJS.ProcessEnv;
let provider: ScriptedModel | undefined;
beforeEach(() => {
  folder = new TemporaryFolder();
  path = join(folder.path, 'cassettes', 'clerk.json');
  environment = { ...process.env };
  withoutProvider();
});
afterEach(async () => {
  await provider?.close();
  provider = undefined;
  process.env = environment;
  folder.remove();
});

function withoutProvider(): void {
  for (const name of [...VARIABLES, 'CADRE_CASSETTES', 'CADRE_MODEL_URL']) delete process.env[name];
}

/** A cassette that records what `script` answers. The agents get its addresses, and no key. */
async function recording(script: Script, options: CassetteOptions = {}): Promise<Cassette> {
  provider = await ScriptedModel.start(script, { key: KEY });
  atProvider(provider.url);
  const cassette = await Cassette.open(path, { mode: 'record', ...options });
  use(cassette);
  return cassette;
}

/** What a worker's environment says of the provider at `url`. */
function atProvider(url: string): void {
  Object.assign(process.env, {
    OPENAI_BASE_URL: url,
    OPENAI_API_KEY: KEY,
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_API_KEY: KEY,
  });
}

function use({ openai, anthropic }: Cassette): void {
  Object.assign(process.env, {
    OPENAI_BASE_URL: openai,
    OPENAI_API_KEY: 'any',
    ANTHROPIC_BASE_URL: anthropic,
    ANTHROPIC_API_KEY: 'any',
  });
}

/** The same file without any provider. */
async function replaying(options: CassetteOptions = {}): Promise<Cassette> {
  await provider?.close();
  provider = undefined;
  withoutProvider();
  const cassette = await Cassette.open(path, options);
  use(cassette);
  return cassette;
}

type Named = 'openai/scripted' | 'anthropic/scripted';

async function ask(prompt: string, name: Named = 'openai/scripted'): Promise<string> {
  return (await generateText({ model: await openModel(name), prompt, maxRetries: 0 })).text;
}

async function askStreamed(prompt: string, name: Named) {
  const stream = streamText({ model: await openModel(name), prompt, maxRetries: 0 });
  const pieces: string[] = [];
  for await (const piece of stream.textStream) pieces.push(piece);
  return { pieces, usage: await stream.usage };
}

/** A request without the SDK, as the body says. */
const post = (cassette: Cassette, body: unknown): Promise<Response> =>
  fetch(`${cassette.openai}/chat/completions`, { method: 'POST', body: JSON.stringify(body) });

const written = (): string => readFileSync(path, 'utf8');
const count = (): Script => {
  let calls = 0;
  return () => `answer ${(calls += 1)}`;
};

describe.each(['openai/scripted', 'anthropic/scripted'] as const)('of %s a cassette', (name) => {
  test('replays an answer with its usage, without a key and with the provider closed', async () => {
    const usage = { inputTokens: 100, cachedTokens: 40, outputTokens: 7 };
    const asked = async () => {
      const model = await openModel(name);
      const { text, usage: used } = await generateText({ model, prompt: 'Hello?', maxRetries: 0 });
      return { text, usage: used };
    };
    const record = await recording(() => ({ kind: 'answer', text: 'Good day.', usage }));
    const live = await asked();
    await record.close();
    const replay = await replaying();
    expect(await asked()).toEqual(live);
    expect(live).toMatchObject({ text: 'Good day.', usage: { inputTokens: 100, outputTokens: 7 } });
    await replay.close();
  });

  test('replays a stream event by event', async () => {
    const record = await recording(() => 'Good day to you.');
    const live = await askStreamed('Hello?', name);
    await record.close();
    const replay = await replaying();
    expect(await askStreamed('Hello?', name)).toEqual(live);
    expect(live.pieces).toEqual(['Good ', 'day ', 'to ', 'you.']);
    await replay.close();
    const [{ reply }] = (JSON.parse(written()) as { exchanges: [{ reply: { body: { events: string[] } } }] })
      .exchanges;
    expect(reply.body.events.length).toBeGreaterThan(5);
    expect(reply.body.events.every((event) => /^(event|data): [^]*\n\n$/.test(event))).toBe(true);
  });

  test('replays an error as it came, with Retry-After', async () => {
    const slow = { kind: 'error', status: 429, message: 'Slow down', retryAfter: 7 } as const;
    const record = await recording(() => slow);
    await expect(ask('Hello?', name)).rejects.toMatchObject({ statusCode: 429 });
    await record.close();
    const replay = await replaying();
    await expect(ask('Hello?', name)).rejects.toMatchObject({
      message: 'Slow down',
      statusCode: 429,
      responseHeaders: { 'retry-after': '7' },
    });
    await replay.close();
  });

  test('answers a request that it has not with a refusal that says so', async () => {
    const record = await recording(() => 'ok');
    await ask('Hello?', name);
    await record.close();
    const replay = await replaying();
    await expect(ask('Goodbye?', name)).rejects.toMatchObject({
      statusCode: 400,
      isRetryable: false,
      message: expect.stringContaining('recorded "Hello?", asked "Goodbye?"') as string,
    });
    await expect(replay.close()).rejects.toThrow('clerk.json has none of it');
  });
});

test('an agent with tools runs from a cassette as it ran when it was recorded', async () => {
  const clerk = modelAgent({
    name: 'clerk',
    description: 'Decides',
    model: 'openai/gpt-5-mini',
    instructions: 'Decide on the complaint.',
    output: z.object({ decision: z.string() }),
    tools: {
      order: {
        description: 'What is known of an order',
        input: z.object({ id: z.string() }),
        effect: 'read',
        run: ({ id }) => `${id} is lost`,
      },
    },
  });
  const record = await recording(({ turn }) =>
    turn === 1
      ? { kind: 'answer', toolCalls: [{ name: 'order', input: { id: 'A-17' } }] }
      : { kind: 'answer', output: { decision: 'resend' } },
  );
  const live = await callAgent(clerk, { complaint: 'no lamp' });
  await record.close();
  const replay = await replaying();
  const { output, usage } = await callAgent(clerk, { complaint: 'no lamp' });
  expect(output).toEqual({ decision: 'resend' });
  expect(usage).toEqual(live.usage);
  await replay.close();
});

describe('the mode', () => {
  test('is replay where nothing is said, and what CADRE_CASSETTES says where it is set', async () => {
    folder.write('cassettes/clerk.json', '{"cassette":1,"exchanges":[]}');
    const modes: string[] = [];
    for (const said of [undefined, '', 'record', 'auto']) {
      if (said !== undefined) process.env['CADRE_CASSETTES'] = said;
      const cassette = await Cassette.open(path);
      modes.push(cassette.mode);
      await cassette.close();
    }
    expect(modes).toEqual(['replay', 'replay', 'record', 'auto']);
  });

  test('of the test takes the place of CADRE_CASSETTES', async () => {
    process.env['CADRE_CASSETTES'] = 'replay';
    const cassette = await Cassette.open(path, { mode: 'record' });
    expect(cassette.mode).toBe('record');
    await cassette.close();
  });

  test('must be one of the three', async () => {
    process.env['CADRE_CASSETTES'] = 'on';
    await expect(Cassette.open(path)).rejects.toMatchObject({
      type: 'InputInvalid',
      message: expect.stringContaining('replay, record, auto, got "on"') as string,
    });
  });

  test('auto asks the provider for what the file lacks, and adds it', async () => {
    const record = await recording(() => 'first');
    await ask('One?');
    await record.close();
    atProvider(provider?.url ?? '');
    provider?.becomes(() => 'second');
    const both = await Cassette.open(path, { mode: 'auto' });
    use(both);
    expect([await ask('One?'), await ask('Two?')]).toEqual(['first', 'second']);
    await both.close();
    const replay = await replaying();
    expect([await ask('Two?'), await ask('One?')]).toEqual(['second', 'first']);
    await replay.close();
  });

  test('auto misses what the file lacks where there is no key', async () => {
    const record = await recording(() => 'first');
    await ask('One?');
    await record.close();
    const both = await replaying({ mode: 'auto' });
    expect(await ask('One?')).toBe('first');
    await expect(ask('Two?')).rejects.toThrow('OPENAI_API_KEY');
    await expect(both.close()).rejects.toThrow('The nearest is recording 1');
  });

  test('record asks the provider behind a cassette that was opened before', async () => {
    const first = await recording(count());
    await ask('One?');
    await first.close();
    const second = await Cassette.open(path, { mode: 'record' });
    use(second);
    expect(await ask('One?')).toBe('answer 2');
    await second.close();
    expect(provider?.calls.every(({ hadKey }) => hadKey)).toBe(true);
  });
});

describe('a request', () => {
  test('that was made several times gets the replies in their order, and then none', async () => {
    const record = await recording(count());
    for (const _ of [1, 2]) await ask('Again?');
    await record.close();
    const replay = await replaying();
    expect([await ask('Again?'), await ask('Again?')]).toEqual(['answer 1', 'answer 2']);
    await expect(ask('Again?')).rejects.toThrow('but not as often as it was asked');
    expect(replay.misses).toMatchObject([
      { provider: 'openai', path: '/chat/completions', nearest: { number: 2 } },
    ]);
    await expect(replay.close()).rejects.toThrow('up to recording 2');
  });

  test('is the same whatever the order of its fields', async () => {
    const messages = [{ role: 'user', content: 'Hello?' }];
    const record = await recording(() => 'ok');
    await post(record, { model: 'm', messages, temperature: 0 });
    await record.close();
    const replay = await replaying();
    expect((await post(replay, { temperature: 0, messages, model: 'm' })).status).toBe(200);
    await replay.close();
  });

  test('is another one at another provider, path or method', async () => {
    const record = await recording(() => 'ok');
    const body = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hello?' }] };
    await post(record, body);
    await record.close();
    const replay = await replaying();
    const sent = { method: 'POST', body: JSON.stringify(body) };
    const statuses = [
      await fetch(`${replay.anthropic}/chat/completions`, sent),
      await fetch(`${replay.openai}/completions`, sent),
      await fetch(`${replay.openai}/chat/completions`, { ...sent, method: 'PUT' }),
    ].map(({ status }) => status);
    expect(statuses).toEqual([400, 400, 400]);
    expect(replay.misses.map(({ nearest }) => nearest?.difference?.at)).toEqual([
      'provider',
      'path',
      'method',
    ]);
    await expect(replay.close()).rejects.toThrow('differs first at provider');
  });

  test('is compared without the fields to ignore, which are not kept either', async () => {
    const request = (id: string) => ({
      model: 'm',
      metadata: { user: id, kind: 'test' },
      messages: [{ role: 'user', content: 'Hello?', id }],
    });
    const ignore = ['metadata.user', 'messages.id'];
    const record = await recording(() => 'ok', { ignore });
    await post(record, request('first-run'));
    await record.close();
    expect(written()).not.toContain('first-run');
    expect(written()).toContain('"kind": "test"');
    const replay = await replaying({ ignore });
    expect(replay.ignore).toEqual(ignore);
    expect((await post(replay, request('second-run'))).status).toBe(200);
    await replay.close();
  });
});

describe('a miss', () => {
  const conversation = (last: string, system = 'Be brief.') => ({
    model: 'm',
    messages: [
      { role: 'system', content: system },
      { role: 'user', content: `${'The lamp is a fine lamp. '.repeat(8)}${last}` },
    ],
  });

  test('names the recording that is most like it, and the first field that differs', async () => {
    const record = await recording(() => 'ok');
    await post(record, conversation('It came late.', 'Another task, with other words.'));
    await post(record, conversation('It has not come.'));
    await post(record, { model: 'other', messages: [{ role: 'user', content: 'Hello?' }] });
    await record.close();
    const replay = await replaying();
    expect((await post(replay, conversation('It has come.'))).status).toBe(400);
    expect(replay.misses[0]?.nearest).toEqual({
      number: 2,
      difference: {
        at: 'messages[1].content',
        recorded: '"…a fine lamp. It has not come."',
        asked: '"…a fine lamp. It has come."',
      },
    });
    await expect(replay.close()).rejects.toThrow(
      new Error(
        'No reply to POST /chat/completions of openai: clerk.json has none of it. The nearest is recording 2, which differs first at messages[1].content: ' +
          'recorded "…a fine lamp. It has not come.", asked "…a fine lamp. It has come.". Record again with CADRE_CASSETTES=record',
      ),
    );
  });

  test('says where a message is more than was recorded', async () => {
    const record = await recording(() => 'ok');
    await post(record, conversation('It came late.'));
    await record.close();
    const replay = await replaying();
    const { messages, model } = conversation('It came late.');
    await post(replay, { model, messages: [...messages, { role: 'user', content: 'And?' }] });
    expect(replay.misses[0]?.nearest?.difference).toMatchObject({ at: 'messages[2]', recorded: 'nothing' });
    await expect(replay.close()).rejects.toThrow('messages[2]');
  });

  test('rejects the close each time, also where its caller went on', async () => {
    folder.write('cassettes/clerk.json', '{"cassette":1,"exchanges":[]}');
    const replay = await replaying();
    await ask('Hello?').catch(() => 'went on');
    await expect(replay.close()).rejects.toThrow('clerk.json has no recordings');
    await expect(replay.close()).rejects.toThrow('clerk.json has no recordings');
  });
});

describe('the file', () => {
  test('must be there to replay, and be a cassette', async () => {
    await expect(Cassette.open(path)).rejects.toThrow('record it with CADRE_CASSETTES=record');
    folder.write('cassettes/clerk.json', '{"cassette":1,"exchanges":[{"request":{}}]}');
    await expect(Cassette.open(path)).rejects.toThrow('clerk.json is no cassette');
    folder.write('cassettes/clerk.json', '{"cassette":2,"exchanges":[]}');
    await expect(Cassette.open(path)).rejects.toThrow('clerk.json is no cassette');
  });

  test('is in the order of the requests, whichever was answered first', async () => {
    const release: (() => void)[] = [];
    const record = await recording(async ({ messages }): Promise<ScriptedReply> => {
      if (messages[0]?.text === 'Slow?') await new Promise<void>((resolve) => release.push(resolve));
      return 'ok';
    });
    const slow = ask('Slow?');
    while (release.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await ask('Quick?');
    release[0]?.();
    await slow;
    await record.close();
    expect(written().indexOf('Slow?')).toBeLessThan(written().indexOf('Quick?'));
    expect(readdirSync(join(folder.path, 'cassettes'))).toEqual(['clerk.json']);
  });

  test('has no key, cookie or organisation, wherever it was said', async () => {
    const organisation = 'org-canary4567890abcdefgh';
    const seen: unknown[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(request.url?.startsWith('/v1/limited') ? 429 : 200, {
        'content-type': 'application/json',
        'openai-organization': 'canary-organisation',
        'set-cookie': 'session=canary-session-1',
        'x-request-id': 'canary-request',
      });
      response.end(JSON.stringify({ said: `${KEY} ${organisation} canary-organisation`, kept: 'words' }));
    });
    server.unref();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    atProvider(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
    process.env['CANARY_PASSWORD'] = 'canary"with-quotes';
    const record = await Cassette.open(path, { mode: 'record' });
    use(record);
    const sent = {
      method: 'POST',
      headers: {
        authorization: 'Bearer canary-of-the-agent',
        cookie: 'canary-cookie=1',
        'openai-organization': organisation,
      },
      body: JSON.stringify({ said: `${KEY} canary-of-the-agent canary"with-quotes` }),
    };
    const limited = await fetch(`${record.openai}/limited?key=canary-query`, sent);
    expect(await limited.text()).not.toContain('canary');
    await fetch(`${record.openai}/models`, sent);
    await record.close();
    server.close();
    expect(seen).toEqual([`Bearer ${KEY}`, `Bearer ${KEY}`]);
    expect(written()).not.toContain('canary');
    expect(written()).toContain('"kept": "words"');
  });

  test('stays as it was where the provider refuses the key, or there is none', async () => {
    const record = await recording(() => 'good');
    await ask('Hello?');
    await record.close();
    const before = written();
    process.env['OPENAI_BASE_URL'] = provider?.url;
    process.env['OPENAI_API_KEY'] = 'sk-another-0123456789abc';
    const refused = await Cassette.open(path, { mode: 'record' });
    use(refused);
    await expect(ask('Hello?')).rejects.toMatchObject({ statusCode: 401 });
    await expect(refused.close()).rejects.toThrow('the provider refused it with 401');
    atProvider(provider?.url ?? '');
    delete process.env['OPENAI_BASE_URL'];
    delete process.env['OPENAI_API_KEY'];
    const keyless = await Cassette.open(path, { mode: 'record' });
    use(keyless);
    expect(await ask('Hello?', 'anthropic/scripted')).toBe('good');
    await expect(ask('Hello?')).rejects.toThrow('Expected OPENAI_API_KEY to hold the key');
    await expect(keyless.close()).rejects.toThrow('OPENAI_API_KEY');
    expect(written()).toBe(before);
  });

  test('has no answer that broke off, which is a miss unless the request is answered later', async () => {
    let calls = 0;
    const script: Script = ({ messages }) => {
      calls += 1;
      const broken = calls === 1 || messages[0]?.text === 'Never?';
      return { kind: 'answer', text: 'whole', ...(broken ? { cut: { after: 20 } } : {}) };
    };
    const mended = await recording(script);
    await expect(ask('Hello?')).rejects.toBeDefined();
    expect(await ask('Hello?')).toBe('whole');
    await mended.close();
    expect((JSON.parse(written()) as { exchanges: unknown[] }).exchanges).toHaveLength(1);
    atProvider(provider?.url ?? '');
    const broken = await Cassette.open(path, { mode: 'record' });
    use(broken);
    await expect(ask('Never?')).rejects.toBeDefined();
    await expect(broken.close()).rejects.toThrow('the provider did not answer it to the end');
  });

  test('has an answer whose caller went away', async () => {
    let release = (): void => undefined;
    const reached = new Promise<void>((resolve) => (release = resolve));
    let answer = (): void => undefined;
    const record = await recording(async () => {
      release();
      await new Promise<void>((resolve) => (answer = resolve));
      return 'late';
    });
    const away = new AbortController();
    const asked = generateText({
      model: await openModel('openai/scripted'),
      prompt: 'Hello?',
      maxRetries: 0,
      abortSignal: away.signal,
    }).catch((error: unknown) => isRecord(error) && error['name']);
    await reached;
    away.abort();
    expect(await asked).toBe('AbortError');
    answer();
    await record.close();
    expect(written()).toContain('late');
  });

  test('is not there where nothing was asked', async () => {
    await (await recording(() => 'never')).close();
    expect(existsSync(path)).toBe(false);
  });
});
