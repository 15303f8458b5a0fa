import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from '../../src/storage/folders';
import {
  type ServerArguments,
  fetchServerBinary,
  pickPort,
  startEmbeddedServer,
} from '../../src/workers/server';

/** A real Temporal server for a test file. */
export interface DevServer {
  /** `127.0.0.1:<port>`, for `Connection.connect` and `NativeConnection.connect`. */
  readonly address: string;
  readonly namespace: string;
  readonly pid: number;
  /** Ends the server and removes its log. Call it in `afterAll`. */
  readonly stop: () => Promise<void>;
  /** Ends the server by SIGKILL, as a crash would. */
  readonly kill: () => void;
}

/**
 * Starts a server on a free port with the settings of the embedded one. Its database is in memory, unless a file is
 * given. The binary is CADRE_TEMPORAL_BINARY, else what is on PATH or in the cache: a test fetches nothing.
 */
export async function startDevServer(
  options: Pick<Partial<ServerArguments>, 'databaseFile' | 'port' | 'settings'> = {},
): Promise<DevServer> {
  const binary = await fetchServerBinary({
    cacheFolder: cacheFolder(),
    say: () => undefined,
    atHand: true,
  });
  const folder = await mkdtemp(join(tmpdir(), 'cadre-dev-server-'));
  const port = options.port ?? (await pickPort([]));
  const server = await startEmbeddedServer({ binary, port, logFile: join(folder, 'server.log'), ...options });
  const { address, namespace, pid, kill } = server;
  const stop = async (): Promise<void> => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return { address, namespace, pid, stop, kill };
}
