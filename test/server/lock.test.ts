// Locks on a real server: many claims at once, holders that end in every way, workers that die, keys in any script.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { connect } from '../../src/client/connection';
import { TemporalLocks, staleLocks } from '../../src/client/locks';
import type { LockHolder } from '../../src/core/lock';
import { lockId, resumeId } from '../../src/core/names';
import { taskRoot } from '../../src/core/task-projection';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { CadreWorker } from '../../src/workers/cadre-worker';
import { installRuntime } from '../../src/workers/runtime';
import { Cli, ROOT, until } from '../support/cli';
import { type DevServer, startDevServer } from '../support/dev-server';
import { TemporaryFolder } from '../support/temporary-folder';
import { type Holding, endSignal, type holding } from '../workflows/locking-saga';

const CADRE = 'locks';
const WORKFLOWS = join(__dirname, '..', 'workflows', 'locking-saga.ts');
type Saga = WorkflowHandle<typeof holding>;

let server: DevServer;
let connection: NativeConnection;
let client: Client;
let locks: TemporalLocks;
let stop: () => Promise<void>;

beforeAll(async () => {
  installRuntime('ERROR');
  // The history of a lock grows long after a few signals, so that it goes on in a new run.
  server = await startDevServer({
    settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: 30 }],
  });
  connection = await NativeConnection.connect({ address: server.address });
  client = await connect({ address: server.address, namespace: server.namespace, configured: true });
  // Over the connection that workers have: its errors are of another make than a client's.
  locks = new TemporalLocks(new Client({ connection, namespace: server.namespace }), CADRE);
  const folder = new TemporaryFolder();
  const worker = await CadreWorker.create({
    connection,
    cadre: CADRE,
    agents: [],
    artifacts: new FileArtifactStore(folder.path),
    roles: ['workflows', 'agents'],
    workflowsPath: WORKFLOWS,
  });
  const running = worker.run();
  stop = async () => {
    worker.shutdown();
    await running;
    folder.remove();
  };
}, 60_000);

afterAll(async () => {
  await stop();
  await connection.close();
  await client.connection.close();
  await server.stop();
});

async function start(input: Holding, workflowId = `saga-${randomUUID()}`): Promise<Saga & LockHolder> {
  const saga = await client.workflow.start<typeof holding>('holding', {
    workflowId,
    taskQueue: CADRE,
    args: [input],
  });
  return Object.assign(saga, { root: taskRoot(workflowId, saga.firstExecutionRunId) });
}

/** A saga that has the key. */
async function holds(input: Holding, workflowId?: string): Promise<Saga & LockHolder> {
  const saga = await start(input, workflowId);
  const { root } = input.snapshot ?? saga;
  await until(async () => (await locks.holderOf(input.key))?.holder.root === root);
  return saga;
}

/** A saga that had the key, and ended by `how` without giving it back. */
async function left(
  key: string,
  how: 'complete' | 'fail' | 'cancel' | 'terminate',
): Promise<Saga & LockHolder> {
  const saga = await holds({ key, forgets: true });
  if (how === 'terminate') await saga.terminate();
  else if (how === 'cancel') await saga.cancel();
  else await saga.signal(endSignal, how);
  await saga.result().catch(() => undefined);
  return saga;
}

/** What goes on where `saga` was cut off. */
async function resume({ workflowId, root }: LockHolder, key: string, forgets = true): Promise<Saga> {
  return start({ key, forgets, snapshot: { root } }, resumeId(workflowId));
}

const somebody = (): LockHolder => {
  const workflowId = `somebody-${randomUUID()}`;
  return { workflowId, root: taskRoot(workflowId, randomUUID()) };
};
const held = expect.objectContaining({ type: 'LockHeld' }) as unknown;
const lockStatus = async (key: string): Promise<string> =>
  (await client.workflow.getHandle(lockId(CADRE, key)).describe()).status.name;

test('of 20 sagas that claim one key at once, one has it, and 19 are told who', async () => {
  const sagas = await Promise.all(Array.from({ length: 20 }, () => start({ key: 'crowded' })));
  const refused: { index: number; message: string }[] = [];
  const ends = sagas.map((saga, index) =>
    saga.result().then(
      () => undefined,
      (error: Error & { cause?: Error & { cause?: Error } }) =>
        void refused.push({ index, message: error.cause?.cause?.message ?? '' }),
    ),
  );
  await until(() => refused.length === 19);
  const holder = sagas.find((_saga, index) => refused.every((one) => one.index !== index));
  for (const { message } of refused) expect(message).toContain(`"crowded" is held by ${holder?.workflowId} `);
  await holder?.signal(endSignal, 'complete');
  await Promise.all(ends);
  expect(refused).toHaveLength(19);
}, 30_000);

