// Over a server on loopback that checks each signature by its own calculation; and, where CADRE_TEST_S3 has the form of
// CADRE_ARTIFACTS and AWS_* the credentials, over that bucket as well.
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { ArtifactStore } from '../../src/storage/artifact-store';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { openArtifacts } from '../../src/storage/open-artifacts';
import {
  S3ArtifactStore,
  type S3ArtifactStoreOptions,
  type S3Credentials,
} from '../../src/storage/s3-artifact-store';
import { artifactStoreLaws } from '../support/artifact-store-laws';
import { S3Server, S3_CREDENTIALS, S3_REGION } from '../support/s3-server';

const { CADRE_TEST_S3: elsewhere } = process.env;
const [SECRET, TOKEN] = [S3_CREDENTIALS.secretAccessKey, 'canary-session-token'];
let server: S3Server;

beforeAll(async () => {
  server = await S3Server.start();
});
beforeEach(() => {
  server.objects.clear();
  server.received.length = 0;
  server.mishaps.length = 0;
  server.sessionToken = undefined;
  server.conditions = true;
});
afterAll(() => server.close());

function open(more: Partial<S3ArtifactStoreOptions> = {}): S3ArtifactStore {
  return new S3ArtifactStore({
    bucket: 'artifacts',
    prefix: 'cadre',
    endpoint: server.endpoint,
    region: S3_REGION,
    credentials: S3_CREDENTIALS,
    ...more,
  });
}

const statuses = (): number[] => server.received.map(({ status }) => status);

describe('a bucket on loopback', () => {
  artifactStoreLaws(() => [open(), open()]);
});

if (elsewhere !== undefined) {
  describe('the bucket of CADRE_TEST_S3', () => {
    artifactStoreLaws(() => {
      const [address = '', query = ''] = elsewhere.split('?');
      const CADRE_ARTIFACTS = `${address.replace(/\/$/, '')}/${randomUUID()}?${query}`;
      const client = (): ArtifactStore => openArtifacts({ ...process.env, CADRE_ARTIFACTS });
      return [client(), client()];
    });
  });
}

test('keys are those of the files of a folder, below the prefix', async () => {
  const { artifact } = await open().put(Buffer.from('hello'));
  await open({ prefix: 'a/b' }).record('calls/x/1', Buffer.from('one'));
  await open({ prefix: '' }).record('calls/x/1', Buffer.from('two'));
  const digest = artifact.slice('sha256:'.length);
  expect([...server.objects.keys()]).toEqual([
    `cadre/${digest.slice(0, 2)}/${digest.slice(2)}`,
    'a/b/calls/x/1',
    'calls/x/1',
  ]);
});

test('an object that was changed is not given out, and putting its content mends it', async () => {
  const reference = await open().put(Buffer.from('hello'));
  const [key = ''] = server.objects.keys();
  server.objects.set(key, Buffer.from('jello'));
  await expect(open().get(reference)).rejects.toMatchObject({
    type: 'ArtifactMissing',
    message: expect.stringContaining('was changed') as string,
  });
  await open().put(Buffer.from('hello'));
  expect(await open().get(reference)).toHaveLength(5);
});

