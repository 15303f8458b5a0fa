// cadre saga resume and sweep as a user types them, against a real server: tasks that are terminated from outside.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CadreClient } from '../../src/client/cadre-client';
import { step } from '../support/agents';
import { Cli, ROOT, json, sane, until } from '../support/cli';
import { type DevServer, startDevServer } from '../support/dev-server';
import { TemporaryFolder } from '../support/temporary-folder';

let server: DevServer;
let folder: TemporaryFolder;
let cli: Cli;
let client: CadreClient;

const SOURCE = `
const { appendFileSync } = require('node:fs');
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const write = (what, { task, step }) => appendFileSync('ledger', what + ' ' + task + ' ' + step + '\\n');
const make = (name, act) =>
  defineAgent({
    name, description: name, input: anything, output: anything, act,
    // So long a resume waits for what ran at the terminate; longer than the next command takes to start.
    policy: { startToClose: 8000, heartbeatTimeout: 500 },
    compensate: (_undo, context) => write('undo', context),
  });
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('booker', (_input, context) => write('do', context)),
    make('held', (_input, context) => {
      write('do', context);
      return new Promise((_resolve, reject) =>
        context.signal.addEventListener('abort', () => reject(context.signal.reason)));
    }),
  ],
});
`;

const ledger = (): string[] => readFileSync(join(folder.path, 'ledger'), 'utf8').split('\n').slice(0, -1);

beforeAll(async () => {
  server = await startDevServer();
  folder = new TemporaryFolder();
  folder.write('cadre.config.js', SOURCE);
  folder.write('ledger', '');
  const steps = [step('train', 'booker'), step('hotel', 'held', { needs: ['train'] })];
  folder.write('trip.json', JSON.stringify({ steps }));
  cli = Cli.at(server, folder);
  client = await CadreClient.connect({ address: server.address });
}, 60_000);

afterAll(async () => {
  await cli.stop();
  await client.close();
  await server.stop();
  folder.remove();
});

/** A task that was terminated while its second step ran; its worker has ended with it. */
async function cutOff(id: string): Promise<void> {
  const run = cli.start(['run', 'a trip', '--plan', 'trip.json', '--id', id]);
  await until(() => ledger().includes(`do ${id} hotel`));
  await client.temporal.workflow.getHandle(id).terminate();
  const { code, stdout } = await run.ended;
  expect([code, stdout]).toEqual([1, expect.stringContaining(`by cadre saga resume ${id}\n`)]);
}

test('resume brings its own worker, says what it waits for and what was undone, and may be repeated', async () => {
  await cutOff('trip');
  for (const verb of [['show'], ['saga', 'show']]) {
    expect((await cli.run([...verb, 'trip'])).stdout).toMatch(
      /→ What it left .* by cadre saga resume trip\n/,
    );
  }
  await until(async () => /terminated/.test((await cli.run(['list'])).stdout));
  expect((await cli.run(['list'])).stdout).toMatch(/→ .* cadre saga sweep/);
  const resumed = await cli.run(['saga', 'resume', 'trip']);
  sane(resumed);
  expect(resumed.code).toBe(0);
  expect(resumed.stdout).toMatch(/worker ready on cadre/);
  expect(resumed.stdout).toMatch(/resumes trip\n +task +trip\.resume\n/);
  expect(resumed.stdout).toMatch(/waits +\S+ \w+, the time limit of what was running when it was terminated/);
  expect(resumed.stdout).toMatch(/hotel +is undone, whether or not it happened/);
  expect(resumed.stdout).toMatch(/✓ trip: Undone: hotel, train \(cadre saga show trip\.resume\)\n/);
  expect(ledger().slice(-2)).toEqual(['undo trip.resume hotel', 'undo trip.resume train']);
  for (const verb of [['show'], ['saga', 'show']]) {
    expect((await cli.run([...verb, 'trip'])).stdout).toMatch(/went on in trip\.resume: see cadre saga show/);
    expect(json(await cli.run([...verb, 'trip', '--json']))).toMatchObject({ resumedAs: 'trip.resume' });
  }
  await until(async () => /trip\.resume/.test((await cli.run(['list'])).stdout));
  expect((await cli.run(['list'])).stdout).not.toMatch(/→/);
  expect(json(await cli.run(['saga', 'resume', 'trip', '--json']))).toMatchObject({
    task: 'trip.resume',
    resumed: 'trip',
    status: 'undone',
    compensations: [
      { step: 'hotel', outcome: 'unknown', kind: 'undone' },
      { step: 'train', outcome: 'completed', kind: 'undone' },
    ],
  });
  expect(ledger().filter((line) => line.startsWith('undo'))).toHaveLength(2);
}, 90_000);

test('resume of what needs none, or is not there, says so', async () => {
  const nowhere = await cli.run(['saga', 'resume', 'nowhere', '--no-worker']);
  sane(nowhere);
  expect([nowhere.code, nowhere.stdout]).toEqual([1, expect.stringMatching(/There is no "nowhere"/)]);
  const ended = await cli.run(['saga', 'resume', 'trip.resume', '--no-worker', '--json']);
  expect(ended.code).toBe(1);
  expect(json(ended)).toMatchObject({
    error: {
      type: 'NothingToResume',
      message: expect.stringMatching(/ended by itself \(failed\)/) as string,
    },
  });
}, 60_000);

test('sweep says what it resumed, and leaves the rest to a worker', async () => {
  await cutOff('swept');
  let swept = await cli.run(['saga', 'sweep']);
  // The server lists what has ended about a second late.
  await until(async () => {
    swept = /goes on/.test(swept.stdout) ? swept : await cli.run(['saga', 'sweep']);
    return /goes on/.test(swept.stdout);
  });
  sane(swept);
  expect(swept.code).toBe(0);
  expect(swept.stdout).toMatch(/✓ swept goes on in swept\.resume\n/);
  expect(swept.stdout).toMatch(/: 1 resumed now, 1 before, 0 with nothing to undo, 0 failed\.\n/);
  expect(swept.stdout).toMatch(/A worker does the rest/);
  expect(json(await cli.run(['saga', 'sweep', '--json']))).toMatchObject({
    executions: expect.arrayContaining([
      expect.objectContaining({ id: 'swept', kind: 'resumedBefore', as: 'swept.resume' }),
    ]) as unknown,
    locks: [],
  });
  const worker = cli.start(['worker']);
  await until(() => ledger().includes('undo swept.resume train'));
  worker.kill('SIGTERM');
  await worker.ended;
}, 90_000);
