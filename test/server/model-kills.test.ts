// Agents that ask a model, on a real server, with workers that are ended by SIGKILL around the record of each call.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import { stepState } from '../../src/core/task-state';
import { usageOf } from '../../src/core/task-usage';
import { type Script, ScriptedModel } from '../../src/testing/scripted-model';
import { step } from '../support/agents';
import { ROOT, json, jsonLines, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { type Death, carriedOut, dyingAtRecords, repeatedCalls } from '../support/dying-workers';
import { logOf } from '../support/team-processes';

const CALLS = 10;

let model: ScriptedModel;
let cli: CliStage;
let client: CadreClient;

beforeAll(async () => {
  model = await ScriptedModel.start(script);
  cli = await CliStage.start({ onDisk: true });
  cli.folder.write('cadre.config.js', teamOf(cli.folder.path));
  client = await cli.client();
  await cli.start(['worker', '--role', 'leader', '--role', 'workflows']).says(/worker ready/);
}, 60_000);
afterAll(async () => {
  await cli.close();
  await model.close();
});

/** Nine tools one after the other, and then the answer; or what a refund needs. The first call of `wait` has no end. */
const script: Script = ({ turn, messages }) => {
  if (messages[0]?.text.includes('do wait') && asked('wait', 1)[0] === 1) return { kind: 'hang' };
  const refunds = messages[0]?.text.includes('do refund') === true;
  const name = refunds ? ['order', 'askPerson', 'refund'][turn - 1] : turn < CALLS ? 'note' : undefined;
  if (name === undefined) return `done after ${turn} calls`;
  return { kind: 'answer', toolCalls: [{ name, input: { number: turn } }] };
};

/** Each tool writes a line of the ledger, for the step that has it run. */
function teamOf(folder: string): string {
  return `${dyingAtRecords(folder)}
const { appendFileSync } = require('node:fs');
const { z } = require(${JSON.stringify(join(ROOT, 'node_modules', 'zod'))});
const { defineConfig, modelAgent } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
// Loaded while an agent acts, it would hold up the heartbeats.
require(${JSON.stringify(join(ROOT, 'node_modules', 'ai'))});
const tool = (run) => ({ description: 'does', input: z.object({ number: z.number() }), trusted: true, run });
const writes = (name) => tool(({ number }, { step }) => {
  appendFileSync(${JSON.stringify(join(folder, 'ledger.jsonl'))}, JSON.stringify({ step, name, number }) + '\\n');
  return 'it is done';
});
const agent = (name, tools) => modelAgent({
  name,
  description: 'asks a model',
  model: 'compatible/scripted',
  instructions: 'Do as you are told.',
  tools,
  policy: { heartbeatTimeout: '1s', retry: { initialInterval: '10ms', backoffCoefficient: 1, maximumAttempts: 50 } },
});
const question = { name: 'refund', question: 'Refund 120 dollars?', options: ['yes', 'no'] };
module.exports = defineConfig({
  embedded: false,
  agents: [
    agent('taker', { note: writes('note') }),
    agent('clerk', {
      order: writes('order'),
      askPerson: tool(async (_input, { ask }) => (await ask(question)).answer),
      refund: writes('refund'),
    }),
  ],
});
`;
}

const workers = (dies?: Death): Record<string, string> => ({
  CADRE_MODEL_URL: model.url,
  ...(dies === undefined ? {} : { DIES: dies }),
});

/** How often the provider was asked for each answer of the conversation. */
const asked = (id: string, turns = CALLS): number[] =>
  Array.from(
    { length: turns },
    (_, index) =>
      model.calls.filter(
        ({ request }) => request.turn === index + 1 && request.messages[0]?.text.includes(`do ${id}`),
      ).length,
  );

const did = (id: string): string[] =>
  jsonLines<{ step: string; name: string; number: number }>(
    readFileSync(join(cli.folder.path, 'ledger.jsonl'), 'utf8'),
  )
    .filter((line) => line.step === id)
    .map(({ name, number }) => `${name} ${number}`);
const NOTED = Array.from({ length: CALLS - 1 }, (_, index) => `note ${index + 1}`);

const taken = (id: string): Promise<TaskHandle> =>
  client.start({ goal: 'to note', plan: { steps: [step(id, 'taker')] } }, { id });

test('killed after the record of each of ten calls, an agent has paid each once, and each tool ran once', async () => {
  const task = await taken('after');
  expect(await carriedOut(cli, task, workers('after model'))).toBe(CALLS);
  expect(await task.result()).toEqual({ after: 'done after 10 calls' });
  expect(asked('after')).toEqual(Array(CALLS).fill(1));
  expect(did('after')).toEqual(NOTED);
  const { state } = await task.describe();
  expect(usageOf(state)).toMatchObject([{ model: 'compatible/scripted', calls: CALLS, unseen: 0 }]);
  expect(await repeatedCalls(task)).toEqual([]);
}, 180_000);

test('killed before the record of each of ten calls, it makes that call twice and no other, and the log says which', async () => {
  const task = await taken('before');
  expect(await carriedOut(cli, task, workers('before model'))).toBe(CALLS);
  expect(await task.result()).toEqual({ before: 'done after 10 calls' });
  expect(asked('before')).toEqual(Array(CALLS).fill(2));
  expect(did('before')).toEqual(NOTED);
  const { state } = await task.describe();
  expect(usageOf(state)).toMatchObject([{ calls: 2 * CALLS, unseen: CALLS }]);
  expect(await repeatedCalls(task)).toEqual(
    Array.from({ length: CALLS }, (_, call) => ({
      call,
      kind: 'model',
      name: 'compatible/scripted',
      tries: 2,
      unseen: 1,
    })),
  );
}, 180_000);

test('told to stop in the middle of a call, a worker hands the step over: the call is made again, and the log says so', async () => {
  const task = await taken('wait');
  const worker = cli.start(['worker', '--role', 'agents', '--grace', '0'], workers());
  await until(() => model.inFlight === 1);
  worker.kill('SIGTERM');
  expect((await worker.ended).code).toBe(0);
  expect(await carriedOut(cli, task, workers())).toBe(0);
  expect(await task.result()).toEqual({ wait: 'done after 10 calls' });
  expect(asked('wait')).toEqual([2, ...Array<number>(CALLS - 1).fill(1)]);
  const { state } = await task.describe();
  expect(usageOf(state)).toMatchObject([{ calls: CALLS + 1, unseen: 1 }]);
  expect(await repeatedCalls(task)).toMatchObject([{ call: 0, tries: 2, unseen: 1 }]);
  // That a worker stops spends no attempt.
  expect((await logOf(task)).map(({ type }) => type)).not.toContain('stepRetried');
});

test('a question of a tool stands while nothing runs, and nothing before or after it is had twice', async () => {
  const task = await client.start(
    { goal: 'to refund', plan: { steps: [step('refund', 'clerk')] } },
    { id: 'lamp' },
  );
  const worker = cli.start(['worker', '--role', 'agents'], workers());
  await until(async () => stepState((await task.describe()).state, 'refund').kind === 'asking');
  worker.kill('SIGKILL');
  await cli.stop();
  cli.server.kill();
  await cli.startServerAgain();
  // Nobody works: what is asked is in the history.
  const item = json(await cli.run(['inbox', '--json']));
  expect(item).toMatchObject({
    task: 'lamp',
    step: 'refund',
    agent: 'clerk',
    question: 'Refund 120 dollars?',
  });
  expect(asked('refund', 4)).toEqual([1, 1, 0, 0]);

  await cli.start(['worker', '--role', 'leader', '--role', 'workflows']).says(/worker ready/);
  const answer = ['answer', 'lamp', 'refund', 'yes', '--as', 'mara', '--hash', String(item['hash'])];
  expect((await cli.run(answer)).code).toBe(0);
  // After the record of the answer, and after that of the refund.
  expect(await carriedOut(cli, task, workers('after tool'))).toBe(2);
  expect(await task.result()).toEqual({ refund: 'done after 4 calls' });
  expect(asked('refund', 4)).toEqual([1, 1, 1, 1]);
  expect(did('refund')).toEqual(['order 1', 'refund 3']);
  expect((await logOf(task)).filter(({ type }) => type.startsWith('question'))).toMatchObject([
    { type: 'questionAsked', name: '2.refund' },
    { type: 'questionAnswered', name: '2.refund', answer: 'yes', by: 'mara' },
  ]);
  expect(await repeatedCalls(task)).toEqual([]);
}, 180_000);
