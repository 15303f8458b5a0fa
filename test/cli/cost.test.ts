// cadre cost as a user types it, against a real server with a real worker.
import { join } from 'node:path';
import { pickPort } from '../../src/workers/server';
import { step } from '../support/agents';
import { ROOT, json, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';

let cli: CliStage;

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', SOURCE);
  await cli.worker();
}, 60_000);

afterAll(() => cli.close());

/** Asks the model for so many tokens of input, and one of output. */
const asks = (model: string, tokens: number) => ({ input: { model, tokens } });

async function run(id: string, ...steps: ReturnType<typeof step>[]): Promise<void> {
  const plan = cli.folder.write(`${id}.json`, JSON.stringify({ steps }));
  const ended = await cli.run(['run', 'a goal', '--id', id, '--plan', plan]);
  expect(ended.code).toBe(0);
}

describe('what cannot be meant is refused with 2 before anything is asked:', () => {
  test.each<[string, string[], RegExp]>([
    ['what costs are not added up by', ['--by', 'step'], /Allowed choices are agent, model, day/],
    ['a time that is none', ['--since', 'yesterday'], /Expected --since to be a time in UTC/],
    ['a task added up', ['one', '--by', 'model'], /Expected --by to be given without an id/],
    ['a task since', ['one', '--since', '7d'], /Expected --since to be given without an id/],
  ])('%s', async (_what, args, message) => {
    const ended = await cli.run(['cost', ...args, '--address', `127.0.0.1:${await pickPort([])}`]);
    sane(ended);
    expect(ended.code).toBe(2);
    expect(`${ended.stdout}${ended.stderr}`).toMatch(message);
  });
});

describe('before a model was called', () => {
  test('there is no cost of all', async () => {
    const [ended, value] = await Promise.all([cli.run(['cost']), cli.json(['cost'])]);
    sane(ended);
    expect(ended).toMatchObject({ code: 0, stdout: 'No task of the cadre "cadre" has called a model.\n' });
    expect(value).toMatchObject({ by: 'agent', costs: [], tasks: 0, unread: [] });
  });

  test('there is none of a task', async () => {
    await run('plain', step('a', 'mute', { input: 1 }));
    const ended = await cli.run(['cost', 'plain']);
    expect(ended).toMatchObject({ code: 0, stdout: 'No call of a model in plain.\n' });
  });

  test('a task that is not there ends with 1 and says so', async () => {
    const ended = await cli.run(['cost', 'nowhere']);
    sane(ended);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(/nowhere.*\n.*cadre list/);
  });
});

