// How a saga claims a key and gives it back. Runs on the time-skipping server.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, type WorkflowHandle, WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { TemporalLocks, staleLocks } from '../../src/client/locks';
import type { Envelope } from '../../src/core/envelope';
import type { LockRequest, LockStart, LockState } from '../../src/core/lock';
import { lockId } from '../../src/core/names';
import { TestCadre } from '../../src/testing';
import { holderQuery, releaseSignal } from '../../src/workflows/messages';
import { until } from '../support/cli';
import { type Holding, type holding, endSignal } from './locking-saga';

const WORKFLOWS = join(__dirname, 'locking-saga.ts');
let cadre: TestCadre;
/** One whose clock stands still while a result is awaited: what others wait for must not time out. */
let client: Client;

beforeAll(async () => {
  cadre = await TestCadre.create({ agents: [], workflowsPath: WORKFLOWS });
  client = new Client({ connection: cadre.environment.connection });
}, 60_000);

afterAll(() => cadre.close());

async function hold(
  start: Holding,
  workflowId = `saga-${randomUUID()}`,
): Promise<WorkflowHandle<typeof holding>> {
  return client.workflow.start<typeof holding>('holding', {
    workflowId,
    taskQueue: cadre.client.cadre,
    args: [start],
  });
}

async function holds(start: Holding, workflowId?: string): Promise<WorkflowHandle<typeof holding>> {
  const saga = await hold(start, workflowId);
  await until(async () => (await cadre.client.lockHolder(start.key))?.holder.workflowId === saga.workflowId);
  return saga;
}

/** What the workflow failed with, beneath what Temporal wraps it in. */
async function refusal(workflow: WorkflowHandle): Promise<unknown> {
  const error: unknown = await workflow.result().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  const { cause } = error as WorkflowFailedError;
  return cause instanceof ActivityFailure ? cause.cause : cause;
}

const lockOf = (key: string): WorkflowHandle => client.workflow.getHandle(lockId(cadre.client.cadre, key));
const statusOf = async (workflow: WorkflowHandle): Promise<string> => (await workflow.describe()).status.name;

test('a key has one holder, who is named to whoever is refused', async () => {
  const first = await holds({ key: 'one' });
  const second = await hold({ key: 'one' });
  expect(await refusal(second)).toMatchObject({
    type: 'LockHeld',
    nonRetryable: true,
    message: expect.stringMatching(
      new RegExp(`^"one" is held by ${first.workflowId} since .* UTC, which has not ended`),
    ) as string,
    details: [{ key: 'one', holder: { workflowId: first.workflowId }, is: 'open' }],
  });
  await first.signal(endSignal, 'complete');
  await first.result();
});

test('another key has another', async () => {
  const sagas = [await holds({ key: 'this' }), await holds({ key: 'this%' })];
  expect(await cadre.client.lockHolder('that')).toBeUndefined();
  for (const saga of sagas) await saga.signal(endSignal, 'complete');
  for (const saga of sagas) await saga.result();
});

test.each(['complete', 'fail', 'cancel'] as const)(
  'a saga that ends by %s gives its key back',
  async (how) => {
    const key = `ends by ${how}`;
    const saga = await holds({ key });
    if (how === 'cancel') await saga.cancel();
    else await saga.signal(endSignal, how);
    await saga.result().catch(() => undefined);
    await until(async () => (await statusOf(lockOf(key))) === 'COMPLETED');
    expect(await cadre.client.lockHolder(key)).toBeUndefined();
    const next = await holds({ key });
    await next.signal(endSignal, 'complete');
    await next.result();
  },
);

test('a saga that goes on in a new run keeps its key', async () => {
  const saga = await holds({ key: 'long' });
  const run = (await saga.describe()).runId;
  await saga.signal(endSignal, 'continueAsNew');
  await until(async () => (await saga.describe()).runId !== run);
  expect(await refusal(await hold({ key: 'long' }))).toMatchObject({ type: 'LockHeld' });
  const lockRun = (await lockOf('long').describe()).runId;
  await saga.signal(endSignal, 'complete');
  await client.workflow.result(saga.workflowId);
  await until(async () => (await statusOf(lockOf('long'))) === 'COMPLETED');
  expect((await lockOf('long').describe()).runId).toBe(lockRun);
});

