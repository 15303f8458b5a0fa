// cadre run and cadre worker with and without a model, as a user types them, against a real server.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ScriptedModel } from '../../src/testing/scripted-model';
import { sane } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { teamScript } from '../support/team-model';

const WITHOUT = 'Embedded agents (no model); set CADRE_MODEL=provider/model to use one';

let cli: CliStage;
let model: ScriptedModel;

beforeAll(async () => {
  model = await ScriptedModel.start(teamScript());
  cli = await CliStage.start();
}, 60_000);

afterAll(async () => {
  await cli.close();
  await model.close();
});

const firstLine = (text: string): string => text.split('\n')[0] ?? '';

describe('cadre run', () => {
  test('with a model says so first, and writes a report that cites its sources', async () => {
    const environment = { CADRE_MODEL: 'compatible/scripted', CADRE_MODEL_URL: model.url };
    const args = ['--cadre', 'with-model', '--reports', 'out', '--id', 'with-model'];
    const ended = await cli.run(['run', ...args], environment);
    sane(ended);
    expect(ended.stderr).toBe('');
    expect(ended.code).toBe(0);
    expect(firstLine(ended.stdout)).toBe('Model compatible/scripted');
    const report = readFileSync(join(cli.folder.path, 'out', 'with-model.md'), 'utf8');
    expect(report).toMatch(/^- .*`[\w.-]+#L\d+`$/m);
    expect(report).toContain('Written by compatible/scripted');
    expect(model.calls.length).toBe(6);
    // The plan, three researchers, the analysis and the report.
    const shown = await cli.run(['show', 'with-model', '--cadre', 'with-model']);
    expect(shown.stdout).toMatch(/6 calls, [\d,]+ tokens/);
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

  test('of a team without the embedded agents says nothing of a model', async () => {
    const config = cli.folder.write('own.config.js', 'module.exports = { embedded: false, agents: [] };');
    const worker = cli.start(['worker', '--config', config, '--cadre', 'own']);
    await worker.says(/worker ready/);
    expect(worker.stdout).not.toMatch(/no model|Model/);
    worker.kill('SIGINT');
    await worker.ended;
  });
});
