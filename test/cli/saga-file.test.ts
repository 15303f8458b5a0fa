// cadre saga check, run and show as a user types them, against a real server.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Cli, ROOT, json, jsonLines, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { TemporaryFolder } from '../support/temporary-folder';

let cli: CliStage;

/** `booker` can undo what it did; `flaky` fails once; `broken` fails while there is no file `mended`. */
const SOURCE = `
const { existsSync } = require('node:fs');
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const seats = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof value?.seats === 'number'
        ? { value }
        : { issues: [{ message: 'expected a number', path: [{ key: 'seats' }] }] },
  },
};
const policy = { retry: { maximumAttempts: 1, initialInterval: '50ms' } };
const make = (name, act, more = {}) =>
  defineAgent({ name, description: name, input: anything, output: anything, act, policy, ...more });
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('booker', (input) => ({ booked: input }), { compensate: () => undefined }),
    make('flaky', (_input, { attempt }) => {
      if (attempt === 1) throw new Error('not yet');
      return 'at last';
    }),
    make('strict', (input) => input, { input: seats }),
    make('broken', () => {
      if (!existsSync('mended')) throw new Error('no flight');
      return 'flown';
    }),
  ],
});
`;

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', SOURCE);
  await cli.worker();
}, 60_000);

afterAll(() => cli.close());

function saga(name: string, ...lines: string[]): string {
  cli.folder.write(`${name}.yaml`, [`name: ${name}`, 'steps:', ...lines, ''].join('\n'));
  return `${name}.yaml`;
}

describe('cadre saga check', () => {
  const offline = { TEMPORAL_ADDRESS: '127.0.0.1:1' };

  test('says all that is wrong, with line and field, and exits with 2', async () => {
    const file = saga('wrong', '  - id: a', '    agent: 5', '  - { id: a b, agent: booker, kind: maybe }');
    const ended = await cli.run(['saga', 'check', file], offline);
    sane(ended);
    expect(ended.stdout.split('\n')).toEqual([
      "✗ wrong.yaml:4:5 steps[0].agent: expected an agent's name, got 5",
      '✗ wrong.yaml:5:7 steps[1].id: expected up to 63 letters, digits, ".", "_" or "-", got "a b"',
      '✗ wrong.yaml:5:31 steps[1].kind: expected compensable, pivot, retryable, got "maybe"',
      '  What the steps refer to, and who does them, is checked once these are mended.',
      '',
    ]);
    expect(ended.code).toBe(2);
    const told = await cli.run(['saga', 'check', file, '--json'], offline);
    expect(told.code).toBe(2);
    expect(json(told)).toMatchObject({
      file,
      valid: false,
      problems: [
        { code: 'StepInvalid', line: 4, column: 5, field: 'steps[0].agent' },
        { line: 5, column: 7, field: 'steps[1].id' },
        { line: 5, column: 31, field: 'steps[1].kind' },
      ],
    });
  });

  test('knows what the agents take, where the input refers to no other step', async () => {
    const file = saga(
      'taken',
      '  - { id: a, agent: strict, input: { seats: two } }',
      '  - { id: b, agent: strict, input: { $output: a } }',
      '  - { id: c, agent: strict, input: { seats: 2 } }',
    );
    const words = `✗ ${file}:3:38 steps[0].input.seats: expected what agent "strict" takes: expected a number`;
    for (const verb of ['check', 'run']) {
      const ended = await cli.run(['saga', verb, file], offline);
      sane(ended);
      expect([ended.code, ended.stdout]).toEqual([
        2,
        expect.stringContaining(verb === 'check' ? `${words}\n` : words.slice(2)),
      ]);
    }
  });

  test('knows the agents of the configuration, and what they can undo', async () => {
    const file = saga(
      'team',
      '  - { id: a, agent: booker }',
      '  - { id: b, agent: bokker }',
      '  - { id: c, agent: flaky, kind: compensable }',
      '  - { id: d, agent: flaky, compensate: { agent: nobody } }',
    );
    const ended = await cli.run(['saga', 'check', file], offline);
    sane(ended);
    expect(ended.code).toBe(2);
    const lines = ended.stdout.trim().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(
      /team\.yaml:4:14 steps\[1\]\.agent: .*"bokker", which is not in the roster \(booker, flaky, strict, broken, person\)/,
    );
    expect(lines[1]).toMatch(/team\.yaml:6:28 steps\[3\]\.compensate: .*"nobody"/);
    expect(lines[2]).toMatch(/team\.yaml:5:28 steps\[2\]\.kind: .*"flaky" has no `compensate`/);
  });

  test('says what it would do: the steps in order, their kinds, and who would undo them', async () => {
    const file = saga(
      'plan',
      '  - { id: a, agent: booker }',
      '  - { id: b, agent: flaky, compensate: { agent: booker } }',
      '  - { id: pay, agent: booker, kind: pivot, approval: true }',
      '  - { id: tell, agent: flaky, kind: retryable, needs: [pay] }',
      'lock: order-42',
      'timeLimit: 2 hours',
    );
    const ended = await cli.run(['saga', 'check', file], offline);
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^✓ plan\.yaml: plan\n {2}lock order-42, time limit 2 h/);
    expect(ended.stdout).toMatch(/a +booker +- +- +- +booker\n/);
    expect(ended.stdout).toMatch(/b +flaky +- +a +- +booker\n/);
    expect(ended.stdout).toMatch(/pay +booker +PIVOT +b +asks first +nobody\n/);
    expect(ended.stdout).toMatch(/tell +flaky +retryable +pay +- +nobody\n/);
    expect(json(await cli.run(['saga', 'check', file, '--json'], offline))).toMatchObject({
      valid: true,
      steps: [
        { id: 'a', needs: [], undoneBy: 'booker' },
        { id: 'b', needs: ['a'] },
        { id: 'pay', kind: 'pivot', approval: true, undoneBy: null },
        { id: 'tell' },
      ],
    });
  });

  test('says so where no configuration tells of the agents', async () => {
    const elsewhere = new TemporaryFolder();
    try {
      const file = elsewhere.write('x.yaml', 'name: x\nsteps: [{ id: a, agent: whoever }]\n');
      const ended = await Cli.at(cli.server, elsewhere).run(['saga', 'check', file]);
      expect(ended.code).toBe(0);
      expect(ended.stdout).toMatch(/a +whoever +- +- +- +\?\n/);
      expect(ended.stdout).toMatch(/No configuration here/);
    } finally {
      elsewhere.remove();
    }
  });
});

