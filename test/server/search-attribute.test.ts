// What waits for a person, by the search attribute and without it, on real servers.
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { hasAttentionAttribute } from '../../src/client/attention-attribute';
import { CadreClient } from '../../src/client/cadre-client';
import { NEEDS_ATTENTION, NEEDS_ATTENTION_ATTRIBUTE, SAGA_WORKFLOW } from '../../src/core/names';
import type { SagaInput } from '../../src/core/saga-input';
import { PREBUILT_BUNDLE } from '../../src/workers/build-id';
import { agent, step } from '../support/agents';
import { until } from '../support/cli';
import { type DevServer, startDevServer } from '../support/dev-server';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';
import { TemporaryFolder } from '../support/temporary-folder';

const { name } = NEEDS_ATTENTION_ATTRIBUTE;
const KEYWORD = temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;

const asks: SagaInput = {
  name: 'asks first',
  steps: [{ id: 'pay', agent: 'echo', input: 1, approval: {} }],
};
/** Parks, since what must not be undone failed. */
const parks: SagaInput = {
  name: 'parks',
  steps: [{ id: 'ship', agent: 'fail', kind: 'retryable', policy: { retry: { maximumAttempts: 1 } } }],
};

let cadre: ServerCadre;
let client: CadreClient;
/** Lets the agent `hold` go. */
const held = new AbortController();

beforeAll(async () => {
  cadre = await startServerCadre(
    [
      agent('echo', (input) => input),
      agent('hold', () => until(() => held.signal.aborted)),
      agent('fail', () => {
        throw new Error('no');
      }),
    ],
    { settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: 100 }] },
  );
  client = cadre.client;
}, 60_000);

afterAll(() => cadre.close());

/** A client that has not asked the server yet. */
function newClient(of: CadreClient = client): CadreClient {
  const { connection, options } = of.temporal;
  return new CadreClient(new Client({ connection, namespace: options.namespace }), {
    cadre: of.cadre,
    artifacts: of.artifacts,
  });
}

async function add(type = KEYWORD): Promise<void> {
  const { operatorService } = client.temporal.connection;
  await operatorService.addSearchAttributes({ namespace: 'default', searchAttributes: { [name]: type } });
}

async function remove(): Promise<void> {
  const { operatorService } = client.temporal.connection;
  await operatorService.removeSearchAttributes({ namespace: 'default', searchAttributes: [name] });
}

/** Ids of the executions of a visibility query. */
async function found(query: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { workflowId } of client.temporal.workflow.list({ query })) ids.push(workflowId);
  return ids;
}

async function waiting(of: CadreClient = client): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of of.list({ needsAttention: true })) ids.push(id);
  return ids;
}

async function attributeOf(id: string): Promise<string | undefined> {
  const description = await client.temporal.workflow.getHandle(id).describe();
  return description.typedSearchAttributes.get(NEEDS_ATTENTION_ATTRIBUTE);
}

function historyOf(id: string): Promise<temporal.api.history.v1.IHistory> {
  return client.temporal.workflow.getHandle(id).fetchHistory();
}

async function sayYes(id: string): Promise<void> {
  const saga = client.task(id);
  const { hash } = await saga.question('pay');
  await saga.answer('pay', 'yes', { hash });
  await saga.result();
}

describe('the embedded server', () => {
  test('has the attribute, also with a database from before', async () => {
    const folder = new TemporaryFolder();
    const databaseFile = join(folder.path, 'temporal.db');
    const has = async (server: DevServer, last?: (connection: Connection) => Promise<unknown>) => {
      const connection = await Connection.connect({ address: server.address });
      try {
        const registered = await hasAttentionAttribute(new Client({ connection }));
        await last?.(connection);
        return registered;
      } finally {
        await connection.close();
        await server.stop();
      }
    };
    try {
      const asBefore = ({ operatorService }: Connection) =>
        operatorService.removeSearchAttributes({ namespace: 'default', searchAttributes: [name] });
      expect(await has(await startDevServer({ databaseFile }), asBefore)).toBe(true);
      expect(await has(await startDevServer({ databaseFile }))).toBe(true);
    } finally {
      folder.remove();
    }
  }, 60_000);
});

