// The laws of the ledger, over both implementations; and what only a file can do wrong, with real processes.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import Libsql from 'libsql';
import type { Effect, EffectLedger, EffectStanding, Intent } from '../../src/storage/effect-ledger';
import { FileLedger } from '../../src/storage/file-ledger';
import { MemoryLedger } from '../../src/storage/memory-ledger';
import { CliProcess, ROOT, jsonLines } from '../support/cli';
import { TemporaryFolder } from '../support/temporary-folder';

const folder = new TemporaryFolder();
const files: FileLedger[] = [];
let made = 0;

afterAll(async () => {
  await Promise.all(files.map((file) => file.close()));
  folder.remove();
});

function openLedger(path: string, patience?: number): FileLedger {
  const file = new FileLedger(path, patience);
  files.push(file);
  return file;
}

const newPath = (): string => join(folder.path, `${(made += 1)}`, 'ledger.db');

const EFFECT: Effect = { action: 'task/run/pay/act', agent: 'payer', name: 'charge' };
const intent = (id: string, resolutions = 0): Intent => ({ id, resolutions, attemptAt: 1_800_000_000_000 });

/** Several clients of one new ledger. */
const LEDGERS: [string, () => readonly EffectLedger[]][] = [
  ['in memory', () => [new MemoryLedger()]],
  [
    'in a file',
    () => {
      const path = newPath();
      return [openLedger(path), openLedger(path)];
    },
  ],
];

