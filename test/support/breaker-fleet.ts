import { join } from 'node:path';
import type { BreakerPolicy } from '../../src/activities/breaker/policy';
import type { AgentPolicy } from '../../src/activities/define-agent';
import type { CadreClient } from '../../src/client/cadre-client';
import type { TaskHandle } from '../../src/client/task-handle';
import type { BreakerState } from '../../src/core/breaker/breaker';
import type { Role } from '../../src/core/roles';
import { type CliProcess, ROOT, jsonLines } from './cli';
import { CliStage } from './cli-stage';
import { HttpAgent } from './http-agent';

/** What a worker process wrote of an exchange with the fleet's breaker. Times are in ms since 1970. */
export interface Exchange {
  readonly worker: number;
  /** The breaker's. */
  readonly key: string;
  readonly at: number;
  /** Calls that asked whether they may go. */
  readonly wanted: number;
  /** Absent where no answer came in time: then the worker's own breaker decided. */
  readonly kind?: BreakerState['phase']['kind'];
  readonly permits: number;
}

/** What an agent's worker is told; its breaker has the agent's name for its key. */
export type GuardedPolicy = Omit<AgentPolicy, 'breaker'> & {
  readonly breaker: Omit<BreakerPolicy, 'key' | 'classify'>;
};

export interface TeamOptions<Agent extends string> {
  readonly agents: Readonly<Record<Agent, GuardedPolicy>>;
  /** Agents that act at once, a process. */
  readonly concurrency: number;
}

/** A real server, and teams of worker processes whose agents each call an HTTP agent of their own behind a breaker. */
export class BreakerFleet {
  private readonly teams: { close(): Promise<void> }[] = [];

  private constructor(private readonly stage: CliStage) {}

  static async start(options: { onDisk?: boolean } = {}): Promise<BreakerFleet> {
    return new BreakerFleet(await CliStage.start(options));
  }

  /** Ends the server by SIGKILL, and starts it again on its port and file. */
  async restartServer(): Promise<void> {
    this.stage.server.kill();
    await this.stage.startServerAgain();
  }

  /** A cadre that has no process yet. */
  async team<Agent extends string>(cadre: string, options: TeamOptions<Agent>): Promise<BreakerTeam<Agent>> {
    const http: Partial<Record<Agent, HttpAgent>> = {};
    for (const name of Object.keys(options.agents) as Agent[]) http[name] = await HttpAgent.start();
    const team = new BreakerTeam(
      this.stage,
      cadre,
      http as Record<Agent, HttpAgent>,
      await this.stage.client(cadre),
      options,
    );
    this.teams.push(team);
    return team;
  }

  async close(): Promise<void> {
    for (const team of this.teams) await team.close();
    await this.stage.close();
  }
}

export class BreakerTeam<Agent extends string> {
  private readonly processes: CliProcess[] = [];

  constructor(
    private readonly stage: CliStage,
    readonly cadre: string,
    readonly http: Readonly<Record<Agent, HttpAgent>>,
    readonly client: CadreClient,
    private readonly options: TeamOptions<Agent>,
  ) {}

  /** Starts worker processes with `roles`, and waits until they are ready. */
  async workers(count: number, ...roles: Role[]): Promise<CliProcess[]> {
    const program = this.stage.folder.write('breaker-worker.js', workerSource(this.stage.artifacts));
    const { agents, concurrency } = this.options;
    const urls = Object.fromEntries(
      Object.entries<HttpAgent>(this.http).map(([name, { url }]) => [name, url]),
    );
    const options = JSON.stringify({ agents, urls, worker: { cadre: this.cadre, roles, concurrency } });
    const started = Array.from({ length: count }, () =>
      this.stage.spawn(process.execPath, [program, options]),
    );
    await Promise.all(started.map((one) => one.says(/worker ready/)));
    this.processes.push(...started);
    return started;
  }

  /** Ends its processes by SIGKILL, so that they leave the machine to others. */
  async stop(): Promise<void> {
    for (const one of this.processes) one.kill('SIGKILL');
    await Promise.all(this.processes.map(({ ended }) => ended));
  }

  async close(): Promise<void> {
    await this.stop();
    for (const http of Object.values<HttpAgent>(this.http)) await http.close();
  }

