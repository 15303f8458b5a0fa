/**
 * The contender's side of the side-by-side benchmark. A contender is a program, a *driver*, that the harness forks; it
 * is the client, and its servers and workers are its children. It calls `drive` and nothing else:
 *
 *     const { drive, PAYLOAD } = require('../driver');
 *     drive(async ({ folder, workers, onDisk, variant }) => contender);
 *
 * CommonJS, Node 20 or newer, no dependencies. Without a harness (`node bench/peers/NAME/driver.js [--workers 2]
 * [--in-memory] [--variant tuned] [--only W1,W4,failover]`) the program tries everything once and prints what came of it.
 *
 * Beside it may be `setup.js`, loaded by the harness: `{ missing(): string | undefined, execPath?: string, environment?: object }`,
 * what is to be installed before it can run (a sentence; default: "run node bench/peers/install.js" without a `node_modules`
 * where there is a package.json), which Node runs it, and what is added to its environment.
 *
 * Options of the contender, all given:
 *   folder    a folder that exists, is empty, and goes afterwards
 *   workers   1, 2 or 4: processes that do the work. Where client and worker are one process, more than one may be refused in `cannot`
 *   onDisk    whether what is committed is in files; `false` is only asked of contenders that the harness has such a row of
 *   variant   what the harness' list of contenders says, or undefined: one driver may be several contenders
 *
 * What it gives back:
 *   versions     by name: server, SDK, database, and the settings that decide what a commit promises (fsync)
 *   processes()  `{ server: pid[], worker: pid[] }`; each counts with all that it has started. `[]` where it has none: a
 *                worker in the driver's own process counts as the client
 *   works        by name, one run from start to result; `id` is new each time. It throws unless the result is right:
 *     W1(id)       three steps in a row, each with a compensation declared where the system has such. The input of the
 *                  first is PAYLOAD, that of the next is the last one's output; a step gives back what it got
 *     W2(id)       a plan step that gives back FAN_OUT inputs (each PAYLOAD), as many steps in parallel, and a step that
 *                  gets all of their outputs and gives back how many
 *     W3(id)       as W1, but the third step fails for good, without another try; then the compensations of the second
 *                  and the first run, in this order. Checked: the run ended as failed (or compensated), both were undone
 *   entity       W4, `{ kind, send(n), settled(total), stop? }` or a list of them with different kinds ('signal': sent
 *                and not answered, 'update', 'call'). One entity with a map of counters: `send(n)` adds 1 to the key
 *                `n % KEYS` and resolves when the system has taken it, durably; many are called at the same time.
 *                `settled(total)` resolves once the map holds `total` in all since the start; more than that is an error
 *   slow(id, file)  for the failover, with two workers: a run of three steps, the second of which takes SLOW ms (a
 *                heartbeat each 200 ms where the system has such). Each step calls `mark` when it begins and ends; see there
 *   addWorker()  starts one more worker process, resolves with its pid when it takes work
 *   facts(work)  `{ events?, bytes? }`: the history, or rows and bytes in the database, of the last run of that work
 *   cannot       by work ('W3', 'entity', 'failover', 'workers', …): why not, in a sentence
 *   stop()       ends all that it has started
 *
 * In every work a step that has ended is never run again after a crash: no batching of steps into one commit.
 *
 * Messages from the harness are `{ id, op, ...fields }`, answered by `{ id, result }` or `{ id, error }` (the stack):
 *   start    the options above          -> { versions, works, entities: kind[], failover, facts, cannot, pid }
 *   serial   { work, count, warmups }   -> { times, usage }: one run after the other, each one's ms
 *   burst    { work, atOnce, count }    -> { seconds, times, usage }: `atOnce` in flight until `count` have ended
 *   entity   { kind?, senders, count }  -> { seconds, accepted, times, usage }: until settled; `accepted` is the seconds until the last was taken
 *   failover {}                         -> { milliseconds, finished, began }: from the SIGKILL of the worker that began the second
 *                                          step BEFORE_KILL ms ago until another process has begun it, and until the run's result
 *                                          was there (SLOW ms of it are the step); `began` counts how often each step began
 *   facts    { work }                   -> what `facts` gives
 *   stop     {}                         -> {}
 * `usage` is `{ cpu: { server, worker, client }, memory: {…} }`: CPU ms within what was measured, peak memory in KiB since the start.
 */
