// What a person waits for: each command from a cold process to its end, a worker to its line "worker ready".
const { spawn } = require('node:child_process');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { printTable, summary } = require('./measure');
const { withServer } = require('./stack');

const CLI = join(__dirname, '..', 'dist', 'cli', 'main.js');
const MEMORY = join(__dirname, 'memory.js');
/** A plan of one step: what is left is starting. */
const PLAN = join(__dirname, 'start-up.plan.json');
const CONFIG = join(__dirname, 'start-up.config.js');
const TASK = 'start-up';
/**
 * Starts `cadre` with `args`; `took` ms until it writes what matches `until`, else until its end. CPU time in ms and the
 * most memory it held, in MiB, are of the whole process, also where it is ended then.
 */
async function start(args, environment, until) {
  const began = performance.now();
  const child = spawn(process.execPath, ['-r', MEMORY, CLI, ...args], {
    cwd: environment.CADRE_DATA,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const ended = new Promise((resolve) => child.once('close', resolve));
  const said = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        text += chunk;
        if (until?.test(text)) resolve();
      });
  });
  await Promise.race([said, ended]);
  const took = performance.now() - began;
  const found = until?.test(text) ?? true;
  if (until !== undefined) child.kill('SIGINT');
  const code = await ended;
  if (code !== 0 || !found) throw new Error(`cadre ${args.join(' ')} ended with ${code}:\n${text}`);
  const [, memory, cpu] = /memory=(\d+)\ncpu=(\d+)/.exec(text) ?? [];
  return { took, cpu: Number(cpu), memory: Number(memory) / 1024 };
}

/** What is measured, by name; `id` is of a task that has ended. */
function subjects(id) {
  let runs = 0;
  return {
    'cadre --version': () => [['--version']],
    'cadre show ID': () => [['show', id]],
    'cadre list': () => [['list']],
    'cadre worker, until it is ready': () => [['worker'], /worker ready/],
    'cadre run of one step, with a worker of its own': () => [
      ['run', 'start', '--plan', PLAN, '--config', CONFIG, '--id', `${TASK}-${(runs += 1)}`],
    ],
  };
}

/** All in turn, round by round, so that what else the machine does falls on each alike. */
async function run({ quick }) {
  const rounds = quick ? 3 : 20;
  const folder = mkdtempSync(join(tmpdir(), 'cadre-start-up-'));
  try {
    return await withServer({}, async ({ address }) => {
      const environment = { TEMPORAL_ADDRESS: address, CADRE_DATA: folder };
      await start(['run', 'start', '--plan', PLAN, '--config', CONFIG, '--id', TASK], environment);
      const wanted = Object.entries(subjects(TASK));
      const measured = new Map(wanted.map(([name]) => [name, []]));
      // The first round is for the files to be in the machine's memory.
      for (let round = 0; round <= rounds; round += 1)
        for (const [name, command] of wanted) {
          const [args, until] = command();
          const one = await start(args, environment, until);
          if (round > 0) measured.get(name).push(one);
        }
      return report(measured);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function report(measured) {
  const rows = [['start-up', 'runs', 'min ms', 'p50 ms', 'max ms', 'CPU p50 ms', 'peak MiB']];
  const results = [];
  for (const [name, runs] of measured) {
    const { min, p50, max } = summary(runs.map(({ took }) => took));
    const cpu = summary(runs.map((one) => one.cpu)).p50;
    const memory = Math.max(...runs.map((one) => one.memory));
    results.push({ name, runs: runs.length, min, p50, max, cpu, memory });
    rows.push([name, runs.length, ...[min, p50, max, cpu, memory].map(Math.round)]);
  }
  printTable(rows);
  return results;
}

module.exports = { run };
