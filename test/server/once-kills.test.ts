// A worker is killed around an effect that `context.once` has, and one is paused until its step was undone, on a real
// server with real processes. What counts is the world outside: a file that takes whatever it is given.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CadreClient } from '../../src/client/cadre-client';
import { connect } from '../../src/client/connection';
import { step } from '../support/agents';
import { Cli, ROOT, fileAppears, jsonLines, until } from '../support/cli';
import { type DevServer, startDevServer } from '../support/dev-server';
import { TemporaryFolder } from '../support/temporary-folder';

/** Where a worker is killed: before the effect is begun, while it runs, before its outcome is recorded, and after. */
const PLACES = ['begin', 'run', 'outcome', 'end'];
const BOUNDARIES = ['act', 'undo'].flatMap((kind) => PLACES.map((place) => `${kind}-${place}`));

let server: DevServer;
let folder: TemporaryFolder;
let cli: Cli;
let client: CadreClient;
let over = false;

beforeAll(async () => {
  server = await startDevServer();
  folder = new TemporaryFolder();
  folder.write('cadre.config.js', source(folder.path));
  folder.write('world.jsonl', '');
  cli = Cli.at(server, folder);
  const { address, namespace } = server;
  client = new CadreClient(await connect({ address, namespace, configured: true }));
  await cli.start(['worker', '--role', 'leader', '--role', 'workflows']).says(/worker ready/);
  void supervise();
}, 60_000);

afterAll(async () => {
  over = true;
  await cli.stop();
  await client.close();
  await server.stop();
  folder.remove();
});

/** Agents, started again whenever they are killed. */
async function supervise(): Promise<void> {
  for (;;) {
    if (over) return;
    await cli.start(['worker', '--role', 'agents']).ended;
  }
}

/**
 * `payer` has an effect for each of its actions, and can look whether it happened. The task's input says where it kills its
 * process, once, or pauses it; `broken` fails.
 */
function source(path: string): string {
  return `
const { appendFileSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { ApplicationFailure, defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const folder = ${JSON.stringify(path)};
const world = join(folder, 'world.jsonl');
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const dieAt = (place, { killAt }, { task }) => {
  if (killAt !== place) return;
  try {
    writeFileSync(join(folder, 'killed-' + task), '', { flag: 'wx' });
  } catch {
    return;
  }
  process.kill(process.pid, 'SIGKILL');
};
const pauseAt = (kind, { pause }, { task }) => {
  if (!pause || kind !== 'act') return;
  writeFileSync(join(folder, 'paused-' + task), String(process.pid));
  process.kill(process.pid, 'SIGSTOP');
};
const pay = async (kind, input, context) => {
  const { task, idempotencyKey: key } = context;
  const happened = () => readFileSync(world, 'utf8').split('\\n').some((line) => line !== '' && JSON.parse(line).key === key);
  pauseAt(kind, input, context);
  dieAt(kind + '-begin', input, context);
  const receipt = await context.once('charge', () => {
    dieAt(kind + '-run', input, context);
    appendFileSync(world, JSON.stringify({ task, kind, key }) + '\\n');
    dieAt(kind + '-outcome', input, context);
    return 'receipt ' + key;
  }, {
    reconcile: async () => (happened() ? { done: true, result: 'receipt ' + key } : { done: false }),
  });
  dieAt(kind + '-end', input, context);
  return receipt;
};
const reporting = (action) => async (input, context) => {
  try {
    return await action(input, context);
  } catch (error) {
    writeFileSync(join(folder, 'refused-' + context.task), error.type ?? error.name);
    throw error;
  }
};
const retry = { maximumAttempts: 20, initialInterval: 20, maximumInterval: '200ms' };
const make = (name, attempts) => defineAgent({
  name, description: 'pays', input: anything, output: anything,
  policy: { heartbeatTimeout: '500ms', retry: { ...retry, maximumAttempts: attempts } },
  compensation: { retry },
  act: reporting((input, context) => pay('act', input, context)),
  compensate: async ({ input }, context) => void (await pay('undo', input, context)),
});
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('payer', 20),
    make('single', 1),
    defineAgent({
      name: 'broken', description: 'fails', input: anything, output: anything,
      act: () => { throw ApplicationFailure.nonRetryable('no', 'Broken'); },
    }),
  ],
});
`;
}

/** What was done outside by a task, in order. */
const effects = (task: string) =>
  jsonLines(readFileSync(join(folder.path, 'world.jsonl'), 'utf8'))
    .filter((line) => line['task'] === task)
    .map(({ kind }) => kind);

const exists = (name: string): Promise<void> => fileAppears(join(folder.path, name));

test.each(BOUNDARIES)(
  'a worker killed at %s leaves each effect once',
  async (killAt) => {
    const steps = [
      step('pay', 'payer', { input: { killAt } }),
      step('break', 'broken', { input: {}, needs: ['pay'] }),
    ];
    const task = await client.start({ goal: `killed at ${killAt}`, plan: { steps } }, { id: killAt });
    await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
    await exists(`killed-${killAt}`);
    expect(effects(killAt)).toEqual(['act', 'undo']);
    const { state } = await task.describe();
    expect(state.steps['pay']).toMatchObject({
      kind: 'completed',
      output: { value: expect.stringMatching(/^receipt .*\/pay\/act$/) as string },
    });
    expect(state.compensations).toMatchObject([{ kind: 'undone', outcome: 'completed' }]);
  },
  60_000,
);

test('an attempt that was paused until its step was undone has no effect', async () => {
  cli.start(['worker', '--role', 'agents']);
  const steps = [step('pay', 'single', { input: { pause: true } })];
  const task = await client.start({ goal: 'paused', plan: { steps } }, { id: 'paused' });
  await exists('paused-paused');
  await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
  expect((await task.describe()).state.compensations).toMatchObject([{ kind: 'undone', outcome: 'unknown' }]);
  expect(effects('paused')).toEqual(['undo']);
  process.kill(Number(readFileSync(join(folder.path, 'paused-paused'), 'utf8')), 'SIGCONT');
  const refused = (): string => readFileSync(join(folder.path, 'refused-paused'), 'utf8');
  await exists('refused-paused');
  await until(() => refused() !== '');
  expect(refused()).toBe('ActionUndone');
  expect(effects('paused')).toEqual(['undo']);
}, 60_000);
