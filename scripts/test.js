/**
 * `npm test`: makes the checkout ready, fetches the servers that tests need (never inside Jest), and runs Jest with
 * the arguments given. Of the whole suite, files that fail run once more, alone. The last line on standard output is `N passed, N failed`, with `, N skipped` where some were.
 */
const { spawn } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { ROOT, exitOnFailure, prepare, say } = require('./prepare');

const FILES_ALONE_MAXIMUM = 5;
const JEST = path.join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js');

async function main(args) {
  await prepare();
  // What Jest answers without running a test.
  if (args.some((arg) => /^--(help|version|listTests|showConfig|clearCache)$/.test(arg))) {
    process.exitCode = await runJest(args, process.env);
    return;
  }
  const environment = { ...process.env, ...(await fetchServers()) };
  const folder = mkdtempSync(path.join(tmpdir(), 'cadre-jest-'));
  try {
    const first = await run(args, environment, path.join(folder, 'result.json'));
    const again =
      args.length === 0 ? await runAlone(first, environment, path.join(folder, 'again.json')) : undefined;
    const { code, passed, failed, skipped } = again ?? first;
    process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
    process.exitCode = code === 0 && passed + failed > 0 ? 0 : code || 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs Jest; resolves with its exit code, what it counted, and by file what failed. */
async function run(args, environment, outputFile) {
  const code = await runJest([...args, '--json', `--outputFile=${outputFile}`], environment);
  return { code, ...count(outputFile) };
}

/**
 * Runs the files of the whole suite that failed once more, one after the other, and says so: tests of real processes
 * measure real time, which other tests beside them take. Undefined where none failed, or more than a busy machine explains.
 */
async function runAlone(first, environment, outputFile) {
  const files = first.failures.map(({ file }) => file);
  if (files.length === 0 || files.length > FILES_ALONE_MAXIMUM) return undefined;
  const names = files.map((file) => path.relative(ROOT, file)).join(', ');
  say(`Failed beside others: ${names}. Running them again, alone.`);
  const again = await run(['--runInBand', '--runTestsByPath', ...files], environment, outputFile);
  if (again.code === 0) say(`Failed beside others, and passed alone: ${names}.`);
  const before = first.failures.reduce((sum, { passed }) => sum + passed, 0);
  return { ...again, passed: first.passed - before + again.passed, skipped: first.skipped };
}

async function fetchServers() {
  const { fetchServerBinary, fetchTestServerBinary } = require('../dist/workers/server');
  const { cacheFolder } = require('../dist/storage/folders');
  const options = { cacheFolder: cacheFolder(), say };
  return {
    CADRE_TEMPORAL_BINARY: await fetchServerBinary(options),
    CADRE_TEST_SERVER_BINARY: await fetchTestServerBinary(options),
  };
}

/** Resolves to Jest's exit code, 1 where a signal ended it. */
async function runJest(args, env) {
  const child = spawn(process.execPath, [JEST, ...args], {
    cwd: ROOT,
    env,
    stdio: 'inherit',
  });
  // Ctrl-C reaches Jest by itself; we wait for what it says.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

/** What Jest counted; a test file that could not be run at all is one failure. */
function count(outputFile) {
  let result;
  try {
    result = JSON.parse(readFileSync(outputFile, 'utf8'));
  } catch {
    say('Jest ended without a result.');
    return { passed: 0, failed: 0, skipped: 0, failures: [] };
  }
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
    skipped: result.numPendingTests + result.numTodoTests,
    failures: (result.testResults ?? [])
      .filter(({ status }) => status === 'failed')
      .map(({ name, assertionResults }) => ({
        file: name,
        passed: assertionResults.filter(({ status }) => status === 'passed').length,
      })),
  };
}

exitOnFailure(main(process.argv.slice(2)));
