// cadre server as a user types it: where it starts, whatever clients are told. Needs a real Temporal CLI.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../src/storage/folders';
import { fetchServerBinary, pickPort } from '../../src/workers/server';
import { Cli, type CliProcess, answers, sane, until } from '../support/cli';
import { TemporaryFolder } from '../support/temporary-folder';

let binary: string;
let folder: TemporaryFolder;
let cli: Cli;
let port: number;
let uiPort: number;
let started: CliProcess[];

beforeAll(async () => {
  binary = await fetchServerBinary({ cacheFolder: cacheFolder(), say: () => undefined, atHand: true });
});

beforeEach(async () => {
  folder = new TemporaryFolder();
  started = [];
  cli = new Cli(folder, { CADRE_TEMPORAL_BINARY: binary });
  port = await pickPort([]);
  uiPort = await pickPort([], [port]);
});

// Killed, they would leave their servers running.
afterEach(async () => {
  for (const server of started) {
    server.kill('SIGINT');
    await server.ended;
  }
  folder.remove();
});

async function start(args: readonly string[], TEMPORAL_ADDRESS?: string): Promise<CliProcess> {
  const more = TEMPORAL_ADDRESS === undefined ? {} : { TEMPORAL_ADDRESS };
  const server = cli.start(['server', '--ui-port', String(uiPort), ...args], more);
  started.push(server);
  await server.says(/Press Ctrl-C to stop it/);
  return server;
}

/** The process of the Temporal server that was started. */
function temporalPid(): number {
  const record = readFileSync(join(folder.path, 'data', 'server.json'), 'utf8');
  return (JSON.parse(record) as { pid: number }).pid;
}

/** It runs until it is told to stop, and then takes its Temporal server with it. */
async function stop(server: CliProcess): Promise<void> {
  expect(server.child.exitCode).toBeNull();
  server.kill('SIGINT');
  const ended = await server.ended;
  sane(ended);
  expect(ended.stdout).toMatch(/\nStopped\.\n$/);
  expect(await answers(`127.0.0.1:${port}`)).toBe(false);
  expect([ended.code, ended.signal]).toEqual([0, null]);
}

test('it starts at its port where TEMPORAL_ADDRESS is that very address', async () => {
  const server = await start(['--port', String(port)], `127.0.0.1:${port}`);
  expect(server.stdout).toMatch(new RegExp(`^✓ Temporal \\S+ at 127\\.0\\.0\\.1:${port}, `));
  expect(server.stdout).not.toContain('TEMPORAL_ADDRESS');
  await until(() => answers(`127.0.0.1:${port}`));
  const again = await cli.run(['server'], { TEMPORAL_ADDRESS: `localhost:${port}` });
  sane(again);
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to start') as string });
  await stop(server);
}, 60_000);

test('without a port it starts where TEMPORAL_ADDRESS says that it is', async () => {
  const server = await start([], `localhost:${port}`);
  expect(server.stdout).toContain(`at 127.0.0.1:${port}`);
  await stop(server);
}, 60_000);

test('its port comes before TEMPORAL_ADDRESS, and it says where other commands go', async () => {
  const elsewhere = 'temporal.example.com:7233';
  const server = await start(['--port', String(port)], elsewhere);
  expect(server.stdout).toContain(
    `Other commands here go to ${elsewhere}; set TEMPORAL_ADDRESS=127.0.0.1:${port} for this one.`,
  );
  const second = await cli.run(['server', '--port', String(uiPort + 1)]);
  sane(second);
  expect(second.code).toBe(3);
  expect(second.stdout).toContain(`The server of this data folder runs at 127.0.0.1:${port}`);
  await stop(server);
}, 60_000);

test('it ends with 1 when its Temporal server has ended by itself, and says what to do', async () => {
  const server = await start(['--port', String(port)]);
  process.kill(temporalPid(), 'SIGKILL');
  const ended = await server.ended;
  sane(ended);
  expect([ended.code, ended.signal]).toEqual([1, null]);
  expect(ended.stdout).toMatch(
    /\nThe Temporal server has ended by itself; see \S+server\.log\.\nStart it again with `cadre server`: its history is on disk\.\n$/,
  );
  expect(ended.stdout).not.toContain('Stopped.');
  await stop(await start(['--port', String(port)]));
}, 60_000);

test('flags that contradict each other are refused with 2', async () => {
  const ended = await cli.run(['server', '--port', '7300', '--address', '127.0.0.1:7301']);
  sane(ended);
  expect(ended.code).toBe(2);
  expect(ended.stdout).toContain('Expected --port to be left out, or that of --address 127.0.0.1:7301');
});
