// Real servers on loopback, at two addresses of this machine. The one at 127.0.0.1 stands for the internet where a test says so.
import { type IncomingMessage, type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type FetchToolOptions, type Fetched, fetchTool, modelAgent } from '../../../src';
import { callTool } from './call-tool';

const mockInternet = { addresses: [] as string[] };
jest.mock('../../../src/models/tools/addresses', () => {
  const actual: { addressKind: (address: string) => string } = jest.requireActual(
    '../../../src/models/tools/addresses',
  );
  return {
    addressKind: (address: string) =>
      mockInternet.addresses.includes(address) ? 'public' : actual.addressKind(address),
  };
});

let answers: RequestListener;
/** Where requests came in, and what they said. */
const requests: { at: string; url: string | undefined; headers: IncomingMessage['headers'] }[] = [];
const servers: Server[] = [];
let port: number;

beforeAll(async () => {
  port = await listen('127.0.0.1', 0);
  await listen('127.0.0.2', port);
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});
beforeEach(() => {
  requests.length = 0;
  mockInternet.addresses = [];
  answers = (_request, response) => response.setHeader('content-type', 'text/plain').end('sun');
});

async function listen(at: string, wanted: number): Promise<number> {
  const server = createServer((request, response) => {
    requests.push({ at, url: request.url, headers: request.headers });
    answers(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(wanted, at, resolve);
  });
  return (server.address() as AddressInfo).port;
}

/** Names of the tests: `one.test` and `two.test` are the two servers. */
const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  'one.test': ['127.0.0.1'],
  'sub.one.test': ['127.0.0.1'],
  'two.test': ['127.0.0.2'],
  'both.test': ['127.0.0.1', '127.0.0.2'],
  'metadata.test': ['169.254.169.254'],
  'mixed.test': ['127.0.0.1', '169.254.169.254'],
  'nowhere.test': [],
};
type Resolve = NonNullable<FetchToolOptions['resolve']>;
const resolve: Resolve = (host) =>
  host in ADDRESSES ? Promise.resolve(ADDRESSES[host] ?? []) : Promise.reject(new Error(`unknown: ${host}`));

async function fetched(url: string, options: FetchToolOptions = {}): Promise<Fetched> {
  const tool = fetchTool({ allowPrivate: true, resolve, ...options });
  return (await callTool(tool, { url })) as Fetched;
}
const outcome = (read: Promise<unknown>): Promise<string> =>
  read.then(
    () => 'read',
    (error: Error) => error.message,
  );
const redirectTo =
  (location: string, status = 302): RequestListener =>
  ({ url }, response) => {
    if (url === '/start') response.writeHead(status, { location }).end();
    else response.setHeader('content-type', 'text/plain').end('arrived');
  };

