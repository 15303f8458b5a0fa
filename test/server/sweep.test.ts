// Sweeps on a real server: what they find among many ends, ten at once, and by workers that start.
import { randomUUID } from 'node:crypto';
import { Client } from '@temporalio/client';
import { CadreClient } from '../../src/client/cadre-client';
import { TemporalLocks } from '../../src/client/locks';
import type { SweepReport, SweptExecution } from '../../src/client/resume';
import { taskRoot } from '../../src/core/task-projection';
import { CadreWorker, type CadreWorkerOptions } from '../../src/workers/cadre-worker';
import { StartingSweep } from '../../src/workers/sweep';
import { agent } from '../support/agents';
import { until } from '../support/cli';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

/** `do|undo ROOT STEP`, as they happen. */
const world: string[] = [];
const ended = new AbortController();
let cadre: ServerCadre;
let client: CadreClient;

const AGENTS = [
  agent(
    'worker',
    async (input, { idempotencyKey, step, signal }) => {
      world.push(`do ${idempotencyKey.split('/')[0]} ${step}`);
      if (input === 'hold') {
        await until(() => signal.aborted || ended.signal.aborted);
        throw signal.reason;
      }
    },
    {
      policy: { startToClose: 1000, heartbeatTimeout: 500 },
      compensate: (_undo, { idempotencyKey, step }) =>
        void world.push(`undo ${idempotencyKey.split('/')[0]} ${step}`),
    },
  ),
];

beforeAll(async () => {
  cadre = await startServerCadre(AGENTS, { roles: ['workflows', 'agents'] });
  client = cadre.client;
}, 60_000);

afterAll(async () => {
  ended.abort();
  await cadre.close();
});

/** Starts a saga of two steps, of which the second is held. */
async function begin(id: string, to: CadreClient = client): Promise<void> {
  const steps = [
    { id: 'a', agent: 'worker', input: 'go' },
    { id: 'b', agent: 'worker', input: 'hold' },
  ];
  const options = { workflowId: id, taskQueue: to.cadre, args: [{ name: id, steps }] };
  await to.temporal.workflow.start('saga', options);
}

async function beginHeld(id: string, to: CadreClient = client): Promise<void> {
  const before = world.filter((line) => line === `do ${id} b`).length;
  await begin(id, to);
  await until(() => world.filter((line) => line === `do ${id} b`).length > before);
}

async function cutOff(id: string, to: CadreClient = client): Promise<void> {
  await beginHeld(id, to);
  await to.temporal.workflow.getHandle(id).terminate();
}

const undone = (id: string): string[] => world.filter((line) => line.startsWith(`undo ${id} `));

/** Waits until the server lists `count` executions that were cut off, about a second behind. */
async function listed(count: number, to: CadreClient = client): Promise<void> {
  const query = `TaskQueue = "${to.cadre}" AND ExecutionStatus IN ("Terminated", "TimedOut")`;
  await until(async () => (await to.temporal.workflow.count(query)).count >= count);
}

const of = ({ executions }: SweepReport, id: string): SweptExecution | undefined =>
  executions.find((one) => one.id === id);

/** A worker of `to`; its end resolves when it has stopped. */
async function startWorker(
  to: CadreClient,
  roles: CadreWorkerOptions['roles'] = ['workflows', 'agents'],
): Promise<() => Promise<void>> {
  const worker = await CadreWorker.create({
    connection: cadre.connection,
    cadre: to.cadre,
    agents: AGENTS,
    artifacts: client.artifacts,
    shutdownGrace: 100,
    roles: [...(roles ?? [])],
  });
  const running = worker.run();
  return async () => {
    worker.shutdown();
    await running;
  };
}

const clientOf = (name: string): CadreClient =>
  new CadreClient(client.temporal, { cadre: name, artifacts: client.artifacts });

test('ten at once resume each cut-off saga once, leave alone what needs nothing, and may be repeated', async () => {
  const many = clientOf('many');
  const stop = await startWorker(many);
  const ids = ['one', 'two', 'three'];
  await Promise.all(ids.map((id) => cutOff(id, many)));
  await beginHeld('runs', many);
  await beginHeld('cancelled', many);
  await many.task('cancelled').cancel();
  await many
    .task('cancelled')
    .result()
    .catch(() => undefined);
  await many.temporal.workflow.start('another', { workflowId: 'another', taskQueue: 'many' });
  await many.temporal.workflow.getHandle('another').terminate();
  await listed(4, many);
  const reports = await Promise.all(Array.from({ length: 10 }, () => many.sweepSagas()));
  for (const id of ids) {
    const kinds = reports.map((report) => of(report, id)?.kind);
    expect(kinds.filter((kind) => kind === 'resumed')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'resumedBefore')).toHaveLength(9);
    await many
      .task(`${id}.resume`)
      .result()
      .catch(() => undefined);
    expect(undone(id)).toEqual([`undo ${id} b`, `undo ${id} a`]);
  }
  const again = await many.sweepSagas();
  expect(again).toEqual({
    executions: expect.arrayContaining([
      ...ids.map(
        (id) => expect.objectContaining({ id, kind: 'resumedBefore', as: `${id}.resume` }) as unknown,
      ),
      expect.objectContaining({ id: 'another', kind: 'nothingToResume' }),
    ]) as unknown,
    locks: [],
  });
  expect(again.executions).toHaveLength(4);
  await many.temporal.workflow.getHandle('runs').terminate();
  await stop();
}, 60_000);

