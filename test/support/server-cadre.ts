import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NativeConnection } from '@temporalio/worker';
import type { AnyAgent } from '../../src/activities/define-agent';
import { CadreClient } from '../../src/client/cadre-client';
import { connect } from '../../src/client/connection';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { CadreWorker, type CadreWorkerOptions } from '../../src/workers/cadre-worker';
import { installRuntime } from '../../src/workers/runtime';
import { type DevServer, startDevServer } from './dev-server';

/** A cadre on a real server: what must not be tested on the test server, which differs where it matters. */
export interface ServerCadre {
  readonly server: DevServer;
  readonly client: CadreClient;
  /** For workers of the test's own. */
  readonly connection: NativeConnection;
  readonly close: () => Promise<void>;
}

/** Starts a server with its database in memory, a worker with `agents`, and a client. */
export async function startServerCadre(
  agents: readonly AnyAgent[],
  {
    roles,
    serve,
    budget,
    ...options
  }: Parameters<typeof startDevServer>[0] & Pick<CadreWorkerOptions, 'roles' | 'serve' | 'budget'> = {},
): Promise<ServerCadre> {
  installRuntime('ERROR');
  const server = await startDevServer(options);
  const folder = await mkdtemp(join(tmpdir(), 'cadre-server-test-'));
  const artifacts = new FileArtifactStore(folder);
  const temporal = await connect({ address: server.address, namespace: server.namespace, configured: true });
  const connection = await NativeConnection.connect({ address: server.address });
  const worker = await CadreWorker.create({
    connection,
    agents,
    artifacts,
    shutdownGrace: 1000,
    ...(roles === undefined ? {} : { roles }),
    ...(serve === undefined ? {} : { serve }),
    ...(budget === undefined ? {} : { budget }),
  });
  const running = worker.run();
  return {
    server,
    connection,
    client: new CadreClient(temporal, { artifacts }),
    async close() {
      worker.shutdown();
      await running;
      await connection.close();
      await temporal.connection.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