describe('an address', () => {
  test('is read by GET, with its name as the host, whatever the status', async () => {
    answers = (_request, response) =>
      response.writeHead(404, { 'content-type': 'text/html; charset=latin1' }).end(Buffer.from([0xfc]));
    expect(await fetched(`http://one.test:${port}/a?b=c#d`)).toEqual({
      url: `http://one.test:${port}/a?b=c#d`,
      status: 404,
      type: 'text/html; charset=latin1',
      text: 'ü',
      cut: false,
    });
    expect(requests).toMatchObject([
      { at: '127.0.0.1', url: '/a?b=c', headers: { host: `one.test:${port}` } },
    ]);
  });

  test.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '017700000001',
    '0177.0.0.1',
    '0x7f000001',
    '0x7f.0x0.0x0.0x1',
    '0X7F.1',
    '127.0.0.1.',
    '%31%32%37.0.0.1',
    '①②⑦.0.0.1',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::127.0.0.1]',
    '[::127.0.0.1]',
    '[2002:7f00:1::]',
    '0',
    '0.0.0.0',
    '[::]',
    'localhost',
    'LOCALHOST.',
  ])('of this machine is not reached as %s', async (host) => {
    const tool = fetchTool();
    const read = callTool(tool, { url: `http://${host}:${port}/` });
    await expect(read).rejects.toThrow(/may not be reached/);
    expect(requests).toHaveLength(0);
  });

  test.each([
    '169.254.169.254',
    '2852039166',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '100.100.100.200',
    '224.0.0.1',
  ])('of a metadata service or link is not reached as %s, even where private ones are', async (host) => {
    await expect(fetched(`http://${host}/latest/meta-data`)).rejects.toThrow(/may not be reached/);
  });

  test('is refused where one of several is', async () => {
    await expect(fetched(`http://mixed.test:${port}/`)).rejects.toThrow(/may not be reached/);
    await expect(fetched(`http://nowhere.test:${port}/`)).rejects.toThrow(/has no address/);
    mockInternet.addresses = ['127.0.0.1'];
    const one = await fetched(`http://one.test:${port}/`, { allowPrivate: false });
    expect(one.text).toBe('sun');
    await expect(fetched(`http://both.test:${port}/`, { allowPrivate: false })).rejects.toThrow(/may not/);
    expect(requests).toHaveLength(1);
  });

  test.each([
    ['file:///etc/passwd', /Only http and https/],
    ['ftp://one.test/', /Only http and https/],
    ['data:text/plain,x', /Only http and https/],
    ['one.test', /no address of the web/],
    ['http://', /no address of the web/],
    ['http://mara:pa55word@one.test/', /a name or password/],
    ['http://mara@one.test/', /a name or password/],
  ])('such as %s is not read, and a password not repeated', async (url, reason) => {
    const error = await fetched(url).catch((thrown: unknown) => thrown as Error);
    expect((error as Error).message).toMatch(reason);
    expect((error as Error).message).not.toContain('pa55word');
  });
});

describe('a name', () => {
  /** Leads somewhere else each time it is asked for. */
  function rebinding(...leads: string[]): { resolve: Resolve; asked: () => number } {
    let asked = 0;
    const next: Resolve = () => Promise.resolve([leads[Math.min(asked++, leads.length - 1)] ?? '']);
    return { resolve: next, asked: () => asked };
  }

  test('is resolved once, and the connection goes to what was checked', async () => {
    const names = rebinding('127.0.0.1', '127.0.0.2');
    mockInternet.addresses = ['127.0.0.1'];
    const options = { allowPrivate: false, resolve: names.resolve };
    await fetched(`http://rebinding.test:${port}/`, options);
    expect(names.asked()).toBe(1);
    expect(requests.map(({ at }) => at)).toEqual(['127.0.0.1']);
    await expect(fetched(`http://rebinding.test:${port}/`, options)).rejects.toThrow(/may not be reached/);
    expect(requests).toHaveLength(1);
  });

  test('is checked anew after a redirect to itself', async () => {
    const names = rebinding('127.0.0.1', '127.0.0.2');
    mockInternet.addresses = ['127.0.0.1'];
    answers = redirectTo('/next');
    const options = { allowPrivate: false, resolve: names.resolve };
    await expect(fetched(`http://rebinding.test:${port}/start`, options)).rejects.toThrow(/may not be/);
    expect(requests.map(({ at }) => at)).toEqual(['127.0.0.1']);
  });

  test('that does not resolve in time ends with the time limit', async () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    await expect(fetched('http://slow.test/', { resolve: never, timeout: 50 })).rejects.toThrow(
      /within 0.05 s/,
    );
  });

  test.each([
    ['one.test', true],
    ['ONE.test.', true],
    ['sub.one.test', false],
    ['two.test', false],
  ])('%s is allowed by one.test: %s', async (host, allowed) => {
    const read = fetched(`http://${host}:${port}/`, {
      allow: ['One.Test'],
      resolve: () => resolve('one.test'),
    });
    expect(await outcome(read)).toMatch(allowed ? /^read$/ : /may not be asked/);
    expect(requests).toHaveLength(allowed ? 1 : 0);
  });

  test.each([
    ['sub.one.test', true],
    ['one.test', false],
    ['notone.test', false],
    ['sub.one.test.evil.test', false],
  ])('%s is allowed by *.one.test: %s', async (host, allowed) => {
    const options = { allow: ['*.one.test'], resolve: () => resolve('one.test') };
    const read = fetched(`http://${host}:${port}/`, options);
    expect(await outcome(read)).toMatch(allowed ? /^read$/ : /may not be asked/);
    expect(requests).toHaveLength(allowed ? 1 : 0);
  });
});

