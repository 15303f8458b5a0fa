const { spawn } = require('node:child_process');
const { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { dirname, join, relative } = require('node:path');
const { CadreClient, FileArtifactStore } = require('../dist/client');
const { printTable } = require('./measure');
const { withServer } = require('./stack');

const CLI = join(__dirname, '..', 'dist', 'cli', 'main.js');
const PACKAGES = join(__dirname, '..', 'node_modules');
const TICKS_A_SECOND = 100;
const GOALS = [
  'How do I limit the number of concurrent workers in a pool, and what happens when a task times out?',
  'Which Node version is required, and how is a parse error reported?',
];

/**
 * The main job on large folders: the first question, a second one, and one of a worker that has just started, each from
 * start to result. The server and the worker are processes of their own, and there is no index before the first question.
 */
async function run({ quick }) {
  const results = [];
  for (const count of quick ? [1500] : [1500, 20_000]) results.push(...(await measure(count)));
  const rows = [['documents', 'MB', 'question', 'seconds', 'told before', 'CPU s', 'worker MB', 'index MB']];
  for (const {
    documents,
    megabytes,
    question,
    seconds,
    told,
    cpu,
    workerMegabytes,
    indexMegabytes,
  } of results) {
    const figures = [
      seconds.toFixed(2),
      told,
      cpu.toFixed(2),
      Math.round(workerMegabytes),
      Math.round(indexMegabytes),
    ];
    rows.push([documents, Math.round(megabytes), question, ...figures]);
  }
  printTable(rows);
  return results;
}

async function measure(count) {
  const docs = mkdtempSync(join(tmpdir(), 'cadre-bench-documents-'));
  const megabytes = makeFolder(docs, count) / 1e6;
  try {
    return await withServer({}, async ({ address, temporal, folder }) => {
      const client = new CadreClient(temporal, {
        artifacts: new FileArtifactStore(join(folder, 'artifacts')),
      });
      const ask = async (question, goal, worker) => {
        const about = await timed(client, { goal, docs }, worker);
        return {
          documents: count,
          megabytes,
          question,
          ...about,
          indexMegabytes: size(join(folder, 'cache')),
        };
      };
      let worker = await startWorker(address, folder);
      try {
        await warmUp(client);
        const first = await ask('first', GOALS[0], worker);
        const second = await ask('second', GOALS[1], worker);
        await stop(worker);
        worker = await startWorker(address, folder);
        await warmUp(client);
        return [first, second, await ask('new worker', GOALS[0], worker)];
      } finally {
        await stop(worker);
      }
    });
  } finally {
    rmSync(docs, { recursive: true, force: true });
  }
}

/** A question on the example: waits until the worker leads, and has loaded what it needs. */
async function warmUp(client) {
  const task = await client.start({ goal: GOALS[0], docs: join(__dirname, '..', 'examples', 'handbook') });
  await task.result();
}

async function timed(client, input, worker) {
  resetPeak(worker.pid);
  const cpuBefore = cpuSeconds(worker.pid);
  const began = performance.now();
  const task = await client.start(input);
  await task.result();
  const seconds = (performance.now() - began) / 1000;
  const workerMegabytes = peakMegabytes(worker.pid);
  const cpu = cpuSeconds(worker.pid) - cpuBefore;
  return { seconds, cpu, workerMegabytes, told: await toldSeconds(task) };
}

/** How long the planner said that it would take; `-` where it said nothing. */
async function toldSeconds(task) {
  for await (const event of task.events()) {
    if (event.type !== 'planned') continue;
    const decision = event.decisions?.value?.find(({ type }) => type === 'timeExpected');
    return /about ([^,]+?) on/.exec(decision?.rationale ?? '')?.[1] ?? '-';
  }
  return '-';
}

/** Starts a worker with the embedded agents, whose data and index are in `folder`, and waits until it is ready. */
async function startWorker(address, folder) {
  const child = spawn(process.execPath, [CLI, 'worker', '--address', address, '--json'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, CADRE_DATA: folder, CADRE_CACHE: join(folder, 'cache') },
  });
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', () => reject(new Error('The worker ended before it was ready')));
  });
  return child;
}

async function stop(worker) {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGTERM');
  await ended;
}

/** What a process has used of the processors, on Linux. */
function cpuSeconds(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  } catch {
    return Number.NaN;
  }
}

/** Linux counts the most memory that a process held; elsewhere there is no figure. */
function peakMegabytes(pid) {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
  } catch {
    return Number.NaN;
  }
}

function resetPeak(pid) {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Then the peak is that of the process so far.
  }
}

/** In MB, with everything below. */
function size(folder) {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += readFileSync(join(entry.parentPath, entry.name)).length;
  return bytes / 1e6;
}

/**
 * Fills a folder with `count` documents: the Markdown of the installed packages, then editions of it that leave out each
 * seventh paragraph and have other numbers. Returns their bytes.
 */
function makeFolder(folder, count) {
  const sources = readdirSync(PACKAGES, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.toLowerCase().endsWith('.md'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  let bytes = 0;
  for (let number = 0; number < count; number += 1) {
    const source = sources[number % sources.length];
    const edition = Math.floor(number / sources.length);
    const text = editionOf(readFileSync(source, 'utf8'), edition);
    const name = relative(PACKAGES, source).replaceAll('node_modules', 'packages');
    const path = join(folder, `edition-${edition}`, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    bytes += Buffer.byteLength(text);
  }
  return bytes;
}

function editionOf(text, edition) {
  if (edition === 0) return text;
  const kept = text.split(/\n{2,}/).filter((_, index) => (index + edition) % 7 !== 0);
  const numbered = kept
    .join('\n\n')
    .replace(/\d+/g, (digits) => String((Number(digits) * 7 + edition) % 1000));
  return `${numbered}\n\nThis is edition ${edition} of the document.\n`;
}

module.exports = { run };
