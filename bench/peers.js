/**
 * The same works on Temporal as it comes, on Temporal with our settings, on Cadre, and on others' systems, side by side on
 * this machine. What each work is stands in peers/driver.js. In each round all contenders take their turn, the order
 * rotated; only the one whose turn it is runs.
 */
const { machine, spin, writeResults } = require('./machine');
const { printTable, summary } = require('./measure');
const { CONTENDERS, prepare, withDriver } = require('./peers/contenders');
const { linesOf, markdownOf, tablesOf } = require('./peers/report');

const WORKS = ['W1', 'W2', 'W3', 'W4', 'W5', 'failover'];
const SAGAS = ['W1', 'W2', 'W3'];

/** Runs of a row a round. `burst` is runs by how many at once, `senders` messages by how many senders. */
const FULL = {
  rounds: 5,
  serial: { W1: 40, W2: 20, W3: 30 },
  warmups: 10,
  burst: { W1: { 20: 200, 100: 300, 300: 600 }, W2: { 20: 100 }, W3: { 20: 150 } },
  senders: { 1: 200, 10: 1000, 100: 2000 },
  scale: { workers: [1, 2, 4], atOnce: 100, count: 300 },
  failovers: 3,
};
const QUICK = {
  rounds: 2,
  serial: { W1: 15, W2: 10, W3: 10 },
  warmups: 5,
  burst: { W1: { 20: 80 }, W2: { 20: 40 }, W3: { 20: 60 } },
  senders: { 1: 50, 10: 300 },
  scale: { workers: [1, 2], atOnce: 100, count: 100 },
  failovers: 1,
};

/**
 * `only`: names of contenders, `works`: of works; without them all. `rounds`: how many. Prints the tables, writes
 * `peers.json` and `peers.md` (see `writeResults`; `save` keeps also what is not a full run), and returns what is in the JSON.
 */
async function run({ quick, only, works, rounds, save = false }) {
  const chosen = select('contender', only, Object.keys(CONTENDERS));
  const wanted = select('work', works, WORKS);
  const counts = { ...(quick ? QUICK : FULL), ...(rounds === undefined ? {} : { rounds }) };
  const before = machine();
  const full = save || (!quick && only === undefined && works === undefined);
  const book = new Book(chosen);
  const present = [];
  for (const name of chosen) {
    const why = await prepare(CONTENDERS[name]);
    if (why === undefined) present.push(name);
    else book.about(name).missing = why;
  }
  const results = () => ({ machine: before, quick, counts, ...book.results() });
  const write = () => writeResults('peers', { full, markdown: markdownOf(results()), ...results() });
  for (let round = 0; round < counts.rounds; round += 1) {
    for (const name of rotated(present, round)) {
      for (const workers of counts.scale.workers) {
        const session = { name, workers, wanted, counts, round };
        if (hasWork(session)) await take(session, book);
      }
    }
    // What is interrupted keeps the rounds that it has.
    write();
  }
  const result = results();
  for (const { title, rows } of tablesOf(result)) {
    console.log(`\n${title}\n`);
    printTable(rows);
  }
  console.log(`\n${linesOf(result).join('\n')}`);
  console.error(`\nWritten to ${write()}`);
  return result;
}

/** With one worker everything but the failover, with two that, and with each the scaling. */
function hasWork({ workers, wanted }) {
  return (
    wanted.includes('W5') ||
    (workers === 1 && wanted.some((work) => work !== 'failover')) ||
    (workers === 2 && wanted.includes('failover'))
  );
}