describe('credentials', () => {
  test('that expire are asked for before each request', async () => {
    server.sessionToken = TOKEN;
    const asked: number[] = [];
    const credentials = async (): Promise<S3Credentials> => {
      asked.push(asked.length);
      return { ...S3_CREDENTIALS, sessionToken: TOKEN };
    };
    const artifacts = open({ credentials });
    await artifacts.get(await artifacts.put(Buffer.from('hello')));
    expect(asked).toHaveLength(2);
  });

  test('that are wrong fail at the first request', async () => {
    const wrong = open({ credentials: { ...S3_CREDENTIALS, secretAccessKey: 'other' } });
    await expect(wrong.put(Buffer.from('hello'))).rejects.toMatchObject({
      type: 'ArtifactsUnavailable',
      message: expect.stringContaining('403 SignatureDoesNotMatch') as string,
    });
    expect(statuses()).toEqual([403]);
    expect(server.objects.size).toBe(0);
  });

  test('stand in no error, and in nothing that is printed of the store', async () => {
    server.sessionToken = 'another';
    const artifacts = open({ credentials: { ...S3_CREDENTIALS, sessionToken: TOKEN }, patience: 0 });
    const failures = [
      await artifacts.put(Buffer.from('hello')).catch((error: unknown) => error),
      await artifacts.recall('calls/a/1').catch((error: unknown) => error),
    ];
    const closed = open({ endpoint: 'http://127.0.0.1:1', patience: 0 });
    failures.push(await closed.recall('calls/a/1').catch((error: unknown) => error));
    const printed = inspect([artifacts, failures], { depth: 10, showHidden: true });
    expect(printed).toContain('403 InvalidToken');
    expect(printed).not.toContain(SECRET);
    expect(printed).not.toContain(TOKEN);
  });

  test.each([
    ['accessKeyId', ''],
    ['secretAccessKey', 'canary\nline'],
    ['sessionToken', 'canary ä'],
  ])('with a %s that no header takes are refused without being told', (field, value) => {
    const make = (): S3ArtifactStore => open({ credentials: { ...S3_CREDENTIALS, [field]: value } });
    expect(make).toThrow(field);
    expect(make).not.toThrow(/canary/);
  });

  test('go to no other address', async () => {
    const other = await S3Server.start();
    try {
      server.mishaps.push({ kind: 'redirect', location: `${other.endpoint}/artifacts/cadre/calls/a/1` });
      await expect(open().recall('calls/a/1')).rejects.toMatchObject({ type: 'ArtifactsUnavailable' });
      expect(other.received).toEqual([]);
    } finally {
      await other.close();
    }
  });
});

describe('a server in trouble', () => {
  test('is tried again, until it does what is asked', async () => {
    server.mishaps.push(
      { kind: 'refuse', status: 503, code: 'SlowDown' },
      { kind: 'cut', done: false },
      { kind: 'refuse', status: 409, code: 'ConditionalRequestConflict' },
      { kind: 'refuse', status: 400, code: 'RequestTimeout' },
    );
    expect(Buffer.from(await open().record('calls/a/1', Buffer.from('one'))).toString()).toBe('one');
    expect(statuses()).toEqual([503, 0, 409, 400, 200]);
  });

  test('that loses the answer to a record has kept it: the second try finds it', async () => {
    server.mishaps.push({ kind: 'cut', done: true });
    expect(Buffer.from(await open().record('calls/a/1', Buffer.from('one'))).toString()).toBe('one');
    expect(statuses()).toEqual([0, 412, 200]);
    expect(Buffer.from(server.objects.get('cadre/calls/a/1') ?? '').toString()).toBe('one');
  });

  test('is given up after the patience, with what it said', async () => {
    for (let index = 0; index < 50; index += 1) {
      server.mishaps.push({ kind: 'refuse', status: 500, code: 'InternalError' });
    }
    await expect(open({ patience: 300 }).put(Buffer.from('hello'))).rejects.toMatchObject({
      type: 'ArtifactsUnavailable',
      retryable: true,
      message: expect.stringContaining('500 InternalError') as string,
    });
    expect(statuses().length).toBeGreaterThan(1);
  });

  test.each([
    [403, 'AccessDenied'],
    [404, 'NoSuchBucket'],
    [301, 'PermanentRedirect'],
    [501, 'NotImplemented'],
  ])('that answers %d %s is not asked again', async (status, code) => {
    server.mishaps.push({ kind: 'refuse', status, code });
    await expect(open().recall('calls/a/1')).rejects.toMatchObject({
      type: 'ArtifactsUnavailable',
      message: expect.stringContaining(`${status} ${code}`) as string,
    });
    expect(statuses()).toEqual([status]);
  });

  test('that cannot be reached is named', async () => {
    const closed = open({ endpoint: 'http://127.0.0.1:1', patience: 0 });
    await expect(closed.recall('calls/a/1')).rejects.toMatchObject({
      message: expect.stringMatching(
        /s3:\/\/artifacts\/cadre at http:\/\/127\.0\.0\.1:1: it cannot be/,
      ) as string,
    });
  });
});

