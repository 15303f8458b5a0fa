// The demo as a user runs it, on a real server with three worker processes of which the leader is killed; then its checks,
// on what it read with one thing changed each.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { INVARIANTS } from '../../examples/one-system/invariants';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { Cli, type Ended, ROOT, sane } from '../support/cli';
import { type DevServer, startDevServer } from '../support/dev-server';
import { TemporaryFolder } from '../support/temporary-folder';

const EXAMPLE = join(ROOT, 'examples', 'one-system');
const folder = new TemporaryFolder();
const evidenceFile = join(folder.path, 'evidence.json');

/** What of the evidence the tests change. */
interface Evidence {
  workers: number;
  leader: { term: number; past: { term: number; to: number }[]; leader: { identity: string; since: number } };
  tasks: Record<'issue' | 'printing', LoggedTaskEvent[]>;
  breaker: { changes: { time: number; kind: string }[] };
  knowledge: { crdts: { name: string; value: unknown }[] };
  check: { agree: boolean };
  laptop: { versionVector: Record<string, number>; facts: string[] };
  ledger: Record<'effects' | 'undone', { key: string }[]> & { model: { at: number; failed: boolean }[] };
}

let server: DevServer;
let ended: Ended;

beforeAll(async () => {
  server = await startDevServer();
  ended = await Cli.at(server, folder).spawn(process.execPath, [
    join(EXAMPLE, 'demo.js'),
    '--evidence',
    evidenceFile,
  ]).ended;
}, 120_000);

afterAll(async () => {
  await server?.stop();
  folder.remove();
});

const readEvidence = (): Evidence => JSON.parse(readFileSync(evidenceFile, 'utf8')) as Evidence;
const lines = (): string[] => ended.stdout.trimEnd().split('\n');

test('all patterns run in one, and all that must hold does', () => {
  sane(ended);
  expect({ code: ended.code, stderr: ended.stderr }).toMatchObject({ code: 0 });
  const checks = lines().filter((line) => /^[✓✗]/.test(line));
  expect(checks).toHaveLength(Object.keys(INVARIANTS).length);
  expect(checks.every((line) => line.startsWith('✓'))).toBe(true);
});

test('the story has under forty lines, in the order of time', () => {
  expect(lines().length).toBeLessThan(40);
  const times = lines().flatMap((line) => /^ *(\d+\.\d)s {2}/.exec(line)?.[1] ?? []);
  expect(times.length).toBeGreaterThan(15);
  expect(times.map(Number)).toEqual(times.map(Number).toSorted((a, b) => a - b));
});

test.each([
  ['two leaders', /leader +worker \d+ leads in term (\d+)[^]*leader +worker (?!\1)\d+ leads in term \d+/],
  ['a leader that was lost with a decision', /was lost with it[^]*archive goes to reporter in term/],
  ['steps that went on at another worker', /lost with the worker, and begun again at another/],
  ['a breaker that opened and recovered', /model opens for the fleet[^]*half-open[^]*model closes/],
  ['steps that waited for it', /6 steps wait for the breaker model/],
  ['a saga that was undone', /print failed for good[^]*print, charge, reserve undone/],
  [
    'a laptop that was cut off',
    /laptop +cut off, writes[^]*laptop +is back[^]*Buoys of spring, Tides of spring/,
  ],
])('the story tells of %s', (_what, pattern) => {
  expect(ended.stdout).toMatch(pattern);
});

test('the killed leader had its hands full', () => {
  const { tasks } = readEvidence();
  expect(tasks.issue.filter(({ type }) => type === 'leaderWorkReturned').length).toBeGreaterThan(0);
  expect(tasks.issue.filter(({ type }) => type === 'stepRetried').length).toBeGreaterThan(0);
});

test('the evidence tells the same story again, without a server', () => {
  const { status, stdout } = spawnSync(process.execPath, [join(EXAMPLE, 'tell.js'), evidenceFile]);
  expect(stdout.toString()).toBe(ended.stdout);
  expect(status).toBe(0);
});

test('where something does not hold, it says what and ends with 1', () => {
  const evidence = readEvidence();
  evidence.ledger.effects.pop();
  const file = folder.write('changed.json', JSON.stringify(evidence));
  const { status, stdout } = spawnSync(process.execPath, [join(EXAMPLE, 'tell.js'), file]);
  expect(stdout.toString()).toContain('✗ each effect happened once: ');
  expect(status).toBe(1);
});

