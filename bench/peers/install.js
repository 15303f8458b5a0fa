/**
 * Installs what the drivers of the peers need into bench/peers/NAME/node_modules, which git ignores: exactly what the lock file
 * beside it says, when it is not there yet. `node bench/peers/install.js [NAME…]` installs those named, else all.
 */
const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

/** By name: about how long it takes. */
const PEERS = {
  restate: 'about 10 s, 120 MB',
  dbos: 'about 5 s',
  langgraph: 'about 10 s, two minutes where SQLite has to be compiled',
};

/** No statistics of installations to anybody. */
const QUIET = { SCARF_ANALYTICS: 'false', DO_NOT_TRACK: '1' };

/**
 * Installs a peer unless it is there; one that has no packages of its own needs nothing. Resolves with `{ execPath }`, the Node
 * that its driver wants, or with `{ missing }`, a sentence that says why it cannot run here. Rejects with npm's own output.
 */
async function install(name, { say = (line) => console.error(line) } = {}) {
  const place = join(__dirname, name);
  const setup = setupOf(place);
  const missing = setup.missing?.();
  if (missing !== undefined) return { missing };
  if (existsSync(join(place, 'package.json')) && !isInstalled(place)) {
    say(`Installing ${name} for the benchmark (npm ci in bench/peers/${name}): ${PEERS[name] ?? 'a while'}.`);
    const began = performance.now();
    await run(place);
    writeFileSync(stampOf(place), fingerprint(place));
    say(`  ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
  return { execPath: setup.execPath ?? process.execPath };
}

function setupOf(place) {
  const file = join(place, 'setup.js');
  return existsSync(file) ? require(file) : {};
}

/** Written when npm has ended well. */
function stampOf(place) {
  return join(place, 'node_modules', '.installed');
}

/** What was asked for, and the Node that native modules were made for. */
function fingerprint(place) {
  const lock = readFileSync(join(place, 'package-lock.json'));
  return `${process.versions.modules} ${createHash('sha256').update(lock).digest('hex')}\n`;
}

/** Whether all is there that the lock file of the peer in this folder says. */
function isInstalled(place) {
  return existsSync(stampOf(place)) && readFileSync(stampOf(place), 'utf8') === fingerprint(place);
}

function run(place) {
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--include=optional'];
  return new Promise((resolve, reject) => {
    const child = spawn('npm', args, { cwd: place, env: { ...process.env, ...QUIET } });
    const said = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`npm ci in ${place} ended with ${code}\n${Buffer.concat(said).toString()}`));
    });
  });
}

module.exports = { install, setupOf };

async function main(names) {
  for (const name of names.length === 0 ? Object.keys(PEERS) : names) {
    const { missing } = await install(name);
    console.error(missing === undefined ? `${name}: ready` : `${name}: left out: ${missing}`);
  }
}

if (require.main === module)
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
