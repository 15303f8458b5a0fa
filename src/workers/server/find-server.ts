import { rmSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ResolvedConnection, connect } from '../../client/connection';
import { isCadreError } from '../../core/failures';
import { type EmbeddedServer, startEmbeddedServer } from './embedded-server';
import { withFileLock } from './file-lock';
import { pickPort } from './ports';
import { findWebUi, listens, probe } from './probe';
import { EMBEDDED_NAMESPACE } from './settings';
import { type BinaryOptions, fetchServerBinary } from './temporal-binary';

const PORT = 7233;
const UI_PORT = 8233;
/** Added to a preferred port that is taken: 17233 and 18233. */
const SECOND_CHOICE = 10_000;
/** How often a start is tried, and the ms between. */
const STARTS = 3;
const START_PAUSE = 500;
/** How long, in ms, a port of this machine may take to accept a connection. */
const LISTENER_PATIENCE = 3000;

export interface FindServerOptions extends BinaryOptions {
  /** From a flag, TEMPORAL_ADDRESS or a profile. Then this server, and no other, is used. */
  readonly configured?: Omit<ResolvedConnection, 'configured'>;
  /** Holds the database, the log and, while a server runs, where it is. */
  readonly dataFolder: string;
  /** Where a running server is looked for, and our own listens if it can. Default 7233. */
  readonly port?: number;
  /** Where the Web UI of our own listens if it can. Default 8233. */
  readonly uiPort?: number;
}

export interface TemporalServer {
  readonly address: string;
  readonly namespace: string;
  /** Where known. */
  readonly uiUrl?: string;
  readonly origin: 'configured' | 'running' | 'started';
  readonly version?: string;
  /** Resolves when a server that we started has ended, for whatever reason; never for another. */
  readonly ended: Promise<void>;
  /** Ends a server that we started; does nothing to another. May be called again. */
  readonly stop: () => Promise<void>;
  /** Ends a server that we started at once (SIGKILL): for a second Ctrl-C. Its history stays whole. */
  readonly kill: () => void;
}

/**
 * The server to use: the configured one, one that runs on this machine, or one that is started, with its history
 * on disk. Throws ServerUnreachable where the configured one does not answer within 5 s, ServerUnavailable where
 * none can be started, and the signal's reason when aborted.
 */
export async function findOrStartServer(options: FindServerOptions): Promise<TemporalServer> {
  if (options.configured !== undefined) return useConfigured(options.configured);
  return (await findRunningServer(options)) ?? startOrJoin(options);
}

async function useConfigured(configured: Omit<ResolvedConnection, 'configured'>): Promise<TemporalServer> {
  const { address, namespace } = configured;
  const client = await connect({ ...configured, configured: true });
  try {
    const { serverVersion } = await client.workflowService.getSystemInfo({});
    const port = /^(?:127\.0\.0\.1|localhost):(\d+)$/.exec(address)?.[1];
    return {
      address,
      namespace,
      origin: 'configured',
      ...NOT_OURS,
      ...known(serverVersion, await webUi(port)),
    };
  } finally {
    await client.connection.close();
  }
}

/** How to find a server that runs on this machine. */
export type RunningServerOptions = Pick<FindServerOptions, 'port' | 'dataFolder'>;

/** A place of this machine where a server may be, with its Web UI's where that was written down. */
interface Place {
  readonly port: number;
  readonly uiUrl?: string | undefined;
}

/** The usual port, then that of the server that this data folder's last start left running. */
async function places({ port = PORT, dataFolder }: RunningServerOptions): Promise<readonly Place[]> {
  const recorded = await readRecord(dataFolder);
  if (recorded === undefined) return [{ port }];
  return recorded.port === port ? [recorded] : [{ port }, recorded];
}

/**
 * Where something takes connections on this machine that may be a server: for a caller that connects, which finds out
 * what it is at less cost than {@link findRunningServer} and a connection. `uiUrl` where it was written down.
 */
export async function findListeners(
  options: RunningServerOptions,
): Promise<{ address: string; uiUrl?: string | undefined }[]> {
  const found = [];
  for (const { port, uiUrl } of await places(options))
    if (await listens(port, LISTENER_PATIENCE)) found.push({ address: `127.0.0.1:${port}`, uiUrl });
  return found;
}

/** A server on the usual port, else the one that this data folder's last start left running. */
export async function findRunningServer(options: RunningServerOptions): Promise<TemporalServer | undefined> {
  for (const { port, uiUrl: recorded } of await places(options)) {
    const answer = await probe(port);
    if (answer.kind !== 'temporal') continue;
    const uiUrl = recorded ?? (await findWebUi(port));
    return {
      address: `127.0.0.1:${port}`,
      namespace: EMBEDDED_NAMESPACE,
      origin: 'running',
      ...NOT_OURS,
      ...known(answer.version, uiUrl),
    };
  }
  return undefined;
}

