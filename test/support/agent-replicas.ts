import { join } from 'node:path';
import { temporal } from '@temporalio/proto';
import type { KnowledgeCheck } from '../../src/client/agent-standing';
import { TemporalReplicas } from '../../src/client/agents';
import { CadreClient } from '../../src/client/cadre-client';
import { connect } from '../../src/client/connection';
import { readFacts } from '../../src/client/history-reader';
import { type Remember, MESSAGE_VERSION } from '../../src/core/agent/agent-messages';
import type { AgentReport } from '../../src/core/agent/agent-report';
import { type Member, membersOf } from '../../src/core/agent/members';
import { decodeKnowledge } from '../../src/core/crdt/knowledge-json';
import type { Dot } from '../../src/core/crdt/causal-context';
import type { Place } from '../../src/core/crdt/knowledge';
import type { Operation } from '../../src/core/crdt/replica';
import { dotOf } from '../../src/core/crdt/sibling';
import type { HistoryFact } from '../../src/core/history-facts';
import { GOSSIP_SIGNAL, agentId } from '../../src/core/names';
import type { Role } from '../../src/core/roles';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import type { ServerArguments } from '../../src/workers/server';
import { gossipSignal, rememberSignal } from '../../src/workflows/messages';
import { Cli, type CliProcess, ROOT, until } from './cli';
import { type DevServer, startDevServer } from './dev-server';
import { TemporaryFolder } from './temporary-folder';

/** An agent of the worker processes: it does to its knowledge what the step's input lists as `operations`. */
export interface RemoteAgent {
  readonly name: string;
  /** Default 1. */
  readonly replicas?: number;
}

/** `settings`: dynamic configuration of the server. */
export interface AgentReplicasOptions extends Pick<ServerArguments, 'settings'> {
  readonly agents: readonly RemoteAgent[];
}

/** How long an awaited condition may take, in ms. */
const PATIENCE = 60_000;

/** A real server, worker processes that run a cadre's agents and their workflows, and clients that tell them things. */
export class AgentReplicas {
  private constructor(
    readonly server: DevServer,
    readonly client: CadreClient,
    /** What tells and asks single replicas. */
    readonly replicas: TemporalReplicas,
    private readonly cli: Cli,
    private readonly agents: readonly RemoteAgent[],
  ) {}

  static async start({ agents, settings }: AgentReplicasOptions): Promise<AgentReplicas> {
    const folder = new TemporaryFolder();
    const server = await startDevServer(settings === undefined ? {} : { settings });
    const { address, namespace } = server;
    const artifacts = new FileArtifactStore(join(folder.path, 'artifacts'));
    const client = new CadreClient(await connect({ address, namespace, configured: true }), { artifacts });
    const members = membersOf(agents.map(({ name, replicas = 1 }) => ({ name, replicas })));
    const replicas = new TemporalReplicas(client.temporal, client.cadre, members);
    return new AgentReplicas(server, client, replicas, Cli.at(server, folder), agents);
  }

  /** Ends the processes by SIGKILL, then client and server. Call it in `afterAll`. */
  async close(): Promise<void> {
    await this.cli.stop();
    await this.client.close();
    await this.server.stop();
    this.cli.folder.remove();
  }

  /** Starts a worker process with `roles`, and waits until it is ready. `agents`: those it knows. Default: all. */
  async worker(
    roles: readonly Role[],
    agents: readonly string[] = this.agents.map(({ name }) => name),
  ): Promise<CliProcess> {
    const known = this.agents.filter(({ name }) => agents.includes(name));
    const program = this.cli.folder.write('agents-worker.js', workerSource(this.cli.folder.path));
    const started = this.cli.spawn(process.execPath, [program, JSON.stringify({ agents: known, roles })]);
    await started.says(/worker ready/);
    return started;
  }

  /** Another client of the same cadre, for load from many; the caller closes it. */
  async anotherClient(): Promise<{ replicas: TemporalReplicas; close: () => Promise<void> }> {
    const { address, namespace } = this.server;
    const client = await connect({ address, namespace, configured: true });
    return {
      replicas: new TemporalReplicas(client, this.client.cadre),
      close: () => client.connection.close(),
    };
  }

  /** Sends `member` anything as a message; it must be there. */
  async signal(member: Member, kind: 'remember' | 'gossip', message: unknown): Promise<void> {
    const { name } = kind === 'remember' ? rememberSignal : gossipSignal;
    await this.client.temporal.workflow.getHandle(this.idOf(member)).signal(name, message);
  }

  idOf(member: Member): string {
    return agentId(this.client.cadre, member);
  }

  /** How `member` stands once it has taken what has come to it; throws where it is not there. */
  async report(member: Member): Promise<AgentReport> {
    let found: AgentReport | undefined;
    await until(async () => {
      const isBusy = (await this.replicas.part(member))?.busy ?? true;
      found = isBusy ? undefined : await this.replicas.report(member);
      return found !== undefined;
    }, PATIENCE);
    return found as AgentReport;
  }

  /** By key the dots of what `member` has there: what a removal of it says. */
  async dotsOf(member: Member, { type, name }: Place): Promise<ReadonlyMap<string, readonly Dot[]>> {
    const part = await this.replicas.part(member);
    const entries = decodeKnowledge(part?.delta, 'the knowledge').crdts.get(type)?.get(name);
    return new Map([...(entries ?? [])].map(([key, siblings]) => [key, siblings.map(dotOf)]));
  }

