// On a real server: what a program sees of its tasks.
import { getEventListeners } from 'node:events';
import { readdirSync } from 'node:fs';
import { ApplicationFailure } from '@temporalio/common';
import { CadreClient } from '../../src/client/cadre-client';
import { connect } from '../../src/client/connection';
import { TaskFailedError, type TaskHandle } from '../../src/client/task-handle';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { agent, step } from '../support/agents';
import { until } from '../support/cli';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';
import { TemporaryFolder } from '../support/temporary-folder';

let cadre: ServerCadre;
let client: CadreClient;
const gates = new Map<string, () => void>();
const GATED = [step('a', 'gate')];

beforeAll(async () => {
  cadre = await startServerCadre([
    agent('echo', (input) => input),
    agent('large', () => 'x'.repeat(100_000)),
    agent('gate', async (_input, { task, signal }) => {
      await new Promise<void>((resolve, reject) => {
        gates.set(task, resolve);
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
      return 'opened';
    }),
    agent('broken', () => {
      throw ApplicationFailure.nonRetryable('no such city', 'CityUnknown');
    }),
  ]);
  client = cadre.client;
}, 60_000);

afterAll(() => cadre.close());

const begin = (id: string, steps = [step('a', 'echo', { input: 1 })]): Promise<TaskHandle> =>
  client.start({ goal: `the goal of ${id}`, plan: { steps } }, { id });

/** Starts a task whose step waits, and resolves once it does. */
async function beginGated(id: string): Promise<TaskHandle> {
  const task = await begin(id, GATED);
  await until(() => gates.has(id));
  return task;
}

async function failure(work: Promise<unknown>): Promise<TaskFailedError> {
  const error: unknown = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TaskFailedError);
  return error as TaskFailedError;
}

describe('an id', () => {
  test('is taken while its task runs, and after it has ended', async () => {
    const task = await beginGated('taken');
    const again = { type: 'TaskExists', message: 'There is a task "taken" already' };
    await expect(begin('taken')).rejects.toMatchObject(again);
    gates.get('taken')?.();
    await task.result();
    await expect(begin('taken')).rejects.toMatchObject(again);
    expect(await client.task('taken').result()).toEqual({ a: 'opened' });
  });

  test('of several started at once is given to one', async () => {
    const starts = await Promise.allSettled(Array.from({ length: 10 }, () => begin('raced')));
    expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const reasons = starts.flatMap((start) => (start.status === 'rejected' ? [start.reason as unknown] : []));
    for (const reason of reasons) expect(reason).toMatchObject({ type: 'TaskExists' });
  });

  test('tells of the goal, unless ids are opaque', async () => {
    const input = { goal: 'A very secret goal', plan: { steps: [step('a', 'echo')] } };
    expect((await client.start(input)).id).toMatch(/^a-very-secret-goal-[0-9a-f]{8}$/);
    const opaque = new CadreClient(client.temporal, { ids: 'opaque', artifacts: client.artifacts });
    expect((await opaque.start(input)).id).toMatch(/^task-[0-9a-f]{8}$/);
  });

  test('may be in any script', async () => {
    const task = await begin('größe-日本語');
    expect(await task.result()).toEqual({ a: 1 });
    expect((await client.task('größe-日本語').describe()).id).toBe('größe-日本語');
  });

  test('that is none is refused', async () => {
    await expect(begin('a b')).rejects.toMatchObject({ type: 'InputInvalid' });
  });
});

test.each<[string, (task: TaskHandle) => Promise<unknown>]>([
  ['result', (task) => task.result()],
  ['describe', (task) => task.describe()],
  ['outputs', (task) => task.outputs()],
  ['cancel', (task) => task.cancel()],
  ['events', (task) => task.events().next()],
  ['events that follow', (task) => task.events({ follow: true }).next()],
])('%s of a task that there is not says so', async (_what, ask) => {
  await expect(ask(client.task('nowhere'))).rejects.toMatchObject({
    type: 'TaskNotFound',
    message: 'There is no task "nowhere" in namespace "default"',
  });
});

test('cancelling a task that has ended changes nothing', async () => {
  const task = await begin('ended');
  await task.result();
  await task.cancel().catch((error: unknown) => expect(error).toMatchObject({ type: 'TaskNotFound' }));
  expect((await task.describe()).state.phase).toEqual({ kind: 'completed' });
});

describe('a task that ends otherwise than with a result', () => {
  test('failed: the outputs of its finished steps are readable, also by another client', async () => {
    const task = await begin('failed', [step('a', 'large'), step('b', 'broken', { needs: ['a'] })]);
    const error = await failure(task.result());
    expect(error).toMatchObject({
      name: 'TaskFailedError',
      type: 'StepFailed',
      details: { failed: { step: 'b', failure: { type: 'CityUnknown' } }, finished: ['a'] },
    });
    const other = new CadreClient(client.temporal, { artifacts: client.artifacts });
    expect(await other.task('failed').outputs()).toEqual({ a: 'x'.repeat(100_000) });
  });

  test('terminated: result, description and events say so', async () => {
    const task = await beginGated('terminated');
    const events = collect(task, { follow: true });
    await client.temporal.workflow.getHandle('terminated').terminate('enough');
    expect(await failure(task.result())).toMatchObject({ type: 'Terminated' });
    expect((await task.describe()).state.phase).toEqual({ kind: 'terminated', how: 'terminated' });
    expect((await events).at(-1)).toMatchObject({ type: 'taskTerminated', actor: 'server' });
  });

  test('timed out: likewise', async () => {
    const handle = await client.temporal.workflow.start('task', {
      workflowId: 'timed-out',
      taskQueue: 'cadre',
      args: [{ goal: 'a goal', plan: { steps: GATED } }],
      workflowExecutionTimeout: 1000,
    });
    const task = client.task(handle.workflowId);
    expect(await failure(task.result())).toMatchObject({ type: 'TimedOut' });
    expect((await task.describe()).state.phase).toEqual({ kind: 'terminated', how: 'timedOut' });
  });

  test('cancelled: likewise', async () => {
    const task = await beginGated('cancelled');
    await task.cancel();
    expect(await failure(task.result())).toMatchObject({ type: 'Cancelled' });
    expect((await collect(task)).map(({ type }) => type).filter((type) => /cancel/i.test(type))).toEqual([
      'cancelRequested',
      'stepCancelled',
      'taskCancelled',
    ]);
  });
});

describe('list', () => {
  test('has the tasks of this cadre, the running ones first, with how they stand', async () => {
    const lists = new CadreClient(client.temporal, { cadre: 'lists', artifacts: client.artifacts });
    const plan = { steps: [step('a', 'echo')] };
    for (const id of ['list-1', 'list-2', 'list-3'])
      await lists.start({ goal: `goal\nof ${id}`, plan }, { id });
    await client.temporal.workflow.getHandle('list-2').terminate();
    const read = async (limit?: number) => {
      const found: { id: string; status: string; goal: string }[] = [];
      for await (const { id, status, goal } of lists.list(limit === undefined ? {} : { limit }))
        found.push({ id, status, goal });
      return found;
    };
    await until(
      async () => (await read()).map(({ status }) => status).join() === 'running,running,terminated',
    );
    expect(await read()).toEqual([
      { id: 'list-3', status: 'running', goal: 'goal of list-3' },
      { id: 'list-1', status: 'running', goal: 'goal of list-1' },
      { id: 'list-2', status: 'terminated', goal: 'goal of list-2' },
    ]);
    expect((await read(2)).map(({ id }) => id)).toEqual(['list-3', 'list-1']);
  });

  test('keeps a long goal to 200 characters', async () => {
    const long = new CadreClient(client.temporal, { cadre: 'long', artifacts: client.artifacts });
    await long.start({ goal: 'word '.repeat(1000), plan: { steps: [step('a', 'echo')] } });
    await until(async () => !(await long.list().next()).done);
    const { value } = await long.list().next();
    expect((value as { goal: string }).goal).toHaveLength(200);
  });
});

describe('events', () => {
  test('that follow come as they happen, and end with the task', async () => {
    const task = await beginGated('followed');
    const types: string[] = [];
    const following = (async () => {
      for await (const { type } of task.events({ follow: true })) types.push(type);
    })();
    await until(() => types.includes('stepScheduled'));
    expect(types).not.toContain('taskCompleted');
    gates.get('followed')?.();
    await following;
    expect(types.at(-1)).toBe('taskCompleted');
    expect(types).toEqual((await collect(task)).map(({ type }) => type));
  });

  test('without follow end where the history ends now', async () => {
    const task = await beginGated('not-followed');
    expect((await collect(task)).at(-1)?.type).toMatch(/^step(Scheduled|Started)$/);
    gates.get('not-followed')?.();
    await task.result();
  });

  test('stop at an abort, in the midst of waiting', async () => {
    const task = await beginGated('aborted');
    const controller = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const { type } of task.events({ follow: true, signal: controller.signal })) seen.push(type);
    })().catch((error: unknown) => error);
    await until(() => seen.includes('stepScheduled'));
    controller.abort(new Error('enough'));
    expect(await following).toMatchObject({ message: 'enough' });
    const already = task.events({ signal: AbortSignal.abort(new Error('before')) });
    await expect(already.next()).rejects.toMatchObject({ message: 'before' });
    gates.get('aborted')?.();
    await task.result();
  });

  test('leave no listener on the signal, over however many pages', async () => {
    const { signal } = new AbortController();
    const chain = Array.from({ length: 30 }, (_, index) =>
      step(`s${index}`, 'echo', { needs: index === 0 ? [] : [`s${index - 1}`] }),
    );
    const task = await begin('many-pages', chain);
    let most = 0;
    const types: string[] = [];
    for await (const { type } of task.events({ follow: true, signal })) {
      types.push(type);
      most = Math.max(most, getEventListeners(signal, 'abort').length);
    }
    expect(types.at(-1)).toBe('taskCompleted');
    expect(most).toBe(1);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('may be left in the middle, and read again by another handle to the same numbers', async () => {
    const task = await begin('left');
    await task.result();
    for await (const { number } of task.events({ follow: true })) if (number === 2) break;
    expect(await collect(client.task('left'))).toEqual(await collect(task));
  });
});

