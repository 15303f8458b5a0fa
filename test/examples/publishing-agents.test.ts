// Each agent of the example alone, against a folder, a database and a service of its own; no Temporal.
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Agent } from 'cadre';
import { MemoryLedger, callAgent, compensateAgent } from 'cadre/testing';
import { analysisAgent } from '../../examples/publishing/analysis-agent';
import { publisherAgent } from '../../examples/publishing/publisher-agent';
import { researchAgent } from '../../examples/publishing/research-agent';
import { startService } from '../../examples/publishing/service';
import { lookAt, publishByHand } from '../../examples/publishing/world';
import { writerAgent } from '../../examples/publishing/writer-agent';
import { ROOT } from '../support/cli';
import { TemporaryFolder } from '../support/temporary-folder';

const ARTICLE = { article: 'database-failover', question: 'Who has to approve a failover?' };
const DOCS = join(ROOT, 'examples', 'handbook');

let folder: TemporaryFolder;
let desk: string;
let service: Awaited<ReturnType<typeof startService>>;

async function setUp(): Promise<void> {
  folder = new TemporaryFolder();
  desk = join(folder.path, 'desk');
  service = await startService({ port: 0, file: join(folder.path, 'published.json') });
  await publishByHand({ desk, url: service.url });
}

async function tearDown(): Promise<void> {
  await service.close();
  folder.remove();
}

beforeEach(setUp);
afterEach(tearDown);

const look = (): ReturnType<typeof lookAt> => lookAt({ desk, url: service.url });

async function found(): Promise<{ candidates: readonly unknown[] }> {
  const elsewhere = researchAgent(join(folder.path, 'elsewhere'));
  return (await callAgent(elsewhere, { ...ARTICLE, docs: DOCS })).output;
}

async function weighed(): Promise<unknown> {
  const elsewhere = analysisAgent(join(folder.path, 'elsewhere'));
  return (await callAgent(elsewhere, { ...ARTICLE, shards: [await found()] })).output;
}

/** The agents with an input each, and where their effect is seen. */
// oxlint-disable-next-line typescript/no-explicit-any -- one table for agents of different inputs.
const CASES: readonly [string, 'files' | 'rows' | 'published', () => Promise<[Agent<any, any>, unknown]>][] =
  [
    ['research', 'files', async () => [researchAgent(desk), { ...ARTICLE, docs: DOCS }]],
    ['analysis', 'rows', async () => [analysisAgent(desk), { ...ARTICLE, shards: [await found()] }]],
    [
      'writer',
      'files',
      async () => [writerAgent(desk), { ...ARTICLE, docs: DOCS, analysis: await weighed() }],
    ],
    [
      'publisher',
      'published',
      async () => [publisherAgent(service.url), { article: ARTICLE.article, written: { text: '# New' } }],
    ],
  ];

/** Forgets that an effect happened: the one of this number, counted from 1. */
class DyingLedger extends MemoryLedger {
  private settled = 0;

  constructor(private readonly diesAt: number) {
    super();
  }

  override async settle(...effect: Parameters<MemoryLedger['settle']>): ReturnType<MemoryLedger['settle']> {
    this.settled += 1;
    if (this.settled === this.diesAt) throw new Error('killed');
    return super.settle(...effect);
  }
}

