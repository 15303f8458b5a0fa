// cadre run --follow of agents that ask a model, as a user types it, against a real server.
import { join } from 'node:path';
import { ScriptedModel } from '../../src/testing/scripted-model';
import { step } from '../support/agents';
import { ROOT, jsonLines, sane } from '../support/cli';
import { CliStage } from '../support/cli-stage';

let cli: CliStage;
let model: ScriptedModel;
let plan: string;

beforeAll(async () => {
  model = await ScriptedModel.start(() => ({
    kind: 'answer',
    text: `The lamp has not come.\nIt is lost, and so ${'it is sent again '.repeat(8)}`,
    pace: 60,
  }));
  cli = await CliStage.start();
  cli.folder.write(
    'cadre.config.js',
    `const { defineConfig, modelAgent } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
module.exports = defineConfig({
  embedded: false,
  agents: [modelAgent({
    name: 'clerk',
    description: 'decides',
    model: 'compatible/scripted',
    instructions: 'Decide.',
  })],
});`,
  );
  plan = cli.folder.write('plan.json', JSON.stringify({ steps: [step('decide', 'clerk')] }));
}, 60_000);

afterAll(async () => {
  await cli.close();
  await model.close();
});

const run = (...args: readonly string[]) =>
  cli.run(['run', 'a lamp', '--plan', plan, ...args], { CADRE_MODEL_URL: model.url });

test('what the model says is written line by line before its step is done', async () => {
  const ended = await run('--follow');
  sane(ended);
  expect(ended.code).toBe(0);
  const lines = ended.stdout.split('\n');
  const first = lines.findIndex((line) => /^ {8}decide {8}│ The lamp has not come\.$/.test(line));
  const done = lines.findIndex((line) => line.includes('stepCompleted'));
  expect(first).toBeGreaterThan(0);
  expect(done).toBeGreaterThan(first);
  // A long line does not wait for its end.
  expect(lines.slice(first, done).some((line) => /│ It is lost, and so it is sent/.test(line))).toBe(true);
}, 60_000);

test('with --json each piece is a value of its own', async () => {
  const ended = await run('--follow', '--json');
  expect(ended.code).toBe(0);
  const streamed = jsonLines(ended.stdout).filter(({ type }) => type === 'streamed');
  expect(streamed[0]).toEqual({
    type: 'streamed',
    step: 'decide',
    agent: 'clerk',
    attempt: 1,
    text: expect.stringMatching(/^The lamp/),
    time: expect.any(Number),
  });
  expect(streamed.map(({ text }) => text).join('')).toMatch(/^The lamp has not come\.\nIt is lost/);
}, 60_000);

test('without --follow nothing of it is written', async () => {
  const ended = await run();
  expect(ended.code).toBe(0);
  expect(ended.stdout).not.toContain('│');
}, 60_000);
