// What a command loads: the worker's library alone takes longer than most commands do.
import { writeFileSync } from 'node:fs';
import { Cli } from '../support/cli';
import { TemporaryFolder } from '../support/temporary-folder';

/** Written at the end of a process: the packages it has loaded. */
const REPORT = `process.on('exit', () => {
  const packages = Object.keys(require.cache).map((file) => /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(file)?.[1]);
  process.stderr.write('loaded: ' + [...new Set(packages.filter(Boolean))].join(' '));
});`;

let folder: TemporaryFolder;
let cli: Cli;

beforeAll(() => {
  folder = new TemporaryFolder();
  writeFileSync(`${folder.path}/report.js`, REPORT);
  cli = new Cli(folder, { NODE_OPTIONS: `--require ${folder.path}/report.js` });
});

afterAll(async () => {
  await cli.stop();
  folder.remove();
});

async function loaded(...args: readonly string[]): Promise<string[]> {
  const { stderr } = await cli.run(args);
  return (/loaded: (.*)/.exec(stderr)?.[1] ?? '').split(' ');
}

test('the version is told with nothing loaded but the parser of the command line', async () => {
  expect(await loaded('--version')).toEqual(['commander']);
});

test.each(['show', 'list', 'status', 'log', 'state', 'why', 'saga', 'run', 'agents', 'leader'])(
  '%s loads nothing that only a worker needs',
  async (command) => {
    const packages = await loaded(command, '--help');
    expect(packages).toContain('@temporalio/client');
    for (const heavy of ['@temporalio/worker', '@temporalio/core-bridge', '@swc/core', 'zod', 'rxjs'])
      expect(packages).not.toContain(heavy);
  },
);

test('a worker loads the library that it runs on', async () => {
  expect(await loaded('worker', '--help')).toContain('@temporalio/worker');
});