describe('a redirect', () => {
  test.each([301, 302, 303, 307, 308])('by %i is followed', async (status) => {
    answers = redirectTo(`http://two.test:${port}/there`, status);
    const { url, text } = await fetched(`http://one.test:${port}/start`);
    expect({ url, text }).toEqual({ url: `http://two.test:${port}/there`, text: 'arrived' });
    expect(requests.map(({ at }) => at)).toEqual(['127.0.0.1', '127.0.0.2']);
  });

  test.each([
    ['http://two.test:PORT/', /may not be reached/],
    ['http://127.0.0.2:PORT/', /may not be reached/],
    ['//127.0.0.2:PORT/', /may not be reached/],
    ['http://0x7f000002:PORT/', /may not be reached/],
    ['http://[::ffff:127.0.0.2]:PORT/', /may not be reached/],
    ['http://metadata.test/', /may not be reached/],
    ['file:///etc/passwd', /Only http and https/],
    ['http://a:b@one.test:PORT/', /a name or password/],
    ['http://', /no address of the web/],
  ])('from the internet to %s is not', async (location, reason) => {
    mockInternet.addresses = ['127.0.0.1'];
    answers = redirectTo(location.replace('PORT', String(port)));
    const read = fetched(`http://one.test:${port}/start`, { allowPrivate: false });
    await expect(read).rejects.toThrow(reason);
    expect(requests).toHaveLength(1);
  });

  test('to a host that is not allowed is not followed', async () => {
    answers = redirectTo(`http://two.test:${port}/`);
    const read = fetched(`http://one.test:${port}/start`, { allow: ['one.test'] });
    await expect(read).rejects.toThrow('The host "two.test" may not be asked');
    expect(requests).toHaveLength(1);
  });

  test('is followed so often as is allowed', async () => {
    answers = (_request, response) => response.writeHead(302, { location: '/again' }).end();
    await expect(fetched(`http://one.test:${port}/`)).rejects.toThrow('There are more than 5 redirects');
    expect(requests).toHaveLength(6);
    await expect(fetched(`http://one.test:${port}/`, { maxRedirects: 0 })).rejects.toThrow(/more than 0/);
    expect(requests).toHaveLength(7);
  });

  test('takes no header of one origin to another', async () => {
    answers = redirectTo(`http://two.test:${port}/`);
    const headers = { [`http://one.test:${port}`]: { authorization: 'Bearer canary', cookie: 'canary=1' } };
    await fetched(`http://one.test:${port}/start`, { headers });
    await fetched(`http://two.test:${port}/`, { headers });
    expect(requests.map(({ headers: { authorization, cookie } }) => [authorization, cookie])).toEqual([
      ['Bearer canary', 'canary=1'],
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });
});

describe('an answer', () => {
  test('is cut off where it gets too long, also where it would never end', async () => {
    answers = (_request, response) => {
      response.setHeader('content-type', 'text/plain');
      const more = (): void => void (response.destroyed || response.write('x'.repeat(1000), more));
      more();
    };
    const { text, cut } = await fetched(`http://one.test:${port}/`, { maxBytes: 1234 });
    expect([text.length, cut]).toEqual([1234, true]);
    answers = (_request, response) => response.setHeader('content-type', 'text/plain').end('x'.repeat(1234));
    expect(await fetched(`http://one.test:${port}/`, { maxBytes: 1234 })).toMatchObject({ cut: false });
  });

  test('that breaks off is none', async () => {
    answers = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 100 }).write('half');
      setImmediate(() => response.destroy());
    };
    await expect(fetched(`http://one.test:${port}/`)).rejects.toThrow('could not be read (ECONNRESET)');
  });

  test.each(['the head', 'the body'])('whose %s does not come ends with the time limit', async (part) => {
    answers = (_request, response) => {
      if (part === 'the body') response.writeHead(200, { 'content-type': 'text/plain' }).write('half');
    };
    const read = fetched(`http://one.test:${port}/`, { timeout: '100ms' });
    await expect(read).rejects.toThrow('There was no whole answer within 0.1 s');
  });

  test('is not waited for where the attempt ends', async () => {
    const attempt = new AbortController();
    answers = () => attempt.abort(new Error('the attempt ended'));
    const tool = fetchTool({ allowPrivate: true, resolve });
    const read = callTool(tool, { url: `http://one.test:${port}/` }, attempt.signal);
    await expect(read).rejects.toThrow('the attempt ended');
  });

  test.each([
    [{ 'content-type': 'image/png' }, 'The answer is no text, but "image/png"'],
    [{ 'content-type': 'application/octet-stream' }, /no text/],
    [{ 'content-type': 'text/plain', 'content-encoding': 'gzip' }, 'The answer is encoded as "gzip"'],
  ])('with %j is told of, not returned', async (headers, reason) => {
    answers = (_request, response) => response.writeHead(200, headers).end(gzipSync('sun'));
    await expect(fetched(`http://one.test:${port}/`)).rejects.toThrow(reason);
    expect(requests[0]?.headers['accept-encoding']).toBe('identity');
  });

  test.each(['application/json', 'application/ld+json; charset=utf-8', 'image/svg+xml', undefined])(
    'of type %s is a text',
    async (type) => {
      answers = (_request, response) =>
        response.writeHead(200, type === undefined ? {} : { 'content-type': type }).end('{"ü":1}');
      expect((await fetched(`http://one.test:${port}/`)).text).toBe('{"ü":1}');
    },
  );

  test('that there is none names a code, not an address', async () => {
    answers = (request) => request.socket.destroy();
    await expect(fetched(`http://one.test:${port}/`)).rejects.toThrow('could not be read (ECONNRESET)');
    await expect(fetched(`https://one.test:${port}/`)).rejects.toThrow(
      /could not be read \((EPROTO|ERR_SSL)/,
    );
  });
});

test('It is a tool of a model agent that reads, and says which hosts it may ask', () => {
  const tool = fetchTool({ allow: ['example.com', '*.example.org', '::1', '[::2]'] });
  expect(tool.effect).toBe('read');
  expect(tool.description).toContain('example.com, *.example.org');
  const described = { description: 'a', instructions: 'a', model: 'openai/gpt-5-mini' };
  expect(() => modelAgent({ name: 'reader', ...described, tools: { fetch: tool } })).not.toThrow();
});

test.each([
  { allow: 'example.com' },
  { allow: ['https://example.com'] },
  { allow: ['example.com:80'] },
  { allow: ['example.com/path'] },
  { allow: ['*'] },
  { allow: ['*.*.com'] },
  { allow: [''] },
  { allow: [3] },
  { allowed: ['example.com'] },
  { allowPrivate: 'yes' },
  { maxBytes: 0 },
  { timeout: 'soon' },
  { timeout: 0 },
  { timeout: '11m' },
  { maxRedirects: 21 },
  { headers: { 'example.com': {} } },
  { headers: { 'https://example.com/': {} } },
])('fetchTool refuses %j', (options) => {
  expect(() => fetchTool(options as unknown as FetchToolOptions)).toThrow(/of fetchTool to be/);
});