test('of 20 claims of a stale key at once, one gets it', async () => {
  for (let round = 0; round < 5; round++) {
    const key = `crowded and stale ${round}`;
    await left(key, 'complete');
    const saga = await Promise.all(Array.from({ length: 20 }, () => start({ key })));
    // Whoever has it runs on; every other fails.
    const outcomes = saga.map((one) =>
      one.result().then(
        () => 'ended',
        () => 'refused',
      ),
    );
    let refused = 0;
    for (const outcome of outcomes) void outcome.then((how) => (refused += how === 'refused' ? 1 : 0));
    await until(() => refused === 19);
    const holder = await locks.holderOf(key);
    await client.workflow.getHandle(holder?.holder.workflowId ?? '').signal(endSignal, 'complete');
    expect((await Promise.all(outcomes)).sort()).toEqual(['ended', ...Array<string>(19).fill('refused')]);
  }
}, 60_000);

test('to claim again what one has is harmless, for a resumed run too', async () => {
  const saga = await holds({ key: 'again' });
  const before = await locks.holderOf('again');
  await locks.acquire('again', saga);
  await Promise.all([locks.acquire('again', saga), locks.acquire('again', saga)]);
  await locks.acquire('again', { workflowId: resumeId(saga.workflowId), root: saga.root });
  expect(await locks.holderOf('again')).toEqual(before);
  await saga.signal(endSignal, 'complete');
  await saga.result();
});

test.each(['complete', 'fail', 'cancel'] as const)(
  'what a holder did not give back before it ended (%s) is taken',
  async (how) => {
    const key = `left by ${how}`;
    await left(key, how);
    const next = await holds({ key });
    expect(await lockStatus(key)).toBe('RUNNING');
    await next.signal(endSignal, 'complete');
    await next.result();
  },
);

test('a holder that was terminated keeps its key until it was resumed and that has ended', async () => {
  const saga = await left('cut off', 'terminate');
  await expect(locks.acquire('cut off', somebody())).rejects.toMatchObject({
    type: 'LockHeld',
    message: expect.stringContaining(`\`cadre saga resume ${saga.workflowId}\``) as string,
    details: { is: 'cutOff' },
  });
  expect(await staleLocks(client, CADRE)).toEqual([]);
  const resumed = await resume(saga, 'cut off', false);
  await expect(locks.acquire('cut off', somebody())).rejects.toEqual(held);
  await resumed.signal(endSignal, 'complete');
  await resumed.result();
  await until(async () => (await lockStatus('cut off')) === 'COMPLETED');
  const next = somebody();
  await locks.acquire('cut off', next);
  await locks.release('cut off', next.root);
});

test('a resumed run decides for the one it resumes, however often it is resumed', async () => {
  const saga = await left('resumed', 'terminate');
  const first = await resume(saga, 'resumed');
  await expect(locks.acquire('resumed', somebody())).rejects.toEqual(held);
  await first.terminate();
  await expect(locks.acquire('resumed', somebody())).rejects.toMatchObject({ details: { is: 'cutOff' } });
  const second = await resume({ workflowId: first.workflowId, root: saga.root }, 'resumed');
  await expect(locks.acquire('resumed', somebody())).rejects.toMatchObject({ details: { is: 'open' } });
  await second.signal(endSignal, 'complete');
  await second.result();
  await locks.acquire('resumed', somebody());
});

test('a resumed run of another saga decides nothing', async () => {
  const saga = await left('not mine', 'terminate');
  const other = await resume({ ...somebody(), workflowId: saga.workflowId }, 'elsewhere');
  await until(async () => (await locks.holderOf('elsewhere')) !== undefined);
  await other.signal(endSignal, 'complete');
  await other.result();
  await expect(locks.acquire('not mine', somebody())).rejects.toMatchObject({ details: { is: 'cutOff' } });
});

