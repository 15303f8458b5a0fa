/** The stage of the tests beside this file: workflows with the class Saga, a real server, and a world that agents change. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle, type WorkflowOptions } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { type Undo, defineAgent } from '../../../src/activities/define-agent';
import type { TaskState } from '../../../src/core/task-state';
import { TestCadre } from '../../../src/testing';
import { installRuntime } from '../../../src/workers/runtime';
import { agent } from '../../support/agents';
import { until } from '../../support/cli';
import { type DevServer, startDevServer } from '../../support/dev-server';

/** What was done and undone, in order. */
export const world: string[] = [];
/** By step: has the agent `gated` go on. */
export const gates = new Map<string, () => void>();
/** Whether what the agent `stubborn` did can be undone. */
export const person = { mended: false };

export interface Stage {
  readonly server: DevServer;
  readonly environment: TestWorkflowEnvironment;
  readonly cadre: TestCadre;
}

let stage: Stage;

const undoes = {
  compensate: ({ outcome }: Undo<unknown, unknown>, { step }: { step: string }) =>
    void world.push(`undo ${step} ${outcome}`),
};
const once = { policy: { retry: { maximumAttempts: 1 } } };
const act = (_input: unknown, { step }: { step: string }): string => {
  world.push(`do ${step}`);
  return `did ${step}`;
};

/** Call it in `beforeAll`, {@link close} in `afterAll` and {@link clear} in `beforeEach`. */
export async function open(): Promise<Stage> {
  installRuntime('ERROR');
  const server = await startDevServer();
  const environment = await TestWorkflowEnvironment.createFromExistingServer({ address: server.address });
  const cadre = await TestCadre.create({
    environment,
    agents: [
      agent('worker', act, { ...once, ...undoes }),
      agent('constructor', act, { ...once, ...undoes }),
      agent('large', (_input, context) => act(null, context) && 'x'.repeat(1_000_000), {
        ...once,
        ...undoes,
      }),
      agent('undoer', (input, { step }) => void world.push(`undoer of ${step} by ${JSON.stringify(input)}`)),
      agent('counting', (_input, { step, once: effect }) =>
        effect('count', () => world.push(`effect ${step}`)),
      ),
      agent(
        'broken',
        () => {
          throw ApplicationFailure.nonRetryable('it is broken', 'Broken');
        },
        once,
      ),
      agent(
        'napping',
        async (_input, context) => {
          act(null, context);
          await new Promise((resolve, reject) => {
            context.signal.addEventListener('abort', () => reject(context.signal.reason as Error));
            setTimeout(resolve, 1200);
          });
          world.push(`did ${context.step}`);
        },
        { policy: { ...once.policy, heartbeatTimeout: 500 }, ...undoes },
      ),
      agent(
        'breaking',
        async (_input, context) => {
          await new Promise<void>((resolve) => gates.set(context.step, resolve));
          throw ApplicationFailure.nonRetryable('it is broken', 'Broken');
        },
        once,
      ),
      agent(
        'wordy',
        () => {
          throw ApplicationFailure.nonRetryable('界'.repeat(2000), 'Broken');
        },
        once,
      ),
      agent(
        'stubborn',
        (_input, context) => {
          act(null, context);
          throw new Error('the connection was lost');
        },
        {
          policy: once.policy,
          compensate: () => {
            if (!person.mended) throw ApplicationFailure.nonRetryable('it cannot be undone');
            world.push('undo odd');
          },
        },
      ),
      agent('turning', (_input, context) => act(null, context) && (times('do a') === 1 ? 'first' : 'later'), {
        ...once,
        ...undoes,
      }),
      agent(
        'uncertain',
        (_input, context) => {
          act(null, context);
          throw new Error('the connection was lost');
        },
        { ...once, ...undoes },
      ),
      agent(
        'slow',
        async (_input, context) => {
          act(null, context);
          await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
          throw context.signal.reason;
        },
        { policy: { ...once.policy, startToClose: 3000, heartbeatTimeout: 500 }, ...undoes },
      ),
      agent(
        'gated',
        async (_input, context) => {
          act(null, context);
          await new Promise<void>((resolve) => gates.set(context.step, resolve));
          world.push(`did ${context.step}`);
        },
        { ...once, ...undoes },
      ),
      defineAgent({
        name: 'picky',
        description: 'takes numbers',
        input: z.number(),
        output: z.null(),
        ...once,
        act: () => null,
        ...undoes,
      }),
    ],
    workflowsPath: join(__dirname, 'workflows.ts'),
  });
  stage = { server, environment, cadre };
  return stage;
}

export async function close(): Promise<void> {
  await stage.cadre.close();
  await stage.environment.teardown();
  await stage.server.stop();
}

export function clear(): void {
  world.splice(0);
  gates.clear();
  person.mended = false;
}

/** By workflow type; `saga` is a declared one. */
export function start(
  type: string,
  input: unknown = null,
  options: Pick<WorkflowOptions, 'cronSchedule' | 'retry' | 'startDelay'> = {},
): Promise<WorkflowHandle> {
  const workflowId = `${type}-${randomUUID()}`;
  const taskQueue = stage.cadre.client.cadre;
  return stage.environment.client.workflow.start(type, { workflowId, taskQueue, args: [input], ...options });
}

/** How it ended. Terminates it, and says so, where a workflow task fails again and again. */
export async function endOf(handle: WorkflowHandle): Promise<Record<string, unknown>> {
  let stuck: string | undefined;
  let status = 'RUNNING';
  await until(async () => {
    const description = await handle.describe();
    status = description.status.name;
    const attempt = description.raw.pendingWorkflowTask?.attempt ?? 0;
    if (attempt > 2) stuck = `attempt ${attempt} of a workflow task`;
    return stuck !== undefined || status !== 'RUNNING';
  }, 20_000);
  if (stuck !== undefined) {
    await handle.terminate();
    return { stuck };
  }
  const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
  if (!(error instanceof WorkflowFailedError)) return { status, result: error };
  const { cause } = error;
  if (cause instanceof ApplicationFailure) return { status, type: cause.type, message: cause.message };
  return { status, cancelled: cause instanceof CancelledFailure };
}

/** As its history has it. */
export async function stateOf({ workflowId }: WorkflowHandle): Promise<TaskState> {
  return (await stage.cadre.client.task(workflowId).describe()).state;
}

/** As it says itself. */
export async function toldOf(handle: WorkflowHandle): Promise<TaskState> {
  return (await handle.query<{ state: TaskState }>('state')).state;
}

/** How often the world saw what begins so. */
export function times(what: string): number {
  return world.filter((done) => done.startsWith(what)).length;
}
