import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { load, store } from '../../src/storage/stored-values';
import { artifactStoreLaws } from '../support/artifact-store-laws';
import { TemporaryFolder } from '../support/temporary-folder';

const folder = TemporaryFolder.ofEachTest();
let artifacts: FileArtifactStore;

beforeEach(() => {
  artifacts = new FileArtifactStore(join(folder.path, 'artifacts'));
});

function files(): string[] {
  return readdirSync(folder.path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const onlyFile = (): string => {
  expect(files()).toHaveLength(1);
  return files()[0] ?? '';
};

describe('a folder', () => {
  artifactStoreLaws(() => [artifacts, new FileArtifactStore(join(folder.path, 'artifacts'))]);
});

test('the same content twice is one file, written once', async () => {
  const first = await artifacts.put(Buffer.from('hello'));
  const { ino } = statSync(onlyFile());
  expect(await artifacts.put(Buffer.from('hello'))).toEqual(first);
  expect(statSync(onlyFile()).ino).toBe(ino);
});

test('many put the same content at once, and one file is left', async () => {
  const content = Buffer.alloc(1_000_000, 'x');
  await Promise.all(Array.from({ length: 20 }, () => artifacts.put(content)));
  expect(statSync(onlyFile()).size).toBe(1_000_000);
});

test('many record under one name at once, and one file is left', async () => {
  const told = await Promise.all(
    Array.from({ length: 20 }, (_, index) => artifacts.record('calls/a/1', Buffer.from(`${index}`))),
  );
  expect(readFileSync(onlyFile(), 'utf8')).toBe(Buffer.from(told[0] ?? '').toString());
});

test('a file that is gone is missing, with the store and what to do', async () => {
  const reference = await artifacts.put(Buffer.from('hello'));
  rmSync(onlyFile());
  await expect(artifacts.get(reference)).rejects.toMatchObject({
    type: 'ArtifactMissing',
    message: expect.stringContaining(folder.path) as string,
    fix: expect.stringContaining('CADRE_ARTIFACTS') as string,
  });
});

test.each([
  ['longer', 'hello, world'],
  ['shorter', 'hell'],
  ['of the same length', 'jello'],
])(
  'a file that was changed, now %s, is not given out, and putting its content mends it',
  async (_what, text) => {
    const reference = await artifacts.put(Buffer.from('hello'));
    writeFileSync(onlyFile(), text);
    await expect(artifacts.get(reference)).rejects.toMatchObject({
      type: 'ArtifactMissing',
      message: expect.stringContaining('was changed') as string,
    });
    await artifacts.put(Buffer.from('hello'));
    expect(Buffer.from(await artifacts.get(reference)).toString()).toBe('hello');
  },
);

test('a folder that cannot be written fails the put, and leaves nothing behind', async () => {
  const blocked = new FileArtifactStore(folder.write('a-file', ''));
  await expect(blocked.put(Buffer.from('hello'))).rejects.toMatchObject({
    code: expect.any(String) as string,
  });
  expect(readFileSync(onlyFile(), 'utf8')).toBe('');
});

test('a folder that cannot be used fails records as ArtifactsUnavailable', async () => {
  const blocked = new FileArtifactStore(folder.write('a-file', ''));
  const unavailable = { type: 'ArtifactsUnavailable', message: expect.stringContaining('a-file') as string };
  await expect(blocked.record('calls/a/1', Buffer.from('one'))).rejects.toMatchObject(unavailable);
  await expect(blocked.recall('calls/a/1')).rejects.toMatchObject(unavailable);
});

test('a write that fails leaves no part behind', async () => {
  const { artifact } = await artifacts.put(Buffer.from('hello'));
  const path = onlyFile();
  rmSync(path);
  // A folder in the artifact's place: the last move cannot succeed.
  mkdirSync(join(path, 'in-the-way'), { recursive: true });
  await expect(artifacts.put(Buffer.from('hello'))).rejects.toMatchObject({
    code: expect.any(String) as string,
  });
  expect(files()).toEqual([]);
  expect(artifact).toMatch(/^sha256:/);
});

describe('values', () => {
  test('stand in history up to the maximum, and behind a reference beyond', async () => {
    expect(await store(artifacts, 'abc', 5)).toEqual({ value: 'abc' });
    const stored = await store(artifacts, 'abcd', 5);
    expect(stored).toEqual({ artifact: expect.any(String) as string, bytes: 6 });
    expect(await load(artifacts, stored)).toBe('abcd');
  });

  test.each([null, false, 0, '', [], {}, 'a\ud800b', { text: '語 😀', deep: [[[1.5e-7]]] }])(
    '%j comes back as it was, from history and from the store',
    async (value) => {
      expect(await load(artifacts, await store(artifacts, value, 1000))).toEqual(value);
      expect(await load(artifacts, await store(artifacts, value, -1))).toEqual(value);
    },
  );
});