test.each(['terminate', 'complete'] as const)(
  'an id that is used again does not hide how its first use ended (%s)',
  async (how) => {
    const key = `used again after ${how}`;
    const saga = await left(key, how);
    const again = await holds({ key: `${key}: another key` }, saga.workflowId);
    if (how === 'complete') await locks.acquire(key, somebody());
    else await expect(locks.acquire(key, somebody())).rejects.toMatchObject({ details: { is: 'cutOff' } });
    await again.signal(endSignal, 'complete');
    await again.result();
  },
);

test('a holder that went on in new runs is judged by its last', async () => {
  const keys = ['long and open', 'long and stale', 'long and cut off'] as const;
  const sagas = await Promise.all(keys.map((key) => holds({ key, forgets: true })));
  for (const saga of sagas) {
    await saga.signal(endSignal, 'continueAsNew');
    await until(async () => {
      const { runId } = await client.workflow.getHandle(saga.workflowId).describe();
      return runId !== saga.root.split('/')[1];
    });
  }
  await sagas[1]?.signal(endSignal, 'complete');
  await sagas[1]?.result();
  await sagas[2]?.terminate();
  await expect(locks.acquire(keys[0], somebody())).rejects.toMatchObject({ details: { is: 'open' } });
  await locks.acquire(keys[1], somebody());
  await expect(locks.acquire(keys[2], somebody())).rejects.toMatchObject({ details: { is: 'cutOff' } });
  await sagas[0]?.signal(endSignal, 'complete');
});

test('a holder of which the server knows nothing keeps its key, until its lock is terminated', async () => {
  const holder = somebody();
  await locks.acquire('gone', holder);
  await expect(locks.acquire('gone', somebody())).rejects.toMatchObject({ details: { is: 'gone', holder } });
  await client.workflow.getHandle(lockId(CADRE, 'gone')).terminate();
  await locks.acquire('gone', somebody());
});

test('a release by another, or of what is free, changes nothing', async () => {
  const holder = somebody();
  await locks.release('free', holder.root);
  await locks.acquire('free', holder);
  const before = await locks.holderOf('free');
  for (let signal = 0; signal < 40; signal++) await locks.release('free', 'another/1');
  expect(await locks.holderOf('free')).toEqual(before);
});

test('a lock that has heard much goes on in a new run, with the same holder since the same time', async () => {
  const holder = somebody();
  await locks.acquire('long', holder);
  const lock = client.workflow.getHandle(lockId(CADRE, 'long'));
  const { runId } = await lock.describe();
  const before = await locks.holderOf('long');
  await until(async () => {
    await locks.release('long', 'another/1');
    return (await lock.describe()).runId !== runId;
  });
  expect(await locks.holderOf('long')).toEqual(before);
  await expect(locks.acquire('long', somebody())).rejects.toEqual(held);
  await locks.release('long', holder.root);
  await until(async () => (await lockStatus('long')) === 'COMPLETED');
});

test('what was given back is free at once, for its last holder too, though no worker has heard of it yet', async () => {
  const unserved = new TemporalLocks(client, 'unserved');
  const [one, two] = [somebody(), somebody()];
  await unserved.acquire('k', one);
  const runOf = async (): Promise<string> =>
    (await client.workflow.getHandle(lockId('unserved', 'k')).describe()).runId;
  const first = await runOf();
  await unserved.acquire('k', one);
  expect(await runOf()).toBe(first);
  await unserved.release('k', one.root);
  await unserved.acquire('k', one);
  expect(await runOf()).not.toBe(first);
  await expect(unserved.acquire('k', two)).rejects.toEqual(held);
  await unserved.release('k', one.root);
  await unserved.acquire('k', two);
  expect(await unserved.holderOf('k')).toMatchObject({ holder: two });
});

test('a holder whose root no run can be found by keeps its key', async () => {
  const other = await holds({ key: 'another key' }, 'by-hand');
  await locks.acquire('by hand', { workflowId: 'by-hand', root: 'by-hand/1' });
  await expect(locks.acquire('by hand', somebody())).rejects.toMatchObject({ details: { is: 'gone' } });
  await other.signal(endSignal, 'complete');
  await other.result();
});

test('a workflow that has a lock’s id and is none refuses every claim', async () => {
  await start({ key: 'aside' }, lockId(CADRE, 'squatted'));
  await expect(locks.acquire('squatted', somebody())).rejects.toEqual(held);
  expect(await locks.holderOf('squatted')).toBeUndefined();
});