describe.each(CASES)('%s', (_, part, prepare) => {
  test('what it did is there once, and is undone to what was there before', async () => {
    const [agent, input] = await prepare();
    const before = await look();
    const ledger = new MemoryLedger();
    const { output } = await callAgent(agent, input, { ledger });
    const after = await look();
    expect(after[part]).not.toEqual(before[part]);
    await callAgent(agent, input, { ledger, attempt: 2 });
    expect(await look()).toEqual(after);
    await compensateAgent(agent, { input, outcome: 'completed', output }, { ledger });
    expect(await look()).toEqual(before);
  });

  test.each([1, 2])(
    'a worker that dies after effect %i, before it is recorded, changes nothing more',
    async (effect) => {
      await callAgent(...(await prepare()));
      const undisturbed = await look();
      await tearDown();
      await setUp();
      const [agent, input] = await prepare();
      const before = await look();
      const ledger = new DyingLedger(effect);
      await callAgent(agent, input, { ledger }).catch(() => undefined);
      await callAgent(agent, input, { ledger, attempt: 2 });
      expect(await look()).toEqual(undisturbed);
      await compensateAgent(agent, { input, outcome: 'unknown' }, { ledger });
      expect(await look()).toEqual(before);
    },
  );

  test('where there is nothing to undo, undoing changes nothing, twice', async () => {
    const [agent, input] = await prepare();
    const before = await look();
    for (const attempt of [1, 2]) await compensateAgent(agent, { input, outcome: 'unknown' }, { attempt });
    expect(await look()).toEqual(before);
  });

  test('a late attempt of what was undone is refused, and changes nothing', async () => {
    const [agent, input] = await prepare();
    const before = await look();
    const ledger = new MemoryLedger();
    await compensateAgent(agent, { input, outcome: 'unknown' }, { ledger });
    await expect(callAgent(agent, input, { ledger })).rejects.toMatchObject({ type: 'ActionUndone' });
    expect(await look()).toEqual(before);
  });
});

describe('what knows no ledger refuses an attempt that comes late', () => {
  test.each([
    ['analysis', 'FindingsUndone'],
    ['publisher', 'PublicationRefused'],
  ])('%s', async (name, type) => {
    const [agent, input] = (await CASES.find(([one]) => one === name)?.[2]()) ?? [];
    if (agent === undefined) throw new Error(name);
    const before = await look();
    await compensateAgent(agent, { input, outcome: 'unknown' });
    await expect(callAgent(agent, input)).rejects.toMatchObject({ type, nonRetryable: true });
    expect(await look()).toEqual(before);
  });
});

test('what the service published without saying so is withdrawn', async () => {
  const agent = publisherAgent(service.url);
  const input = { article: ARTICLE.article, written: { text: '# New' } };
  const before = await look();
  service.setTrouble('mute');
  const call = callAgent(agent, input);
  await expect(call).rejects.toMatchObject({ type: 'PublishingUnavailable', nonRetryable: false });
  expect((await look()).published).toHaveLength(before.published.length + 1);
  await compensateAgent(agent, { input, outcome: 'unknown' });
  expect(await look()).toEqual(before);
});

test('a refusal is not retried', async () => {
  service.setTrouble('refuse');
  const call = callAgent(publisherAgent(service.url), { article: 'new', written: { text: '# New' } });
  await expect(call).rejects.toMatchObject({ type: 'PublicationRefused', nonRetryable: true });
});

test('undoing an entry of the index leaves the ones of others that came meanwhile, byte for byte', async () => {
  const agent = writerAgent(desk);
  const input = { ...ARTICLE, docs: DOCS, analysis: await weighed() };
  const index = join(desk, 'index.md');
  await callAgent(agent, input);
  appendFileSync(index, '- [Another]($&.md)');
  await compensateAgent(agent, { input, outcome: 'unknown' });
  expect(readFileSync(index, 'utf8')).toBe(
    '- [Failing over](articles/database-failover.md)\n- [Another]($&.md)',
  );
});

test('a desk that was empty is empty again', async () => {
  const analysis = await weighed();
  rmSync(desk, { recursive: true });
  const input = { ...ARTICLE, docs: DOCS };
  await callAgent(researchAgent(desk), input);
  await callAgent(writerAgent(desk), { ...input, analysis });
  await compensateAgent(writerAgent(desk), { input: { ...input, analysis }, outcome: 'unknown' });
  await compensateAgent(researchAgent(desk), { input, outcome: 'unknown' });
  expect((await look()).files).toEqual([]);
});

test('an article whose name would leave the desk is refused', async () => {
  const input = { ...ARTICLE, article: '../outside', docs: DOCS };
  await expect(callAgent(researchAgent(desk), input)).rejects.toMatchObject({ type: 'AgentInputInvalid' });
});