describe.each(LEDGERS)('a ledger %s', (_where, clients) => {
  let first: EffectLedger;
  let second: EffectLedger;

  beforeEach(() => {
    const [one, other = one] = clients();
    first = one as EffectLedger;
    second = other as EffectLedger;
  });

  test('begins an effect for one intent, and shows it to every other', async () => {
    expect(await first.begin(EFFECT, intent('a', 2))).toEqual({ kind: 'fresh' });
    expect(await second.begin(EFFECT, intent('b'))).toEqual({ kind: 'unknown', intent: intent('a', 2) });
  });

  test('begins again for the same intent, whose answer may have been lost', async () => {
    await first.begin(EFFECT, intent('a'));
    expect(await second.begin(EFFECT, intent('a'))).toEqual({ kind: 'fresh' });
  });

  test('replaces an intent for one that names it, and for no other', async () => {
    await first.begin(EFFECT, intent('a'));
    expect(await second.begin(EFFECT, intent('b'), 'a')).toEqual({ kind: 'fresh' });
    expect(await first.begin(EFFECT, intent('c'), 'a')).toMatchObject({
      kind: 'unknown',
      intent: { id: 'b' },
    });
  });

  test.each<[string, unknown]>([
    ['an object', { deep: ['ä', null, 1.5] }],
    ['a long text', 'x'.repeat(32_000)],
    ['nothing', undefined],
    ['null', null],
  ])('gives %s back as outcome', async (_what, value) => {
    await first.begin(EFFECT, intent('a'));
    expect(await first.settle(EFFECT, { value })).toEqual({ outcome: { value }, undone: false });
    expect(await second.begin(EFFECT, intent('b'))).toEqual({ kind: 'done', outcome: { value } });
  });

  test('keeps the first outcome', async () => {
    await first.begin(EFFECT, intent('a'));
    await first.settle(EFFECT, { value: 1 });
    expect(await second.settle(EFFECT, { value: 2 })).toEqual({ outcome: { value: 1 }, undone: false });
    await first.withdraw(EFFECT, 'a');
    expect(await first.begin(EFFECT, intent('a'))).toEqual({ kind: 'done', outcome: { value: 1 } });
  });

  test('forgets an intent that is withdrawn, but not the one that replaced it', async () => {
    await first.begin(EFFECT, intent('a'));
    await second.begin(EFFECT, intent('b'), 'a');
    await first.withdraw(EFFECT, 'a');
    expect(await first.begin(EFFECT, intent('c'))).toMatchObject({ kind: 'unknown', intent: { id: 'b' } });
    await second.withdraw(EFFECT, 'b');
    expect(await first.begin(EFFECT, intent('c'))).toEqual({ kind: 'fresh' });
  });

  test('begins nothing under a tombstone, yet records what ends, and tells', async () => {
    await first.begin(EFFECT, intent('a'));
    expect(await second.isTombstoned(EFFECT.action)).toBe(false);
    await second.tombstone(EFFECT.action);
    await second.tombstone(EFFECT.action);
    expect(await first.isTombstoned(EFFECT.action)).toBe(true);
    expect(await first.begin(EFFECT, intent('a'))).toEqual({ kind: 'undone' });
    expect(await first.settle(EFFECT, { value: 1 })).toEqual({ outcome: { value: 1 }, undone: true });
    expect(await first.begin(EFFECT, intent('a'))).toEqual({ kind: 'undone' });
    expect(await first.begin({ ...EFFECT, action: 'task/run/pay/undo' }, intent('a'))).toEqual({
      kind: 'fresh',
    });
  });

  test.each<[string, Partial<Effect>]>([
    ['action', { action: 'task/run/other/act' }],
    ['agent', { agent: 'other' }],
    ['name', { name: 'other' }],
    ['name by its case', { name: 'CHARGE' }],
    ['name by a space at its end', { name: 'charge ' }],
  ])('tells effects apart by %s', async (_what, other) => {
    await first.settle(EFFECT, { value: 1 });
    expect(await second.begin({ ...EFFECT, ...other }, intent('a'))).toEqual({ kind: 'fresh' });
  });

  const anyEffect = fc.constantFrom<Effect>(
    { action: 't/r/a/act', agent: 'one', name: 'charge' },
    { action: 't/r/a/act', agent: 'two', name: 'charge' },
    { action: 't/r/a/undo', agent: 'one', name: 'charge' },
  );
  const anyId = fc.constantFrom('a', 'b', 'c');
  const anyStep = fc.record({
    client: fc.nat(1),
    effect: anyEffect,
    act: fc.oneof(
      fc.record({ kind: fc.constant('begin' as const), id: anyId, replaces: fc.option(anyId) }),
      fc.record({ kind: fc.constant('settle' as const), value: fc.integer() }),
      fc.record({ kind: fc.constant('withdraw' as const), id: anyId }),
      fc.record({ kind: fc.constantFrom('tombstone' as const, 'ask' as const) }),
    ),
  });

  test('holds its laws in whatever order its clients act', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), async (steps) => {
        const some = clients();
        const law = new Law();
        for (const { client, effect, act } of steps) {
          const ledger = (some[client] ?? some[0]) as EffectLedger;
          switch (act.kind) {
            case 'begin': {
              const replaces = act.replaces ?? undefined;
              const expected = law.begin(effect, act.id, replaces);
              expect(await ledger.begin(effect, intent(act.id), replaces)).toEqual(expected);
              break;
            }
            case 'settle':
              expect(await ledger.settle(effect, { value: act.value })).toEqual(
                law.settle(effect, act.value),
              );
              break;
            case 'withdraw':
              law.withdraw(effect, act.id);
              await ledger.withdraw(effect, act.id);
              break;
            case 'tombstone':
              law.undone.add(effect.action);
              await ledger.tombstone(effect.action);
              break;
            case 'ask':
              expect(await ledger.isTombstoned(effect.action)).toBe(law.undone.has(effect.action));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('lets one of many begin, however they interleave', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 8 }), fc.scheduler(), async (many, scheduler) => {
        const some = clients();
        const standings = Array.from({ length: many }, async (_, index) => {
          await scheduler.schedule(Promise.resolve(), `begin ${index}`);
          return (some[index % some.length] as EffectLedger).begin(EFFECT, intent(`${index}`));
        });
        await scheduler.waitAll();
        const kinds = (await Promise.all(standings)).map(({ kind }) => kind);
        expect(kinds.filter((kind) => kind === 'fresh')).toHaveLength(1);
        expect(kinds.filter((kind) => kind === 'unknown')).toHaveLength(many - 1);
      }),
      { numRuns: 20 },
    );
  });
});