describe('CADRE_ARTIFACTS', () => {
  test('that begins with s3: is a bucket', async () => {
    const artifacts = openArtifacts(server.environment('of/mine/'));
    await artifacts.record('calls/a/1', Buffer.from('one'));
    expect([...server.objects.keys()]).toEqual(['of/mine/calls/a/1']);
  });

  test('takes the region of AWS_REGION, and a session token', async () => {
    server.sessionToken = TOKEN;
    const environment = {
      ...server.environment(),
      CADRE_ARTIFACTS: `s3://artifacts?endpoint=${server.endpoint}`,
      AWS_REGION: S3_REGION,
      AWS_SESSION_TOKEN: TOKEN,
    };
    expect(await openArtifacts(environment).recall('calls/a/1')).toBeUndefined();
    expect(statuses()).toEqual([404]);
  });

  test('that is anything else is a folder', () => {
    expect(openArtifacts({ CADRE_ARTIFACTS: '/somewhere' })).toBeInstanceOf(FileArtifactStore);
    expect(openArtifacts({ HOME: '/home/someone' })).toBeInstanceOf(FileArtifactStore);
  });

  test.each([
    ['s3://', /CADRE_ARTIFACTS to be a folder or s3:\/\/BUCKET/],
    ['s3:artifacts', /CADRE_ARTIFACTS to be a folder or s3:\/\/BUCKET/],
    ['s3://canary:canary@artifacts', /AWS_ACCESS_KEY_ID/],
    ['s3://artifacts?endpoint=http://u:canary@host', /endpoint to be a URL/],
    ['s3://artifacts?endpoint=ftp://host', /endpoint to be a URL.*ftp:\/\/host/],
    ['s3://artifacts?endpoint=nowhere', /endpoint to be a URL/],
    ['s3://artifacts?key=canary', /without key/],
    ['s3://UPPER', /bucket to be the name of a bucket/],
    ['s3://artifacts/a/../../b%20c', /prefix to be/],
    ['gs://artifacts', /CADRE_ARTIFACTS to be a folder, got gs:/],
  ])('%j is refused without telling what may be secret', (CADRE_ARTIFACTS, message) => {
    const make = (): unknown => openArtifacts({ ...server.environment(), CADRE_ARTIFACTS });
    expect(make).toThrow(message);
    expect(make).not.toThrow(/canary/);
  });

  test('in S3 without credentials says which variables to set', () => {
    const { CADRE_ARTIFACTS } = server.environment();
    expect(() => openArtifacts({ CADRE_ARTIFACTS })).toThrow(/AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/);
  });
});

test.each([
  ['artifacts', undefined, 'https://artifacts.s3.us-east-1.amazonaws.com/calls/a/1'],
  ['my.artifacts', 'eu-west-3', 'https://s3.eu-west-3.amazonaws.com/my.artifacts/calls/a/1'],
])('without an endpoint the bucket %s of region %s is at Amazon', async (bucket, region, url) => {
  const asked: string[] = [];
  const fetched = jest.spyOn(globalThis, 'fetch').mockImplementation(async (request) => {
    asked.push((request as Request).url);
    return new Response('kept');
  });
  try {
    const artifacts = new S3ArtifactStore({
      bucket,
      credentials: S3_CREDENTIALS,
      ...(region === undefined ? {} : { region }),
    });
    expect(await artifacts.recall('calls/a/1')).toHaveLength(4);
    expect(asked).toEqual([url]);
  } finally {
    fetched.mockRestore();
  }
});
