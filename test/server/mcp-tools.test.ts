// The tools of an MCP server, which is a program of its own, in agents on a real server, with workers that are killed.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import { type Script, ScriptedModel } from '../../src/testing/scripted-model';
import { step } from '../support/agents';
import { ROOT, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';
import { type Death, carriedOut, dyingAtRecords, repeatedCalls } from '../support/dying-workers';
import { logOf } from '../support/team-processes';

const SERVER = join(ROOT, 'test', 'models', 'mcp', 'server.js');

let model: ScriptedModel;
let cli: CliStage;
let client: CadreClient;

beforeAll(async () => {
  model = await ScriptedModel.start(script);
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', teamOf(cli.folder.path));
  client = await cli.client();
  await cli.start(['worker', '--role', 'leader', '--role', 'workflows']).says(/worker ready/);
});
afterAll(async () => {
  await cli.close();
  await model.close();
});
beforeEach(() => {
  model.calls.length = 0;
  cli.folder.write('seen', '');
});

/** Reads two files, and says what was in the second. */
const script: Script = ({ turn, messages }) => {
  const [path] = ['a.txt', 'b.txt'].slice(turn - 1);
  if (path === undefined) return messages.at(-1)?.text ?? '';
  return { kind: 'answer', toolCalls: [{ name: 'files_read_file', input: { path } }] };
};

function teamOf(folder: string): string {
  return `${dyingAtRecords(folder)}
const { defineConfig, modelAgent } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
// Loaded while an agent acts, it would hold up the heartbeats.
require(${JSON.stringify(join(ROOT, 'node_modules', 'ai'))});
module.exports = defineConfig({
  embedded: false,
  agents: [
    modelAgent({
      name: 'reader',
      description: 'reads files',
      model: 'compatible/scripted',
      instructions: 'Do as you are told.',
      mcp: {
        files: {
          command: process.execPath,
          args: [${JSON.stringify(SERVER)}, ${JSON.stringify(folder)}],
          tools: { read_file: { effect: 'read' } },
        },
      },
      policy: { heartbeatTimeout: '1s', retry: { initialInterval: '10ms', backoffCoefficient: 1, maximumAttempts: 20 } },
    }),
  ],
});
`;
}

/** Has workers do the step `id` that die as said; returns the task, and how many died. */
async function done(id: string, dies?: Death): Promise<{ task: TaskHandle; died: number }> {
  const task = await client.start({ goal: 'to read', plan: { steps: [step(id, 'reader')] } }, { id });
  const environment = { CADRE_MODEL_URL: model.url, ...(dies === undefined ? {} : { DIES: dies }) };
  return { task, died: await carriedOut(cli, task, environment) };
}

/** What happened to the server, but how it was closed: that is not in order where its worker was killed. */
const seen = (): string[] =>
  readFileSync(join(cli.folder.path, 'seen'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && line !== 'closed');

const runsStill = (): boolean =>
  spawnSync('ps', ['-ww', '-eo', 'args'], { encoding: 'utf8' }).stdout.includes(
    `${SERVER} ${cli.folder.path}`,
  );

const turns = (): number[] => model.calls.map(({ request }) => request.turn);

test('its tools are offered and called, and the program ends with its worker', async () => {
  const { task } = await done('reads');
  expect(await task.result()).toEqual({ reads: expect.stringContaining('\nthe text of b.txt\n') as string });
  expect(seen()).toEqual(['started', 'read a.txt', 'read b.txt']);
  expect(turns()).toEqual([1, 2, 3]);
  expect(model.calls[0]?.request.tools.map(({ name }) => name)).toEqual(['files_read_file']);
  await until(() => !runsStill(), 5000);
  expect(await logOf(task)).toContainEqual(
    expect.objectContaining({
      type: 'decisionsRecorded',
      decisions: { value: [expect.objectContaining({ type: 'toolsOffered' })] },
    }),
  );
});

test('killed after the record of its list and of each call, a worker is followed by one that calls nothing again', async () => {
  const { task, died } = await done('after', 'after tool');
  expect(died).toBe(3);
  expect(await task.result()).toEqual({ after: expect.stringContaining('\nthe text of b.txt\n') as string });
  // Once to list, and once for each call that was still to be made.
  expect(seen()).toEqual(['started', 'started', 'read a.txt', 'started', 'read b.txt']);
  expect(turns()).toEqual([1, 2, 3]);
  expect(await repeatedCalls(task)).toEqual([]);
  await until(() => !runsStill(), 5000);
});

test('killed before the record, it calls that tool once more, and the log says which', async () => {
  const { task, died } = await done('before', 'before tool');
  expect(died).toBe(3);
  await task.result();
  expect(seen().filter((line) => line !== 'started')).toEqual([
    'read a.txt',
    'read a.txt',
    'read b.txt',
    'read b.txt',
  ]);
  expect(turns()).toEqual([1, 2, 3]);
  const names = ['files: tools/list', 'files_read_file', 'files_read_file'];
  expect(await repeatedCalls(task)).toEqual(
    names.map((name) => ({ kind: 'tool', name, tries: 2, unseen: 1 })),
  );
});