test('without the workers’ artifact store a large output is missing, with what to do', async () => {
  const task = await begin('elsewhere', [step('a', 'large')]);
  await task.result();
  const folder = new TemporaryFolder();
  const stranger = new CadreClient(client.temporal, { artifacts: new FileArtifactStore(folder.path) });
  for (const ask of [() => stranger.task('elsewhere').result(), () => stranger.task('elsewhere').outputs()]) {
    await expect(ask()).rejects.toMatchObject({
      type: 'ArtifactMissing',
      fix: expect.stringContaining('CADRE_ARTIFACTS') as string,
    });
  }
  // What needs no store is there for everyone.
  expect((await stranger.task('elsewhere').describe()).state.phase).toEqual({ kind: 'completed' });
  expect(readdirSync(folder.path)).toEqual([]);
  folder.remove();
});

test('connect makes a client by the options, and a closed one says so', async () => {
  const { address } = cadre.server;
  const own = await CadreClient.connect({ address, cadre: 'ours' });
  expect(own.cadre).toBe('ours');
  await own.close();
  await expect(CadreClient.connect({ address, cadre: 'Not A Name' })).rejects.toMatchObject({
    type: 'NameInvalid',
  });
  const temporal = await connect({ address, namespace: 'nowhere', configured: true });
  const lost = new CadreClient(temporal);
  await expect(lost.start({ goal: 'g' })).rejects.toMatchObject({
    message: expect.stringContaining('nowhere') as string,
  });
  await temporal.connection.close();
});

test('the description of a pending step names its worker and its last failure', async () => {
  const task = await beginGated('described');
  const { pending, history, events } = await task.describe();
  expect(pending).toMatchObject([
    {
      step: 'a',
      agent: 'gate',
      kind: 'started',
      attempt: 1,
      worker: expect.stringMatching(/^\d+@/) as string,
    },
  ]);
  expect(history.events).toBeGreaterThan(5);
  expect(events).toBe((await collect(task)).length);
  gates.get('described')?.();
  await task.result();
});

async function collect(
  task: TaskHandle,
  options: Parameters<TaskHandle['events']>[0] = {},
): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of task.events(options)) events.push(event);
  return events;
}
