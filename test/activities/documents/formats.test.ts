import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { locatorOf } from '../../../src/activities/documents/locator';
import { optionalPackage } from '../../../src/activities/documents/optional-package';
import { blocksOfLines } from '../../../src/activities/documents/pdf-layout';
import { unpackedBytes } from '../../../src/activities/documents/zip';
import { runInThread } from '../../../src/activities/threads';
import { removeTemporaryFolders, temporaryFolder } from './temporary-folder';

// Reads by the real packages, in the threads that do it in a worker, since Jest cannot load what unpdf loads: needs
// `npm run build` first.

const FIXTURES = join(__dirname, 'fixtures');
const whole = { index: 0, of: 1 };
const { signal } = new AbortController();

afterAll(removeTemporaryFolders);

async function search(docs: string, question: string) {
  const found = await runInThread('findPassages', { question, docs, shard: whole }, signal);
  if (found.kind === 'refused') throw new Error(found.message);
  const sentences = found.candidates.flatMap(({ file, sentences: all }) =>
    all.map((one) => ({ ...one, file })),
  );
  return { ...found, sentences };
}

const bytesOf = (file: string): Buffer => readFileSync(join(FIXTURES, file));

describe('a PDF', () => {
  it('is cited by page, where the sentence begins', async () => {
    const { sentences } = await search(FIXTURES, 'Which policy does the company show for the ferry?');
    const found = sentences.find(({ text }) => text.includes('insures'));
    expect(found?.text).toBe(
      'The company insures the ferry against fire and against collision, and it shows the policy to the harbour office every spring.',
    );
    expect(locatorOf(found ?? { file: '', line: 0 })).toBe('lease.pdf p. 1');
    const { sentences: ending } = await search(FIXTURES, 'How does the berth lease end, with what notice?');
    expect(ending).toContainEqual({
      file: 'lease.pdf',
      line: 2,
      kind: 'paragraph',
      text: 'Either party ends the berth lease with a notice of nine months in writing.',
    });
  });

  it('has headings by the size of letters, items by their bullets, and no running lines', async () => {
    const { candidates } = await search(FIXTURES, 'Who repairs the quay walls of the harbour?');
    const passage = candidates.find(({ headings }) => headings.includes('Repairs'));
    expect(passage?.headings).toEqual(['Berth lease', 'Repairs']);
    expect(passage?.sentences.map(({ kind, text }) => [kind, text])).toEqual([
      ['item', 'The harbour office repairs the quay walls at its own cost.'],
      ['item', 'The ferry company repairs what its ferry has dam-aged at the berth.'],
    ]);
    expect(JSON.stringify(candidates)).not.toContain('version 3');
  });

  it('that cannot be read is a note', async () => {
    const docs = temporaryFolder({
      'cut.pdf': bytesOf('lease.pdf').subarray(0, 600),
      'empty.pdf': '',
      'locked.pdf': bytesOf('locked.pdf'),
      'pictures.pdf': bytesOf('pictures.pdf'),
      'text.pdf': 'not a PDF at all',
    });
    const { filesRead, notes } = await search(docs, 'Why?');
    expect(filesRead).toBe(0);
    expect(notes).toEqual([
      { file: 'cut.pdf', problem: 'is broken: Invalid PDF structure.' },
      { file: 'empty.pdf', problem: 'is empty' },
      { file: 'locked.pdf', problem: 'is protected by a password' },
      { file: 'pictures.pdf', problem: 'holds no text; its pages may be pictures' },
      { file: 'text.pdf', problem: 'is broken: Invalid PDF structure.' },
    ]);
  });

  it('goes on with a paragraph over columns and pages, and parts what stands apart', () => {
    const line = (page: number, y: number, text: string) => ({ page, y, text, size: 10 });
    const blocks = blocksOfLines([
      line(1, 700, 'The first column ends in the'),
      line(1, 688, 'middle of'),
      line(1, 700, 'a sentence. It ends there.'),
      line(1, 660, 'This is another paragraph.'),
      line(2, 700, 'And this one begins a page.'),
    ]);
    expect(blocks.map(({ text }) => text)).toEqual([
      'The first column ends in the middle of a sentence. It ends there.',
      'This is another paragraph.',
      'And this one begins a page.',
    ]);
  });
});

describe('a DOCX file', () => {
  it('is cited by paragraph, of those that hold text; a row of a table is one', async () => {
    const { sentences } = await search(FIXTURES, 'How often is the crane inspected, and what does it lift?');
    const cited = sentences.filter(({ file }) => file === 'minutes.docx');
    expect(cited.map((one) => [locatorOf(one), one.text])).toEqual([
      ['minutes.docx para. 2', 'The board of the harbour met on the second of May in the old customs house.'],
      ['minutes.docx para. 3', 'The crane is inspected by an engineer from outside every six months.'],
      ['minutes.docx para. 4', 'Crane | The north crane lifts forty tonnes at most'],
      ['minutes.docx para. 5', 'Tug | The small tug tows ships of ninety metres'],
      ['minutes.docx para. 6', 'The next meeting of the board takes place in the second week of July.'],
    ]);
  });

  it('that cannot be read is a note', async () => {
    const other = bytesOf('minutes.docx').toString('latin1').replaceAll('w:body', 'w:bxdy');
    const docs = temporaryFolder({
      'cut.docx': bytesOf('minutes.docx').subarray(0, 600),
      'other.docx': Buffer.from(other, 'latin1'),
      'text.docx': 'not a DOCX file at all, but long enough',
    });
    const { notes } = await search(docs, 'Why?');
    expect(notes.map(({ file, problem }) => [file, problem.replace(/:.*/, '')])).toEqual([
      ['cut.docx', 'is no DOCX file'],
      ['other.docx', expect.stringMatching(/is broken|holds no text/)],
      ['text.docx', 'is no DOCX file'],
    ]);
  });

  it('says what it unpacks to before it is unpacked', () => {
    const bytes = Buffer.from(bytesOf('minutes.docx'));
    const at = bytes.indexOf('PK\u0001\u0002');
    bytes.writeUInt32LE(0xf0000000, at + 24);
    expect(unpackedBytes(bytes)).toBeGreaterThan(0xf0000000);
    expect(unpackedBytes(Buffer.from('PK'))).toBeUndefined();
  });

  it('that unpacks to far too much is a note', async () => {
    const docs = temporaryFolder();
    copyFileSync(join(FIXTURES, 'minutes.docx'), join(docs, 'plain.docx'));
    const bytes = Buffer.from(bytesOf('minutes.docx'));
    bytes.writeUInt32LE(0xf0000000, bytes.indexOf('PK\u0001\u0002') + 24);
    const bomb = temporaryFolder({ 'bomb.docx': bytes });
    expect((await search(docs, 'Why?')).notes).toEqual([]);
    expect((await search(bomb, 'Why?')).notes).toEqual([
      { file: 'bomb.docx', problem: 'unpacks to more than 256 MB' },
    ]);
  });
});

describe('a package that is not installed', () => {
  it.each(['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'])('is named in a note (%s)', async (code) => {
    const missing = () => Promise.reject(Object.assign(new Error('Cannot find it'), { code }));
    expect(await optionalPackage('unpdf', missing)).toEqual({
      kind: 'skipped',
      problem: 'is read by the package unpdf: npm install unpdf',
      passing: true,
    });
  });

  it('is told from one that is broken', async () => {
    await expect(optionalPackage('unpdf', () => Promise.reject(new Error('broken')))).rejects.toThrow(
      'broken',
    );
  });
});
