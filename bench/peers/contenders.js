/** Who takes part in `npm run bench -- peers`, and how its driver is started and asked. */
const { fork } = require('node:child_process');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const { descendants, isRunning } = require('./accounting');
const { install, setupOf } = require('./install');

/** By name: the folder of the driver, and what it is started with. `title` stands in the tables. */
const CONTENDERS = {
  temporal: { folder: 'temporal', onDisk: false, title: 'Temporal as it comes, in memory' },
  'temporal-disk': { folder: 'temporal', onDisk: true, title: 'Temporal as it comes, on disk' },
  'tuned-memory': {
    folder: 'temporal',
    variant: 'tuned',
    onDisk: false,
    title: 'Temporal with our settings, in memory',
  },
  tuned: { folder: 'temporal', variant: 'tuned', onDisk: true, title: 'Temporal with our settings, on disk' },
  'cadre-memory': { folder: 'cadre', onDisk: false, title: 'Cadre, in memory' },
  cadre: { folder: 'cadre', onDisk: true, title: 'Cadre, on disk' },
  restate: { folder: 'restate', onDisk: true, title: 'Restate' },
  'restate-calls': {
    folder: 'restate',
    variant: 'calls',
    onDisk: true,
    title: 'Restate, each step a call of a service',
  },
  dbos: { folder: 'dbos', onDisk: true, title: 'DBOS' },
  langgraph: { folder: 'langgraph', onDisk: true, title: 'LangGraph' },
  'langgraph-fsync': {
    folder: 'langgraph',
    variant: 'fsync',
    onDisk: true,
    title: 'LangGraph, an fsync a commit',
  },
};

/** The longest that one request may take, and that a driver may take to stop, in ms. */
const REQUEST_TIMEOUT = 15 * 60_000;
const STOP_TIMEOUT = 30_000;

/** Installs what the contender needs. Resolves with why it cannot run here, in a sentence; undefined where it can. */
async function prepare({ folder }) {
  return (await install(folder)).missing;
}

/**
 * Starts a contender's driver and the contender, runs `work(ask, about)`, and ends it all. `ask(op, fields)` is one
 * request of the protocol in driver.js, `about` the answer to `start`. Rejects with the driver's own error.
 */
async function withDriver({ folder, variant, onDisk }, { workers }, work) {
  const place = join(__dirname, folder);
  const scratch = mkdtempSync(join(tmpdir(), 'cadre-peers-'));
  const driver = new Driver(place);
  try {
    const about = await driver.ask('start', { folder: scratch, workers, onDisk, variant });
    return await work((op, fields) => driver.ask(op, fields), about);
  } finally {
    await driver.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** A driver's process. Owns it, and sees to it that nothing it started outlives it. */
class Driver {
  waiting = new Map();
  next = 0;
  ended = false;

  constructor(place) {
    const { execPath, environment } = setupOf(place);
    this.child = fork(join(place, 'driver.js'), [], {
      ...(execPath === undefined ? {} : { execPath }),
      // The ports are this machine's own.
      env: {
        ...process.env,
        NO_PROXY: '127.0.0.1,localhost',
        no_proxy: '127.0.0.1,localhost',
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.child.on('message', ({ id, result, error }) => {
      const { resolve, reject } = this.waiting.get(id) ?? {};
      this.waiting.delete(id);
      if (error === undefined) resolve?.(result);
      else reject?.(new Error(error));
    });
    this.child.once('exit', (code, signal) => {
      this.ended = true;
      for (const { reject } of this.waiting.values())
        reject(new Error(`The driver ended (${signal ?? code})`));
    });
  }

  ask(op, fields = {}, timeout = REQUEST_TIMEOUT) {
    if (this.ended) return Promise.reject(new Error('The driver has ended'));
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`The driver did not answer "${op}" within ${timeout / 1000} s`));
      const timer = setTimeout(late, timeout);
      const settle = (how) => (value) => {
        clearTimeout(timer);
        how(value);
      };
      this.waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.child.send({ id, op, ...fields });
    });
  }

  async stop() {
    if (this.ended) return;
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    await this.ask('stop', {}, STOP_TIMEOUT).catch((error) => console.error(`  ${error.message}`));
    const left = descendants(this.child.pid);
    for (const pid of left) kill(pid);
    this.child.kill('SIGKILL');
    await exited;
    while (left.some(isRunning)) await delay(10);
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

module.exports = { CONTENDERS, prepare, withDriver };