test('a resume that was cut off is found by itself', async () => {
  const links = clientOf('links');
  const stop = await startWorker(links);
  await cutOff('link', links);
  await links.resumeSaga('link');
  await links.temporal.workflow.getHandle('link.resume').terminate();
  await listed(2, links);
  const report = await links.sweepSagas();
  expect(of(report, 'link')).toMatchObject({ kind: 'resumedBefore', as: 'link.resume' });
  expect(of(report, 'link.resume')).toMatchObject({ kind: 'resumed', as: 'link.resume.resume' });
  await links
    .task('link.resume.resume')
    .result()
    .catch(() => undefined);
  expect(undone('link')).toEqual(['undo link b', 'undo link a']);
  await stop();
}, 30_000);

test('what fails at one stops no other', async () => {
  const odd = clientOf('odd');
  const stop = await startWorker(odd);
  await cutOff('other', odd);
  // Taken by a workflow that goes on with something else.
  await odd.temporal.workflow.start('saga', {
    workflowId: 'taken.resume',
    taskQueue: 'odd',
    args: [{ name: 'a saga', steps: [] }],
    memo: { resumes: randomUUID() },
  });
  await cutOff('taken', odd);
  await listed(2, odd);
  const report = await odd.sweepSagas();
  expect(of(report, 'taken')).toMatchObject({ kind: 'failed', failure: { type: 'TaskExists' } });
  expect(of(report, 'other')).toMatchObject({ kind: 'resumed' });
  await stop();
}, 30_000);

test('a use of an id that was cut off is found though the id is used again', async () => {
  const ids = clientOf('ids');
  const stop = await startWorker(ids);
  await cutOff('again', ids);
  await beginHeld('again', ids);
  await listed(1, ids);
  expect(of(await ids.sweepSagas(), 'again')).toMatchObject({ kind: 'resumed' });
  await ids
    .task('again.resume')
    .result()
    .catch(() => undefined);
  expect(undone('again')).toEqual(['undo again b', 'undo again a']);
  await ids.temporal.workflow.getHandle('again').terminate();
  await stop();
}, 30_000);

test('a run that a reset ended goes on in the next, and is left alone', async () => {
  const resets = clientOf('resets');
  const stop = await startWorker(resets);
  await beginHeld('reset', resets);
  const { workflowService, options } = resets.temporal;
  const handle = resets.temporal.workflow.getHandle('reset');
  const { runId } = await handle.describe();
  const { events } = await handle.fetchHistory();
  const firstTaskCompleted = events?.find((event) => event.workflowTaskCompletedEventAttributes)?.eventId;
  await workflowService.resetWorkflowExecution({
    namespace: options.namespace,
    workflowExecution: { workflowId: 'reset', runId },
    workflowTaskFinishEventId: firstTaskCompleted ?? null,
    requestId: randomUUID(),
  });
  await listed(1, resets);
  expect(of(await resets.sweepSagas(), 'reset')).toMatchObject({ runId, kind: 'nothingToResume' });
  await until(() => world.filter((line) => line === 'do reset b').length === 2);
  await resets.temporal.workflow.getHandle('reset').terminate();
  await listed(2, resets);
  const { executions } = await resets.sweepSagas();
  expect(executions.find((one) => one.runId !== runId)).toMatchObject({ id: 'reset', kind: 'resumed' });
  await stop();
}, 30_000);

test('the keys of holders that have ended are freed', async () => {
  const locked = clientOf('locked');
  const stop = await startWorker(locked);
  await beginHeld('holder', locked);
  const { raw } = await locked.temporal.workflow.getHandle('holder').describe();
  const root = taskRoot('holder', raw.workflowExecutionInfo?.firstRunId ?? '');
  await new TemporalLocks(client.temporal, 'locked').acquire('order-42', { workflowId: 'holder', root });
  expect((await locked.sweepSagas()).locks).toEqual([]);
  await locked.task('holder').cancel();
  await locked
    .task('holder')
    .result()
    .catch(() => undefined);
  await until(async () => (await locked.sweepSagas()).locks.length === 1);
  expect(await locked.lockHolder('order-42')).toBeUndefined();
  await stop();
}, 30_000);

test('a worker that starts goes on with what was cut off while none ran, unless it runs agents only', async () => {
  const late = clientOf('late');
  const stop = await startWorker(late);
  await cutOff('unseen', late);
  await stop();
  await listed(1, late);
  const sweeps = jest.spyOn(StartingSweep.prototype, 'run');
  const stopAgents = await startWorker(late, ['agents']);
  expect(sweeps).not.toHaveBeenCalled();
  const stopWorkflows = await startWorker(late, ['workflows']);
  expect(sweeps).toHaveBeenCalledTimes(1);
  await sweeps.mock.results[0]?.value;
  await late
    .task('unseen.resume')
    .result()
    .catch(() => undefined);
  expect(undone('unseen')).toEqual(['undo unseen b', 'undo unseen a']);
  await stopAgents();
  await stopWorkflows();
}, 60_000);

test('the sweep of a worker that starts never rejects, and ends at once when told to stop', async () => {
  const clientThat = (next: () => Promise<never>): Client => {
    const temporal = new Client({ connection: client.temporal.connection });
    const list = { [Symbol.asyncIterator]: () => ({ next }) };
    jest.spyOn(temporal.workflow, 'list').mockReturnValue(list as never);
    return temporal;
  };
  const failing = clientThat(() => Promise.reject(new Error('no server')));
  await expect(new StartingSweep(failing, 'gone').run()).resolves.toBeUndefined();
  const waiting = new StartingSweep(
    clientThat(() => new Promise(() => undefined)),
    'gone',
  );
  const running = waiting.run();
  waiting.shutdown();
  await expect(running).resolves.toBeUndefined();
});
