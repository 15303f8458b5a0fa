import { join } from 'node:path';
import { CadreClient } from '../../src/client/cadre-client';
import { connect } from '../../src/client/connection';
import { DEFAULT_CADRE } from '../../src/core/names';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { Cli } from './cli';
import { type DevServer, startDevServer } from './dev-server';
import { TemporaryFolder } from './temporary-folder';

/** The CLI in a folder and on a real server of the test's own, and clients that share its processes' artifacts. */
export class CliStage extends Cli {
  /** The folder of the artifact store. */
  readonly artifacts: string;
  private readonly clients = new Map<string, CadreClient>();

  private constructor(
    folder: TemporaryFolder,
    public server: DevServer,
    private readonly databaseFile: string | undefined,
  ) {
    super(folder, { TEMPORAL_ADDRESS: server.address });
    this.artifacts = join(folder.path, 'data', 'artifacts');
  }

  /** `onDisk`: the server's database is a file, so that it may be killed and started again. Default: in memory. */
  static async start({ onDisk = false }: { onDisk?: boolean } = {}): Promise<CliStage> {
    const folder = new TemporaryFolder();
    const databaseFile = onDisk ? join(folder.path, 'temporal.db') : undefined;
    return new CliStage(folder, await startServer(databaseFile), databaseFile);
  }

  /** Starts the server on its port and file again, after `server.kill()`. */
  async startServerAgain(): Promise<void> {
    if (this.databaseFile === undefined) throw new Error('The server had its database in memory');
    this.server = await startServer(this.databaseFile, Number(this.server.address.split(':')[1]));
  }

  /** A client of `cadre`, kept until {@link close}. */
  async client(cadre = DEFAULT_CADRE): Promise<CadreClient> {
    const kept = this.clients.get(cadre);
    if (kept !== undefined) return kept;
    const { address, namespace } = this.server;
    const temporal = await connect({ address, namespace, configured: true });
    const client = new CadreClient(temporal, { cadre, artifacts: new FileArtifactStore(this.artifacts) });
    this.clients.set(cadre, client);
    return client;
  }

  /** Ends the processes, the clients and the server, and removes the folder. Call it in `afterAll`. */
  async close(): Promise<void> {
    await this.stop();
    for (const client of this.clients.values()) await client.close();
    await this.server.stop();
    this.folder.remove();
  }
}

function startServer(databaseFile: string | undefined, port?: number): Promise<DevServer> {
  return startDevServer({
    ...(databaseFile === undefined ? {} : { databaseFile }),
    ...(port === undefined ? {} : { port }),
  });
}
