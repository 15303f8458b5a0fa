import { randomBytes } from 'node:crypto';
import { appendFileSync, copyFileSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { composeReport } from '../../../src/activities/agents/report';
import { listDocuments } from '../../../src/activities/documents/list-documents';
import { IndexedFolder } from '../../../src/activities/documents/indexed-folder';
import { type Analysis, analyse } from '../../../src/activities/threads/analyse';
import { checkCitations } from '../../../src/activities/threads/check-citations';
import { type ShardFindings, findPassages } from '../../../src/activities/threads/find-passages';
import { type Survey, survey } from '../../../src/activities/threads/survey';
import { removeTemporaryFolders, temporaryFolder } from '../documents/temporary-folder';
import { answer } from './answer';

// Folders that change under the agents, and the index that must not show. Pure: no threads, no server.

const QUESTION = 'How long are backups kept, and who restores the database?';

afterAll(removeTemporaryFolders);

/** The agents' work step by step; what changes between two steps is the test's. */
function stages(docs: string, index = temporaryFolder()) {
  return {
    async plan(): Promise<Survey> {
      const surveyed = await survey({ question: QUESTION, docs, index, atOnce: 1 });
      if (surveyed.kind === 'refused') throw new Error(surveyed.message);
      return surveyed;
    },
    async research({ shards, statistics }: Survey): Promise<Analysis> {
      const found: ShardFindings[] = [];
      for (const { shard } of shards) {
        const result = await findPassages({ question: QUESTION, docs, shard, statistics, index });
        if (result.kind === 'refused') throw new Error(result.message);
        found.push(result);
      }
      return analyse({ question: QUESTION, shards: found, statistics });
    },
    async write(analysis: Analysis) {
      const { cited } = composeReport(QUESTION, analysis, []);
      const unconfirmed = await checkCitations({ docs, citations: cited, index });
      return { unconfirmed, ...composeReport(QUESTION, analysis, unconfirmed) };
    },
  };
}

describe('a file', () => {
  const files = {
    'keep.md': 'Backups are kept for thirty days in the north vault.',
    'restore.md': 'The database team restores the database from backups at night.',
    'other.md': 'Lunch is served at noon in the canteen by the harbour.',
  };

  it('that vanishes between listing and reading is a note', async () => {
    const docs = temporaryFolder(files);
    const { root, documents } = listDocuments(docs);
    unlinkSync(join(docs, 'keep.md'));
    expect(documents.map(({ file }) => file)).toContain('keep.md');
    expect(await new IndexedFolder(root).read('keep.md')).toEqual({
      kind: 'skipped',
      problem: 'vanished before it was read',
    });
  });

  it('that vanishes between planning and reading is as if it had never been', async () => {
    const docs = temporaryFolder(files);
    const team = stages(docs);
    const plan = await team.plan();
    unlinkSync(join(docs, 'keep.md'));
    const { report, cited, unconfirmed } = await team.write(await team.research(plan));
    expect(new Set(cited.map(({ file }) => file))).toEqual(new Set(['restore.md']));
    expect(unconfirmed).toEqual([]);
    expect(report).not.toContain('keep.md');
  });

  it('that changes between planning and reading is cited as it was read', async () => {
    const docs = temporaryFolder(files);
    const team = stages(docs);
    const plan = await team.plan();
    writeFileSync(join(docs, 'keep.md'), '# News\n\nBackups are kept for sixty days in the south vault.');
    const { cited, unconfirmed } = await team.write(await team.research(plan));
    expect(cited).toContainEqual({
      file: 'keep.md',
      line: 3,
      text: 'Backups are kept for sixty days in the south vault.',
    });
    expect(unconfirmed).toEqual([]);
  });

  it.each([
    ['is written anew', (path: string) => writeFileSync(path, 'Backups are kept for sixty days.')],
    ['gets a line on top', (path: string) => writeFileSync(path, `\n${files['keep.md']}`)],
    ['is cut off', (path: string) => truncateSync(path, 20)],
    ['vanishes', (path: string) => unlinkSync(path)],
  ])(
    'that %s between reading and writing is quoted as it was read, and the report says so',
    async (_, change) => {
      const docs = temporaryFolder(files);
      const team = stages(docs);
      const analysis = await team.research(await team.plan());
      change(join(docs, 'keep.md'));
      const { report, unconfirmed } = await team.write(analysis);
      expect(report).toContain(`- ${files['keep.md']} \`keep.md#L1\``);
      expect(report).toContain('`keep.md`: changed after it was read');
      expect([...new Set(unconfirmed.map(({ file }) => file))]).toEqual(['keep.md']);
    },
  );

  it('that is appended to goes on being cited', async () => {
    const docs = temporaryFolder(files);
    const team = stages(docs);
    const analysis = await team.research(await team.plan());
    appendFileSync(join(docs, 'keep.md'), '\n\nAnd more is written all the time');
    expect((await team.write(analysis)).unconfirmed).toEqual([]);
  });

  it('that is half written, in the middle of a character, harms no other', async () => {
    const whole = Buffer.from(
      'Backups are kept for thirty days. Die Bücher liegen im Büro und im Keller. Gruß ü',
    );
    const docs = temporaryFolder({ ...files, 'half.md': whole.subarray(0, whole.length - 1) });
    const { report } = await answer(QUESTION, docs);
    expect(report).toContain('`half.md`: 1 character not valid UTF-8');
    expect(report).toContain('`restore.md#L1`');
  });

  it('of a folder that vanished refuses the question', async () => {
    const docs = temporaryFolder(files);
    rmSync(docs, { recursive: true });
    const found = await findPassages({ question: QUESTION, docs, shard: { index: 0, of: 1 } });
    expect(found).toMatchObject({ kind: 'refused' });
  });
});

describe('a report on a large folder', () => {
  const subjects = [
    'backup',
    'ferry',
    'pool',
    'database',
    'laptop',
    'canteen',
    'crane',
    'contract',
    'ledger',
  ];
  const verbs = ['is kept by', 'is restored by', 'waits for', 'is inspected by', 'must not block', 'pays'];
  const of = <Item>(items: readonly Item[], seed: number): Item => items[seed % items.length] as Item;

  /** Deterministic, so that a failure can be repeated; more documents than the sample that ranks. */
  function folderOf(count: number): string {
    const files: Record<string, string> = {};
    for (let number = 0; number < count; number++) {
      const sentences = Array.from({ length: 4 }, (_, at) => {
        const seed = number * 31 + at * 17;
        return `The ${of(subjects, seed)} ${of(verbs, seed >> 1)} the ${of(subjects, seed >> 2)} team for ${seed % 90} days.`;
      });
      files[`${of(subjects, number * 7)}/${number}.md`] =
        `# The ${of(subjects, number)}\n\n${sentences.join(' ')}`;
    }
    return temporaryFolder(files);
  }

  it('is the same however the folder is divided, with an index, without, and with a damaged one', async () => {
    const docs = folderOf(400);
    const index = temporaryFolder();
    const { report, cited } = await answer(QUESTION, docs, 1);
    expect(cited.length).toBeGreaterThan(3);
    for (const shards of [2, 3, 8]) expect((await answer(QUESTION, docs, shards)).report).toBe(report);
    expect((await answer(QUESTION, docs, 3, index)).report).toBe(report);
    expect((await answer(QUESTION, docs, 5, index)).report).toBe(report);
    const damaged = temporaryFolder({ 'documents.db': randomBytes(10_000) });
    expect((await answer(QUESTION, docs, 2, damaged)).report).toBe(report);
    const copy = temporaryFolder();
    copyFileSync(join(index, 'documents.db'), join(copy, 'documents.db'));
    truncateSync(join(copy, 'documents.db'), 100_000);
    expect((await answer(QUESTION, docs, 2, copy)).report).toBe(report);
  });

  it('names the same notes however the folder is divided', async () => {
    const docs = temporaryFolder({
      'z.md': 'Backups are kept for thirty days in the north vault.',
      ...Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`${index}.md`, ''])),
    });
    const { report } = await answer(QUESTION, docs, 1);
    expect(report).toContain('40 more files have notes like these');
    expect((await answer(QUESTION, docs, 4)).report).toBe(report);
  });
});

describe('the survey of a folder', () => {
  it('says how long reading will take: long for a large folder, next to nothing for an indexed one', async () => {
    const line = 'Backups are kept for thirty days in the north vault, and the ferry leaves at nine. ';
    const docs = temporaryFolder(
      Object.fromEntries(
        Array.from({ length: 300 }, (_, index) => [`${index}.md`, `${index} ${line.repeat(200)}`]),
      ),
    );
    // Files that were written just now are not trusted.
    const now = Date.now() + 60_000;
    const clock = jest.spyOn(Date, 'now').mockReturnValue(now);
    const team = stages(docs);
    const before = await team.plan();
    await team.research(before);
    const after = await team.plan();
    clock.mockRestore();
    expect(before).toMatchObject({ documents: 300, unindexed: 300 });
    expect(after).toMatchObject({ documents: 300, unindexed: 0, statistics: before.statistics });
    expect(before.seconds).toBeGreaterThan(5 * after.seconds);
  });
});