  /** Starts sagas of one step of `agent`, all at once. */
  start(agent: Agent, count: number): Promise<TaskHandle[]> {
    const steps = [{ id: 'one', agent, instruction: 'call' }];
    return Promise.all(
      Array.from({ length: count }, () => this.client.startSaga({ name: `call ${agent}`, steps })),
    );
  }

  /** What the workers wrote of their exchanges with the breaker of `agent`, in order. */
  exchanges(agent: Agent): Exchange[] {
    return this.processes
      .flatMap(({ pid, stdout }) => {
        const lines = stdout.slice(0, stdout.lastIndexOf('\n') + 1).replace('worker ready\n', '');
        return jsonLines<Omit<Exchange, 'worker'>>(lines).map((line) => ({ ...line, worker: pid }));
      })
      .filter(({ key }) => key === agent)
      .sort((a, b) => a.at - b.at);
  }

  /** How often the breaker of `agent` did not answer in time while calls waited for it, from `since` on (ms since 1970). */
  unanswered(agent: Agent, since = 0): number {
    return this.alone(agent).filter(({ at }) => at >= since).length;
  }

  /** Calls of a worker that waited between two times (ms since 1970) for an answer that did not come in time. */
  letAlone(agent: Agent, worker: number, from: number, to: number): number {
    return this.alone(agent)
      .filter((one) => one.worker === worker && one.at >= from && one.at <= to)
      .reduce((sum, { wanted }) => sum + wanted, 0);
  }

  private alone(agent: Agent): Exchange[] {
    return this.exchanges(agent).filter(({ kind, wanted }) => kind === undefined && wanted > 0);
  }
}

/**
 * A program that runs a `CadreWorker` whose agents call the addresses that its first argument has, as clients of models do:
 * what is no success is thrown as an error with `status` and `headers`. It writes a line for each exchange with
 * the fleet's breaker.
 */
function workerSource(artifacts: string): string {
  const dist = (...path: string[]): string => JSON.stringify(join(ROOT, 'dist', ...path));
  return `
const { NativeConnection } = require(${JSON.stringify(join(ROOT, 'node_modules', '@temporalio', 'worker'))});
const { defineAgent } = require(${dist('index.js')});
const { TemporalBreakers } = require(${dist('client', 'breakers.js')});
const { CadreWorker } = require(${dist('workers', 'index.js')});
const { FileArtifactStore } = require(${dist('storage', 'artifact-store.js')});
const { installRuntime } = require(${dist('workers', 'runtime.js')});
const { agents, urls, worker: options } = JSON.parse(process.argv[2]);
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };

const { report } = TemporalBreakers.prototype;
TemporalBreakers.prototype.report = async function (key, told) {
  const { wanted } = told;
  const write = (line) => console.log(JSON.stringify({ key, at: Date.now(), wanted, ...line }));
  try {
    const reply = await report.call(this, key, told);
    write({ kind: reply.view.kind, permits: reply.permits.length });
    return reply;
  } catch (error) {
    write({ permits: 0 });
    throw error;
  }
};

const caller = (name, policy) => defineAgent({
  name,
  description: 'calls a provider',
  input: anything,
  output: anything,
  policy,
  async act(_input, { signal, idempotencyKey, task, attempt }) {
    const response = await fetch(urls[name], {
      method: 'POST',
      signal,
      headers: {
        'idempotency-key': idempotencyKey,
        'x-task': task,
        'x-worker': String(process.pid),
        'x-attempt': String(attempt),
      },
    });
    const text = await response.text();
    if (response.ok) return text;
    const { status, headers } = response;
    throw Object.assign(new Error(\`HTTP \${status}: \${text}\`), { status, headers: Object.fromEntries(headers) });
  },
});

void (async () => {
  installRuntime('ERROR');
  const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS });
  const artifacts = new FileArtifactStore(${JSON.stringify(artifacts)});
  const callers = Object.entries(agents).map(([name, policy]) => caller(name, policy));
  const worker = await CadreWorker.create({ connection, artifacts, agents: callers, ...options });
  process.once('SIGTERM', () => worker.shutdown());
  console.log('worker ready');
  await worker.run();
  await connection.close();
})();
`;
}
