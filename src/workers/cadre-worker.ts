/**
 * The Temporal workers of one process. Owns their composition: which queue is served with what. It does not
 * connect, read the environment or exit; its caller does.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { type NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { createActivities } from '../activities/create-activities';
import type { AnyAgent } from '../activities/define-agent';
import { Breakers } from '../activities/breaker/breakers';
import { Budgets } from '../activities/budget/budgets';
import { Memory } from '../activities/knowledge/memory';
import { TemporalReplicas } from '../client/agents';
import { TemporalBreakers } from '../client/breakers';
import { TemporalBudgets } from '../client/budgets';
import { membersOf } from '../core/agent/members';
import { TemporalLocks } from '../client/locks';
import type { DailyBudget } from '../core/budget/budget';
import { CadreError } from '../core/failures';
import { DEFAULT_CADRE, MAIN, breakersQueue, poolQueue, taskQueue, validName } from '../core/names';
import type { ArtifactStore } from '../storage/artifact-store';
import { ledgerFile } from '../storage/folders';
import type { EffectLedger } from '../storage/effect-ledger';
import { FileLedger } from '../storage/file-ledger';
import { ROLES, type Role } from '../core/roles';
import { STREAM_INTERVAL } from '../core/text-stream';
import { PREBUILT_BUNDLE, workerIdentity } from './build-id';
import { Candidate } from './leadership/candidate';
import { LeaderWorker } from './leadership/leader-worker';
import { queueStatus } from './queue-status';
import { stopWorker } from './stop-worker';
import { StartingSweep } from './sweep';

export interface CadreWorkerOptions {
  readonly connection: NativeConnection;
  /** Default `default`. */
  readonly namespace?: string;
  /**
   * By which the worker asks the server about leaders, breakers and agents' replicas. Default: one over `connection`, whose
   * calls, where the server refuses them for a moment, wait a second before they are repeated; those of a client that
   * `connect` made wait 5 ms.
   */
  readonly client?: Client;
  /** Name of the cadre. Default `cadre`. */
  readonly cadre?: string;
  /** All agents of the cadre; every worker registers the same. */
  readonly agents: readonly AnyAgent[];
  readonly artifacts: ArtifactStore;
  /** What all agents of the cadre may use a day (UTC) together. Default: no limit. */
  readonly budget?: DailyBudget;
  /**
   * Where the agents' effects and what was undone are recorded; all workers of a cadre must reach the same. Default: a
   * file that the machine's workers share, `CADRE_LEDGER`, else in the data folder. Workers on several machines need one
   * of your own.
   */
  readonly ledger?: EffectLedger;
  /** What to do: stand for leader, run workflows, run agents. Default: all three. */
  readonly roles?: readonly Role[];
  /**
   * Whose agents to run: `main` is those without a pool; every other name is a pool.
   * Default: `main` and every pool of the agents.
   */
  readonly serve?: readonly string[];
  /**
   * Lead in this term without an election, instead of standing for leader: for servers on which none can be held, such
   * as one whose clock skips waits. At most one worker of a cadre may. Default: none.
   */
  readonly term?: number;
  /** Told when this worker begins and ceases to lead in a term. */
  readonly onTerm?: (term: number, leads: boolean) => void;
  /** How the worker names itself to Temporal. Default `pid@host/build`. */
  readonly identity?: string;
  /** Module of your own workflows, which also exports ours (`export * from 'cadre/workflow'`). Default: ours, prebuilt. */
  readonly workflowsPath?: string;
  /** Agents that act at once, a queue. Default 100; 1 to 1,000. */
  readonly concurrency?: number;
  /** How long a worker told to stop lets its agents finish before it hands them back, in ms. Default 10,000. */
  readonly shutdownGrace?: number;
}

/** What runs until it is told to stop or has nothing more to do: a worker of Temporal's, a candidacy, the first sweep. */
interface Member {
  run(): Promise<void>;
  shutdown(): void;
}

/** A process's part in a cadre: made with {@link CadreWorker.create}, then run once. */
export class CadreWorker {
  private constructor(
    private readonly members: readonly Member[],
    /** The task queues it serves, without the breakers'; as a candidate it serves the leader's only while it leads. */
    readonly queues: readonly string[],
    readonly roles: readonly Role[],
    readonly identity: string,
    private readonly breakers: Breakers,
    private readonly budgets: Budgets,
  ) {}

  /** Throws NameInvalid, ConfigInvalid (two agents of one name, a pool that no agent is in), or what Temporal throws. */
  static async create(options: CadreWorkerOptions): Promise<CadreWorker> {
    const cadre = validName('cadre', options.cadre ?? DEFAULT_CADRE);
    const identity = options.identity ?? workerIdentity();
    const roles = ROLES.filter((role) => (options.roles ?? ROLES).includes(role));
    const { connection, namespace = 'default' } = options;
    const { client = new Client({ connection, namespace }) } = options;
    const breakers = new Breakers(options.agents, new TemporalBreakers(client, cadre), (message) =>
      Runtime.instance().logger.warn(message, { cadre }),
    );
    const accounts = new TemporalBudgets(client, cadre);
    const budgets = new Budgets((account, message) => accounts.exchange(account, message), options.budget);
    const replicas = new TemporalReplicas(client, cadre, membersOf(options.agents));
    const settled = { ...options, cadre, roles, identity, client, breakers, budgets, replicas };
    const servers: Server[] = serverOptions(settled);
    const members: Member[] = [watching(breakers)];
    for (const server of servers) members.push(stoppable(await Worker.create(server)));
    if (roles.includes('leader')) members.unshift(...(await leadership(settled)));
    if (roles.includes('workflows')) {
      members.push(new StartingSweep(client, cadre));
    }
    return new CadreWorker(
      members,
      servers.map(({ taskQueue: queue }) => queue).filter((queue) => queue !== breakersQueue(cadre)),
      roles,
      identity,
      breakers,
      budgets,
    );
  }

