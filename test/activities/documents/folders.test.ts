import { mkdirSync, openSync, closeSync, ftruncateSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { listDocuments } from '../../../src/activities/documents/list-documents';
import { readDocument } from '../../../src/activities/documents/read-document';
import { isInShard, planShards } from '../../../src/activities/documents/shards';
import { byCodeUnit } from '../../../src/activities/documents/document';
import { citableSentences, passagesOf } from '../../../src/activities/documents/passages';
import { readMarkdown } from '../../../src/activities/documents/markdown';
import { removeTemporaryFolders, temporaryFolder } from './temporary-folder';

afterAll(removeTemporaryFolders);

describe('listDocuments', () => {
  it('lists documents by path and other files apart, without hidden ones and node_modules', () => {
    const folder = temporaryFolder({
      'b.md': 'x',
      'B.txt': 'x',
      'a/ä ö [1].HTML': 'x',
      'a/report.odt': 'x',
      '.hidden.md': 'x',
      '.git/x.md': 'x',
      'node_modules/p/README.md': 'x',
      Makefile: 'x',
    });
    const listing = listDocuments(folder);
    expect(listing.documents).toEqual([
      { file: 'B.txt', bytes: 1 },
      { file: 'a/ä ö [1].HTML', bytes: 1 },
      { file: 'b.md', bytes: 1 },
    ]);
    expect(listing.others).toEqual(['a/report.odt']);
    expect(listing.notes).toEqual([]);
  });

  it.each([
    ['is missing', () => join(temporaryFolder(), 'nowhere'), 'There is no folder'],
    ['is a file', () => join(temporaryFolder({ 'a.md': 'x' }), 'a.md'), 'is not a folder'],
    ['has a name that is too long', () => join(temporaryFolder(), 'x'.repeat(300)), 'ENAMETOOLONG'],
  ])('refuses a folder that %s', (_, folder, message) => {
    const refusal = { type: 'DocumentsUnreadable', message: expect.stringContaining(message) as string };
    expect(() => listDocuments(folder())).toThrow(expect.objectContaining(refusal));
  });

  it('lists what links inside the folder point to once, and notes links that lead out or nowhere', () => {
    const outside = temporaryFolder({ 'secret.md': 'secret' });
    const folder = temporaryFolder({ 'a/one.md': 'x' });
    symlinkSync(join(outside, 'secret.md'), join(folder, 'out.md'));
    symlinkSync(outside, join(folder, 'out'));
    symlinkSync(join(folder, 'a/one.md'), join(folder, 'again.md'));
    symlinkSync(folder, join(folder, 'a/loop'));
    symlinkSync(join(folder, 'gone.md'), join(folder, 'dead.md'));
    const listing = listDocuments(folder);
    expect(listing.documents.map((document) => document.file)).toEqual(['a/one.md']);
    expect(listing.notes).toEqual([
      { file: 'dead.md', problem: 'is a link that leads nowhere' },
      { file: 'out', problem: 'is a link that leads out of the folder' },
      { file: 'out.md', problem: 'is a link that leads out of the folder' },
    ]);
  });

  it('follows a link given as the folder itself', () => {
    const link = join(temporaryFolder(), 'link');
    symlinkSync(temporaryFolder({ 'a.md': 'x' }), link);
    expect(listDocuments(link).documents).toHaveLength(1);
  });

  it('takes folders 200 deep', () => {
    const deep = Array.from({ length: 200 }, () => 'd').join('/');
    expect(listDocuments(temporaryFolder({ [`${deep}/a.md`]: 'x' })).documents).toHaveLength(1);
  });
});

describe('readDocument', () => {
  const read = (content: string | Uint8Array, file = 'a.md') =>
    readDocument(temporaryFolder({ [file]: content }), file);
  const textOf = async (content: string | Uint8Array, file?: string): Promise<string> => {
    const document = await read(content, file);
    return document.kind === 'read' ? document.blocks.map((block) => block.text).join('|') : document.problem;
  };

  it.each([
    ['UTF-8 with a byte order mark', Buffer.from('\uFEFFGrüße.')],
    ['UTF-16 LE', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('Grüße.', 'utf16le')])],
    ['UTF-16 BE', Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from('Grüße.', 'utf16le').swap16()])],
  ])('reads %s', async (_, content) => {
    expect(await textOf(content)).toBe('Grüße.');
  });

  it.each(['# One\r\n\r\nTwo\r\nthree.', '# One\r\rTwo\rthree.', '# One\n\nTwo\nthree.'])(
    'reads line ends in %j',
    async (content) => {
      const document = await read(content);
      expect(document).toMatchObject({
        kind: 'read',
        blocks: [{ text: 'One' }, { text: 'Two three.', starts: [{ line: 3 }, { line: 4 }] }],
      });
    },
  );

  it('says what is not valid UTF-8, and reads the rest', async () => {
    const content = Buffer.concat([
      Buffer.from('A caf\xe9 opens at nine every day. '.repeat(3), 'latin1'),
      Buffer.from('The end is near.'),
    ]);
    expect(await read(content)).toMatchObject({
      kind: 'read',
      flaw: expect.stringContaining('3 characters not valid UTF-8') as string,
    });
  });

  it.each([
    ['binary content', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3]), 'is not text'],
    ['a PDF', Buffer.from('%PDF-1.7\nsome text that looks fine'), 'is not text'],
    [
      'random bytes',
      Buffer.from(Array.from({ length: 999 }, (_, index) => ((index * 7919) % 255) + 1)),
      'is not text',
    ],
    ['nothing', '', 'is empty'],
  ])('skips %s', async (_, content, problem) => {
    expect(await read(content)).toEqual({ kind: 'skipped', problem });
  });

  it('skips a file of 100 MB without reading it', async () => {
    const folder = temporaryFolder();
    const file = openSync(join(folder, 'huge.md'), 'w');
    ftruncateSync(file, 100 * 1024 * 1024);
    closeSync(file);
    const before = process.memoryUsage().rss;
    expect(await readDocument(folder, 'huge.md')).toEqual({
      kind: 'skipped',
      problem: 'is 100.0 MB; files over 8 MB are not read',
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(20 * 1024 * 1024);
  });

  it('skips what vanished, became a folder, or became a link after it was listed', async () => {
    const folder = temporaryFolder({ 'gone.md': 'x', 'secret.txt': 'x' });
    rmSync(join(folder, 'gone.md'));
    mkdirSync(join(folder, 'folder.md'));
    symlinkSync(join(folder, 'secret.txt'), join(folder, 'link.md'));
    expect(await readDocument(folder, 'gone.md')).toMatchObject({ problem: 'vanished before it was read' });
    expect(await readDocument(folder, 'folder.md')).toMatchObject({ kind: 'skipped' });
    expect(await readDocument(folder, 'link.md')).toMatchObject({
      kind: 'skipped',
      problem: 'cannot be read (ELOOP)',
    });
  });
});