/** Of processes that start at once, the first starts a server, and the others use it. */
async function startOrJoin(options: FindServerOptions): Promise<TemporalServer> {
  const binary = await fetchServerBinary(options);
  const lock = join(options.dataFolder, 'server.lock');
  const onWait = (): void => options.say('Another process is starting the Temporal server; waiting for it.');
  return withFileLock(lock, { signal: options.signal, onWait }, async () => {
    for (let left = STARTS - 1; ; left -= 1) {
      const running = await findRunningServer(options);
      if (running !== undefined) return running;
      try {
        return await start(binary, options);
      } catch (error) {
        // A port may be taken in between, and a server that was killed holds its database a moment longer.
        if (left === 0 || !mayPass(error)) throw error;
        await delay(START_PAUSE);
      }
    }
  });
}

async function start(binary: string, options: FindServerOptions): Promise<TemporalServer> {
  const { dataFolder, signal, environment } = options;
  const { port, uiPort } = await pickPorts(options);
  const server = await startEmbeddedServer({
    binary,
    port,
    uiPort,
    signal,
    databaseFile: join(dataFolder, 'temporal.db'),
    logFile: join(dataFolder, 'server.log'),
    ...(environment === undefined ? {} : { environment }),
  });
  await writeRecord(dataFolder, { pid: server.pid, port, uiUrl: server.uiUrl });
  const { address, namespace, version, uiUrl } = server;
  return { address, namespace, origin: 'started', ...known(version, uiUrl), ...endings(server, options) };
}

/** How our server is ended; says so when it ends without that. */
function endings(
  server: EmbeddedServer,
  { say, dataFolder }: FindServerOptions,
): Pick<TemporalServer, 'ended' | 'stop' | 'kill'> {
  let expected = false;
  void server.ended.then(() => {
    if (!expected) say(`The Temporal server has ended by itself; see ${join(dataFolder, 'server.log')}.`);
  });
  return {
    ended: server.ended,
    stop: async () => {
      expected = true;
      await server.stop();
      await rm(recordFile(dataFolder), { force: true });
    },
    kill: () => {
      expected = true;
      server.kill();
      rmSync(recordFile(dataFolder), { force: true });
    },
  };
}

async function pickPorts({
  port = PORT,
  uiPort = UI_PORT,
  say,
}: FindServerOptions): Promise<{ port: number; uiPort: number }> {
  const picked = await pickPort(choices(port));
  const pickedUi = await pickPort(choices(uiPort), [picked]);
  if (picked !== port) say(`Port ${port} is taken by something that is not Temporal; using ${picked}.`);
  if (pickedUi !== uiPort) say(`Port ${uiPort} is taken; the Web UI is on ${pickedUi}.`);
  return { port: picked, uiPort: pickedUi };
}

function choices(port: number): number[] {
  return [port, port + SECOND_CHOICE].filter((choice) => choice > 0 && choice < 65_536);
}

function mayPass(error: unknown): boolean {
  if (!isCadreError(error)) return false;
  const { details } = error;
  if (typeof details !== 'object' || details === null || !('failure' in details)) return false;
  return details.failure === 'portTaken' || details.failure === 'databaseInUse';
}

/** Where the server of a data folder is, in `server.json`, while it runs. */
interface ServerRecord {
  readonly pid: number;
  readonly port: number;
  readonly uiUrl?: string | undefined;
}

async function readRecord(dataFolder: string): Promise<ServerRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(recordFile(dataFolder), 'utf8')) as ServerRecord;
    // Throws where the process is gone: another server may have the port by now.
    process.kill(record.pid, 0);
    return record;
  } catch {
    return undefined;
  }
}

async function writeRecord(dataFolder: string, record: ServerRecord): Promise<void> {
  await writeFile(recordFile(dataFolder), JSON.stringify(record));
}

function recordFile(dataFolder: string): string {
  return join(dataFolder, 'server.json');
}

async function webUi(port: string | undefined): Promise<string | undefined> {
  return port === undefined ? undefined : findWebUi(Number(port));
}

function known(
  version: string | null | undefined,
  uiUrl: string | undefined,
): { version?: string; uiUrl?: string } {
  return { ...(version ? { version } : {}), ...(uiUrl === undefined ? {} : { uiUrl }) };
}

/** What ends a server that somebody else started, as far as is known here: nothing. */
const NOT_OURS = { ended: new Promise<void>(() => {}), stop: async () => {}, kill: () => {} } as const;