describe('once models were called', () => {
  beforeAll(async () => {
    await run(
      'two-models',
      step('read', 'asks', asks('openai/gpt-4.1', 999)),
      step('write', 'tells', { needs: ['read'], ...asks('openai/gpt-4.1-mini', 1_499) }),
    );
    await run('unpriced', step('ask', 'asks', asks('own/model', 41)));
    await until(async () => (await cli.json(['cost']))['tasks'] === 2);
  }, 60_000);

  test('a task’s are shown by step, agent and model, and in all', async () => {
    const ended = await cli.run(['cost', 'two-models']);
    sane(ended);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toBe(
      [
        'two-models  2 calls, 2,500 tokens, $0.002608',
        '',
        '  STEP   AGENT  MODEL                CALLS  INPUT  CACHED  OUTPUT  COST',
        '  read   asks   openai/gpt-4.1       1      999    0       1       $0.002006',
        '  write  tells  openai/gpt-4.1-mini  1      1,499  0       1       $0.000602',
        '',
        '  AGENT  CALLS  INPUT  CACHED  OUTPUT  COST',
        '  asks   1      999    0       1       $0.002006',
        '  tells  1      1,499  0       1       $0.000602',
        '',
        '  MODEL                CALLS  INPUT  CACHED  OUTPUT  COST',
        '  openai/gpt-4.1       1      999    0       1       $0.002006',
        '  openai/gpt-4.1-mini  1      1,499  0       1       $0.000602',
        '',
      ].join('\n'),
    );
  });

  test('a program gets the same as JSON', async () => {
    const value = await cli.json(['cost', 'two-models']);
    expect(value).toMatchObject({
      id: 'two-models',
      running: false,
      steps: [
        { step: 'read', agent: 'asks', key: 'openai/gpt-4.1', inputTokens: 999, microUsd: 2006 },
        { step: 'write', agent: 'tells', key: 'openai/gpt-4.1-mini', inputTokens: 1499, microUsd: 602 },
      ],
      total: { calls: 2, tokens: 2500, microUsd: 2608, unseen: 0 },
    });
    expect(value['total']).not.toHaveProperty('unpriced');
  });

  test('a model without a price is named, with what to do', async () => {
    const ended = await cli.run(['cost', 'unpriced']);
    sane(ended);
    expect(ended.stdout).toMatch(/^unpriced {2}1 call, 42 tokens, price unknown$/m);
    expect(ended.stdout).toMatch(
      /^ {2}The price of own\/model is not known: give it in the file of CADRE_PRICES/m,
    );
  });

  test('those of all are added up by agent, model and day', async () => {
    const [agents, models, days] = await Promise.all(
      [[], ['--by', 'model'], ['--by', 'day', '--since', '1d']].map((args) => cli.run(['cost', ...args])),
    );
    expect(agents?.stdout).toMatch(/^2 tasks of cadre: 3 calls, 2,542 tokens, \$0\.002608 and more$/m);
    expect(agents?.stdout).toMatch(/^ {2}asks {3}2 {6}1,040 +0 +2 +\$0\.002006 and more$/m);
    expect(agents?.stdout).toMatch(
      /^ {2}The price of a model is not known: cadre cost --by model says of which\.$/m,
    );
    expect(models?.stdout).toMatch(/^ {2}own\/model +1 +41 +0 +1 +price unknown$/m);
    expect(models?.stdout).toMatch(/The price of own\/model is not known/);
    expect(days?.stdout).toMatch(/^2 tasks of cadre since \d{4}-\d\d-\d\dT[\d:]+: 3 calls/m);
    expect(days?.stdout).toMatch(/^ {2}DAY +CALLS.*\n {2}\d{4}-\d\d-\d\d +3 /m);
  });

  test('a price that CADRE_PRICES gives counts from then on', async () => {
    const prices = cli.folder.write('prices.json', '{"models":{"own/*":{"input":10,"output":20}}}');
    const worker = cli.start(['worker', '--cadre', 'priced'], { CADRE_PRICES: prices });
    await worker.says(/worker ready/);
    const plan = cli.folder.write(
      'priced.json',
      JSON.stringify({ steps: [step('ask', 'asks', asks('own/model', 41))] }),
    );
    await cli.run(['run', 'a goal', '--id', 'priced', '--plan', plan, '--cadre', 'priced']);
    const ended = await cli.run(['cost', 'priced', '--json']);
    expect(json(ended)).toMatchObject({ total: { microUsd: 41 * 10 + 20 } });
  });

  test('what nobody saw the end of is said to stand in no column', async () => {
    await run('lost', step('ask', 'loses', { input: 1 }), step('again', 'loses', { input: 2 }));
    const ended = await cli.run(['cost', 'lost']);
    sane(ended);
    expect(ended.stdout).toMatch(/^lost {2}2 calls, 100 tokens/m);
    expect(ended.stdout).toMatch(
      /^ {2}Nobody saw the end of 2 calls: they count with the most that they may have cost, 100 tokens that stand under neither INPUT nor OUTPUT\.$/m,
    );
  });
});

const SOURCE = `
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const { priceOf, usageOf } = require(${JSON.stringify(join(ROOT, 'dist', 'models', 'prices.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const make = (name, act) =>
  defineAgent({ name, description: 'the agent ' + name, input: anything, output: anything, act });
const ask = ({ model, tokens }, { calls }) =>
  calls.run({
    kind: 'model',
    name: model,
    request: tokens,
    run: async () => 'said',
    usageOf: () => usageOf(model, { inputTokens: tokens, outputTokens: 1 }, priceOf(model)),
  });
const unseen = { tokens: 50, microUsd: 10, calls: 1, inputTokens: 0, cachedTokens: 0, outputTokens: 0, unseen: 1 };
const lose = (_input, { calls }) =>
  calls.run({ kind: 'model', name: 'own/lost', request: 1, run: async () => 1, usageOf: () => ({ model: 'own/lost', ...unseen }) });
module.exports = defineConfig({
  embedded: false,
  agents: [make('asks', ask), make('tells', ask), make('mute', () => 'nothing'), make('loses', lose)],
});
`;