  /** Waits until `count` replicas agree; resolves with how long that took, in ms. */
  async converged(count: number, patience = PATIENCE): Promise<number> {
    const began = Date.now();
    let check: KnowledgeCheck | undefined;
    const agree = async (): Promise<boolean> => {
      check = await this.client.checkKnowledge().catch(() => undefined);
      return check !== undefined && check.agree && check.replicas.length === count;
    };
    await until(agree, patience).catch(() => {
      throw new Error(`${count} replicas do not agree within ${patience} ms: ${JSON.stringify(check)}`);
    });
    return Date.now() - began;
  }

  /** All facts of a replica's history, over all its runs. */
  async factsOf(member: Member): Promise<HistoryFact[]> {
    const facts: HistoryFact[] = [];
    for await (const fact of readFacts(this.client.temporal, this.idOf(member))) facts.push(fact);
    return facts;
  }

  /** How many events each run of `member` has, the first run first. */
  async eventsPerRun(member: Member): Promise<number[]> {
    const lengths: number[] = [];
    for (const runId of runsOf(await this.factsOf(member))) {
      const { historyLength } = await this.client.temporal.workflow
        .getHandle(this.idOf(member), runId)
        .describe();
      lengths.push(historyLength);
    }
    return lengths;
  }

  /** Why workflow tasks of `member` failed, over all its runs, but for those into which messages came. */
  async failedWorkflowTasks(member: Member): Promise<string[]> {
    const { WorkflowTaskFailedCause: Cause } = temporal.api.enums.v1;
    const {
      WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND: CAME,
      WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND: MANY,
    } = Cause;
    const failed: string[] = [];
    for (const runId of runsOf(await this.factsOf(member))) {
      const { events } = await this.client.temporal.workflow
        .getHandle(this.idOf(member), runId)
        .fetchHistory();
      for (const { workflowTaskFailedEventAttributes: attributes } of events ?? []) {
        if (!attributes) continue;
        // Before a run could end; or more of them than the server holds back while a task is open.
        if (attributes.cause === CAME || attributes.cause === MANY) continue;
        failed.push(`${Cause[attributes.cause ?? 0]}: ${attributes.failure?.message}`);
      }
    }
    return failed;
  }
}

/** A message that a task of `operations` might leave; `id` tells it from others. */
export function rememberOf(
  id: string,
  operations: readonly Operation[],
  more: Partial<Remember> = {},
): Remember {
  return { version: MESSAGE_VERSION, id, task: id, decisions: [], operations, ...more };
}

/** The ids of the runs of one chain, in order. */
export function runsOf(facts: readonly HistoryFact[]): string[] {
  return [...new Set(facts.map(({ runId }) => runId))];
}

/** How many gossip messages came in, the most in any second, and per second between the first and the last. */
export function gossipRate(facts: readonly HistoryFact[]): { total: number; most: number; mean: number } {
  const times = facts
    .filter((fact) => fact.kind === 'signalled' && fact.name === GOSSIP_SIGNAL)
    .map(({ time }) => time);
  let most = 0;
  for (let from = 0, to = 0; to < times.length; to += 1) {
    while ((times[to] as number) - (times[from] as number) >= 1000) from += 1;
    most = Math.max(most, to - from + 1);
  }
  const seconds = Math.max(1, ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000);
  return { total: times.length, most, mean: times.length / seconds };
}

/** A program that runs a `CadreWorker` with the agents and roles that its first argument has as JSON. */
function workerSource(folder: string): string {
  const dist = (...path: string[]): string => JSON.stringify(join(ROOT, 'dist', ...path));
  return `
const { NativeConnection } = require(${JSON.stringify(join(ROOT, 'node_modules', '@temporalio', 'worker'))});
const { defineAgent } = require(${dist('index.js')});
const { CadreWorker } = require(${dist('workers', 'index.js')});
const { FileArtifactStore } = require(${dist('storage', 'artifact-store.js')});
const { MemoryLedger } = require(${dist('storage', 'memory-ledger.js')});
const { installRuntime } = require(${dist('workers', 'runtime.js')});
const { agents, roles } = JSON.parse(process.argv[2]);
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const knowing = ({ name, replicas = 1 }) => defineAgent({
  name,
  description: 'the agent ' + name,
  input: anything,
  output: anything,
  memory: { replicas },
  policy: { retry: { maximumAttempts: 2, initialInterval: 50 } },
  async act({ additions = [], counted = 0, fails = 0 }, { knowledge, attempt, decide }) {
    for (const value of additions) knowledge.set('facts').add(value);
    if (counted > 0) knowledge.growOnlyCounter('sources').increment(counted);
    decide({ type: 'learnt', rationale: additions.length + ' facts' });
    if (attempt <= fails) throw new Error('attempt ' + attempt + ' fails');
    return { known: (await knowledge.set('facts').values()).length };
  },
});
void (async () => {
  installRuntime('ERROR');
  const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS });
  const artifacts = new FileArtifactStore(${JSON.stringify(join(folder, 'artifacts'))});
  const worker = await CadreWorker.create(
    { connection, artifacts, ledger: new MemoryLedger(), agents: agents.map(knowing), roles });
  process.once('SIGTERM', () => worker.shutdown());
  console.log('worker ready');
  await worker.run();
  await connection.close();
})();
`;
}
