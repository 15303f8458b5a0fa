// cadre budget, cadre resume and --budget as a user types them, against a real server.
import { join } from 'node:path';
import { pickPort } from '../../src/workers/server';
import { step } from '../support/agents';
import { ROOT, json, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';

let cli: CliStage;

const SOURCE = `
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const cost = { tokens: 100, microUsd: 1500, calls: 1 };
module.exports = defineConfig({
  embedded: false,
  budget: { money: 2 },
  agents: [
    defineAgent({
      name: 'caller',
      description: 'calls a model',
      input: anything,
      output: anything,
      budget: { calls: 50 },
      async act(input, { calls }) {
        for (let number = 1; number <= input; number += 1) {
          await calls.run({
            kind: 'model',
            name: 'test/model',
            request: { number },
            reserves: cost,
            run: async () => number,
            usageOf: () => ({ model: 'test/model', ...cost, inputTokens: 60, cachedTokens: 0, outputTokens: 40, unseen: 0 }),
          });
        }
        return input;
      },
    }),
  ],
});
`;

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', SOURCE);
  cli.folder.write('plan.json', JSON.stringify({ steps: [step('ask', 'caller', { input: 3 })] }));
  await cli.worker();
}, 60_000);

afterAll(() => cli.close());

describe('what cannot be meant is refused with 2 before anything is sent:', () => {
  test.each<[string, string[], RegExp]>([
    ['an unknown field', ['run', 'goal', '--budget', 'cats=3'], /--budget to be tokens=…,money=…/],
    ['a field without a value', ['run', 'goal', '--budget', 'tokens'], /got "tokens"/],
    ['a word', ['run', 'goal', '--budget', 'tokens=abc'], /`budget\.tokens` to be .*, got "abc"/],
    ['thousands', ['run', 'goal', '--budget', 'tokens=20k'], /`budget\.tokens` to be .*, got "20k"/],
    [
      'a limit twice',
      ['run', 'goal', '--budget', 'tokens=1,tokens=2'],
      /tokens of --budget to be given once/,
    ],
    ['half a token', ['run', 'goal', '--budget', 'tokens=0.5'], /`budget\.tokens` to be a whole number/],
    ['a time that is none', ['resume', 'id', '--budget', 'wallTime=soon'], /`budget\.wallTime`/],
  ])('%s', async (_what, args, message) => {
    const nowhere = `127.0.0.1:${await pickPort([])}`;
    const ended = await cli.run([...args, '--address', nowhere]);
    sane(ended);
    expect(ended.code).toBe(2);
    expect(`${ended.stdout}${ended.stderr}`).toMatch(message);
  });
});

test('none is in use before anything was used', async () => {
  const ended = await cli.run(['budget']);
  sane(ended);
  expect(ended.code).toBe(0);
  expect(ended.stdout).toContain('No budget of "cadre" is in use');
});

test('a task that reaches its budget says how to go on, and goes on with more', async () => {
  const budget = 'tokens=200,money=0.5,wallTime=10m';
  const ended = await cli.run(['run', 'a goal', '--plan', 'plan.json', '--id', 'short', '--budget', budget]);
  sane(ended);
  expect(ended.code).toBe(1);
  expect(ended.stdout).toMatch(
    /allows 200 tokens: used 200 tokens, set aside 0 tokens, asked for 100 tokens more/,
  );
  expect(ended.stdout).toContain('`cadre resume short --budget tokens=300`');

  const forgotten = await cli.run(['resume', 'short']);
  expect(forgotten.code).toBe(2);
  expect(forgotten.stdout).toMatch(
    /`budget\.tokens` to be more than 200 tokens.*used 200 tokens, asked for 100 tokens more.*`--budget tokens=300`/,
  );

  let shown = await cli.run(['budget', 'short']);
  // The server lists what has ended about a second late.
  await until(async () => {
    shown = /ended/.test(shown.stdout) ? shown : await cli.run(['budget', 'short']);
    return /ended/.test(shown.stdout);
  });
  sane(shown);
  expect(shown.stdout).toMatch(/^The budget of the task short\n/);
  expect(shown.stdout).toMatch(/^ {2}task\.[0-9a-f]{16} +short, ended +tokens +200 +200 +0 +0 +1$/m);
  expect(shown.stdout).toMatch(/^ +money +\$0\.5 +\$0\.003 +\$0 +\$0$/m);
  expect(shown.stdout).toMatch(/^ {2}! \S+ +The budget task\.\S+ allows 200 tokens/m);

  const resumed = await cli.run(['resume', 'short', '--budget', 'tokens=1000']);
  sane(resumed);
  expect(resumed.code).toBe(0);
  expect(resumed.stdout).toContain('task    short.resume');
  const again = await cli.run(['resume', 'short', '--budget', 'tokens=2000']);
  expect(again.code).toBe(1);
  expect(again.stdout).toContain('it ended otherwise (completed)');
}, 60_000);

