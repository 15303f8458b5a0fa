import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { analyse } from '../../src/activities/threads/analyse';
import { answer } from '../activities/agents/answer';
import { standsInSource } from '../activities/agents/stands-in-source';

// Pure: no threads, no server. The golden questions are what the embedded agents must be able to answer.

interface Golden {
  readonly question: string;
  /** Files that the report must cite; the short answer cites no other. */
  readonly cites: readonly string[];
  readonly differs: readonly (readonly string[])[];
  readonly gaps: readonly string[];
}

const HANDBOOK = join(__dirname, '../../examples/handbook');
const golden = JSON.parse(
  readFileSync(join(__dirname, '../../examples/handbook.questions.json'), 'utf8'),
) as Golden[];

describe.each(golden)('the handbook on "$question"', ({ question, cites, differs, gaps }) => {
  it('cites the files that hold the answer', async () => {
    const { cited } = await answer(question, HANDBOOK);
    const files = [...new Set(cited.map((quote) => quote.file))];
    expect(files).toEqual(expect.arrayContaining([...cites]));
    expect(files.length === 0).toBe(cites.length === 0);
  });

  it('takes the short answer from one of them', async () => {
    const { analysis } = await answer(question, HANDBOOK);
    const first = analysis.parts.flatMap(
      (_, part) => analysis.findings.find((one) => one.part === part) ?? [],
    );
    expect(first.filter((finding) => !cites.includes(finding.file))).toEqual([]);
  });

  it('shows where sources differ, and only there', async () => {
    const { analysis } = await answer(question, HANDBOOK);
    const found = analysis.differences.map(({ left, right }) => [left.says, right.says].sort());
    expect(found).toEqual(differs.map((pair) => [...pair].sort()));
  });

  it('names what no source answers, and only that', async () => {
    const { analysis } = await answer(question, HANDBOOK);
    expect(analysis.gaps.map((gap) => gap.part)).toEqual(gaps);
  });

  it('quotes every sentence from the line it cites', async () => {
    const { cited } = await answer(question, HANDBOOK);
    expect(cited.filter((quote) => !standsInSource(HANDBOOK, quote))).toEqual([]);
  });

  it('gives the same report however the documents are divided', async () => {
    const whole = await answer(question, HANDBOOK, 1);
    for (const shards of [2, 4, 8, 12])
      expect((await answer(question, HANDBOOK, shards)).report).toBe(whole.report);
  });

  it('gives the same analysis in whatever order the shards are', async () => {
    const { analysis, shards } = await answer(question, HANDBOOK, 4);
    expect(analyse({ question, shards: shards.toReversed() })).toEqual(analysis);
  });

  it('stays small enough for history', async () => {
    const { shards } = await answer(question, HANDBOOK);
    for (const shard of shards) expect(JSON.stringify(shard).length).toBeLessThan(24 * 1024);
  });
});

describe('the golden questions', () => {
  it('number at least twelve and begin with one that shows agreement, a difference and a gap', async () => {
    expect(golden.length).toBeGreaterThanOrEqual(12);
    const { report } = await answer(golden[0]?.question ?? '', HANDBOOK);
    expect(report.match(/^## .*$/gm)).toEqual([
      '## Short answer',
      '## What the sources agree on',
      '## What one source says',
      '## Sources differ — check',
      '## What the sources do not answer',
      '## Sources',
    ]);
  });

  it('find exactly the two differences that the handbook holds', async () => {
    const found = new Set<string>();
    for (const { question } of golden) {
      const { analysis } = await answer(question, HANDBOOK);
      for (const { left, right } of analysis.differences)
        found.add([left.says, right.says].sort().join(' / '));
    }
    expect([...found].sort()).toEqual(['30 days / 35 days', '30 seconds / 60 seconds']);
  });
});
