// The status of a cadre whose server does not say all, or nothing, in time.
import { CadreClient } from '../../src/client/cadre-client';
import { connect } from '../../src/client/connection';
import type { CadreStatus } from '../../src/client/status';
import { type DevServer, startDevServer } from '../support/dev-server';
import { TcpProxy } from '../support/tcp-proxy';

const PARTS = ['leader', 'workers', 'breakers', 'agents', 'open', 'attention'] as const;
/** In ms; on a busy machine timers fire late. */
const ABOUT_A_SECOND = 1600;

let server: DevServer;
let proxy: TcpProxy;
let client: CadreClient;

beforeAll(async () => {
  server = await startDevServer();
  proxy = await TcpProxy.listen(server.address);
  const { namespace } = server;
  client = new CadreClient(await connect({ address: proxy.address, namespace, configured: true }));
}, 60_000);

afterEach(() => jest.restoreAllMocks());

afterAll(async () => {
  await client.close();
  await proxy.close();
  await server.stop();
});

/** A status, and how long it took, in ms. */
async function timed(): Promise<{ status: CadreStatus; took: number }> {
  const began = performance.now();
  const status = await client.status();
  return { status, took: performance.now() - began };
}

const unreadIn = (status: CadreStatus): string[] => PARTS.filter((part) => status[part].kind === 'unread');

test('all of it is read where the server says it', async () => {
  const { status } = await timed();
  expect(unreadIn(status)).toEqual([]);
});

test('what cannot be read says why, and the rest is read', async () => {
  const { workflowService } = client.temporal;
  jest.spyOn(workflowService, 'countWorkflowExecutions').mockRejectedValue(new Error('out of order'));
  const { status } = await timed();
  expect(unreadIn(status)).toEqual(['open']);
  expect(status.open).toEqual({ kind: 'unread', why: expect.stringMatching(/out of order/) });
});

test('what does not come in time is given up, and the rest is read', async () => {
  const { workflowService } = client.temporal;
  jest
    .spyOn(workflowService, 'describeTaskQueue')
    .mockImplementation(() => new Promise(() => undefined) as never);
  const { status, took } = await timed();
  // Who stands for leader is asked of a queue too.
  expect(unreadIn(status)).toEqual(['leader', 'workers']);
  expect(status.workers).toEqual({
    kind: 'unread',
    why: 'no answer within 1 s',
    type: 'ServerUnreachable',
  });
  expect(took).toBeLessThan(ABOUT_A_SECOND);
});

test('a call that the server itself breaks off at its deadline came too late as well', async () => {
  const { workflowService } = client.temporal;
  const late = Object.assign(new Error('4 DEADLINE_EXCEEDED: Deadline exceeded after 0.9s'), { code: 4 });
  jest.spyOn(workflowService, 'describeTaskQueue').mockRejectedValue(late);
  const { status } = await timed();
  expect(status.workers).toMatchObject({ kind: 'unread', why: 'no answer within 1 s' });
});

test('each part has the time that it is given', async () => {
  const { workflowService } = client.temporal;
  jest
    .spyOn(workflowService, 'describeTaskQueue')
    .mockImplementation(() => new Promise(() => undefined) as never);
  const began = performance.now();
  const status = await client.status({ timeLimit: 300 });
  expect(performance.now() - began).toBeLessThan(900);
  expect(status.workers).toMatchObject({ kind: 'unread', why: 'no answer within 0.3 s' });
});

test('while the server is cut off nothing is read, in about a second, and all again when it is back', async () => {
  proxy.set('blackhole');
  const { status, took } = await timed();
  expect(unreadIn(status)).toEqual([...PARTS]);
  expect(took).toBeLessThan(ABOUT_A_SECOND);
  proxy.set('pass');
  const { status: again } = await timed();
  expect(unreadIn(again)).toEqual([]);
});

test('a watch yields at first and at a change, and ends when it is told to', async () => {
  const controller = new AbortController();
  const seen: boolean[] = [];
  for await (const status of client.watchStatus({ signal: controller.signal, interval: 20 })) {
    seen.push(unreadIn(status).length > 0);
    proxy.set(seen.length === 1 ? 'blackhole' : 'pass');
    if (seen.length === 3) controller.abort();
  }
  expect(seen).toEqual([false, true, false]);
}, 30_000);
