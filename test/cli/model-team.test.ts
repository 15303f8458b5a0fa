// cadre run and cadre worker with and without a model, as a user types them, against a real server.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ScriptedModel } from '../../src/testing/scripted-model';
import { type Ended, ROOT, sane } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { teamScript } from '../support/team-model';

const WITHOUT = 'Embedded agents (no model); set CADRE_MODEL=provider/model to use one';

const KEY = 'key-that-the-provider-takes';
const OTHER_KEY = 'key-that-it-does-not-take';

let cli: CliStage;
let model: ScriptedModel;

beforeAll(async () => {
  model = await ScriptedModel.start(teamScript(), { key: KEY });
  cli = await CliStage.start();
}, 60_000);

afterAll(async () => {
  await cli.close();
  await model.close();
});

beforeEach(() => {
  model.calls.length = 0;
});

const firstLine = (text: string): string => text.split('\n')[0] ?? '';
const asking = (key: string): Record<string, string> => ({
  CADRE_MODEL: 'compatible/scripted',
  CADRE_MODEL_URL: model.url,
  CADRE_MODEL_KEY: key,
});
const report = (id: string): string => readFileSync(join(cli.folder.path, 'out', `${id}.md`), 'utf8');
const argumentsOf = (id: string): string[] => ['--cadre', id, '--reports', 'out', '--id', id];

/** It says which model, and the report is the model's, and cites its sources. */
function expectByModel(ended: Ended, id: string): void {
  sane(ended);
  expect([ended.code, ended.stderr]).toEqual([0, '']);
  expect(firstLine(ended.stdout)).toBe('Model compatible/scripted');
  expect(report(id)).toMatch(/^- .*`[\w.-]+#L\d+`$/m);
  expect(report(id)).toContain('Written by compatible/scripted');
  expect(`${ended.stdout}${report(id)}`).not.toMatch(/Without the model|embedded agent/);
  // The plan, three researchers, the analysis and the report.
  expect(model.calls.length).toBe(6);
}

describe('cadre run', () => {
  test('with a model says so first, and writes a report that cites its sources', async () => {
    expectByModel(await cli.run(['run', ...argumentsOf('with-model')], asking(KEY)), 'with-model');
    const shown = await cli.run(['show', 'with-model', '--cadre', 'with-model']);
    expect(shown.stdout).toMatch(/6 calls, [\d,]+ tokens/);
  }, 60_000);

  test('with a key that the provider does not take says so, and has the report written without the model', async () => {
    const ended = await cli.run(['run', ...argumentsOf('refused')], asking(OTHER_KEY));
    sane(ended);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(firstLine(ended.stdout)).toBe('Model compatible/scripted');
    expect(ended.stdout).toMatch(/embedded-planner instead of planner: compatible\/scripted answered 401/);
    expect(ended.stdout).toMatch(/writer +failed: compatible\/scripted answered 401: Incorrect API key/);
    expect(report('refused')).toContain('Every sentence is quoted from the line it cites.');
    expect(report('refused')).not.toContain('Written by');
    expect(report('refused')).toContain(
      '- The embedded agent wrote this in the place of compatible/scripted;',
    );
    expect(ended.stdout).toMatch(/goes to embedded-research, which asks no model: /);
    expect(ended.stdout).toMatch(
      /^! Without the model: the plan, .*, analysis, writer\. compatible\/scripted answered 401: Incorrect API key provided\n {2}→ `cadre doctor`.*\n✓ done in/m,
    );
    // What the provider refused was not paid.
    expect(model.calls).toEqual([]);
    const shown = await cli.run(['show', 'refused', '--cadre', 'refused']);
    expect(shown.stdout).not.toMatch(/\d calls?,/);
  }, 60_000);

  test('without a model says so first, and how to have one', async () => {
    const args = ['--cadre', 'without', '--id', 'without'];
    const ended = await cli.run(['run', ...args]);
    expect(ended.code).toBe(0);
    expect(firstLine(ended.stdout)).toBe(WITHOUT);
  }, 60_000);

  test('refuses a model that it does not know, and says which there are', async () => {
    const ended = await cli.run(['run', '--cadre', 'unknown'], { CADRE_MODEL: 'nobody/knows' });
    expect(ended.code).not.toBe(0);
    expect(`${ended.stdout}${ended.stderr}`).toMatch(/provider\/model.*openai.*nobody\/knows/s);
  });
});

test('npm start with a model does what cadre run does', async () => {
  const args = ['--silent', '--prefix', ROOT, 'start', '--', ...argumentsOf('started')];
  const out = join(cli.folder.path, 'out');
  const npm = cli.spawn('npm', [...args, '--reports', out], asking(KEY));
  const ended = await npm.ended;
  expect(ended.code).toBe(0);
  expectByModel(ended, 'started');
}, 60_000);

describe('cadre worker', () => {
  test.each<[string, Record<string, string>, string]>([
    ['with a model', { CADRE_MODEL: 'openai/some-model' }, 'Model openai/some-model'],
    ['without one', {}, WITHOUT],
    ['with one, and CADRE_OFFLINE=1,', { CADRE_MODEL: 'openai/some-model', CADRE_OFFLINE: '1' }, WITHOUT],
    ['with a key alone', { OPENAI_API_KEY: 'a-key' }, WITHOUT],
  ])('%s says so first', async (_what, environment, expected) => {
    const worker = cli.start(['worker', '--cadre', 'lines'], environment);
    await worker.says(/worker ready/);
    expect(firstLine(worker.stdout)).toBe(expected);
    worker.kill('SIGINT');
    await worker.ended;
  });

  test('without the key of its model says so before it acts', async () => {
    const worker = cli.start(['worker', '--cadre', 'keyless'], { CADRE_MODEL: 'openai/some-model' });
    await worker.says(/worker ready/);
    expect(worker.stdout).toMatch(
      /^! openai\/some-model cannot be asked: Expected OPENAI_API_KEY to hold .*\. The embedded agents do the work\.\n {2}→ Set the provider's key/m,
    );
    worker.kill('SIGINT');
    await worker.ended;
  });

  test('with a file of prices that is none does not start, and says which field and file', async () => {
    const file = cli.folder.write(
      'prices.json',
      '{ "models": { "own/model": { "input": "1", "output": 2 } } }',
    );
    for (const args of [['worker'], ['run', '--id', 'never']]) {
      const ended = await cli.run([...args, '--cadre', 'priced'], { CADRE_PRICES: file });
      sane(ended);
      expect(ended.code).not.toBe(0);
      expect(`${ended.stdout}${ended.stderr}`).toMatch(
        /Expected `input` in `models\["own\/model"\]` of the worker's CADRE_PRICES, .*prices\.json, to be .*, got "1"\n +→ .* start the worker again/,
      );
    }
  }, 60_000);

  test('of a team without the embedded agents says nothing of a model', async () => {
    const config = cli.folder.write('own.config.js', 'module.exports = { embedded: false, agents: [] };');
    const worker = cli.start(['worker', '--config', config, '--cadre', 'own']);
    await worker.says(/worker ready/);
    expect(worker.stdout).not.toMatch(/no model|Model/);
    worker.kill('SIGINT');
    await worker.ended;
  });
});