/** What the ledger's documentation says, in its own words: the facts of each effect, by effect. */
class Law {
  readonly undone = new Set<string>();
  private readonly intents = new Map<string, string>();
  private readonly outcomes = new Map<string, number>();

  begin(effect: Effect, id: string, replaces?: string): EffectStanding {
    const key = Object.values(effect).join(' ');
    const outcome = this.outcomes.get(key);
    const open = this.intents.get(key);
    if (this.undone.has(effect.action)) return { kind: 'undone' };
    if (outcome !== undefined) return { kind: 'done', outcome: { value: outcome } };
    if (open !== undefined && open !== id && open !== replaces) {
      return { kind: 'unknown', intent: intent(open) };
    }
    this.intents.set(key, id);
    return { kind: 'fresh' };
  }

  settle(effect: Effect, value: number) {
    const key = Object.values(effect).join(' ');
    if (!this.outcomes.has(key)) this.outcomes.set(key, value);
    return { outcome: { value: this.outcomes.get(key) }, undone: this.undone.has(effect.action) };
  }

  withdraw(effect: Effect, id: string): void {
    const key = Object.values(effect).join(' ');
    if (this.intents.get(key) === id) this.intents.delete(key);
  }
}

describe('the file', () => {
  test('is made with its folder at the first use, and lasts', async () => {
    const path = newPath();
    const ledger = openLedger(path);
    await ledger.settle(EFFECT, { value: 1 });
    await ledger.close();
    expect(await ledger.begin(EFFECT, intent('a'))).toEqual({ kind: 'done', outcome: { value: 1 } });
    expect(await openLedger(path).begin(EFFECT, intent('a'))).toMatchObject({ kind: 'done' });
  });

  test('has a write-ahead log, so that no reader waits for a writer', async () => {
    const path = newPath();
    await openLedger(path).tombstone('t');
    const database = new Libsql(path);
    expect(database.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' });
    database.close();
  });

  test('that another process writes to is waited for, with the main thread free', async () => {
    const path = newPath();
    const ledger = openLedger(path);
    await ledger.tombstone('t');
    const writer = new Libsql(path);
    writer.exec('BEGIN IMMEDIATE');
    let ticks = 0;
    const ticking = setInterval(() => (ticks += 1), 1);
    const begun = ledger.begin(EFFECT, intent('a'));
    // It is read at once, whoever writes.
    expect(await ledger.isTombstoned('t')).toBe(true);
    await delay(200);
    writer.exec('COMMIT');
    expect(await begun).toEqual({ kind: 'fresh' });
    clearInterval(ticking);
    writer.close();
    expect(ticks).toBeGreaterThan(10);
  });

  test('that stays locked fails, to be tried again', async () => {
    const path = newPath();
    await openLedger(path).tombstone('t');
    const writer = new Libsql(path);
    writer.exec('BEGIN IMMEDIATE');
    await expect(openLedger(path, 50).tombstone('t')).rejects.toMatchObject({
      type: 'LedgerUnavailable',
      retryable: true,
      cause: { code: 'SQLITE_BUSY' },
    });
    writer.exec('COMMIT');
    writer.close();
  });

  test.each<[string, () => string]>([
    ['is none', () => folder.write('text/ledger.db', 'no database at all, '.repeat(100))],
    ['is a folder', () => (mkdirSync(join(folder.path, 'itself')), join(folder.path, 'itself'))],
    ['is in a file', () => join(folder.write('a-file', ''), 'ledger.db')],
  ])('that %s fails at once, and says where it is', async (_what, make) => {
    const path = make();
    await expect(openLedger(path).begin(EFFECT, intent('a'))).rejects.toMatchObject({
      type: 'LedgerUnavailable',
      message: expect.stringContaining(path) as string,
      fix: expect.stringContaining('CADRE_LEDGER') as string,
    });
  });

  test('that could not be opened is opened once it can', async () => {
    const blocker = folder.write('later', '');
    const ledger = openLedger(join(blocker, 'ledger.db'));
    await expect(ledger.tombstone('t')).rejects.toMatchObject({ type: 'LedgerUnavailable' });
    folder.removeFile('later');
    await ledger.tombstone('t');
    expect(await ledger.isTombstoned('t')).toBe(true);
  });
});

/** Begins each of so many effects and settles those that it may; says which, and the longest that its main thread stood still. */
const hammer = (path: string, { effects, processes }: { effects: number; processes: number }): string => `
const { readdirSync, statSync, writeFileSync } = require('node:fs');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { setTimeout: pause } = require('node:timers/promises');
const { FileLedger } = require(${JSON.stringify(join(ROOT, 'dist', 'storage', 'file-ledger.js'))});
const ledger = new FileLedger(${JSON.stringify(path)});
const histogram = monitorEventLoopDelay({ resolution: 1 });
void (async () => {
  const mine = [];
  const seen = [];
  // All at once: a process that came late would find nothing left to do.
  writeFileSync(__dirname + '/' + process.pid + '.ready', '');
  const ready = () => readdirSync(__dirname).filter((file) => file.endsWith('.ready'));
  while (ready().length < ${processes}) await pause(1);
  const last = Math.max(...ready().map((file) => statSync(__dirname + '/' + file).mtimeMs));
  await pause(last + 500 - Date.now());
  histogram.enable();
  for (let from = 0; from < ${effects}; from += 10) {
    await Promise.all(Array.from({ length: 10 }, async (_, index) => {
      const effect = { action: 't/r/s/act', agent: 'a', name: String(from + index) };
      const id = process.pid + '-' + (from + index);
      const standing = await ledger.begin(effect, { id, resolutions: 0, attemptAt: 0 });
      if (standing.kind === 'fresh') {
        mine.push(effect.name);
        await ledger.settle(effect, { value: process.pid });
      }
    }));
  }
  for (let name = 0; name < ${effects}; name += 1) {
    const effect = { action: 't/r/s/act', agent: 'a', name: String(name) };
    let standing;
    do standing = await ledger.begin(effect, { id: 'late', resolutions: 0, attemptAt: 0 });
    while (standing.kind === 'unknown');
    seen.push(standing.outcome.value);
  }
  console.log(JSON.stringify({ pid: process.pid, mine, seen, still: histogram.max / 1e6 }));
})();
`;

test('processes that hammer one new file have each effect once, and none is held up', async () => {
  const effects = 300;
  const processes = 3;
  const program = folder.write('hammer.js', hammer(newPath(), { effects, processes }));
  const ended = await Promise.all(
    Array.from({ length: processes }, () => new CliProcess(spawn(process.execPath, [program])).ended),
  );
  for (const { code, stderr } of ended) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const reports = ended.flatMap(({ stdout }) => jsonLines(stdout)) as unknown as {
    pid: number;
    mine: string[];
    seen: number[];
    still: number;
  }[];
  const owners = new Map(reports.flatMap(({ pid, mine }) => mine.map((name) => [name, pid])));
  expect(reports.flatMap(({ mine }) => mine)).toHaveLength(effects);
  expect(owners.size).toBe(effects);
  expect(reports.filter(({ mine }) => mine.length > 0).length).toBeGreaterThan(1);
  const expected = Array.from({ length: effects }, (_, name) => owners.get(String(name)));
  for (const { seen } of reports) expect(seen).toEqual(expected);
  // A leader's lease is 1.5 s.
  for (const { still } of reports) expect(still).toBeLessThan(1000);
}, 60_000);
