// cadre saga as a user types it, against a real server: a task that fails, and a compensation that fails for good.
import { join } from 'node:path';
import { step } from '../support/agents';
import { Cli, ROOT, json, jsonLines, sane, until } from '../support/cli';
import { type DevServer, startDevServer } from '../support/dev-server';
import { TemporaryFolder } from '../support/temporary-folder';

let server: DevServer;
let folder: TemporaryFolder;
let cli: Cli;

const SOURCE = `
const { existsSync } = require('node:fs');
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const make = (name, act, more = {}) =>
  defineAgent({ name, description: name, input: anything, output: anything, act, policy: { retry: { maximumAttempts: 1 } }, ...more });
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('booker', () => 'booked', {
      compensation: { retry: { maximumAttempts: 1 } },
      compensate: (_undo, { step }) => {
        if (step === 'hotel' && !existsSync('open')) throw new Error('the hotel does not answer');
      },
    }),
    make('broken', () => { throw new Error('no flight'); }),
  ],
});
`;

beforeAll(async () => {
  server = await startDevServer();
  folder = new TemporaryFolder();
  folder.write('cadre.config.js', SOURCE);
  cli = Cli.at(server, folder);
  const worker = cli.start(['worker', '--json']);
  await until(() => worker.stdout.includes('\n'));
  const steps = [
    step('train', 'booker'),
    step('hotel', 'booker', { needs: ['train'] }),
    step('flight', 'broken', { needs: ['hotel'] }),
  ];
  folder.write('trip.json', JSON.stringify({ steps }));
}, 60_000);

afterAll(async () => {
  await cli.stop();
  await server.stop();
  folder.remove();
});

test('what cannot be undone waits, is found, shown and resolved', async () => {
  const run = cli.start(['run', 'a trip', '--plan', 'trip.json', '--id', 'trip']);
  await run.says(/cannot be undone: the hotel does not answer; needs attention/);
  const shown = await cli.run(['saga', 'show', 'trip']);
  sane(shown);
  expect(shown.stdout).toMatch(/^trip {2}needs attention: cannot undo hotel/);
  expect(shown.stdout).toMatch(/↑ train +booker +completed +trip\/\S+\/train\/act/);
  expect(shown.stdout).toMatch(/↓ hotel +booker +failed: the hotel does not answer +trip\/\S+\/hotel\/undo/);
  expect(shown.stdout).toMatch(/cadre saga resolve trip hotel retry\|skip/);
  await until(async () => (await cli.run(['list', '--needs-attention'])).stdout.includes('waits: hotel'));
  const wrong = await cli.run(['saga', 'resolve', 'trip', 'train', 'retry']);
  sane(wrong);
  expect([wrong.code, wrong.stdout]).toEqual([
    1,
    expect.stringMatching(/"train" does not wait for a person/),
  ]);
  expect((await cli.run(['saga', 'resolve', 'trip', 'hotel', 'skip'])).stdout).toMatch(/--note to say why/);
  expect((await cli.run(['saga', 'resolve', 'trip', 'hotel', 'maybe'])).code).toBe(2);
  folder.write('open', '');
  const resolved = await cli.run([
    'saga',
    'resolve',
    'trip',
    'hotel',
    'retry',
    '--note',
    'they are back',
    '--json',
  ]);
  expect(json(resolved)).toEqual({ task: 'trip', step: 'hotel', how: 'retry', note: 'they are back' });
  const ended = await run.ended;
  sane(ended);
  expect(ended.code).toBe(1);
  expect(ended.stdout).toMatch(/train +undone/);
  expect(json(await cli.run(['saga', 'show', 'trip', '--json']))).toMatchObject({
    phase: { kind: 'compensated' },
    compensations: [
      { step: 'hotel', outcome: 'completed', kind: 'undone' },
      { step: 'train', outcome: 'completed', kind: 'undone' },
    ],
  });
  const show = await cli.run(['show', 'trip']);
  sane(show);
  expect(show.stdout).toMatch(/^trip {2}failed and undone/);
  expect(show.stdout).toMatch(/Step "flight" \(broken\) failed: no flight/);
  expect(jsonLines((await cli.run(['list', '--needs-attention', '--json'])).stdout)).toEqual([]);
}, 60_000);
