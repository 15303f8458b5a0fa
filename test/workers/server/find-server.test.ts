// Needs a real Temporal CLI: CADRE_TEMPORAL_BINARY, PATH or the cache. Its servers listen on free ports.
import { fixFor } from '../../../src/core/failures';
import { readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { CadreError } from '../../../src/core/failures';
import { cacheFolder } from '../../../src/storage/folders';
import {
  type EmbeddedServer,
  type FindServerOptions,
  type TemporalServer,
  fetchServerBinary,
  findOrStartServer,
  pickPort,
  startEmbeddedServer,
} from '../../../src/workers/server';
import { TemporaryFolder } from '../../support/temporary-folder';

const DAY_SECONDS = 24 * 60 * 60;

let folder: TemporaryFolder;
let said: string[];
let stops: Array<() => Promise<unknown>>;

beforeEach(() => {
  folder = new TemporaryFolder();
  said = [];
  stops = [];
});

afterEach(async () => {
  for (const stop of stops.toReversed()) await stop();
  folder.remove();
});

async function find(more: Partial<FindServerOptions> = {}): Promise<TemporalServer> {
  const server = await findOrStartServer({
    say: (line) => void said.push(line),
    dataFolder: join(folder.path, 'data'),
    cacheFolder: cacheFolder(),
    atHand: true,
    port: await pickPort([]),
    uiPort: await pickPort([]),
    ...more,
  });
  stops.push(server.stop);
  return server;
}

async function client(address: string): Promise<Client> {
  const connection = await Connection.connect({ address });
  stops.push(() => connection.close());
  return new Client({ connection });
}

/** Something that listens and is not Temporal: it takes connections and says nothing. */
async function listen(): Promise<number> {
  const sockets: Socket[] = [];
  const server: Server = createServer(
    (socket) => void sockets.push(socket.on('error', () => undefined).resume()),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

async function failureOf(promise: Promise<unknown>): Promise<CadreError> {
  return promise.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => error as CadreError,
  );
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('a configured server', () => {
  test('that does not answer is an error, and no other server takes its place', async () => {
    const running = await find();
    const port = Number(running.address.split(':')[1]);
    const address = `127.0.0.1:${await pickPort([])}`;
    const started = Date.now();
    const error = await failureOf(find({ configured: { address, namespace: 'default' }, port }));
    expect(error.type).toBe('ServerUnreachable');
    expect(error.message).toContain(address);
    expect(Date.now() - started).toBeLessThan(8000);
  });

  test('that answers is used, with its namespace, and left running', async () => {
    const running = await find();
    const found = await find({ configured: { address: running.address, namespace: 'mine' } });
    expect(found).toMatchObject({ origin: 'configured', address: running.address, namespace: 'mine' });
    expect(found.version).toMatch(/^\d+\.\d+/);
    await found.stop();
    await (await client(running.address)).workflowService.getSystemInfo({});
  });
});

describe('a server of our own', () => {
  test('serves a namespace that keeps closed workflows for 30 days, and a Web UI', async () => {
    const server = await find();
    expect(server).toMatchObject({ origin: 'started', namespace: 'default' });
    const { workflowService } = await client(server.address);
    const { config } = await workflowService.describeNamespace({ namespace: 'default' });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(30 * DAY_SECONDS);
    const answer = await fetch(server.uiUrl ?? '');
    expect(answer.status).toBe(200);
  });

  test('opens the same history again after it was stopped', async () => {
    const first = await find();
    const { workflow } = await client(first.address);
    await workflow.start('task', { taskQueue: 'none', workflowId: 'yesterday' });
    await first.stop();
    const second = await find();
    const found = await (await client(second.address)).workflow.getHandle('yesterday').describe();
    expect(found.status.name).toBe('RUNNING');
  });

  test('keeps its history when it is killed', async () => {
    const first = await find();
    const { workflow } = await client(first.address);
    await workflow.start('task', { taskQueue: 'none', workflowId: 'killed' });
    first.kill();
    const second = await find();
    const found = await (await client(second.address)).workflow.getHandle('killed').describe();
    expect(found.status.name).toBe('RUNNING');
  });

  test('is found by the next start, and not stopped by it', async () => {
    const [port, uiPort] = [await pickPort([]), await pickPort([])];
    const first = await find({ port, uiPort });
    const second = await find({ port, uiPort });
    expect(second).toMatchObject({ origin: 'running', address: first.address, uiUrl: first.uiUrl });
    await second.stop();
    await (await client(first.address)).workflowService.getSystemInfo({});
  });

  test('is found on another port than the usual one, by the record in the data folder', async () => {
    const first = await find();
    expect(await find()).toMatchObject({ origin: 'running', address: first.address });
  });

  test('is started once by two processes at once', async () => {
    const found = await Promise.all([find(), find()]);
    expect(found.map(({ origin }) => origin).toSorted()).toEqual(['running', 'started']);
    expect(found[0].address).toBe(found[1].address);
  });

  test('says so when it ends without being told to', async () => {
    const server = await find();
    const { pid } = JSON.parse(readFileSync(join(folder.path, 'data', 'server.json'), 'utf8')) as {
      pid: number;
    };
    process.kill(pid, 'SIGKILL');
    while (said.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(said[0]).toMatch(/ended by itself; see .*server\.log/);
    await server.stop();
  });

  test('is gone after stop, which may be called twice', async () => {
    const server = await find();
    const { pid } = JSON.parse(readFileSync(join(folder.path, 'data', 'server.json'), 'utf8')) as {
      pid: number;
    };
    await Promise.all([server.stop(), server.stop()]);
    expect(isAlive(pid)).toBe(false);
  });

  test('is not started, and leaves nothing, when the start is called off', async () => {
    const abort = new AbortController();
    const found = find({ signal: abort.signal });
    setTimeout(() => abort.abort(new Error('interrupted')), 30);
    await expect(found).rejects.toThrow('interrupted');
  });
});

describe('a port that is taken', () => {
  test('by something that is not Temporal is said, and another is used', async () => {
    const [port, uiPort] = [await listen(), await listen()];
    const server = await find({ port, uiPort });
    expect(server.origin).toBe('started');
    expect(server.address).not.toBe(`127.0.0.1:${port}`);
    expect(said).toEqual([
      expect.stringContaining(`Port ${port} is taken by something that is not Temporal`),
      expect.stringContaining(`Port ${uiPort} is taken; the Web UI is on`),
    ]);
    expect((await fetch(server.uiUrl ?? '')).status).toBe(200);
  });
});

describe('a database that another server has open', () => {
  test('is refused with the file and what to do', async () => {
    await find();
    // Without it nobody can tell where the other server is.
    rmSync(join(folder.path, 'data', 'server.json'));
    const { type, message } = await failureOf(find());
    expect(type).toBe('DatabaseInUse');
    expect(message).toMatch(/temporal\.db is open in another Temporal server/);
    expect(fixFor(type)).toMatch(/TEMPORAL_ADDRESS.*CADRE_DATA/);
  });
});

describe('startEmbeddedServer', () => {
  test('gives the end of the log when the server ends at once', async () => {
    const binary = folder.script('temporal', 'echo "unknown flag: --sqlite-pragma" >&2; exit 1');
    const logFile = join(folder.path, 'server.log');
    const { type, message } = await failureOf(
      startEmbeddedServer({ binary, port: await pickPort([]), logFile }),
    );
    expect(type).toBe('ServerUnavailable');
    expect(message).toMatch(/ended at once/);
    expect(message).toContain('unknown flag: --sqlite-pragma');
  });

  test('kills a server that does not heed SIGTERM', async () => {
    const real = await fetchServerBinary({ cacheFolder: cacheFolder(), say: () => undefined, atHand: true });
    // The server itself ends; the shell that started it does not.
    const binary = folder.script('temporal', 'trap "" TERM', `"${real}" "$@"`, 'sleep 60');
    const server: EmbeddedServer = await startEmbeddedServer({
      binary,
      port: await pickPort([]),
      logFile: join(folder.path, 'server.log'),
      grace: 500,
    });
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
  });
});
