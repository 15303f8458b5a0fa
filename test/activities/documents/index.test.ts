import { randomBytes } from 'node:crypto';
import type * as nodeFs from 'node:fs';
import { existsSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprintOf, readContent } from '../../../src/activities/documents/content';
import { IndexCache } from '../../../src/activities/documents/index-cache';
import {
  type Indexed,
  decodeIndexed,
  encodeIndexed,
  indexDocument,
} from '../../../src/activities/documents/indexed-document';
import { IndexedFolder } from '../../../src/activities/documents/indexed-folder';
import { parseDocument } from '../../../src/activities/documents/read-document';
import { removeTemporaryFolders, temporaryFolder } from './temporary-folder';

/** What the code under test calls; an import would be a copy, which spies do not reach. */
const fs: typeof nodeFs = jest.requireActual('node:fs');

/** Files that were written just now are as old as this says. */
const later = () => Date.now() + 60_000;
const caches: IndexCache[] = [];

async function openCache(path = join(temporaryFolder(), 'sub', 'documents.db'), maximumBytes?: number) {
  const cache = await IndexCache.open(path, maximumBytes);
  caches.push(cache);
  return cache;
}

afterAll(() => {
  for (const cache of caches) cache.close();
  removeTemporaryFolders();
});
afterEach(() => jest.restoreAllMocks());

const shown = (document: Indexed): unknown =>
  document.kind === 'skipped'
    ? document
    : { ...document, tokens: [...document.tokens], texts: document.texts(), flaw: document.flaw ?? null };

describe('an indexed document', () => {
  it.each([
    [
      'notes.md',
      '# Backups\n\nThe back up of `client_cert_path` is kept.\n\n## Tapes\n\nTapes, too; 30 days.',
    ],
    ['手順.md', '# データベース\n\n切り替えには当番責任者の承認が必要です。'],
    [
      'odd.txt',
      Buffer.from('The caf\xe9 opens at nine every day of the week, and all of the year.', 'latin1'),
    ],
    ['heading.md', '# Only a heading'],
    ['binary.md', Buffer.from([1, 0, 2])],
    ['large.txt', Array.from({ length: 40_000 }, (_, index) => `word${index}`).join(' ')],
  ])('comes back from what is kept as it was: %s', async (file, content) => {
    const document = indexDocument(await parseDocument(file, Buffer.from(content)));
    const kept = decodeIndexed('key', encodeIndexed('key', document));
    expect(kept === undefined ? undefined : shown(kept)).toEqual(shown(document));
  });

  it('does not come back where a single byte differs, or under another key', async () => {
    const entry = encodeIndexed(
      'key',
      indexDocument(await parseDocument('a.md', Buffer.from('Tapes are kept.'))),
    );
    expect(decodeIndexed('other', entry)).toBeUndefined();
    for (let at = 0; at < entry.length; at += 7) {
      const damaged = Buffer.from(entry);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
      expect(decodeIndexed('key', damaged)).toBeUndefined();
    }
    expect(decodeIndexed('key', entry.subarray(0, 5))).toBeUndefined();
  });
});

