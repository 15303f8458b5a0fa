// Kills the only worker with SIGKILL in the middle of the main job, starts another, and reads from a ledger outside
// Temporal which steps ran how often. Run it with `npm run demo:crash`.
const { spawn } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { CadreClient } = require('cadre/client');

const ROOT = join(__dirname, '..', '..');
const CLI = join(ROOT, 'dist', 'cli', 'main.js');
const CONFIG = join(__dirname, 'cadre.config.js');
const GOAL =
  'When should the on-call engineer fail over the database, who has to approve it, and how often do we rehearse it?';

const children = new Set();

function start(args, env = {}) {
  const child = spawn(process.execPath, [CLI, ...args, '--json'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  child.said = '';
  child.stderr.on('data', (chunk) => (child.said += chunk));
  child.once('exit', () => children.delete(child));
  return child;
}

/** The first line of JSON that the child prints. */
function firstLine(child) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(JSON.parse(text.slice(0, end)));
    });
    child.once('exit', (code) =>
      reject(new Error(`It ended with ${code} before it was ready:\n${child.said}`)),
    );
  });
}

async function startWorker(env) {
  const child = start(['worker', '--config', CONFIG, '--address', env.TEMPORAL_ADDRESS], env);
  await firstLine(child);
  console.log(`✓ worker ${child.pid} started`);
  return child;
}

async function crash(client, worker, env) {
  const task = await client.start({ goal: GOAL, docs: join(ROOT, 'examples', 'handbook') });
  console.log(`  task    ${task.id}`);
  const steps = new Map();
  let next;
  for await (const event of task.events({ follow: true })) {
    if (event.type === 'planned') console.log(`  planned ${event.plan.steps.map(({ id }) => id).join(', ')}`);
    if (event.type === 'stepStarted') steps.set(event.step, event);
    if (event.type !== 'stepCompleted') continue;
    const { attempt, worker: by } = steps.get(event.step);
    console.log(`  ${event.step.padEnd(12)} completed by worker ${by.split('@')[0]}, attempt ${attempt}`);
    if (next === undefined) {
      worker.kill('SIGKILL');
      console.log(`✗ worker ${worker.pid} killed with SIGKILL, in the middle of the other steps`);
      next = await startWorker(env);
    }
  }
  await task.result();
  console.log('✓ the task is done');
  return next;
}

/** One row a step: how often it began and ended, by the ledger. */
function report(ledger) {
  const steps = new Map();
  for (const line of readFileSync(ledger, 'utf8').trim().split('\n')) {
    const { what, step, idempotencyKey } = JSON.parse(line);
    const row = steps.get(step) ?? { began: 0, ended: 0, keys: new Set() };
    row[what] += 1;
    row.keys.add(idempotencyKey);
    steps.set(step, row);
  }
  console.log('\nWhat the ledger outside Temporal says:');
  console.log(`  ${'STEP'.padEnd(12)}  BEGAN  ENDED  KEYS`);
  let twice = 0;
  for (const [step, { began, ended, keys }] of [...steps].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const cut = began > ended ? '   cut off by the kill, then run again under the same key' : '';
    console.log(`  ${step.padEnd(12)}  ${began}      ${ended}      ${keys.size}${cut}`);
    if (ended !== 1 || keys.size !== 1) twice += 1;
  }
  console.log(
    twice === 0 ? '✓ every step ended once; none ran twice' : `✗ ${twice} steps did not end exactly once`,
  );
  return twice === 0;
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'cadre-crash-'));
  const ledger = join(folder, 'ledger.jsonl');
  try {
    const { address } = await firstServer();
    const env = { TEMPORAL_ADDRESS: address, CRASH_LEDGER: ledger };
    const client = await CadreClient.connect({ address, cadre: 'crash-demo' });
    const worker = await startWorker(env);
    const next = await crash(client, worker, env);
    await client.close();
    next?.kill('SIGTERM');
    process.exitCode = report(ledger) ? 0 : 1;
  } finally {
    for (const child of children) child.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A server that is configured or running, or one of our own for as long as the demo runs. */
function firstServer() {
  return firstLine(start(['server']));
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
