import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import type { CadreWorkerOptions } from '../../src/workers/cadre-worker';
import type { ElectionState } from '../../src/core/election';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { Cli, type CliProcess, until } from './cli';
import { type DevServer, startDevServer } from './dev-server';
import { type LoggedTerm, electionState, stands, termsOf } from './election-log';
import { teamSource, workerSource } from './team-source';
import { TemporaryFolder } from './temporary-folder';

/** One line of the ledger that the team's agents keep outside of Temporal. */
export interface Act {
  readonly what: 'began' | 'waits' | 'ended' | 'aborted';
  readonly agent: string;
  readonly task: string;
  readonly step: string;
  readonly key: string;
  readonly attempt: number;
  readonly term: number;
  readonly pid: number;
  /** Milliseconds since 1970, by the process's clock. */
  readonly at: number;
}

/** A real server, and worker processes of one team that are killed, paused and cut off. */
export class TeamProcesses {
  readonly cli: Cli;
  readonly config: string;
  private readonly ledger: string;
  private readonly artifacts: string;
  private readonly clients = new Map<string, CadreClient>();
  private readonly workers = new Map<number, CliProcess>();

  private constructor(
    readonly folder: TemporaryFolder,
    public server: DevServer,
  ) {
    this.cli = Cli.at(server, folder);
    this.ledger = join(folder.path, 'ledger.jsonl');
    this.artifacts = join(folder.path, 'data', 'artifacts');
    appendFileSync(this.ledger, '');
    this.config = folder.write('cadre.config.js', teamSource(folder.path, this.ledger));
  }

  /** The server's database is a file, so that it may be killed and started again. */
  static async start(): Promise<TeamProcesses> {
    const folder = new TemporaryFolder();
    return new TeamProcesses(
      folder,
      await startDevServer({ databaseFile: join(folder.path, 'temporal.db') }),
    );
  }

  async close(): Promise<void> {
    await this.stopWorkers();
    for (const client of this.clients.values()) await client.close();
    await this.server.stop();
    this.folder.remove();
  }

  /** Ends all workers by SIGKILL, paused ones too. */
  async stopWorkers(): Promise<void> {
    await this.cli.stop();
    this.workers.clear();
  }

  /** Ends the server by SIGKILL and starts it again, on the same port and file. */
  async restartServer(): Promise<void> {
    this.server.kill();
    const port = Number(this.server.address.split(':')[1]);
    this.server = await startDevServer({ databaseFile: join(this.folder.path, 'temporal.db'), port });
  }

  /** Starts `cadre worker`, and waits until it is ready. `address` is the server's, unless a proxy's is given. */
  async worker(cadre: string, address = this.server.address): Promise<CliProcess> {
    const command = ['worker', '--config', this.config, '--cadre', cadre];
    return this.ready(this.cli.start(command, { TEMPORAL_ADDRESS: address }));
  }

  /** Starts a worker process with options that `cadre worker` has no flag for, and waits until it is ready. */
  async workerOf(
    options: Pick<CadreWorkerOptions, 'cadre' | 'identity' | 'roles'>,
    address = this.server.address,
  ): Promise<CliProcess> {
    const program = this.folder.write('worker.js', workerSource(this.config, this.artifacts));
    return this.ready(
      this.cli.spawn(process.execPath, [program, JSON.stringify(options)], { TEMPORAL_ADDRESS: address }),
    );
  }

  private async ready(started: CliProcess): Promise<CliProcess> {
    await started.says(/worker ready/);
    this.workers.set(started.pid, started);
    return started;
  }

  /** A client of `cadre`, kept until {@link close}. */
  async client(cadre: string): Promise<CadreClient> {
    const kept = this.clients.get(cadre);
    if (kept !== undefined) return kept;
    const client = await CadreClient.connect({
      address: this.server.address,
      cadre,
      artifacts: new FileArtifactStore(this.artifacts),
    });
    this.clients.set(cadre, client);
    return client;
  }

  /** Starts a task that the `planner` plans. */
  async task(cadre: string, id: string, goal = 'a goal'): Promise<TaskHandle> {
    return (await this.client(cadre)).start({ goal }, { id });
  }

  /** Has `agent` wait in the task `id`, until {@link release}. */
  hold(agent: string, id: string): void {
    writeFileSync(join(this.folder.path, `hold-${agent}-${id}`), '');
  }

  release(agent: string, id: string): void {
    this.folder.removeFile(`hold-${agent}-${id}`);
  }

  async terms(cadre: string): Promise<LoggedTerm[]> {
    return termsOf((await this.client(cadre)).temporal, cadre);
  }

  async election(cadre: string): Promise<ElectionState | undefined> {
    return electionState((await this.client(cadre)).temporal, cadre);
  }

  /** Waits until somebody leads in a higher term than `after`. */
  async leader(cadre: string, after = 0): Promise<{ term: number; worker: CliProcess }> {
    let found: { term: number; worker: CliProcess } | undefined;
    await until(async () => {
      const state = await this.election(cadre);
      const pid = Number(state?.leader?.identity.split('@')[0]);
      const worker = this.workers.get(pid);
      if (state !== undefined && worker !== undefined && state.term > after)
        found = { term: state.term, worker };
      return found !== undefined;
    });
    if (found === undefined) throw new Error('Nobody leads');
    return found;
  }

  /** Waits until the process has asked for a term later than `since` (ms since 1970). Default: ever. */
  async stands(cadre: string, { pid }: CliProcess, since = 0): Promise<void> {
    await stands((await this.client(cadre)).temporal, cadre, `${pid}@`, since);
  }

  /** What `agent` did in the task `id`, in order. */
  acts(agent: string, id: string): Act[] {
    return this.allActs().filter((act) => act.agent === agent && act.task === id);
  }

  allActs(): Act[] {
    if (!existsSync(this.ledger)) return [];
    return readFileSync(this.ledger, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Act);
  }

  /** Waits until `agent` is held up in the task `id` for the `times`th time, and returns that act. */
  async waits(agent: string, id: string, times = 1): Promise<Act> {
    const waiting = (): Act | undefined =>
      this.acts(agent, id).filter(({ what }) => what === 'waits')[times - 1];
    await until(() => waiting() !== undefined);
    const act = waiting();
    if (act === undefined) throw new Error(`${agent} does not wait`);
    return act;
  }
}

/** The task's log, from its first event to the present. */
export async function logOf(task: TaskHandle): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of task.events()) events.push(event);
  return events;
}