describe('the index', () => {
  it('spares parsing what did not change, also for another process and after a restart', async () => {
    const docs = temporaryFolder({ 'a.md': 'Tapes are kept for years.', 'b.md': 'Disks are kept for days.' });
    const path = join(temporaryFolder(), 'documents.db');
    const read = async () => {
      const cache = await openCache(path);
      const folder = new IndexedFolder(docs, cache, later);
      const documents = [await folder.read('a.md'), await folder.read('b.md')];
      cache.close();
      return { parsed: folder.parsed, documents: documents.map(shown) };
    };
    const first = await read();
    const second = await read();
    expect([first.parsed, second.parsed]).toEqual([2, 0]);
    expect(second.documents).toEqual(first.documents);
  });

  it('does not open a file whose status it knows, and does not trust one that may still change', async () => {
    const docs = temporaryFolder({ 'a.md': 'Tapes are kept for years.' });
    const cache = await openCache();
    await new IndexedFolder(docs, cache).read('a.md');
    cache.flush();
    expect(cache.count(docs)).toBe(0);
    await new IndexedFolder(docs, cache, later).read('a.md');
    cache.flush();
    expect(cache.count(docs)).toBe(1);
    const open = jest.spyOn(fs, 'openSync');
    await new IndexedFolder(docs, cache, later).read('a.md');
    expect(open).not.toHaveBeenCalled();
  });

  it('sees a change that keeps size and modification time', async () => {
    const docs = temporaryFolder({ 'a.md': 'Tapes are kept for years.' });
    const path = join(docs, 'a.md');
    const cache = await openCache();
    utimesSync(path, 1_000_000_000, 1_000_000_000);
    await new IndexedFolder(docs, cache, later).read('a.md');
    cache.flush();
    writeFileSync(path, 'Disks are kept for years.');
    utimesSync(path, 1_000_000_000, 1_000_000_000);
    const document = await new IndexedFolder(docs, cache, later).read('a.md');
    expect(shown(document)).toMatchObject({
      texts: [{ sentences: [{ text: 'Disks are kept for years.' }] }],
    });
  });

  it('knows the same bytes under another name, but not in another format', async () => {
    const cache = await openCache();
    const text = '<p>Tapes are kept for years.</p>';
    const folder = new IndexedFolder(
      temporaryFolder({ 'a.html': text, 'b.html': text, 'c.txt': text }),
      cache,
    );
    await folder.read('a.html');
    await folder.read('b.html');
    expect(folder.parsed).toBe(1);
    expect(shown(await folder.read('c.txt'))).not.toEqual(shown(await folder.read('a.html')));
    expect(folder.parsed).toBe(2);
  });

  it('keeps that a file cannot be read', async () => {
    const cache = await openCache();
    const folder = new IndexedFolder(temporaryFolder({ 'a.md': Buffer.from([0, 1]) }), cache);
    expect(await folder.read('a.md')).toEqual({ kind: 'skipped', problem: 'is not text' });
    expect(await folder.read('a.md')).toEqual({ kind: 'skipped', problem: 'is not text' });
    expect(folder.parsed).toBe(1);
  });

  it.each([
    ['is no database', (path: string) => writeFileSync(path, randomBytes(50_000))],
    ['is cut off', (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 9000))],
    [
      'is overwritten in the middle',
      (path: string) => {
        const bytes = readFileSync(path);
        randomBytes(bytes.length - 4096).copy(bytes, 4096);
        writeFileSync(path, bytes);
      },
    ],
  ])('that %s is made anew', async (_, damage) => {
    const docs = temporaryFolder(
      Object.fromEntries(
        Array.from({ length: 30 }, (_unused, index) => [`${index}.md`, `Tape ${index} is kept for years.`]),
      ),
    );
    const path = join(temporaryFolder(), 'documents.db');
    const read = async () => {
      const cache = await openCache(path);
      const folder = new IndexedFolder(docs, cache, later);
      for (let index = 0; index < 30; index++) {
        expect(await folder.read(`${index}.md`)).toMatchObject({ kind: 'read' });
      }
      cache.close();
      return folder.parsed;
    };
    expect(await read()).toBe(30);
    for (const end of ['-wal', '-shm']) rmSync(path + end, { force: true });
    damage(path);
    await read();
    await read();
    expect(await read()).toBe(0);
  });

  it('that cannot be made is no index, and no error', async () => {
    const cache = await openCache(join(temporaryFolder({ file: 'x' }), 'file', 'documents.db'));
    expect(cache.isOpen).toBe(false);
    const folder = new IndexedFolder(temporaryFolder({ 'a.md': 'Tapes are kept for years.' }), cache, later);
    expect(await folder.read('a.md')).toMatchObject({ kind: 'read' });
  });

  it('takes writes of several at a time', async () => {
    const path = join(temporaryFolder(), 'documents.db');
    const [one, other] = [await openCache(path), await openCache(path)];
    for (let index = 0; index < 50; index++) {
      one.put(`one ${index}`, Buffer.from('1'));
      other.put(`other ${index}`, Buffer.from('2'));
      one.flush();
      other.flush();
    }
    expect(one.get('other 49')?.toString()).toBe('2');
    expect(other.get('one 0')?.toString()).toBe('1');
  });

  it('drops what was not used for longest when it grows too large', async () => {
    const cache = await openCache(undefined, 2_000_000);
    const clock = jest.spyOn(Date, 'now');
    for (let index = 0; index < 600; index++) {
      clock.mockReturnValue(1_000_000 + index);
      cache.put(`${index}`, randomBytes(10_000));
      cache.flush();
    }
    const kept = Array.from({ length: 600 }, (_, index) => cache.get(`${index}`) !== undefined);
    expect(kept.lastIndexOf(false)).toBeLessThan(kept.indexOf(true));
    expect(kept.filter(Boolean).length).toBeGreaterThan(50);
    expect(kept.filter(Boolean).length).toBeLessThan(250);
  });
});

describe('reading a file', () => {
  const MAXIMUM = 1000;
  const fileOf = (content: string) => join(temporaryFolder({ 'a.md': content }), 'a.md');

  it('reads again what changes meanwhile', () => {
    const path = fileOf('old');
    const { readSync } = fs;
    const read = jest.spyOn(fs, 'readSync').mockImplementationOnce((...args) => {
      writeFileSync(path, 'new text');
      return readSync(...args);
    });
    const content = readContent(path, MAXIMUM, later);
    expect(content).toMatchObject({ kind: 'content', fingerprint: fingerprintOf(path) });
    expect(content.kind === 'content' && content.bytes.toString()).toBe('new text');
    expect(read.mock.calls.length).toBeGreaterThan(1);
  });

  it('takes what is written all the while as it is, and does not trust its status', () => {
    const path = fileOf('0');
    const { readSync } = fs;
    let writes = 0;
    jest.spyOn(fs, 'readSync').mockImplementation((...args) => {
      writeFileSync(path, 'x'.repeat(++writes));
      return readSync(...args);
    });
    expect(readContent(path, MAXIMUM, later)).toMatchObject({ kind: 'content', fingerprint: undefined });
    expect(writes).toBe(3);
  });

  it('takes a file that is cut off while it is read as far as it reaches', () => {
    const path = fileOf('a text of some length');
    jest.spyOn(fs, 'readSync').mockReturnValue(0);
    expect(readContent(path, MAXIMUM, later)).toEqual({
      kind: 'content',
      bytes: Buffer.alloc(0),
      fingerprint: undefined,
    });
  });

  it('does not trust the status of a file that was written within the last two seconds', () => {
    const path = fileOf('text');
    expect(readContent(path, MAXIMUM)).toMatchObject({ kind: 'content', fingerprint: undefined });
    expect(existsSync(path)).toBe(true);
  });
});