const { randomUUID } = require('node:crypto');
const { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const { inspect } = require('node:util');
const { cpuBetween, descendants, usage } = require('./accounting');

/** What a step gets and gives back: 1 KiB. */
const PAYLOAD = 'x'.repeat(1024);
/** Steps in parallel in W2. */
const FAN_OUT = 10;
/** Keys of the map in W4. */
const KEYS = 100;
/** What the second step of `slow` takes, in ms. */
const SLOW = 3000;
/**
 * How long the second step has run when its worker is killed, in ms: amid two heartbeats of a timeout of 1 s, which Temporal's
 * SDK sends 800 ms apart. At a second a race decides whether the second was sent, and the result is either 0.2 or 1 s.
 */
const BEFORE_KILL = 1400;
/** How long a run may take to go on elsewhere, in ms; more is an error. */
const PATIENCE = 120_000;
/** How long a driver whose harness is gone may take to stop in order, in ms. */
const PATIENCE_TO_STOP = 10_000;

/** Answers the harness; where there is none, tries the contender out. See the head of this file. */
function drive(makeContender) {
  const session = new Session(makeContender);
  if (process.send === undefined) {
    tryOut(session, process.argv.slice(2)).then(
      () => process.exit(0),
      (error) => {
        console.error(error);
        process.exit(1);
      },
    );
    return;
  }
  process.on('message', (message) => void answer(session, message));
  // Ctrl-C is for the harness; what was started here must be stopped in order.
  process.on('SIGINT', () => undefined);
  // The harness is gone.
  process.on('disconnect', () => void abandon(session));
}

/** Stops what it can within PATIENCE_TO_STOP, and kills what is left of what was started. */
async function abandon(session) {
  await Promise.race([session.stop().catch(() => undefined), delay(PATIENCE_TO_STOP)]);
  for (const pid of descendants(process.pid)) killNow(pid);
  process.exit(1);
}

function killNow(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

async function answer(session, { id, op, ...fields }) {
  try {
    process.send({ id, result: (await session.take(op, fields)) ?? {} });
  } catch (error) {
    process.send({ id, error: inspect(error) });
  }
}

/** One contender from start to stop. */
class Session {
  contender = undefined;
  options = undefined;
  /** Messages sent so far, by the kind of entity. */
  sent = new Map();

  constructor(makeContender) {
    this.makeContender = makeContender;
  }

  take(op, fields) {
    switch (op) {
      case 'start':
        return this.start(fields);
      case 'serial':
        return this.serial(fields);
      case 'burst':
        return this.burst(fields);
      case 'entity':
        return this.entity(fields);
      case 'failover':
        return this.failover();
      case 'facts':
        return this.contender.facts(fields.work);
      case 'stop':
        return this.stop();
      default:
        throw new Error(`There is no operation "${op}"`);
    }
  }

  async start(options) {
    this.options = options;
    this.contender = await this.makeContender(options);
    const { versions, works, slow, facts, cannot } = this.contender;
    return {
      versions,
      works: Object.keys(works),
      entities: this.entities().map(({ kind }) => kind),
      failover: slow !== undefined,
      facts: facts !== undefined,
      cannot: cannot ?? {},
      pid: process.pid,
    };
  }

  async serial({ work, count, warmups = 0 }) {
    const run = this.work(work);
    for (let at = 0; at < warmups; at += 1) await run(idOf(work));
    const times = [];
    const used = await this.measured(async () => {
      for (let at = 0; at < count; at += 1) times.push(await timed(() => run(idOf(work))));
    });
    return { times, usage: used };
  }

  async burst({ work, atOnce, count }) {
    const run = this.work(work);
    return this.closedLoop(atOnce, count, () => run(idOf(work)));
  }

  async entity({ kind, senders, count }) {
    const entity =
      kind === undefined ? this.entities()[0] : this.entities().find((each) => each.kind === kind);
    if (entity === undefined) throw new Error(`It has no entity of the kind "${kind}"`);
    const from = this.sent.get(entity.kind) ?? 0;
    this.sent.set(entity.kind, from + count);
    return this.closedLoop(
      senders,
      count,
      (index) => entity.send(from + index),
      () => entity.settled(from + count),
    );
  }

  /** Kills the worker that does the second step, and sees to it that there are as many workers afterwards. */
  async failover() {
    const id = idOf('slow');
    const file = join(this.options.folder, `${id}.jsonl`);
    const began = (step) => marks(file).filter((each) => each.step === step && each.what === 'began');
    const ended = this.contender.slow(id, file);
    // Awaited below; what ends it before that is no unhandled rejection.
    ended.catch(() => undefined);
    const first = await until(() => began(2)[0], ended);
    await delay(Math.max(0, first.at + BEFORE_KILL - Date.now()));
    if (first.pid === process.pid)
      throw new Error('The second step runs in the driver itself, which cannot be killed');
    process.kill(first.pid, 'SIGKILL');
    const killedAt = Date.now();
    const next = await until(() => began(2).find(({ pid }) => pid !== first.pid), ended);
    await ended;
    const finished = Date.now() - killedAt;
    await this.contender.addWorker?.();
    return { milliseconds: next.at - killedAt, finished, began: [1, 2, 3].map((step) => began(step).length) };
  }

  async stop() {
    const { contender } = this;
    this.contender = undefined;
    await contender?.stop();
  }

  work(name) {
    const run = this.contender.works[name];
    if (run === undefined)
      throw new Error(`It has no ${name}: ${this.contender.cannot?.[name] ?? 'not given'}`);
    return run;
  }

  entities() {
    const { entity } = this.contender;
    return entity === undefined ? [] : [entity].flat();
  }

  /** `one(index)` for 0 to `count`, `atOnce` in flight; then `settle`. */
  async closedLoop(atOnce, count, one, settle) {
    const times = [];
    const clock = {};
    let next = 0;
    const used = await this.measured(async () => {
      const began = performance.now();
      const loop = async () => {
        for (let index = next++; index < count; index = next++) times.push(await timed(() => one(index)));
      };
      await Promise.all(Array.from({ length: Math.min(atOnce, count) }, loop));
      clock.accepted = (performance.now() - began) / 1000;
      await settle?.();
      clock.seconds = (performance.now() - began) / 1000;
    });
    return { ...clock, times, usage: used };
  }

  async measured(work) {
    const before = this.usage();
    await work();
    const after = this.usage();
    return { cpu: cpuBetween(before, after), memory: after.memory };
  }

  usage() {
    return usage({ ...this.contender.processes(), client: [process.pid] });
  }
}

/**
 * Writes that a step of `slow` began or ended, for the worker's side: `mark(file, { run, step, what })`, with the step 1 to 3 and
 * `what` 'began' or 'ended'. One JSON line `{ run, step, what, pid, at }`, appended in one write; `at` in ms since 1970.
 * A step that is tried again is marked again.
 */
function mark(file, { run, step, what }) {
  appendFileSync(file, `${JSON.stringify({ run, step, what, pid: process.pid, at: Date.now() })}\n`);
}

/** What `mark` has written so far. */
function marks(file) {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line));
}