test('a claim that may have got the key, and of which nobody heard, gives it back', async () => {
  const { nativeConnection } = cadre.environment;
  const taskQueue = 'cut-off-claims';
  const locks = new TemporalLocks(client, taskQueue);
  const acquired: (LockState | undefined)[] = [];
  const worker = await Worker.create({
    connection: nativeConnection,
    taskQueue,
    workflowsPath: WORKFLOWS,
    activities: {
      async lock({ root }: Envelope, { key }: LockRequest) {
        await locks.acquire(key, { workflowId: 'cut-off', root });
        acquired.push(await locks.holderOf(key));
        throw ApplicationFailure.nonRetryable('the answer is lost', 'Lost');
      },
    },
  });
  await worker.runUntil(async () => {
    const args: [Holding] = [{ key: 'lost' }];
    const saga = await client.workflow.start('holding', { workflowId: 'cut-off', taskQueue, args });
    expect(await refusal(saga)).toMatchObject({ type: 'Lost' });
    expect(acquired).toMatchObject([{ key: 'lost', holder: { workflowId: 'cut-off' } }]);
    await until(async () => (await locks.holderOf('lost')) === undefined);
  });
});

test('a key that is none is refused before anything is asked', async () => {
  const saga = await hold({ key: '' });
  expect(await refusal(saga)).toMatchObject({ type: 'InputInvalid', nonRetryable: true });
  const { events } = await saga.fetchHistory();
  expect(
    events?.some(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes),
  ).toBe(false);
});

test('what is not the holder’s own release changes nothing, nor does a cancel', async () => {
  const saga = await holds({ key: 'mine' });
  const lock = lockOf('mine');
  for (const release of [undefined, null, 'x', {}, { root: 7 }, { root: 'another/1' }]) {
    await lock.signal(releaseSignal, release as { root: string });
  }
  await lock.cancel();
  const held = await cadre.client.lockHolder('mine');
  expect(await lock.query(holderQuery)).toEqual(held);
  expect(held).toMatchObject({ key: 'mine', holder: { workflowId: saga.workflowId } });
  expect(await statusOf(lock)).toBe('RUNNING');
  await saga.signal(endSignal, 'complete');
  await saga.result();
  await until(async () => (await statusOf(lock)) === 'COMPLETED');
});

test('a lock that is started by hand says who holds it all the same', async () => {
  const holder = { workflowId: 'by-hand', root: 'by-hand/1' };
  const start: LockStart = { key: 'by hand', holder };
  const workflowId = lockId(cadre.client.cadre, 'by hand');
  const lock = await client.workflow.start('lock', {
    workflowId,
    taskQueue: cadre.client.cadre,
    args: [start],
  });
  await until(async () => (await cadre.client.lockHolder('by hand')) !== undefined);
  expect(await cadre.client.lockHolder('by hand')).toMatchObject({ key: 'by hand', holder });
  await lock.signal(releaseSignal, { root: 'by-hand/1' });
  await lock.result();
});

test('a lock without a holder fails', async () => {
  const lock = await client.workflow.start('lock', {
    workflowId: 'no-lock',
    taskQueue: cadre.client.cadre,
    args: [{ key: 'k' }],
  });
  expect(await refusal(lock)).toMatchObject({ type: 'InputInvalid' });
});

test('the key of a holder that ended without giving it back is taken', async () => {
  const saga = await holds({ key: 'stale', forgets: true });
  await saga.signal(endSignal, 'complete');
  await saga.result();
  const next = await holds({ key: 'stale' });
  expect(next.workflowId).not.toBe(saga.workflowId);
  await next.signal(endSignal, 'complete');
  await next.result();
});

test('the key of a holder that was terminated is kept', async () => {
  const saga = await holds({ key: 'cut off' });
  await saga.terminate();
  expect(await refusal(await hold({ key: 'cut off' }))).toMatchObject({
    type: 'LockHeld',
    message: expect.stringContaining(`cadre saga resume ${saga.workflowId}`) as string,
  });
});

test('a saga whose lock was terminated by hand ends as it would have', async () => {
  const saga = await holds({ key: 'freed by hand' });
  await lockOf('freed by hand').terminate();
  await saga.signal(endSignal, 'complete');
  expect(await saga.result()).toContain(saga.workflowId);
});

test('a sweep finds nothing where the server lists nothing', async () => {
  expect(await staleLocks(client, cadre.client.cadre)).toEqual([]);
});
