/** The processes that a driver starts: a Temporal server, and workers of its own. */
const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const { join } = require('node:path');
const { Connection } = require('@temporalio/client');
const { cacheFolder } = require('../../dist/storage/folders');
const { fetchServerBinary, pickPort, startEmbeddedServer } = require('../../dist/workers/server');

const START_TIMEOUT = 60_000;

/**
 * Starts a Temporal server on a free port: with `ours` as Cadre starts it, else `temporal server start-dev` as it comes; with
 * `onDisk` on a file in `folder`, else in memory. `through` may put a command in the place of the binary. Resolves when it
 * serves, with `{ pid, address, version, durability, stop() }`.
 */
async function startServer({ folder, ours, onDisk, through = (binary) => binary }) {
  const say = (line) => console.error(line);
  const binary = through(await fetchServerBinary({ cacheFolder: cacheFolder(), say }));
  const port = await pickPort([]);
  const databaseFile = onDisk ? { databaseFile: join(folder, 'temporal.db') } : {};
  const { pid, version, stop } = ours
    ? await startEmbeddedServer({ binary, port, logFile: join(folder, 'server.log'), ...databaseFile })
    : await startAsItComes(binary, port, databaseFile.databaseFile);
  return { pid, address: `127.0.0.1:${port}`, version, durability: durabilityOf(ours, onDisk), stop };
}

function durabilityOf(ours, onDisk) {
  if (!onDisk) return 'in memory: a crash of the server loses all';
  return ours
    ? 'SQLite file, WAL, synchronous=NORMAL: survives a crash of the process, not each loss of power'
    : 'SQLite file, its defaults: rollback journal, synchronous=FULL';
}

async function startAsItComes(binary, port, file) {
  const args = ['server', 'start-dev', '--headless', '--ip=127.0.0.1', `--port=${port}`, '--log-level=error'];
  const child = spawn(binary, file === undefined ? args : [...args, `--db-filename=${file}`], {
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  const address = `127.0.0.1:${port}`;
  const connection = Connection.lazy({ address, connectTimeout: START_TIMEOUT });
  try {
    await connection.ensureConnected();
    await serving(connection);
    const { serverVersion: version } = await connection.workflowService.getSystemInfo({});
    const stop = async () => {
      child.kill('SIGTERM');
      await ended;
    };
    return { pid: child.pid, version, stop };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    await connection.close();
  }
}

/** Waits until the namespace is there, which may be a moment after the port. */
async function serving({ workflowService }) {
  for (const deadline = Date.now() + START_TIMEOUT; ; ) {
    try {
      return await workflowService.describeNamespace({ namespace: 'default' });
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Worker processes of one program, which sends one message when it is ready and ends when it is disconnected. */
class Workers {
  children = new Set();

  /** `settings` go to the program as JSON, its first argument; `environment` comes on top of ours. */
  constructor(program, settings, environment = {}) {
    Object.assign(this, { program, settings, environment });
  }

  get pids() {
    return [...this.children].map(({ pid }) => pid);
  }

  /** Starts one, and resolves with its pid when it is ready. */
  async add() {
    const child = fork(this.program, [JSON.stringify(this.settings)], {
      env: { ...process.env, ...this.environment },
    });
    this.children.add(child);
    const ended = once(child, 'exit').then(() => void this.children.delete(child));
    const ready = await Promise.race([once(child, 'message').then(() => true), ended]);
    if (ready !== true) throw new Error(`${this.program} ended before it was ready`);
    return child.pid;
  }

  /** Ends them all, gently. */
  async stop() {
    const children = [...this.children];
    const ended = children.map((child) => once(child, 'exit'));
    for (const child of children) if (child.connected) child.disconnect();
    await Promise.all(ended);
  }
}

module.exports = { Workers, startServer };