/** The first event of `type`. */
function eventOf(
  events: LoggedTaskEvent[],
  type: LoggedTaskEvent['type'],
): LoggedTaskEvent & { term: number } {
  const found = events.find((event) => event.type === type);
  if (found === undefined) throw new Error(`There is no ${type}`);
  return found as LoggedTaskEvent & { term: number };
}

/** By invariant: what breaks it, and the words that say so. */
const BROKEN: readonly [keyof typeof INVARIANTS, string, RegExp, (evidence: Evidence) => void][] = [
  [
    'each effect happened once',
    'an effect that happened twice',
    /had its effect 2 times/,
    ({ ledger }) => ledger.effects.push({ ...(ledger.effects[0] as { key: string }) }),
  ],
  [
    'each effect happened once',
    'an effect that was not taken back',
    /was taken back 0 times, not 1/,
    ({ ledger }) => ledger.undone.pop(),
  ],
  [
    'each effect happened once',
    'an effect of nobody',
    /had an effect, and no step says so/,
    ({ ledger }) => ledger.effects.push({ key: 'other' }),
  ],
  [
    'what had ended was not run again',
    'a step that ends a second time',
    /: stepCompleted after it had ended/,
    ({ tasks }) => tasks.issue.push(eventOf(tasks.issue, 'stepCompleted')),
  ],
  [
    'terms only grow',
    'a lower term',
    /came after term/,
    ({ leader }) => {
      leader.term = (leader.past[0]?.term ?? 0) - 1;
    },
  ],
  [
    'terms only grow',
    'a leader before its predecessor was over',
    /began before the one before it was over/,
    ({ leader }) => {
      leader.leader.since = (leader.past[0]?.to ?? 0) - 1;
    },
  ],
  [
    'nothing of an old term counts',
    'a result of the old term',
    /aggregated in term \d+, after term/,
    ({ tasks, leader }) => {
      eventOf(tasks.issue, 'aggregated').term = leader.past.at(-1)?.term ?? 0;
    },
  ],
  [
    'nothing of an old term counts',
    'a decision of a term that nobody led',
    /which nobody led/,
    ({ tasks }) => {
      eventOf(tasks.issue, 'planned').term = 1;
    },
  ],
  [
    'the saga was undone in reverse',
    'an undoing in the order of the starts',
    /reserve, charge, print, not print, charge, reserve/,
    ({ tasks }) => {
      const undoing = tasks.printing.filter(({ type }) => type.startsWith('compensat')).toReversed();
      tasks.printing = [...tasks.printing.filter((event) => !undoing.includes(event)), ...undoing];
    },
  ],
  [
    'the breaker let through its probes only',
    'a second call while it is half-open',
    /2 calls in a half-open phase/,
    ({ breaker, ledger }) => {
      const at = breaker.changes.find(({ kind }) => kind === 'halfOpen')?.time ?? 0;
      ledger.model.push({ at, failed: false });
    },
  ],
  [
    'the breaker let through its probes only',
    'a breaker that does not close again',
    /it is halfOpen/,
    ({ breaker }) => breaker.changes.pop(),
  ],
  [
    'all replicas agree',
    'a laptop that lacks something',
    /the laptop knows something else/,
    ({ laptop }) => {
      laptop.versionVector = {};
    },
  ],
  [
    'all replicas agree',
    'something that an undone step learnt',
    /known, though undone: stock has paper/,
    ({ knowledge }) => {
      const facts = knowledge.crdts.find(({ name }) => name === 'facts');
      if (facts !== undefined) facts.value = [...(facts.value as string[]), 'stock has paper'];
    },
  ],
];

test.each(BROKEN)('"%s" does not hold with %s', (name, _what, words, change) => {
  const evidence = readEvidence();
  expect(INVARIANTS[name](evidence).problems).toEqual([]);
  change(evidence);
  expect(INVARIANTS[name](evidence).problems.join('\n')).toMatch(words);
});

test('each invariant is broken by something', () => {
  expect(new Set(BROKEN.map(([name]) => name))).toEqual(new Set(Object.keys(INVARIANTS)));
});