describe('where the namespace has it', () => {
  test('a task that waits for nobody has `no`', async () => {
    const task = await client.start({ goal: 'echo', plan: { steps: [step('one', 'echo')] } });
    expect(await attributeOf(task.id)).toBe('no');
    await task.result();
  });

  test('a saga that asks is found by it as long as it asks', async () => {
    await client.startSaga(asks, { id: 'asks' });
    await until(async () => (await found(`${name} = "awaitingApproval"`)).includes('asks'));
    expect(await found(`${name} != "no"`)).toContain('asks');
    await until(async () => (await waiting()).includes('asks'));
    await sayYes('asks');
    await until(async () => (await found(`${name} = "no"`)).includes('asks'));
    expect(await waiting()).not.toContain('asks');
  });

  test('a saga that is parked is found by it until a person has said what is to become of it', async () => {
    const saga = await client.startSaga(parks, { id: 'parks' });
    await until(async () => (await found(`${name} = "needsAttention"`)).includes('parks'));
    await until(async () => (await waiting()).includes('parks'));
    await saga.resolve('ship', 'skip', 'shipped by hand');
    await expect(saga.result()).resolves.toEqual({ ship: null });
    await until(async () => (await found(`${name} = "no"`)).includes('parks'));
    const log: string[] = [];
    for await (const { type } of saga.events()) log.push(type);
    expect(log).toEqual(expect.arrayContaining(['stepParked', 'stepResolved', 'taskCompleted']));
  });

  test('what was started without it is found too, by its memo', async () => {
    await client.temporal.workflow.start(SAGA_WORKFLOW, {
      workflowId: 'by-hand',
      taskQueue: client.cadre,
      args: [asks],
    });
    await client.startSaga(asks, { id: 'by-client' });
    await until(async () => {
      const ids = await waiting();
      return ids.includes('by-hand') && ids.includes('by-client');
    });
    expect(await attributeOf('by-hand')).toBeUndefined();
    await sayYes('by-hand');
    await sayYes('by-client');
  });

  test('the server leaves out what waits for nobody', async () => {
    const start = (workflowId: string, value?: string) =>
      client.temporal.workflow.start('nothing', {
        workflowId,
        taskQueue: 'deserted',
        memo: { [NEEDS_ATTENTION]: 'one' },
        ...(value === undefined
          ? {}
          : { typedSearchAttributes: [{ key: NEEDS_ATTENTION_ATTRIBUTE, value }] }),
      });
    await start('without');
    await start('with', 'needsAttention');
    await start('no', 'no');
    await until(async () => (await found('TaskQueue = "deserted"')).length === 3);
    const ids = await waiting(new CadreClient(client.temporal, { cadre: 'deserted' }));
    expect(ids.sort()).toEqual(['with', 'without']);
  });

  test('what goes on with a saga that was terminated has it', async () => {
    const steps = [{ id: 'one', agent: 'echo', compensate: { agent: 'echo' } }, ...asks.steps];
    await client.startSaga({ name: 'cut off', steps }, { id: 'cut-off' });
    await until(async () => (await waiting()).includes('cut-off'));
    await client.temporal.workflow.getHandle('cut-off').terminate();
    const resumed = await client.resumeSaga('cut-off');
    expect(await attributeOf(resumed.id)).toBe('no');
  });

  test('a saga that goes on in another run keeps it', async () => {
    const steps = Array.from({ length: 40 }, (_, index) => ({
      id: `s${index}`,
      agent: 'echo',
      input: index,
    }));
    const saga = await client.startSaga({ name: 'long', steps: [...steps, ...asks.steps] }, { id: 'long' });
    await until(async () => (await found(`${name} = "awaitingApproval"`)).includes('long'));
    const log: string[] = [];
    for await (const { type } of saga.events()) log.push(type);
    expect(log).toContain('continuedAsNew');
    await sayYes('long');
  }, 30_000);
});

describe('where the namespace has it no more, or not yet', () => {
  afterEach(() => add());

  test('sagas start, and those that wait are found by their memo', async () => {
    await remove();
    const later = newClient();
    const saga = await later.startSaga(parks, { id: 'parks-without' });
    await until(async () => (await waiting(later)).includes('parks-without'));
    await saga.resolve('ship', 'skip', 'shipped by hand');
    await expect(saga.result()).resolves.toEqual({ ship: null });
    await until(async () => !(await waiting(later)).includes('parks-without'));
  });

  test('a client that was told that it has it starts sagas without', async () => {
    const earlier = newClient();
    expect(await hasAttentionAttribute(earlier.temporal)).toBe(true);
    await remove();
    // It is asked once.
    expect(await hasAttentionAttribute(earlier.temporal)).toBe(true);
    await earlier.startSaga(asks, { id: 'removed' });
    expect(await hasAttentionAttribute(earlier.temporal)).toBe(false);
    await until(async () => (await waiting(earlier)).includes('removed'));
    await sayYes('removed');
    expect(await attributeOf('removed')).toBeUndefined();
  });

  test('a saga that has one that was removed meanwhile waits until it is back, and does not fail', async () => {
    await newClient().startSaga(
      { name: 'held', steps: [{ id: 'hold', agent: 'hold' }, ...asks.steps] },
      { id: 'held' },
    );
    expect(await attributeOf('held')).toBe('no');
    await remove();
    held.abort();
    const failed = temporal.api.enums.v1.EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED;
    const types = async () => (await historyOf('held')).events?.map(({ eventType }) => eventType) ?? [];
    await until(async () => (await types()).includes(failed));
    await add();
    await until(async () => (await found(`${name} = "awaitingApproval"`)).includes('held'));
    await sayYes('held');
  }, 40_000);

  test('a history that has it replays', async () => {
    await newClient().startSaga(asks, { id: 'replays' });
    await until(async () => (await found(`${name} = "awaitingApproval"`)).includes('replays'));
    await remove();
    const workflowBundle = { codePath: PREBUILT_BUNDLE };
    const replayed = Worker.runReplayHistory({ workflowBundle }, await historyOf('replays'), 'replays');
    await expect(replayed).resolves.toBeUndefined();
    await add();
    await sayYes('replays');
  });

  test('an attribute of another type is none', async () => {
    await remove();
    await add(temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_INT);
    const later = newClient();
    expect(await hasAttentionAttribute(later.temporal)).toBe(false);
    const saga = await later.startSaga({ name: 'echo', steps: [{ id: 'one', agent: 'echo', input: 1 }] });
    await expect(saga.result()).resolves.toEqual({ one: 1 });
    await remove();
  });
});

test('a server that does not say has none', async () => {
  const { connection } = client.temporal;
  const silent = new Client({ connection, namespace: 'nowhere' });
  expect(await hasAttentionAttribute(silent)).toBe(false);
});
