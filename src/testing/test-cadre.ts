import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import type { AnyAgent } from '../activities/define-agent';
import { CadreClient } from '../client/cadre-client';
import type { StepQuestion, TaskHandle } from '../client/task-handle';
import type { DailyBudget } from '../core/budget/budget';
import type { TaskInput } from '../core/task-input';
import { isOpen, stepState } from '../core/task-state';
import { FileArtifactStore } from '../storage/artifact-store';
import { cacheFolder } from '../storage/folders';
import { MemoryLedger } from '../storage/memory-ledger';
import { CadreWorker } from '../workers/cadre-worker';
import { installRuntime } from '../workers/runtime';
import { fetchTestServerBinary } from '../workers/server';

export interface TestCadreOptions {
  /** The team under test. */
  readonly agents: readonly AnyAgent[];
  /** An environment of your own, which you tear down; default: a new one whose clock skips waits. */
  readonly environment?: TestWorkflowEnvironment;
  /** What all agents may use a day (UTC) together. Default: no limit. */
  readonly budget?: DailyBudget;
  /** Module of your own workflows; see CadreWorkerOptions. */
  readonly workflowsPath?: string;
}

/** In ms. */
const POLL_INTERVAL = 20;

/**
 * A cadre in a test: a server whose clock skips waits, a worker with the agents, and a client.
 * Use one a test file, and close it at its end.
 */
export class TestCadre {
  private constructor(
    readonly environment: TestWorkflowEnvironment,
    readonly client: CadreClient,
    private readonly tearDown: () => Promise<void>,
  ) {}

  /** Throws ServerUnavailable where no test server is at hand; `cadre server --fetch` gets one. */
  static async create(options: TestCadreOptions): Promise<TestCadre> {
    const environment = options.environment ?? (await timeSkippingEnvironment());
    const folder = await mkdtemp(join(tmpdir(), 'cadre-test-'));
    const artifacts = new FileArtifactStore(folder);
    const cadre = `test-${randomBytes(4).toString('hex')}`;
    const { agents, budget, workflowsPath } = options;
    const worker = await CadreWorker.create({
      connection: environment.nativeConnection,
      namespace: environment.namespace ?? 'default',
      cadre,
      agents,
      artifacts,
      ledger: new MemoryLedger(),
      shutdownGrace: 1000,
      // An election would hold the clock: it skips no wait while an activity runs, and leading is one.
      term: 1,
      ...(budget === undefined ? {} : { budget }),
      ...(workflowsPath === undefined ? {} : { workflowsPath }),
    });
    const running = worker.run();
    return new TestCadre(environment, new CadreClient(environment.client, { cadre, artifacts }), async () => {
      worker.shutdown();
      await running;
      if (options.environment === undefined) await environment.teardown();
      await rm(folder, { recursive: true, force: true });
    });
  }

  /** Starts a task and waits for its result, skipping waits. */
  async run(input: TaskInput): Promise<{ task: TaskHandle; outputs: Record<string, unknown> }> {
    const task = await this.client.start(input);
    return { task, outputs: await task.result() };
  }

  /**
   * What `step` of `task` asks a person, once it asks. Skips no waits, so that its time to answer is not over meanwhile.
   * Rejects as NotAsked where the task ends before it does.
   */
  async asked(task: TaskHandle, step: string): Promise<StepQuestion> {
    for (;;) {
      const { state } = await task.describe();
      const { kind } = stepState(state, step);
      if (kind === 'asking' || kind === 'awaitingApproval' || !isOpen(state.phase))
        return task.question(step);
      await delay(POLL_INTERVAL);
    }
  }

  async close(): Promise<void> {
    await this.tearDown();
  }
}

/** A Temporal test server whose clock skips waits. Its program is never fetched inside a test, whose time limit it would break. */
async function timeSkippingEnvironment(): Promise<TestWorkflowEnvironment> {
  const path = await fetchTestServerBinary({
    cacheFolder: cacheFolder(),
    say: () => undefined,
    atHand: true,
  });
  quieten();
  return TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path } },
  });
}

/** Keeps the SDK's logs out of the test's output, unless the process has set up its own. */
function quieten(): void {
  try {
    installRuntime('ERROR');
  } catch {
    // The runtime is set up once a process; whoever did it before us chose the level.
  }
}