test('the line of a step that reached it is short: the end says what was allowed and used, once', async () => {
  const args = ['run', 'a goal', '--plan', 'plan.json', '--budget', 'tokens=200'];
  const [ended, all] = await Promise.all([cli.run(args), cli.run([...args, '--follow'])]);
  sane(ended);
  expect(ended.stdout).toMatch(
    / ask +failed: it would use more than its budget allows \(2 calls, 200 tokens, /,
  );
  expect(ended.stdout.match(/allows 200 tokens/g)).toHaveLength(1);
  expect(all.stdout).toMatch(/stepFailed failed: .* allows 200 tokens/);
}, 60_000);

test('the costs of a task and of what goes on with it stand together', async () => {
  const [first, second] = await Promise.all([cli.run(['cost', 'short']), cli.run(['cost', 'short.resume'])]);
  for (const { stdout } of [first, second]) {
    expect(stdout).toMatch(
      /^ {2}TASK +CALLS .*\n {2}short +2 +120 +0 +80 +\$0\.003000\n {2}short\.resume +1 +60 .*\n {2}in all +3 +180 /m,
    );
  }
  sane(first);
  expect(first.stdout).toMatch(/^short {2}2 calls, 200 tokens/);
  expect(first.stdout).toMatch(
    /\n {2}It goes on as short\.resume: in all 3 calls, 300 tokens, \$0\.004500\.\n$/,
  );
  expect(second.stdout).toMatch(/^short\.resume {2}3 calls, 300 tokens/);
  expect(second.stdout).toMatch(/\n {2}It goes on with short: the calls there are in its numbers too\.\n$/);
}, 60_000);

test('the budgets that are in use are listed with what was used of them', async () => {
  const { accounts } = json(await cli.run(['budget', '--json'])) as { accounts: { account: string }[] };
  const names = accounts.map(({ account }) => account);
  expect(names.slice(0, 2)).toEqual(['agent.caller', 'cadre']);
  const listed = await cli.run(['budget']);
  sane(listed);
  expect(listed.stdout).toMatch(/^ {2}agent\.caller +– +tokens +– +700 +0 +0 +0$/m);
  expect(listed.stdout).toMatch(/^ +calls +50 +7 +0 +0$/m);
  const [shown, value] = await Promise.all([cli.run(['budget', 'cadre']), cli.json(['budget', 'cadre'])]);
  sane(shown);
  expect(shown.stdout).toMatch(/^The budget of the cadre for the day \(UTC\): \d{4}-\d{2}-\d{2}$/m);
  expect(value).toMatchObject({ account: 'cadre', running: true, refused: 0 });
}, 60_000);

test('a task that is not there is said so', async () => {
  const ended = await cli.run(['budget', 'nowhere']);
  sane(ended);
  expect(ended.code).toBe(1);
  expect(ended.stdout).toContain('There is no task "nowhere"');
});
