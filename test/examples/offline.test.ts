// The demo as a user runs it: a cadre on a real server, and a process that is cut off.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../support/cli';
import { TemporaryFolder } from '../support/temporary-folder';
import { type DevServer, startDevServer } from '../support/dev-server';

const OFFLINE = join(ROOT, 'examples', 'offline');
const run = promisify(execFile);
const folder = new TemporaryFolder();
let server: DevServer;

beforeAll(async () => {
  server = await startDevServer();
}, 60_000);

afterAll(async () => {
  await server?.stop();
  folder.remove();
});

const laptop = async (...args: string[]): Promise<string> => {
  const { TEMPORAL_ADDRESS: _, ...env } = process.env;
  const { stdout } = await run(
    process.execPath,
    [join(OFFLINE, 'laptop.js'), join(folder.path, 'replica.json'), ...args],
    { env },
  );
  return stdout;
};

test('what a cadre and a laptop write while the laptop is cut off is known to both', async () => {
  const env = { ...process.env, TEMPORAL_ADDRESS: server.address, CADRE_DATA: folder.path };
  const { stdout } = await run(process.execPath, [join(OFFLINE, 'demo.js')], { env });
  const [, known = ''] = stdout.split('the cadre knows:\n');
  expect(known).toMatch(
    /^ {2}"the north gate is closed" \(laptop\)\n {2}"bring the spare key" \(notes\)\n {2}visits: 3, by (laptop and notes|notes and laptop)\n✓ nothing/,
  );
}, 120_000);

test('the laptop works without any server, and keeps what it did in its file', async () => {
  await laptop('note', 'first');
  await laptop('count', 'visits');
  expect(await laptop('note', 'second')).toBe('notes: ["first","second"]\nfindings: 0, visits: 1\n');
  expect(await laptop('forget', 'first')).toMatch(/^notes: \["second"\]\n/);
  await expect(laptop('forget', 'first')).rejects.toThrow(/There is no note "first"/);
});
