import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import type { CadreWorkerOptions } from '../../src/workers/cadre-worker';
import type { ElectionState } from '../../src/core/election';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { type CliProcess, jsonLines, until } from './cli';
import { CliStage } from './cli-stage';
import type { DevServer } from './dev-server';
import { type LoggedTerm, electionState, stands, termsOf } from './election-log';
import { teamSource, workerSource } from './team-source';

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
  readonly config: string;
  private readonly ledger: string;
  private readonly workers = new Map<number, CliProcess>();

  private constructor(private readonly cli: CliStage) {
    const { folder } = cli;
    this.ledger = join(folder.path, 'ledger.jsonl');
    appendFileSync(this.ledger, '');
    this.config = folder.write('cadre.config.js', teamSource(folder.path, this.ledger));
  }

  static async start(): Promise<TeamProcesses> {
    return new TeamProcesses(await CliStage.start({ onDisk: true }));
  }

  close(): Promise<void> {
    return this.cli.close();
  }

  get server(): DevServer {
    return this.cli.server;
  }

  /** Ends all workers by SIGKILL, paused ones too. */
  async stopWorkers(): Promise<void> {
    await this.cli.stop();
    this.workers.clear();
  }

  /** Ends the server by SIGKILL and starts it again, on the same port and file. */
  async restartServer(): Promise<void> {
    this.server.kill();
    await this.cli.startServerAgain();
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
    const program = this.cli.folder.write('worker.js', workerSource(this.config, this.cli.artifacts));
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
  client(cadre: string): Promise<CadreClient> {
    return this.cli.client(cadre);
  }

  /** Starts a task that the `planner` plans. */
  async task(cadre: string, id: string, goal = 'a goal'): Promise<TaskHandle> {
    return (await this.client(cadre)).start({ goal }, { id });
  }

  /** Has `agent` wait in the task `id`, until {@link release}. */
  hold(agent: string, id: string): void {
    this.cli.folder.write(`hold-${agent}-${id}`, '');
  }

  release(agent: string, id: string): void {
    this.cli.folder.removeFile(`hold-${agent}-${id}`);
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
    return jsonLines<Act>(readFileSync(this.ledger, 'utf8'));
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
