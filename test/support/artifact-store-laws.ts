import fc from 'fast-check';
import type { ArtifactStore } from '../../src/storage/artifact-store';

const text = (content: Uint8Array | undefined): string | undefined =>
  content === undefined ? undefined : Buffer.from(content).toString();

/** What every artifact store does. `open` gives two clients of one new store. */
export function artifactStoreLaws(open: () => readonly [ArtifactStore, ArtifactStore]): void {
  let first: ArtifactStore;
  let second: ArtifactStore;
  let named = 0;

  beforeEach(() => {
    [first, second] = open();
  });

  test('what was put is got, by a reference that is the hash of it, also by another client', async () => {
    const reference = await first.put(Buffer.from('hello'));
    expect(reference).toEqual({
      artifact: 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      bytes: 5,
    });
    expect(text(await first.get(reference))).toBe('hello');
    expect(text(await second.get(reference))).toBe('hello');
  });

  test('any bytes come back as they were', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (content) => {
        const got = await second.get(await first.put(content));
        expect(Buffer.compare(got, content)).toBe(0);
        const name = `laws/${(named += 1)}`;
        expect(Buffer.compare(await first.record(name, content), content)).toBe(0);
        expect(Buffer.compare((await second.recall(name)) ?? Buffer.from('nothing'), content)).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  test('a view into a larger buffer is stored alone', async () => {
    const reference = await first.put(Buffer.from('has hello in it').subarray(4, 9));
    expect(text(await second.get(reference))).toBe('hello');
  });

  test('many put the same content at once, and all of them get it', async () => {
    const content = Buffer.alloc(1_000_000, 'x');
    const references = await Promise.all(
      Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? first : second).put(content)),
    );
    expect(new Set(references.map(({ artifact }) => artifact)).size).toBe(1);
    expect(await first.get(references[0] ?? { artifact: '', bytes: 0 })).toHaveLength(1_000_000);
  });

  test('what was never put is missing', async () => {
    await expect(first.get({ artifact: `sha256:${'0'.repeat(64)}`, bytes: 1 })).rejects.toMatchObject({
      type: 'ArtifactMissing',
      fix: expect.stringContaining('CADRE_ARTIFACTS') as string,
    });
  });

  test.each([
    '../../../etc/passwd',
    'sha256:../../../../../../etc/passwd',
    `sha256:${'a'.repeat(60)}/../`,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'a'.repeat(64)}\n`,
    `md5:${'a'.repeat(64)}`,
    '',
  ])('a reference %j is refused and leads nowhere', async (artifact) => {
    await expect(first.get({ artifact, bytes: 1 })).rejects.toMatchObject({ type: 'InputInvalid' });
  });

  test('a record is recalled by its name, and nothing by another', async () => {
    expect(text(await first.record('calls/ab12/000001-ff.begun.1', Buffer.from('one')))).toBe('one');
    expect(text(await second.recall('calls/ab12/000001-ff.begun.1'))).toBe('one');
    expect(await second.recall('calls/ab12/000001-ff.begun.2')).toBeUndefined();
    expect(await second.recall('calls/ab12/000001-ff')).toBeUndefined();
  });

  test('the first record of a name stands, and whoever comes later gets to see it', async () => {
    await first.record('calls/a/1', Buffer.from('first'));
    expect(text(await second.record('calls/a/1', Buffer.from('second, and longer')))).toBe('first');
    expect(text(await first.recall('calls/a/1'))).toBe('first');
  });

  test('of many who record at once one stands, and all of them are told the same', async () => {
    const told = await Promise.all(
      Array.from({ length: 16 }, (_, index) =>
        (index % 2 === 0 ? first : second).record('calls/b/1', Buffer.alloc(50_000, `${index % 10}`)),
      ),
    );
    expect(new Set(told.map(text)).size).toBe(1);
    expect(text(await second.recall('calls/b/1'))).toBe(text(told[0]));
  });

  test('nothing at all is content, and a record, too', async () => {
    const reference = await first.put(new Uint8Array());
    expect(reference.bytes).toBe(0);
    expect(await second.get(reference)).toHaveLength(0);
    await first.record('calls/c/1', new Uint8Array());
    expect(await second.record('calls/c/1', Buffer.from('late'))).toHaveLength(0);
    expect(await second.recall('calls/c/1')).toHaveLength(0);
  });

  test.each([
    '',
    '/',
    'calls/../../etc/passwd',
    '../calls',
    'calls//a',
    'calls/',
    '/calls',
    'calls/.hidden',
    'calls/Ä',
    'calls/a b',
    'calls/a\n',
    'calls/a?versionId=1',
    'ab/cdef',
    `calls/${'a'.repeat(500)}`,
  ])('a record named %j is refused', async (name) => {
    await expect(first.record(name, Buffer.from('x'))).rejects.toMatchObject({ type: 'InputInvalid' });
    await expect(first.recall(name)).rejects.toMatchObject({ type: 'InputInvalid' });
  });
}
