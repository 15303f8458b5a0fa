/**
 * The Temporal workers of one process. Owns their composition: which queue is served with what. It does not
 * connect, read the environment or exit; its caller does.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { type NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { createActivities } from '../activities/create-activities';
import type { AnyAgent } from '../activities/define-agent';
import { CadreError } from '../core/failures';
import { DEFAULT_CADRE, MAIN, poolQueue, taskQueue, validName } from '../core/names';
import type { ArtifactStore } from '../storage/artifact-store';
import { PREBUILT_BUNDLE, workerIdentity } from './build-id';
import { queueStatus } from './queue-status';

export interface CadreWorkerOptions {
  readonly connection: NativeConnection;
  /** Default `default`. */
  readonly namespace?: string;
  /** Name of the cadre. Default `cadre`. */
  readonly cadre?: string;
  /** All agents of the cadre; every worker registers the same. */
  readonly agents: readonly AnyAgent[];
  readonly artifacts: ArtifactStore;
  /**
   * What to serve: `main` is workflows and the agents without a pool; every other name is a pool.
   * Default: `main` and every pool of the agents.
   */
  readonly serve?: readonly string[];
  /** Module of your own workflows, which also exports ours (`export * from 'cadre/workflow'`). Default: ours, prebuilt. */
  readonly workflowsPath?: string;
  /** Agents that act at once, a queue. Default 100; 1 to 1,000. */
  readonly concurrency?: number;
  /** How long a worker told to stop lets its agents finish before it hands them back, in ms. Default 10,000. */
  readonly shutdownGrace?: number;
}

/** A process's part in a cadre: made with {@link CadreWorker.create}, then run once. */
export class CadreWorker {
  private constructor(
    private readonly workers: readonly Worker[],
    /** The task queues it serves. */
    readonly queues: readonly string[],
    readonly identity: string,
  ) {}

  /** Throws NameInvalid, ConfigInvalid (two agents of one name, a pool that no agent is in), or what Temporal throws. */
  static async create(options: CadreWorkerOptions): Promise<CadreWorker> {
    const cadre = validName('cadre', options.cadre ?? DEFAULT_CADRE);
    const serve = servedPools(options.agents, options.serve);
    const identity = workerIdentity();
    const created: Worker[] = [];
    const queues = serve.map((pool) => (pool === MAIN ? taskQueue(cadre) : poolQueue(cadre, pool)));
    for (const [index, queue] of queues.entries()) {
      created.push(
        await Worker.create(workerOptions(options, cadre, queue, identity, serve[index] === MAIN)),
      );
    }
    return new CadreWorker(created, queues, identity);
  }

  /** Serves until {@link shutdown}, then resolves; rejects where a worker broke down. */
  async run(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.run()));
  }

  /** Serves while `work` runs, and returns what it returns. Rejects where a worker breaks down before. */
  async runUntil<Result>(work: () => Promise<Result>): Promise<Result> {
    const running = this.run();
    const brokenDown = new Promise<never>((_resolve, reject) => void running.catch(reject));
    try {
      return await Promise.race([work(), brokenDown]);
    } finally {
      this.shutdown();
      await running;
    }
  }

  /** Takes no more work; {@link run} resolves when what it has is finished or handed back. */
  shutdown(): void {
    for (const worker of this.workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  }
}

/**
 * What to serve: `wanted`, else `main` and every pool of the agents. Throws ConfigInvalid where no agent is in a
 * wanted pool.
 */
export function servedPools(agents: readonly AnyAgent[], wanted?: readonly string[]): readonly string[] {
  const pools = new Set(agents.flatMap(({ pool }) => pool ?? []));
  for (const pool of wanted ?? []) {
    if (pool === MAIN || pools.has(pool)) continue;
    const known = [...pools].join(', ') || 'none';
    throw new CadreError(
      'ConfigInvalid',
      `No agent is in the pool "${pool}" (pools of the agents: ${known})`,
    );
  }
  return wanted ?? [MAIN, ...pools];
}

function workerOptions(
  options: CadreWorkerOptions,
  cadre: string,
  queue: string,
  identity: string,
  main: boolean,
): WorkerOptions {
  const { connection, namespace = 'default', agents, artifacts } = options;
  const client = new Client({ connection, namespace });
  return {
    connection,
    namespace,
    taskQueue: queue,
    identity,
    activities: createActivities({ cadre, agents, artifacts, queueStatus: queueStatus(client) }),
    ...(main ? workflowOptions(options) : {}),
    maxConcurrentActivityTaskExecutions: options.concurrency ?? 100,
    // A heartbeat is also how a cancellation reaches the agent: the SDK's default holds it back for 0.8 of the timeout.
    maxHeartbeatThrottleInterval: 1000,
    shutdownGraceTime: options.shutdownGrace ?? 10_000,
  };
}

function workflowOptions({ workflowsPath }: CadreWorkerOptions): Partial<WorkerOptions> {
  const prebuilt = workflowsPath === undefined && existsSync(PREBUILT_BUNDLE);
  return {
    ...(prebuilt
      ? { workflowBundle: { codePath: PREBUILT_BUNDLE } }
      : { workflowsPath: workflowsPath ?? join(__dirname, '..', 'workflows', 'index') }),
    // After a worker's death its cached workflows wait for it so long; the default of 10 s is most of a failover.
    stickyQueueScheduleToStartTimeout: 1000,
  };
}
