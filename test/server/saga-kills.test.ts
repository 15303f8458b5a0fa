// A worker is killed at every boundary of a saga of five steps, around each effect and each compensation, on a real
// server with real processes. What counts is a ledger outside of Temporal.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CadreClient } from '../../src/client/cadre-client';
import { connect } from '../../src/client/connection';
import { step } from '../support/agents';
import { Cli, ROOT } from '../support/cli';
import { type DevServer, startDevServer } from '../support/dev-server';
import { TemporaryFolder } from '../support/temporary-folder';

const STEPS = ['a', 'b', 'c', 'd', 'e'];
const BOUNDARIES = STEPS.flatMap((id) =>
  ['act', 'undo'].flatMap((kind) => ['before', 'after'].map((when) => `${when}-${kind}-${id}`)),
);

let server: DevServer;
let folder: TemporaryFolder;
let cli: Cli;
let client: CadreClient;
let over = false;

beforeAll(async () => {
  server = await startDevServer();
  folder = new TemporaryFolder();
  folder.write('cadre.config.js', source(folder.path));
  folder.write('ledger.jsonl', '');
  cli = Cli.at(server, folder);
  const { address, namespace } = server;
  client = new CadreClient(await connect({ address, namespace, configured: true }));
}, 60_000);

afterAll(async () => {
  over = true;
  await cli.stop();
  await client.close();
  await server.stop();
  folder.remove();
});

/** Effects, each applied once a key; the process ends itself where the task's input says so, once. */
function source(path: string): string {
  const anything = `{ '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }`;
  return `
const { appendFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { ApplicationFailure } = require(${JSON.stringify(join(ROOT, 'node_modules', '@temporalio', 'common'))});
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const folder = ${JSON.stringify(path)};
const once = (name) => {
  try {
    writeFileSync(join(folder, encodeURIComponent(name)), '', { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
};
const dieAt = (place, input, task) => {
  if (input.killAt === place && once('killed ' + task)) process.kill(process.pid, 'SIGKILL');
};
const apply = (kind, input, { step, task, idempotencyKey }) => {
  dieAt('before-' + kind + '-' + step, input, task);
  if (once('effect ' + idempotencyKey))
    appendFileSync(join(folder, 'ledger.jsonl'), JSON.stringify({ task, step, kind, key: idempotencyKey }) + '\\n');
  dieAt('after-' + kind + '-' + step, input, task);
};
const anything = ${anything};
const policy = { heartbeatTimeout: '500ms', retry: { maximumAttempts: 1000, initialInterval: 20, maximumInterval: '200ms' } };
module.exports = defineConfig({
  embedded: false,
  agents: [
    defineAgent({
      name: 'worker', description: 'has an effect', input: anything, output: anything, policy,
      compensation: { retry: policy.retry },
      act: (input, context) => apply('act', input, context),
      compensate: ({ input }, context) => apply('undo', input, context),
    }),
    defineAgent({
      name: 'broken', description: 'fails', input: anything, output: anything, policy,
      act: () => { throw ApplicationFailure.nonRetryable('no', 'Broken'); },
    }),
  ],
});
`;
}

/** Agents, started again whenever they are killed. */
async function supervise(): Promise<void> {
  for (;;) {
    if (over) return;
    await cli.start(['worker', '--role', 'agents']).ended;
  }
}

const ledger = () =>
  readFileSync(join(folder.path, 'ledger.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { task: string; step: string; kind: string; key: string });

test('nothing is lost, nothing doubled, nothing half undone', async () => {
  const steady = cli.start(['worker', '--role', 'leader', '--role', 'workflows']);
  await steady.says(/worker ready/);
  void supervise();
  const results = BOUNDARIES.map(async (killAt) => {
    const steps = [...STEPS, 'broken'].map((id, index, all) =>
      step(id, id === 'broken' ? 'broken' : 'worker', {
        input: { killAt },
        ...(index === 0 ? {} : { needs: [all[index - 1] as string] }),
      }),
    );
    const task = await client.start({ goal: `killed ${killAt}`, plan: { steps } }, { id: killAt });
    await expect(task.result()).rejects.toMatchObject({ type: 'StepFailed' });
    return (await task.describe()).state;
  });
  const states = await Promise.all(results);
  const killed = readdirSync(folder.path).filter((name) => name.startsWith(encodeURIComponent('killed ')));
  expect(killed).toHaveLength(BOUNDARIES.length);
  const lines = ledger();
  for (const [index, id] of BOUNDARIES.entries()) {
    const its = lines.filter(({ task }) => task === id);
    expect(its.filter(({ kind }) => kind === 'act').map((line) => line.step)).toEqual(STEPS);
    expect(its.filter(({ kind }) => kind === 'undo').map((line) => line.step)).toEqual(
      [...STEPS].sort().toReversed(),
    );
    expect(new Set(its.map(({ key }) => key)).size).toBe(2 * STEPS.length);
    expect(states[index]?.phase.kind).toBe('compensated');
    expect(states[index]?.compensations?.every(({ kind }) => kind === 'undone')).toBe(true);
  }
}, 180_000);