describe('planShards', () => {
  const document = fc.record({
    file: fc.string({ minLength: 1, maxLength: 6 }),
    bytes: fc.integer({ min: 0, max: 4_000_000 }),
  });
  const documents = fc.uniqueArray(document, { selector: (one) => one.file, minLength: 1, maxLength: 60 });

  it('puts every path into exactly one shard, also paths that came after planning', () => {
    fc.assert(
      fc.property(documents, fc.string({ minLength: 1, maxLength: 6 }), (all, late) => {
        const listed = [...all].sort((left, right) => byCodeUnit(left.file, right.file));
        const shards = planShards(listed);
        expect(shards.length).toBeLessThanOrEqual(8);
        for (const file of [...listed.map((one) => one.file), late]) {
          expect(shards.filter(({ shard }) => isInShard(file, shard))).toHaveLength(1);
        }
        for (const { shard, first, last } of shards) {
          expect(listed.filter((one) => isInShard(one.file, shard))).toHaveLength(last - first + 1);
          expect(last).toBeGreaterThanOrEqual(first);
        }
      }),
    );
  });

  it('divides a dozen small documents evenly among three', () => {
    const twelve = Array.from({ length: 12 }, (_, index) => ({
      file: `${String.fromCharCode(97 + index)}.md`,
      bytes: 2000,
    }));
    expect(planShards(twelve).map(({ first, last }) => [first, last])).toEqual([
      [1, 4],
      [5, 8],
      [9, 12],
    ]);
  });

  it('takes one shard for a few documents and eight for large folders', () => {
    const many = (count: number, bytes: number) =>
      Array.from({ length: count }, (_, index) => ({ file: String(10_000 + index), bytes }));
    expect(planShards(many(3, 100))).toHaveLength(1);
    expect(planShards(many(1500, 7000))).toHaveLength(8);
  });
});

describe('citableSentences', () => {
  const citable = (markdown: string): string[] => {
    return passagesOf(readMarkdown(markdown))
      .flatMap(citableSentences)
      .map((sentence) => sentence.text);
  };

  it.each([
    [
      'introductions of lists',
      'Do the following steps in this order:\n\n- Page the owner of the database.',
      ['Page the owner of the database.'],
    ],
    [
      'list fragments that end in a colon',
      '- The following options are allowed:\n- Each option has a default value.',
      ['Each option has a default value.'],
    ],
    ['questions', 'When do we deploy a change? We deploy it every day.', ['We deploy it every day.']],
    [
      'fragments',
      'Not much.\n\nand so on it goes. This sentence stands by itself.',
      ['This sentence stands by itself.'],
    ],
    [
      'boilerplate',
      'Copyright 2020 by all of the authors. Last updated by the finance team. All of it stays.',
      ['All of it stays.'],
    ],
    [
      'code',
      '`const a = await b(c, d)` is.\n\nRun `npm ci` before you start.',
      ['Run `npm ci` before you start.'],
    ],
    ['symbols', '=> -> :: == {} [] () && || a b c d\n\nPage the owner at once.', ['Page the owner at once.']],
  ])('leave out %s', (_, markdown, expected) => {
    expect(citable(markdown)).toEqual(expected);
  });

  it('leave out a list that says when something does not hold', () => {
    expect(
      citable(
        'Do not fail over for any of these:\n\n- The primary is slow but answers.\n\nIt is safe to wait a minute.',
      ),
    ).toEqual(['It is safe to wait a minute.']);
  });

  it('leave out a sentence that could not be decoded', () => {
    expect(citable('The caf\uFFFD is open every day. It closes at ten at night.')).toEqual([
      'It closes at ten at night.',
    ]);
  });

  it('keep table rows and sentences of other scripts', () => {
    expect(
      citable(
        '| a | b |\n|---|---|\n| SEV 1 | within 15 minutes of the page |\n\n担当者に連絡してください。',
      ),
    ).toEqual(['SEV 1 | within 15 minutes of the page', '担当者に連絡してください。']);
  });
});