/** One contender from start to stop, and its part of one round. An error ends its turn, not the benchmark. */
async function take(session, book) {
  const { name, workers } = session;
  const about = book.about(name);
  if (workers > 1 && about.cannot.workers !== undefined) return;
  const began = performance.now();
  try {
    await withDriver(CONTENDERS[name], { workers }, async (ask, told) => {
      const { versions, cannot } = told;
      about.versions ??= versions;
      Object.assign(about.cannot, workers === 1 ? cannot : ofMany(cannot));
      if (workers > 1 && cannot.workers !== undefined) return;
      about.spins.push(spin());
      await measure({ ...session, ask, told, book });
    });
  } catch (error) {
    note(about, session, 'start or stop', error);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const turn = `round ${session.round + 1}, ${name}, ${workers} worker(s)`;
  console.error(`  ${turn}: ${seconds} s, spin ${about.spins.at(-1)} ms`);
}

/** What cannot be done for the reason that there are several workers; the rest is measured with one. */
function ofMany({ workers, failover }) {
  return { ...(workers === undefined ? {} : { workers }), ...(failover === undefined ? {} : { failover }) };
}

/** Says on standard error what went wrong, and keeps its first line. */
function note(about, { name, round, workers }, what, error) {
  about.errors.push(`round ${round + 1}, ${workers} worker(s), ${what}: ${error.message.split('\n')[0]}`);
  console.error(`  ${name}, ${what}: ${error.message}`);
}

/** An error ends the work that it came from. */
async function measure(session) {
  const { workers, wanted, told, book, name } = session;
  const parts = [];
  if (workers === 1) {
    for (const work of SAGAS) parts.push([work, () => measureSaga(session, work)]);
    for (const kind of told.entities) parts.push(['W4', () => measureEntity(session, kind)]);
  }
  parts.push(['W5', () => measureScale(session)]);
  if (workers === 2) parts.push(['failover', () => measureFailover(session)]);
  for (const [work, part] of parts) {
    if (wanted.includes(work)) await part().catch((error) => note(book.about(name), session, work, error));
  }
}

async function measureSaga({ name, counts, ask, told, book }, work) {
  if (!told.works.includes(work)) return;
  const count = counts.serial[work];
  const serial = await ask('serial', { work, count, warmups: counts.warmups });
  book.add({ name, work, mode: 'one at a time' }, serial);
  for (const [atOnce, runs] of Object.entries(counts.burst[work])) {
    await ask('burst', { work, atOnce: 20, count: 20 });
    const measured = await ask('burst', { work, atOnce: Number(atOnce), count: runs });
    book.add({ name, work, mode: `${atOnce} at once` }, measured);
  }
  if (told.facts) book.facts({ name, work }, await ask('facts', { work }));
}

async function measureEntity({ name, counts, ask, book }, kind) {
  await ask('entity', { kind, senders: 10, count: 100 });
  for (const [senders, count] of Object.entries(counts.senders)) {
    const measured = await ask('entity', { kind, senders: Number(senders), count });
    book.add({ name, work: 'W4', kind, mode: senders === '1' ? '1 sender' : `${senders} senders` }, measured);
  }
}

async function measureScale({ name, counts, workers, ask, told, book }) {
  if (!told.works.includes('W1')) return;
  const { atOnce, count } = counts.scale;
  await ask('burst', { work: 'W1', atOnce, count: atOnce });
  const mode = workers === 1 ? '1 worker' : `${workers} workers`;
  book.add({ name, work: 'W5', mode }, await ask('burst', { work: 'W1', atOnce, count }));
}

async function measureFailover({ name, counts, ask, told, book }) {
  if (!told.failover) return;
  for (let trial = 0; trial < counts.failovers; trial += 1) book.failover(name, await ask('failover'));
}

/** What was measured so far, by row. */
class Book {
  rows = new Map();
  contenders = new Map();

  constructor(names) {
    for (const name of names) {
      const { title, onDisk } = CONTENDERS[name];
      this.contenders.set(name, { title, onDisk, cannot: {}, errors: [], spins: [], memory: {}, facts: {} });
    }
  }

  about(name) {
    return this.contenders.get(name);
  }

  add(row, { times, seconds, accepted, usage }) {
    const key = JSON.stringify(row);
    const found = this.rows.get(key) ?? { ...row, rounds: [] };
    this.rows.set(key, found);
    const took = seconds ?? times.reduce((sum, each) => sum + each, 0) / 1000;
    const acceptedPerSecond = accepted === undefined ? {} : { acceptedPerSecond: times.length / accepted };
    const perSecond = times.length / took;
    found.rounds.push({ times, perSecond, ...acceptedPerSecond, cpu: perRun(usage.cpu, times.length) });
    found.memory = usage.memory;
    const { memory } = this.about(row.name);
    for (const [role, peak] of Object.entries(usage.memory)) memory[role] = Math.max(memory[role] ?? 0, peak);
  }

  facts({ name, work }, facts) {
    this.about(name).facts[work] = facts;
  }

  failover(name, { milliseconds, finished, began }) {
    const key = `failover ${name}`;
    const found = this.rows.get(key) ?? { name, work: 'failover', mode: 'kill -9', trials: [] };
    this.rows.set(key, found);
    found.trials.push({ milliseconds, finished, began });
  }

  results() {
    const order = [...this.contenders.keys()];
    const rows = [...this.rows.values()].map((row) =>
      row.trials === undefined ? timesOf(row) : trialsOf(row),
    );
    rows.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    return { contenders: Object.fromEntries(this.contenders), rows };
  }
}

function perRun(cpu, runs) {
  return Object.fromEntries(Object.entries(cpu).map(([role, spent]) => [role, spent / runs]));
}

/** One row of all rounds; per second and CPU are the rounds' minimum, median and maximum, and median. */
function timesOf({ rounds, ...row }) {
  const times = rounds.flatMap((round) => round.times);
  const roles = Object.keys(rounds[0].cpu);
  return {
    ...row,
    runs: times.length,
    ...summary(times),
    perSecond: spread(rounds.map(({ perSecond }) => perSecond)),
    cpu: Object.fromEntries(roles.map((role) => [role, spread(rounds.map(({ cpu }) => cpu[role])).median])),
    rounds: rounds.map(({ times: each, ...round }) => ({ runs: each.length, ...summary(each), ...round })),
  };
}

function trialsOf({ trials, ...row }) {
  const of = (field) => spread(trials.map((trial) => trial[field]));
  return { ...row, runs: trials.length, milliseconds: of('milliseconds'), finished: of('finished'), trials };
}

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  return { min: sorted[0], median, max: sorted.at(-1) };
}

function select(what, given, all) {
  const unknown = given?.find((name) => !all.includes(name));
  if (unknown !== undefined)
    throw new Error(`There is no ${what} "${unknown}"; there are ${all.join(', ')}.`);
  return given === undefined ? all : all.filter((name) => given.includes(name));
}

function rotated(list, by) {
  const at = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

module.exports = { run };
