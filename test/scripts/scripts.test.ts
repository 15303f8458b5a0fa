// Runs the repository's scripts in a checkout of its own, with programs of its own in place of npm and Jest.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { TemporaryFolder } from '../support/temporary-folder';

const ROOT = join(__dirname, '..', '..');
const LOCK = { packages: { '': {}, 'node_modules/one': { version: '1.0.0' } } };
const WITH_OPTIONAL = {
  packages: { ...LOCK.packages, 'node_modules/other-os': { version: '1.0.0', optional: true } },
};

let checkout: TemporaryFolder;

/** A checkout whose dependencies are installed and whose sources are built. */
beforeEach(() => {
  checkout = new TemporaryFolder();
  cpSync(join(ROOT, 'scripts'), join(checkout.path, 'scripts'), { recursive: true });
  for (const file of ['package.json', 'tsconfig.json', 'src/index.ts']) checkout.write(file, '{}');
  checkout.write('package-lock.json', JSON.stringify(WITH_OPTIONAL));
  checkout.write('node_modules/.package-lock.json', JSON.stringify(LOCK));
  checkout.write('dist/workflow-bundle.js', '');
  checkout.write('dist/.built', new Date(Date.now() + 1000).toISOString());
});
afterEach(() => checkout.remove());

function run(script: string, args: string[] = [], environment: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join('scripts', script), ...args], {
    cwd: checkout.path,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...environment },
  });
  return { status, stdout, stderr };
}

describe('prepare.js', () => {
  /** In place of npm: writes what it was asked, and ends as told. */
  function fakeNpm(...lines: string[]): Record<string, string> {
    const asked = `require('fs').writeFileSync('asked', process.argv.slice(2).join(' '));`;
    return { npm_execpath: checkout.write('npm/npm-cli.js', [asked, ...lines].join('\n')) };
  }

  test('does nothing, and says nothing, where nothing is missing', () => {
    expect(run('prepare.js')).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('installs when the lock file names another version, with an estimate first and without chatter', () => {
    checkout.write(
      'package-lock.json',
      JSON.stringify({ packages: { 'node_modules/one': { version: '1.0.1' } } }),
    );
    checkout.write('dist/.built', new Date(Date.now() + 60_000).toISOString());
    const { status, stdout, stderr } = run('prepare.js', [], fakeNpm(`console.log('added 1 package');`));
    expect(status).toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^Installing dependencies \(npm ci\): about .*\n$/);
    const asked = readFileSync(join(checkout.path, 'asked'), 'utf8');
    expect(asked).toMatch(/^ci --ignore-scripts --no-audit --no-fund/);
  });

  test.each([
    ['node_modules is missing', 'node_modules/.package-lock.json', undefined],
    ['a package of the lock file is missing', 'node_modules/.package-lock.json', { packages: {} }],
  ])('installs when %s', (_why, file, content) => {
    if (content === undefined) checkout.removeFile(file);
    else checkout.write(file, JSON.stringify(content));
    expect(run('prepare.js', ['install'], fakeNpm()).stderr).toMatch(/^Installing/);
  });

  test("shows npm's output, and fails, when npm fails", () => {
    checkout.removeFile('node_modules/.package-lock.json');
    const { status, stderr } = run('prepare.js', [], fakeNpm(`console.error('ENOSPC'); process.exit(7);`));
    expect(status).toBe(1);
    expect(stderr).toMatch(/installing dependencies failed \(exit code 7\):\nENOSPC/);
  });

  test.each(['src/index.ts', 'package-lock.json', 'tsconfig.json'])('builds when %s is newer', (file) => {
    const later = new Date(Date.now() + 60_000);
    utimesSync(join(checkout.path, file), later, later);
    // There is no compiler in this checkout.
    expect(run('prepare.js').stderr).toMatch(/^Compiling and bundling .*\ncompiling failed/);
    expect(existsSync(join(checkout.path, 'dist', '.built'))).toBe(false);
  });

  test('builds when a source file has gone', () => {
    const folder = join(checkout.path, 'src');
    const later = new Date(Date.now() + 60_000);
    utimesSync(folder, later, later);
    expect(run('prepare.js').stderr).toMatch(/^Compiling/);
  });
});

describe('start.js', () => {
  beforeEach(() => {
    checkout.write('dist/cli/commands/doctor.js', '');
    checkout.write(
      'dist/cli/main.js',
      `console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 3;`,
    );
  });

  test.each([
    [[], ['run']],
    [['a question'], ['run', 'a question']],
    [['--json'], ['run', '--json']],
    [
      ['doctor', '--json'],
      ['doctor', '--json'],
    ],
    [['--help'], ['--help']],
  ])('with %j runs cadre with %j', (given, expected) => {
    const { stdout, stderr } = run('start.js', given);
    expect(JSON.parse(stdout)).toEqual(expected);
    expect(stderr).toBe('');
  });

  test("ends with the command's exit code", () => {
    expect(run('start.js').status).toBe(3);
  });

  test('runs nothing where the checkout cannot be made ready', () => {
    checkout.removeFile('dist/.built');
    const { status, stdout, stderr } = run('start.js');
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/compiling failed/);
  });
});