  /** Serves until {@link shutdown}, then resolves; rejects where a worker broke down. */
  async run(): Promise<void> {
    const running = this.members.map((member) => member.run());
    try {
      await Promise.all(running);
    } finally {
      // Where one breaks down the others must not go on as if it were there.
      this.shutdown();
      await Promise.allSettled(running);
      await Promise.all([this.breakers.settled(), this.budgets.settled()]);
    }
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

  /** Takes no more work, and hands over where it leads; {@link run} resolves when what it has is finished or handed back. */
  shutdown(): void {
    for (const member of this.members) member.shutdown();
  }
}

function watching(breakers: Breakers): Member {
  return { run: () => Promise.resolve(breakers.watch()), shutdown: () => breakers.stop() };
}

function stoppable(worker: Worker): Member {
  return { run: () => worker.run(), shutdown: () => stopWorker(worker) };
}

type Settled = CadreWorkerOptions & {
  readonly cadre: string;
  readonly identity: string;
  readonly client: Client;
  readonly breakers: Breakers;
  readonly budgets: Budgets;
  readonly replicas: TemporalReplicas;
};
type Server = WorkerOptions & { readonly taskQueue: string };

/** The leader's worker, and the candidacy for it or an appointment to it. */
async function leadership(options: Settled): Promise<Member[]> {
  const { connection, namespace = 'default', cadre, identity, client, agents, artifacts, term } = options;
  const worker = await LeaderWorker.create({
    connection,
    namespace,
    cadre,
    identity,
    agents,
    artifacts,
    queueStatus: queueStatus(client),
    breakers: options.breakers,
    budgets: options.budgets,
    memory: new Memory(options.replicas),
    concurrency: options.concurrency ?? CONCURRENCY,
  });
  if (term === undefined) {
    return [
      new Candidate({ connection, client, namespace, cadre, identity, seat: worker, onTerm: options.onTerm }),
      worker,
    ];
  }
  worker.lead({ term, held: () => true, over: new AbortController().signal });
  return [worker];
}

const CONCURRENCY = 100;

/** More of a fan-out than this goes to whichever worker polls first. */
const EAGER_MAXIMUM = 10;

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

/** A server a queue. Workflows and the agents without a pool share one queue, so that eager dispatch works. */
function serverOptions(options: Settled & { readonly roles: readonly Role[] }): Server[] {
  const {
    agents,
    artifacts,
    cadre,
    roles,
    breakers,
    budgets,
    replicas,
    ledger = new FileLedger(ledgerFile()),
  } = options;
  const servers: Server[] = [];
  const serve = roles.includes('agents') ? servedPools(agents, options.serve) : [];
  const locks = serve.includes(MAIN) ? new TemporalLocks(options.client, cadre) : undefined;
  const activities = createActivities({ agents, artifacts, ledger, locks, breakers, budgets, replicas });
  const workflows = roles.includes('workflows');
  if (workflows || serve.includes(MAIN)) {
    servers.push({
      ...commonOptions(options, taskQueue(cadre)),
      // A workflow's local agents act where it runs, whoever serves the others.
      activities,
      enableNonLocalActivities: serve.includes(MAIN),
      ...(workflows ? workflowOptions(options) : {}),
    });
  }
  if (workflows && agents.some(({ breakerSettings }) => breakerSettings !== undefined)) {
    servers.push({
      ...commonOptions(options, breakersQueue(cadre)),
      ...workflowOptions({}),
      activities,
      enableNonLocalActivities: false,
      workflowThreadPoolSize: 1,
      maxCachedWorkflows: BREAKERS_CACHED,
    });
  }
  for (const pool of serve) {
    if (pool !== MAIN) servers.push({ ...commonOptions(options, poolQueue(cadre, pool)), activities });
  }
  return servers;
}

function commonOptions(options: Settled, queue: string): Server {
  const { connection, namespace = 'default', identity } = options;
  return {
    connection,
    namespace,
    taskQueue: queue,
    identity,
    maxConcurrentActivityTaskExecutions: options.concurrency ?? CONCURRENCY,
    // As many steps side by side begin where the workflow is, without a way over the server's queue. The SDK's default is 3.
    maxEagerActivityReservationsPerWorkflowTask: EAGER_MAXIMUM,
    // A heartbeat is also how a cancellation reaches the agent, and how what it streams reaches those who follow the task: the
    // SDK's default holds it back for 0.8 of the timeout.
    maxHeartbeatThrottleInterval: STREAM_INTERVAL,
    shutdownGraceTime: options.shutdownGrace ?? 10_000,
  };
}

/** A breaker is small, and there is one a provider. */
const BREAKERS_CACHED = 100;

function workflowOptions({
  workflowsPath,
}: Pick<CadreWorkerOptions, 'workflowsPath'>): Partial<WorkerOptions> {
  const prebuilt = workflowsPath === undefined && existsSync(PREBUILT_BUNDLE);
  return {
    ...(prebuilt
      ? { workflowBundle: { codePath: PREBUILT_BUNDLE } }
      : { workflowsPath: workflowsPath ?? join(__dirname, '..', 'workflows', 'index') }),
    ...(prebuilt
      ? {}
      : { interceptors: { workflowModules: [join(__dirname, '..', 'workflows', 'interceptors')] } }),
    // After a worker's death its cached workflows wait for it so long; the default of 10 s is most of a failover.
    stickyQueueScheduleToStartTimeout: 1000,
    // Each poll of a frozen process swallows a workflow task for its whole timeout: one sticky poll and one other.
    workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
  };
}