test.each([
  'orders/42',
  '100 %',
  '%2F',
  '%',
  ' ',
  'заказ № 42',
  '注文',
  'طلب',
  '\u202eאבג',
  'e\u0301',
  'é',
  'it\'s "so"',
  'k'.repeat(200),
  '/'.repeat(200),
  '鍵'.repeat(200),
  '🔑'.repeat(200),
])('%j is a key like any other', async (key) => {
  const saga = await holds({ key });
  expect(await locks.holderOf(key)).toMatchObject({ key, holder: { workflowId: saga.workflowId } });
  await expect(locks.acquire(key, somebody())).rejects.toMatchObject({
    type: 'LockHeld',
    message: expect.stringContaining(`"${key}" is held by`) as string,
  });
  await saga.signal(endSignal, 'complete');
  await saga.result();
  await until(async () => (await lockStatus(key)) === 'COMPLETED');
});

test('a sweep frees what ended holders left, and nothing else; to repeat it is harmless', async () => {
  const open = await holds({ key: 'swept: open' });
  await left('swept: cut off', 'terminate');
  await left('swept: stale', 'complete');
  await left('swept: stale too', 'fail');
  const swept: string[] = [];
  await until(async () => {
    const found = await Promise.all([staleLocks(client, CADRE), staleLocks(client, CADRE)]);
    swept.push(...found.flat().flatMap(({ key }) => (key.startsWith('swept') ? [key] : [])));
    return swept.length >= 2;
  });
  expect(swept.sort()).toEqual(['swept: stale', 'swept: stale too']);
  expect(await staleLocks(client, CADRE)).toEqual([]);
  expect(await locks.holderOf('swept: open')).toBeDefined();
  expect(await locks.holderOf('swept: cut off')).toBeDefined();
  await open.signal(endSignal, 'complete');
  await open.result();
});

test('a worker that is killed just when it has got the key does not lose it to its own saga', async () => {
  const folder = new TemporaryFolder();
  const cli = Cli.at(server, folder);
  const cadre = 'killed';
  const ours = new TemporalLocks(client, cadre);
  const killed = cli.spawn(process.execPath, [folder.write('worker.js', killedWorker()), cadre]);
  const saga = await client.workflow.start<typeof holding>('holding', {
    workflowId: 'killed-saga',
    taskQueue: cadre,
    workflowTaskTimeout: '1s',
    args: [{ key: 'killed' }],
  });
  expect((await killed.ended).signal).toBe('SIGKILL');
  const before = await ours.holderOf('killed');
  expect(before).toMatchObject({ holder: { workflowId: 'killed-saga' } });
  const worker = await CadreWorker.create({
    connection,
    cadre,
    agents: [],
    artifacts: new FileArtifactStore(folder.path),
    roles: ['workflows', 'agents'],
    workflowsPath: WORKFLOWS,
  });
  await worker.runUntil(async () => {
    await saga.signal(endSignal, 'complete');
    await saga.result();
    await until(async () => (await ours.holderOf('killed')) === undefined);
  });
  const { events } = await saga.fetchHistory();
  const attempts = events?.flatMap(
    ({ activityTaskStartedEventAttributes: started }) => started?.attempt ?? [],
  );
  expect(attempts).toEqual([2]);
  folder.remove();
}, 60_000);

/** A worker that runs workflows of the tests, and kills itself between a claim and its answer. */
function killedWorker(): string {
  const module = (...path: string[]): string => JSON.stringify(join(ROOT, ...path));
  return `
const { NativeConnection, Worker } = require(${module('node_modules', '@temporalio', 'worker')});
const { Client } = require(${module('node_modules', '@temporalio', 'client')});
const { TemporalLocks } = require(${module('dist', 'client', 'locks.js')});
void (async () => {
  const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS });
  const cadre = process.argv[2];
  const locks = new TemporalLocks(new Client({ connection }), cadre);
  const worker = await Worker.create({
    connection,
    taskQueue: cadre,
    workflowsPath: ${JSON.stringify(WORKFLOWS)},
    stickyQueueScheduleToStartTimeout: 500,
    activities: {
      async lock({ root }, { key }) {
        await locks.acquire(key, { workflowId: 'killed-saga', root });
        process.kill(process.pid, 'SIGKILL');
      },
    },
  });
  await worker.run();
})();
`;
}
