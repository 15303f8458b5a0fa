import { type Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { connect } from '../../src/client/connection';
import { candidatesQueue, taskQueue } from '../../src/core/names';
import { PREBUILT_BUNDLE } from '../../src/workers/build-id';
import { Candidate, type CandidateOptions } from '../../src/workers/leadership/candidate';
import { ensureElection } from '../../src/workers/leadership/ensure-election';
import { installRuntime } from '../../src/workers/runtime';
import { type DevServer, startDevServer } from './dev-server';
import { electionState } from './election-log';
import { TemporaryFolder } from './temporary-folder';
import type { ElectionState } from '../../src/core/election';
import { until } from './cli';

interface Running {
  readonly stop: () => Promise<void>;
}

/** A real server, and elections whose candidates are in the test's own process, where the test says what they do. */
export class Candidates {
  readonly folder = new TemporaryFolder();
  private readonly running: Running[] = [];

  private constructor(
    readonly server: DevServer,
    readonly client: Client,
    private readonly connection: NativeConnection,
  ) {}

  static async start(): Promise<Candidates> {
    installRuntime('ERROR');
    const server = await startDevServer();
    const { address, namespace } = server;
    const client = await connect({ address, namespace, configured: true });
    return new Candidates(server, client, await NativeConnection.connect({ address }));
  }

  async close(): Promise<void> {
    await this.stop();
    await this.connection.close();
    if (this.client.connection instanceof Connection) await this.client.connection.close();
    await this.server.stop();
    this.folder.remove();
  }

  /** Ends what runs, the election's own worker last. */
  async stop(): Promise<void> {
    for (const one of this.running.splice(0).toReversed()) await one.stop();
  }

  /** Runs elections of `cadre`. */
  async hostElection(cadre: string): Promise<void> {
    await this.run({
      taskQueue: taskQueue(cadre),
      workflowBundle: { codePath: PREBUILT_BUNDLE },
      stickyQueueScheduleToStartTimeout: 1000,
    });
    await ensureElection(this.client, cadre);
  }

  /** Takes terms of `cadre`, and does `lead` with them. */
  async takeTerms(cadre: string, lead: () => Promise<void>): Promise<Running> {
    return this.run({ taskQueue: candidatesQueue(cadre), activities: { lead } });
  }

  /**
   * Has a candidate stand, which as the leader does nothing unless it is given a seat. It is told to stop by what is
   * returned, or by {@link stop}.
   */
  async stand(
    cadre: string,
    options: Pick<CandidateOptions, 'identity'> & Partial<Pick<CandidateOptions, 'seat'>>,
  ): Promise<Running> {
    const { address } = this.server;
    const connection = await NativeConnection.connect({ address });
    const candidate = new Candidate({
      seat: { lead: () => undefined, leave: () => undefined },
      ...options,
      client: this.client,
      connection,
      namespace: this.server.namespace,
      cadre,
    });
    const serve = async (): Promise<void> => {
      try {
        await candidate.run();
      } finally {
        await connection.close();
      }
    };
    return this.keep(serve(), () => candidate.shutdown());
  }

  election(cadre: string): Promise<ElectionState | undefined> {
    return electionState(this.client, cadre);
  }

  /** Waits until `identity` leads in a higher term than `after`; returns the term. */
  async leads(cadre: string, identity: string, after = 0): Promise<number> {
    let term = 0;
    await until(async () => {
      const state = await this.election(cadre);
      if (state?.leader?.identity === identity) term = state.term;
      return term > after;
    });
    return term;
  }

  private async run(options: Omit<Parameters<typeof Worker.create>[0], 'connection'>): Promise<Running> {
    const worker = await Worker.create({ ...options, connection: this.connection });
    return this.keep(worker.run(), () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    });
  }

  private keep(ended: Promise<void>, shutdown: () => void): Running {
    const running = {
      stop: async () => {
        shutdown();
        await ended;
      },
    };
    this.running.push(running);
    return running;
  }
}