describe('test.js', () => {
  const PASSED = {
    numPassedTests: 4,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    numRuntimeErrorTestSuites: 0,
  };

  beforeEach(() => {
    checkout.write(
      'dist/workers/server/index.js',
      `exports.fetchServerBinary = async ({ say }) => { say('fetching'); return '/bin/temporal'; };
       exports.fetchTestServerBinary = async () => '/bin/test-server';`,
    );
    checkout.write('dist/storage/folders.js', `exports.cacheFolder = () => '/cache';`);
  });

  /** In place of Jest: writes the result given, and what it sees; then ends as told. `alone`: the result of a run in band. */
  function fakeJest(result: object | undefined, code: number, alone?: typeof PASSED): void {
    checkout.write(
      'node_modules/jest/bin/jest.js',
      `const file = process.argv.find((arg) => arg.startsWith('--outputFile='))?.slice(13);
       const { CADRE_TEMPORAL_BINARY, CADRE_TEST_SERVER_BINARY } = process.env;
       console.error(JSON.stringify({ CADRE_TEMPORAL_BINARY, CADRE_TEST_SERVER_BINARY, args: process.argv.slice(2) }));
       const alone = process.argv.includes('--runInBand') && ${JSON.stringify(alone ?? null)};
       if (alone) {
         require('fs').writeFileSync(file, JSON.stringify(alone));
         process.exit(alone.numFailedTests);
       }
       ${result === undefined ? '' : `require('fs').writeFileSync(file, ${JSON.stringify(JSON.stringify(result))});`}
       process.exitCode = ${code};`,
    );
  }

  test('ends with the counts alone on a line, and 0, when all passed', () => {
    fakeJest(PASSED, 0);
    expect(run('test.js')).toMatchObject({ status: 0, stdout: '4 passed, 0 failed\n' });
  });

  test('counts failures, what was skipped and what is to do, and passes the exit code on', () => {
    fakeJest({ ...PASSED, numFailedTests: 2, numPendingTests: 1, numTodoTests: 1 }, 1);
    expect(run('test.js')).toMatchObject({ status: 1, stdout: '4 passed, 2 failed, 2 skipped\n' });
  });

  test('counts a file that could not be run as a failure', () => {
    fakeJest({ ...PASSED, numRuntimeErrorTestSuites: 1 }, 1);
    expect(run('test.js')).toMatchObject({ status: 1, stdout: '4 passed, 1 failed\n' });
  });

  /** Of the whole suite: `kills` has one that passed and one that failed. */
  const failedIn = (...files: string[]) => ({
    ...PASSED,
    numFailedTests: files.length,
    testResults: files.map((name) => ({
      name,
      status: 'failed',
      assertionResults: [{ status: 'passed' }, { status: 'failed' }],
    })),
  });

  test('runs what failed again, alone, and says so; what passes then counts as passed', () => {
    fakeJest(failedIn('/kills.test.ts'), 1, { ...PASSED, numPassedTests: 2 });
    const { status, stdout, stderr } = run('test.js');
    expect(stdout).toBe('5 passed, 0 failed\n');
    expect(status).toBe(0);
    expect(stderr).toMatch(/Failed beside others, and passed alone: .*kills\.test\.ts/);
    expect(stderr).toMatch(/"--runInBand","--runTestsByPath","\/kills\.test\.ts"/);
  });

  test('fails where it fails alone too, where more failed than a busy machine explains, and for a part of the suite', () => {
    fakeJest(failedIn('/kills.test.ts'), 1, failedIn('/kills.test.ts'));
    expect(run('test.js').status).toBe(1);
    fakeJest(failedIn('/a', '/b', '/c', '/d', '/e', '/f'), 1, PASSED);
    expect(run('test.js')).toMatchObject({ status: 1, stdout: '4 passed, 6 failed\n' });
    fakeJest(failedIn('/kills.test.ts'), 1, PASSED);
    expect(run('test.js', ['test/server'])).toMatchObject({ status: 1, stdout: '4 passed, 1 failed\n' });
  });

  test('fails when no test ran', () => {
    fakeJest({ ...PASSED, numPassedTests: 0, numPendingTests: 5 }, 0);
    expect(run('test.js')).toMatchObject({ status: 1, stdout: '0 passed, 0 failed, 5 skipped\n' });
  });

  test('fails when Jest leaves no result', () => {
    fakeJest(undefined, 0);
    const { status, stderr } = run('test.js');
    expect(status).toBe(1);
    expect(stderr).toContain('Jest ended without a result');
  });

  test('fetches the servers before Jest, and hands their paths and the arguments on', () => {
    fakeJest(PASSED, 0);
    const [fetching, seen] = run('test.js', ['-t', 'a title']).stderr.trim().split('\n');
    expect(fetching).toBe('fetching');
    expect(JSON.parse(seen ?? '')).toMatchObject({
      CADRE_TEMPORAL_BINARY: '/bin/temporal',
      CADRE_TEST_SERVER_BINARY: '/bin/test-server',
      args: expect.arrayContaining(['-t', 'a title', '--json']),
    });
  });
});