describe('cadre saga run', () => {
  test('carries out the steps of a file, and prints what they put out', async () => {
    const file = saga(
      'trip',
      '  - { id: train, agent: booker, input: { to: Oslo } }',
      '  - { id: hotel, agent: booker, input: { with: { $output: train } } }',
    );
    const ended = await cli.run(['saga', 'run', file, '--id', 'done']);
    sane(ended);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(ended.stdout).toMatch(/saga {4}trip\n {2}task {4}done\n/);
    expect(ended.stdout).toMatch(/train +done\n.*hotel +done\n/);
    expect(ended.stdout).not.toMatch(/stands for leader/);
    const output = { hotel: { booked: { with: { booked: { to: 'Oslo' } } } } };
    expect(JSON.parse(/^ {2}\{.*^ {2}\}$/ms.exec(ended.stdout)?.[0] ?? '')).toEqual(output);
    const told = await cli.run(['saga', 'run', file, '--json']);
    expect(told.code).toBe(0);
    expect(json(told)).toMatchObject({
      task: expect.stringMatching(/^trip-[0-9a-f]{8}$/) as string,
      status: 'completed',
      outputs: output,
    });
  });

  test('brings a worker of its own where none runs', async () => {
    const ended = await cli.run([
      'saga',
      'run',
      saga('alone', '  - { id: a, agent: booker }'),
      '--cadre',
      'alone',
    ]);
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/✓ worker ready on alone: booker, flaky, strict, broken/);
  });

  test('that fails is undone, says what was, and exits with 1', async () => {
    const steps = [
      '  - { id: train, agent: booker }',
      '  - { id: hotel, agent: booker }',
      '  - { id: flight, agent: broken }',
      '  - { id: party, agent: booker }',
    ];
    const ended = await cli.run(['saga', 'run', saga('undone', ...steps), '--id', 'undone', '--json']);
    expect(ended.code).toBe(1);
    expect(json(ended)).toMatchObject({
      task: 'undone',
      status: 'compensated',
      compensations: [
        { step: 'hotel', kind: 'undone' },
        { step: 'train', kind: 'undone' },
      ],
      error: { type: 'StepFailed', message: 'Step "flight" (broken) failed: no flight' },
    });
    expect(ended.stderr).toMatch(/ {2}Undone: hotel, train \(cadre saga show undone\)\n/);
    const shown = await cli.run(['saga', 'show', 'undone']);
    sane(shown);
    expect(shown.stdout).toMatch(/^undone {2}failed and undone: StepFailed\n {2}name +undone\n/);
    const time = '[\\d.]+ m?s';
    for (const line of [
      `↑ train +booker +- +completed +1 +${time} +undone/\\S+/train/act`,
      `↑ flight +broken +- +failed: no flight +1 +${time} +undone/\\S+/flight/act`,
      `↓ hotel +booker +undone +1 +${time} +undone/\\S+/hotel/undo`,
      `↓ train +booker +undone +1 +${time} +undone/\\S+/train/undo`,
    ]) {
      expect(shown.stdout).toMatch(new RegExp(line));
    }
    expect(shown.stdout).toMatch(/not begun: party/);
  });

  test('that is wrong is refused before anything starts', async () => {
    const ended = await cli.run(['saga', 'run', saga('refused', '  - { id: a }'), '--id', 'refused']);
    sane(ended);
    expect(ended.code).toBe(2);
    expect(ended.stdout).toMatch(
      /refused\.yaml:3:5 steps\[0\]\.agent: expected an agent's name, got nothing\n {2}→ /,
    );
    expect((await cli.run(['show', 'refused'])).code).toBe(1);
    const missing = await cli.run(['saga', 'run', 'nowhere.yaml']);
    expect([missing.code, missing.stdout]).toEqual([
      2,
      expect.stringMatching(/nowhere\.yaml: there is no such file/),
    ]);
  });

  test('after its pivot waits for a person, says what to type, and goes on', async () => {
    const file = saga(
      'forward',
      '  - { id: pay, agent: booker, kind: pivot }',
      '  - { id: ship, agent: broken, kind: retryable }',
    );
    const run = cli.start(['saga', 'run', file, '--id', 'forward']);
    await run.says(
      /ship +failed: no flight; needs attention\n +→ cadre saga resolve forward ship retry\|skip/,
    );
    const shown = await cli.run(['saga', 'show', 'forward']);
    sane(shown);
    expect(shown.stdout).toMatch(/^forward {2}needs attention: ship failed for good\n/);
    expect(shown.stdout).toMatch(/↑ pay +booker +PIVOT +completed/);
    expect(shown.stdout).toMatch(
      /! ship failed for good: no flight\n {2}→ cadre saga resolve forward ship retry\|skip --note/,
    );
    expect((await cli.run(['show', 'forward'])).stdout).toMatch(
      /parked: no flight(.*\n)+.*→ cadre saga resolve/,
    );
    await until(async () =>
      jsonLines((await cli.run(['list', '--needs-attention', '--json'])).stdout).some(
        ({ id, needsAttention }) => id === 'forward' && needsAttention === 'ship',
      ),
    );
    const wrong = await cli.run(['saga', 'resolve', 'forward', 'ship', 'fail', '--note', 'x']);
    expect([wrong.code, wrong.stdout]).toEqual([2, expect.stringMatching(/it can fail no more/)]);
    cli.folder.write('mended', '');
    expect((await cli.run(['saga', 'resolve', 'forward', 'ship', 'retry'])).code).toBe(0);
    const ended = await run.ended;
    sane(ended);
    expect(ended.code).toBe(0);
    cli.folder.removeFile('mended');
    expect(existsSync(join(cli.folder.path, 'mended'))).toBe(false);
    expect(
      jsonLines((await cli.run(['list', '--needs-attention', '--json'])).stdout).map(({ id }) => id),
    ).not.toContain('forward');
    expect(json(await cli.run(['saga', 'show', 'forward', '--json']))).toMatchObject({
      ladder: [
        { step: 'pay', kind: 'pivot', state: 'completed' },
        { step: 'ship', kind: 'retryable', state: 'completed', attempts: 2 },
      ],
    });
  });

  test('tells how often a step was tried', async () => {
    const file = saga('tried', '  - { id: a, agent: flaky, policy: { retry: { maximumAttempts: 3 } } }');
    expect((await cli.run(['saga', 'run', file, '--id', 'tried'])).code).toBe(0);
    expect((await cli.run(['saga', 'show', 'tried'])).stdout).toMatch(/↑ a +flaky +- +completed +2 +/);
    expect(jsonLines((await cli.run(['list', '--json'])).stdout)).toContainEqual(
      expect.objectContaining({ id: 'tried', goal: 'tried', status: 'completed' }),
    );
  });
});
