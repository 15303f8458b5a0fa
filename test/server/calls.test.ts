// Calls of an agent's own, in workers that are ended by SIGKILL. What was paid a provider outside counts. Agents that ask a
// model are killed in model-kills.test.ts.
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import { usageOf } from '../../src/core/task-usage';
import { step } from '../support/agents';
import { ROOT } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { repeatedCalls } from '../support/dying-workers';
import { logOf } from '../support/team-processes';

const CALLS = 3;
const RESERVED = 50;
const USED = 12;

let cli: CliStage;
let client: CadreClient;
let provider: Server;
let config: string;
/** By what was asked: how often. */
let paid: Map<string, number>;

beforeAll(async () => {
  paid = new Map();
  provider = createServer((request, response) => {
    let prompt = '';
    request.on('data', (chunk: Buffer) => void (prompt += chunk.toString()));
    request.on('end', () => {
      paid.set(prompt, (paid.get(prompt) ?? 0) + 1);
      response.end(JSON.stringify({ text: `${prompt}, ${paid.get(prompt)}` }));
    });
  });
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  cli = await CliStage.start();
  const { port } = provider.address() as AddressInfo;
  config = cli.folder.write('cadre.config.js', teamOf(cli.folder.path, `http://127.0.0.1:${port}`));
  client = await cli.client();
}, 60_000);

afterEach(() => cli.stop());
afterAll(async () => {
  await cli.close();
  await new Promise((resolve) => provider.close(resolve));
});

/**
 * `caller` asks the provider three questions; `dies` says when its process ends itself by SIGKILL at each of them, once:
 * `before` the answer is recorded, `after` that, or `never`.
 */
function teamOf(folder: string, url: string): string {
  return `
const { existsSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const dieOnce = (name) => {
  const file = join(${JSON.stringify(folder)}, 'died-' + name);
  if (existsSync(file)) return;
  writeFileSync(file, '');
  process.kill(process.pid, 'SIGKILL');
};
module.exports = defineConfig({
  embedded: false,
  agents: [
    defineAgent({
      name: 'caller',
      description: 'asks a provider',
      input: anything,
      output: anything,
      policy: { heartbeatTimeout: '500ms', retry: { initialInterval: '10ms', backoffCoefficient: 1, maximumAttempts: 50 } },
      async act({ dies }, { calls, step }) {
        const answers = [];
        for (let index = 0; index < ${CALLS}; index += 1) {
          const body = step + ' asks ' + index;
          const { text } = await calls.run({
            kind: 'model',
            name: 'test/model',
            request: { body },
            reserves: { tokens: ${RESERVED}, microUsd: 0, calls: 1 },
            run: async () => {
              const answer = await (await fetch(${JSON.stringify(url)}, { method: 'POST', body })).json();
              if (dies === 'before') dieOnce(body);
              return answer;
            },
            usageOf: () => ({
              model: 'test/model', tokens: ${USED}, microUsd: 0, calls: 1, inputTokens: ${USED - 2}, cachedTokens: 0,
              outputTokens: 2, unseen: 0,
            }),
          });
          if (dies === 'after') dieOnce(body);
          answers.push(text);
        }
        return answers;
      },
    }),
  ],
});
`;
}

/** Has `caller` do a step of that id, with a new worker whenever one has died. */
async function carriedOut(id: string, dies: 'before' | 'after' | 'never'): Promise<TaskHandle> {
  const task = await client.start(
    { goal: id, plan: { steps: [step(id, 'caller', { input: { dies } })] } },
    { id },
  );
  const result = task.result().then(() => true);
  result.catch(() => undefined);
  for (;;) {
    const worker = await cli.worker('--config', config);
    if (await Promise.race([worker.ended.then(() => false), result])) return task;
  }
}

const asked = (id: string, index: number): string => `${id} asks ${index}`;
const times = (id: string): number[] =>
  Array.from({ length: CALLS }, (_, index) => paid.get(asked(id, index)) ?? 0);

test('killed after the record of each of three calls, an agent pays each once, and goes on with what was answered', async () => {
  const task = await carriedOut('after', 'after');
  expect(times('after')).toEqual(Array(CALLS).fill(1));
  const answers = Array.from({ length: CALLS }, (_, index) => `${asked('after', index)}, 1`);
  expect(await task.result()).toEqual({ after: answers });
  const { state } = await task.describe();
  expect(usageOf(state)).toMatchObject([{ calls: CALLS, tokens: CALLS * USED, unseen: 0 }]);
  expect(await repeatedCalls(task)).toEqual([]);
  const started = (await logOf(task)).find(({ type }) => type === 'stepStarted');
  expect(started).toMatchObject({ attempt: CALLS + 1 });
}, 180_000);

test('killed before the record of each of three calls, an agent makes each at most once more, and the log says so', async () => {
  const task = await carriedOut('before', 'before');
  expect(times('before')).toEqual(Array(CALLS).fill(2));
  expect(await task.result()).toEqual({
    before: Array.from({ length: CALLS }, (_, index) => `${asked('before', index)}, 2`),
  });
  const { state } = await task.describe();
  expect(usageOf(state)).toMatchObject([
    { calls: 2 * CALLS, tokens: CALLS * (USED + RESERVED), unseen: CALLS },
  ]);
  expect(await repeatedCalls(task)).toEqual(
    Array.from({ length: CALLS }, (_, call) => ({
      call,
      kind: 'model',
      name: 'test/model',
      tries: 2,
      unseen: 1,
    })),
  );
  const { stdout } = await cli.run(['show', 'before', '--events']);
  expect(stdout).toContain('callRepeated: Call 3 (test/model) was begun once and its end was not recorded');
  expect(stdout).toContain(`stepCompleted`);
  expect(stdout).toContain(`(6 calls, ${CALLS * (USED + RESERVED)} tokens, $0, 3 of unknown end)`);
}, 180_000);

test('`cadre show` says what the calls came to, and its JSON by whom', async () => {
  await carriedOut('shown', 'never');
  const { stdout } = await cli.run(['show', 'shown']);
  expect(stdout).toMatch(/models +3 calls, 36 tokens, \$0\n/);
  expect(await cli.json(['show', 'shown'])).toMatchObject({
    state: { usage: { 'act caller shown': [{ model: 'test/model', calls: CALLS }] } },
  });
}, 60_000);
