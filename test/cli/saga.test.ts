// cadre saga as a user types it, against a real server: a task that fails, and a compensation that fails for good.
import { join } from 'node:path';
import { step } from '../support/agents';
import { ROOT, json, jsonLines, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';

let cli: CliStage;

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
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', SOURCE);
  await cli.worker();
  const steps = [
    step('train', 'booker'),
    step('hotel', 'booker', { needs: ['train'] }),
    step('flight', 'broken', { needs: ['hotel'] }),
  ];
  cli.folder.write('trip.json', JSON.stringify({ steps }));
}, 60_000);

afterAll(() => cli.close());

test('what cannot be undone waits, is found, shown and resolved', async () => {
  const run = cli.start(['run', 'a trip', '--plan', 'trip.json', '--id', 'trip']);
  await run.says(/cannot be undone: the hotel does not answer; needs attention/);
  const shown = await cli.run(['saga', 'show', 'trip']);
  sane(shown);
  expect(shown.stdout).toMatch(/^trip {2}needs attention: cannot undo hotel/);
  expect(shown.stdout).toMatch(/↑ train +booker +- +completed +1 +[\d.]+ m?s +trip\/\S+\/train\/act/);
  expect(shown.stdout).toMatch(
    /↓ hotel +booker +failed: the hotel does not answer +1 +[\d.]+ m?s +trip\/\S+\/hotel\/undo/,
  );
  expect(shown.stdout).toMatch(/cadre saga resolve trip hotel retry\|skip/);
  await until(async () => (await cli.run(['list', '--needs-attention'])).stdout.includes('waits: hotel'));
  const wrong = await cli.run(['saga', 'resolve', 'trip', 'train', 'retry']);
  sane(wrong);
  expect([wrong.code, wrong.stdout]).toEqual([
    1,
    expect.stringMatching(/"train" does not wait for a person; hotel does/),
  ]);
  expect((await cli.run(['saga', 'resolve', 'trip', 'hotel', 'skip'])).stdout).toMatch(/--note to say why/);
  expect((await cli.run(['saga', 'resolve', 'trip', 'hotel', 'maybe'])).code).toBe(2);
  cli.folder.write('open', '');
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
  expect(await cli.json(['saga', 'show', 'trip'])).toMatchObject({
    phase: { kind: 'compensated' },
    compensations: [
      { step: 'hotel', outcome: 'completed', kind: 'undone' },
      { step: 'train', outcome: 'completed', kind: 'undone' },
    ],
  });
  const late = await cli.run(['saga', 'resolve', 'trip', 'hotel', 'retry']);
  sane(late);
  expect([late.code, late.stdout]).toEqual([
    1,
    expect.stringMatching(/trip waits for nobody: compensated\n {2}→ See with `cadre show trip`/),
  ]);
  const show = await cli.run(['show', 'trip']);
  sane(show);
  expect(show.stdout).toMatch(/^trip {2}failed and undone/);
  expect(show.stdout).toMatch(/Step "flight" \(broken\) failed: no flight/);
  expect(jsonLines((await cli.run(['list', '--needs-attention', '--json'])).stdout)).toEqual([]);
}, 60_000);