/** Polls until `look` gives something; rejects when `ended` does first, or ends without it, or after PATIENCE. */
async function until(look, ended) {
  let over;
  ended.then(
    () => (over = new Error('The run ended, and its second step did not run where it was looked for')),
    (error) => (over = error),
  );
  for (const deadline = Date.now() + PATIENCE; ; await delay(5)) {
    const found = look();
    if (found !== undefined) return found;
    if (over !== undefined) throw over;
    if (Date.now() > deadline) throw new Error(`Nothing happened within ${PATIENCE / 1000} s`);
  }
}

async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function idOf(work) {
  return `${work}-${randomUUID()}`;
}

/** Throws unless a result is what it should be. */
function check(what, got, wanted) {
  if (got !== wanted) throw new Error(`${what}: expected ${short(wanted)}, got ${short(got)}`);
}

/** What `run` failed with. */
function failureOf(run) {
  return run.then(
    () => {
      throw new Error('It did not fail');
    },
    (error) => error,
  );
}

/** Asks `counted` until an entity counts `total`; more is an error. */
async function settledAt(total, counted) {
  for (;;) {
    const found = await counted();
    if (found > total) throw new Error(`The entity counts ${found} of ${total}`);
    if (found === total) return;
    await delay(20);
  }
}

function short(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}… (${text.length} characters)` : text;
}

/** Does everything once, and prints it. */
async function tryOut(session, args) {
  const after = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  const only = after('--only')?.split(',');
  const wanted = (name) => only === undefined || only.includes(name);
  const workers = Number(after('--workers') ?? 1);
  const folder = mkdtempSync(join(tmpdir(), 'peer-'));
  mkdirSync(folder, { recursive: true });
  const say = (name, result) => console.log(name, JSON.stringify(result));
  try {
    const about = await session.start({
      folder,
      workers,
      onDisk: !args.includes('--in-memory'),
      variant: after('--variant'),
    });
    say('start', about);
    for (const work of about.works.filter(wanted)) {
      say(`${work} one at a time`, await session.serial({ work, count: 5, warmups: 2 }));
      const { times, ...burst } = await session.burst({ work, atOnce: 10, count: 50 });
      say(`${work} 10 at once`, { ...burst, perSecond: times.length / burst.seconds });
      if (about.facts) say(`${work} facts`, await session.take('facts', { work }));
    }
    for (const kind of wanted('W4') ? about.entities : []) {
      const { times, ...result } = await session.entity({ kind, senders: 10, count: 200 });
      say(`W4 ${kind}`, { ...result, perSecond: times.length / result.seconds });
    }
    if (about.failover && workers > 1 && wanted('failover')) say('failover', await session.failover());
  } finally {
    await session.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { FAN_OUT, KEYS, PAYLOAD, SLOW, check, drive, failureOf, mark, settledAt };
