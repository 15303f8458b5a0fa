/** What the drivers of the peers start: programs that are not Node's. No dependencies but Node's own, of 20 or newer. */
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { createServer } = require('node:net');
const { join } = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');

/** How long a program may take until it is ready, in ms. */
const START_TIMEOUT = 60_000;
/** How long a program may take to end by itself once it is told to, in ms; then it is killed. */
const STOP_TIMEOUT = 10_000;

/** A TCP port of 127.0.0.1 that nobody listens on. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts `command` and resolves once `ready()` no longer throws, with `{ pid, stop() }`. What it prints on standard error is
 * in the error when it ends before that. `options` are those of `spawn`; `signal` ends it, SIGTERM unless given.
 */
async function start(command, args, { ready, signal = 'SIGTERM', ...options }) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  // Where the driver fails before it could stop it.
  process.once('exit', () => child.kill());
  const said = [];
  child.stderr.on('data', (chunk) => {
    said.push(chunk);
    if (said.length > 100) said.shift();
  });
  const state = {};
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve((state.over = error.message)));
    child.once('exit', (code) => resolve((state.over = `it ended with ${code}`)));
  });
  const stop = async () => {
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT);
    await ended;
    clearTimeout(timer);
  };
  try {
    await until(ready, () => state.over);
  } catch (error) {
    if (state.over === undefined) await stop();
    throw new Error(`${command}: ${error.message}\n${Buffer.concat(said).toString()}`, { cause: error });
  }
  return { pid: child.pid, stop };
}

async function until(ready, over) {
  for (const deadline = Date.now() + START_TIMEOUT; ; await delay(50)) {
    if (over() !== undefined) throw new Error(over());
    try {
      await ready();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

/** The version of a package that is installed in the folder of `peer`; not each package lets one `require` that. */
function versionOf(peer, name) {
  return JSON.parse(readFileSync(join(__dirname, peer, 'node_modules', name, 'package.json'), 'utf8'))
    .version;
}

module.exports = { freePort, start, versionOf };
