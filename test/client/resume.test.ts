// What a client makes of histories that it cannot read, or not go on with. Pure, but for the last: a fake server.
import {
  Client,
  type Connection,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionInfo,
} from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { resumeExecution, sweepExecutions } from '../../src/client/resume';
import { createTimeSkippingEnvironment } from '../support/time-skipping';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

const EVENT_TIME = { seconds: null, nanos: 0 };
const TERMINATED: HistoryEvent = {
  eventTime: EVENT_TIME,
  eventType: temporal.api.enums.v1.EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
};
const notFound = () => Object.assign(new Error('not found'), { code: 5 });
const payloads = (...values: unknown[]) => ({
  payloads: values.map((value) => defaultPayloadConverter.toPayload(value) ?? {}),
});
/** As a codec that this client does not have leaves it. */
const ENCODED = {
  payloads: [{ metadata: { encoding: Buffer.from('binary/encrypted') }, data: Buffer.from('?') }],
};

interface Fake {
  /** Of the execution `x`; undefined: past its retention. */
  readonly events: readonly HistoryEvent[] | undefined;
  readonly type?: string;
  /** How many executions a list has. */
  readonly listed?: number;
}

/** A client of a server that has an execution `x`, which was terminated, and nothing that goes on with it. */
function clientOf({ events, type = 'saga', listed = 1 }: Fake): {
  client: Client;
  started: string[];
  described: string[];
} {
  const client = new Client({ connection: {} as Connection });
  const started: string[] = [];
  const described: string[] = [];
  const execution = (workflowId: string) =>
    ({
      workflowId,
      runId: `run of ${workflowId}`,
      type,
      taskQueue: 'cadre',
      status: { name: 'TERMINATED' },
      raw: {},
    }) as unknown as WorkflowExecutionInfo;
  jest.spyOn(client.workflow, 'getHandle').mockImplementation(
    (id: string) =>
      ({
        describe: () => {
          described.push(id);
          return id.endsWith('.resume') ? Promise.reject(notFound()) : Promise.resolve(execution(id));
        },
      }) as never,
  );
  jest.spyOn(client.workflow, 'start').mockImplementation((_type, options) => {
    started.push(options.workflowId);
    return Promise.resolve({} as never);
  });
  jest.spyOn(client.workflow, 'list').mockImplementation(({ query } = {}) => {
    const found = query?.includes('Running') ? 0 : listed;
    return Array.from({ length: found }, (_, index) => execution(`x${index}`)) as never;
  });
  const workflowService = {
    getWorkflowExecutionHistory: () =>
      events === undefined ? Promise.reject(notFound()) : Promise.resolve({ history: { events } }),
  };
  Object.defineProperty(client, 'workflowService', { value: workflowService });
  Object.defineProperty(client, 'withAbortSignal', {
    value: (_signal: unknown, call: () => unknown) => call(),
  });
  return { client, started, described };
}

const startedWith = (input: temporal.api.common.v1.IPayloads): HistoryEvent => ({
  eventTime: EVENT_TIME,
  workflowExecutionStartedEventAttributes: { input, firstExecutionRunId: 'first' },
});
/** A step that another agent undoes. */
const scheduled = (step: string): HistoryEvent => ({
  eventTime: EVENT_TIME,
  activityTaskScheduledEventAttributes: {
    activityType: { name: 'worker' },
    input: payloads(
      { root: 'x/first', step, kind: 'act', term: 0, version: 1 },
      { goal: '', instruction: '', outputs: {}, added: { compensate: { agent: 'undoer' } } },
    ),
  },
});
const LOCKED = { name: 'a saga', steps: [{ id: 'a', agent: 'worker' }], lock: 'order-42' };

test('a step of a workflow of any type is gone on with', async () => {
  const { client, started } = clientOf({
    type: 'own',
    events: [startedWith(payloads()), scheduled('a'), TERMINATED],
  });
  await resumeExecution(client, 'cadre', 'x');
  expect(started).toEqual(['x.resume']);
});

test('what is left is taken from the history, and gone on with under an id of its own', async () => {
  const { client, started } = clientOf({ events: [startedWith(payloads(LOCKED)), TERMINATED] });
  expect(await resumeExecution(client, 'cadre', 'x')).toEqual({ id: 'x.resume', of: 'x', started: true });
  expect(started).toEqual(['x.resume']);
});

test('of two who start it at the same time, one does, and both get it', async () => {
  const { client } = clientOf({ events: [startedWith(payloads(LOCKED)), TERMINATED] });
  const start = jest
    .spyOn(client.workflow, 'start')
    .mockRejectedValue(new WorkflowExecutionAlreadyStartedError('started', 'x.resume', 'saga'));
  expect(await resumeExecution(client, 'cadre', 'x')).toEqual({ id: 'x.resume', of: 'x', started: false });
  expect(start.mock.calls[0]?.[1]).toMatchObject({
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    workflowIdConflictPolicy: 'FAIL',
  });
});

test.each<[string, Fake, string, RegExp]>([
  ['past its retention', { events: undefined }, 'TaskNotFound', /past the server's retention/],
  [
    'encoded by a codec that it does not have',
    { events: [startedWith(ENCODED), TERMINATED] },
    'InputInvalid',
    /^The history of x cannot be read: what it was started with cannot be decoded here$/,
  ],
  [
    'of a state that a workflow would refuse',
    { type: 'own', events: [startedWith(payloads()), scheduled('not an id'), TERMINATED] },
    'InputInvalid',
    /^The history of x cannot be read: it is none of a task or saga$/,
  ],
])('a history that is %s is refused, and takes no id', async (_what, fake, type, message) => {
  const { client, started } = clientOf(fake);
  await expect(resumeExecution(client, 'cadre', 'x')).rejects.toMatchObject({
    type,
    message: expect.stringMatching(message) as string,
  });
  expect(started).toEqual([]);
});

test('a sweep looks at the 1,000 that ended last', async () => {
  const { client, started } = clientOf({ events: [startedWith(payloads(LOCKED)), TERMINATED], listed: 1001 });
  const { executions } = await sweepExecutions(client, 'cadre');
  expect(executions).toHaveLength(1000);
  expect(started).toHaveLength(1000);
  expect(started.at(-1)).toBe('x999.resume');
});

test('a sweep that is told to end does so before the next execution', async () => {
  const { client, described } = clientOf({ events: undefined, listed: 3 });
  const signal = AbortSignal.abort();
  expect(await sweepExecutions(client, 'cadre', { signal })).toEqual({ executions: [], locks: [] });
  expect(described).toEqual([]);
});

test('a server that lists nothing, such as one whose clock skips waits, is no error', async () => {
  const server = await createTimeSkippingEnvironment();
  const overNative = new Client({ connection: server.nativeConnection });
  for (const client of [server.client, overNative]) {
    expect(await sweepExecutions(client, 'cadre')).toEqual({ executions: [], locks: [] });
  }
  await server.teardown();
}, 60_000);
