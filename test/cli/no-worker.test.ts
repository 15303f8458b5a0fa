// What a person tells a task while no worker can take it, against a real server.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CliProcess, ROOT, json, sane, until } from '../support/cli';
import { CliStage } from '../support/cli-stage';

let cli: CliStage;

const SOURCE = `
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
module.exports = defineConfig({
  embedded: false,
  agents: [defineAgent({ name: 'pay', description: 'pays', input: anything, output: anything, act: () => 'paid' })],
});
`;
const SAGA = { name: 'a payment', steps: [{ id: 'pay', agent: 'pay', input: 1, approval: {} }] };

beforeAll(async () => {
  cli = await CliStage.start();
  cli.folder.write('cadre.config.js', SOURCE);
}, 60_000);

afterAll(() => cli.close());

/** Starts a saga that asks, and returns the worker that has it. */
async function asking(id: string): Promise<CliProcess> {
  const worker = await cli.worker();
  const saga = await (await cli.client()).startSaga(SAGA, { id });
  await until(async () => (await saga.describe()).state.phase.kind === 'awaitingApproval');
  return worker;
}

async function end(worker: CliProcess): Promise<void> {
  worker.kill('SIGKILL');
  await worker.ended;
}

test('nothing is sent where no worker runs, which is said within seconds', async () => {
  await end(await asking('unsent'));
  const began = Date.now();
  const [answered, resolved, value] = await Promise.all([
    cli.run(['answer', 'unsent', 'pay', 'yes']),
    cli.run(['saga', 'resolve', 'unsent', 'pay', 'retry']),
    cli.run(['answer', 'unsent', 'pay', 'yes', '--json']),
  ]);
  expect(Date.now() - began).toBeLessThan(15_000);
  for (const ended of [answered, resolved]) {
    sane(ended);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(
      /✗ No worker runs the workflows of "cadre", so nothing was sent\n {2}→ Start a worker that runs workflows: `cadre worker`\./,
    );
  }
  expect(json(value)).toMatchObject({ error: { type: 'NoWorker' } });
  const worker = await cli.worker();
  const task = (await cli.client()).task('unsent');
  expect((await task.describe()).state.phase.kind).toBe('awaitingApproval');
  expect((await cli.run(['answer', 'unsent', 'pay', 'yes'])).code).toBe(0);
  await expect(task.result()).resolves.toEqual({ pay: 'paid' });
  await end(worker);
}, 60_000);

test('what was sent before the last worker ended may still arrive, which is said', async () => {
  const worker = await asking('sent');
  worker.kill('SIGSTOP');
  const answering = cli.run(['answer', 'sent', 'pay', 'yes']);
  await updateIsSent('sent');
  await end(worker);
  const answered = await answering;
  sane(answered);
  expect(answered.code).toBe(1);
  expect(answered.stdout).toMatch(
    /✗ No worker runs the workflows of "cadre" any more; what was sent may still arrive once one does\n/,
  );
}, 60_000);

test('a worker that is only slow is waited for', async () => {
  const worker = await asking('slow');
  worker.kill('SIGSTOP');
  const answering = cli.start(['answer', 'slow', 'pay', 'yes']);
  await updateIsSent('slow');
  // Longer than a worker may be away.
  await delay(6000);
  expect(answering.child.exitCode).toBeNull();
  worker.kill('SIGCONT');
  const answered = await answering.ended;
  sane(answered);
  expect([answered.code, answered.stdout]).toEqual([0, expect.stringContaining('✓ pay may run')]);
  await end(worker);
}, 60_000);

test('a program is told the same of a cadre that never had a worker', async () => {
  const client = await cli.client('nobody');
  const saga = await client.startSaga(SAGA, { id: 'nobody' });
  await expect(saga.resolve('pay', 'retry')).rejects.toMatchObject({
    type: 'NoWorker',
    message: 'No worker runs the workflows of "nobody", so nothing was sent',
  });
  await client.temporal.workflow.getHandle('nobody').terminate();
  await expect(saga.resolve('pay', 'retry')).rejects.toMatchObject({ type: 'NotParked' });
}, 60_000);

/** A workflow task is scheduled for what was sent: the stopped worker has it, or is to have it. */
async function updateIsSent(id: string): Promise<void> {
  const { workflow } = (await cli.client()).temporal;
  await until(async () => {
    const { raw } = await workflow.getHandle(id).describe();
    return raw.pendingWorkflowTask !== undefined && raw.pendingWorkflowTask !== null;
  });
}
