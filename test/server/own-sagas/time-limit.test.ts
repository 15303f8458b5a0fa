// Temporal's own timeout of an execution, on a real server: what was done is undone before it strikes.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import type { Undo } from '../../../src/activities/define-agent';
import type { TaskState } from '../../../src/core/task-state';
import { TestCadre } from '../../../src/testing';
import { installRuntime } from '../../../src/workers/runtime';
import { agent } from '../../support/agents';
import { type DevServer, startDevServer } from '../../support/dev-server';

/** Of the 8 s a fifth is kept for undoing. */
const TIMEOUT = 8000;

const world: string[] = [];
let server: DevServer;
let environment: TestWorkflowEnvironment;
let cadre: TestCadre;

const undo = {
  compensate: ({ outcome }: Undo<unknown, unknown>, { step }: { step: string }) =>
    void world.push(`undo ${step} ${outcome}`),
};

beforeAll(async () => {
  installRuntime('ERROR');
  server = await startDevServer();
  environment = await TestWorkflowEnvironment.createFromExistingServer({ address: server.address });
  cadre = await TestCadre.create({
    environment,
    agents: [
      agent('worker', (_input, { step }) => void world.push(`do ${step}`), undo),
      agent(
        'slow',
        (_input, { signal, step }) => {
          world.push(`do ${step}`);
          return new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        },
        { ...undo, policy: { heartbeatTimeout: 1000 } },
      ),
    ],
    workflowsPath: join(__dirname, 'workflows.ts'),
  });
}, 60_000);

afterAll(async () => {
  await cadre.close();
  await environment.teardown();
  await server.stop();
}, 30_000);

beforeEach(() => void world.splice(0));

const steps = [
  { id: 'a', agent: 'worker' },
  { id: 'b', agent: 'slow' },
];

test.each([
  ['a declared saga', 'saga', { workflowExecutionTimeout: TIMEOUT }],
  ['a saga of its own workflow', 'slow', { workflowExecutionTimeout: TIMEOUT }],
  ['a run of a saga', 'saga', { workflowRunTimeout: TIMEOUT }],
])(
  '%s that Temporal gives so much time is undone before it is over',
  async (_what, type, timeout) => {
    const handle: WorkflowHandle = await environment.client.workflow.start(type, {
      workflowId: `${type}-${randomUUID()}`,
      taskQueue: cadre.client.cadre,
      args: [{ name: 'takes too long', steps }],
      ...timeout,
    });
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'TimeLimitReached' } });
    expect(world).toEqual(['do a', 'do b', 'undo b unknown', 'undo a completed']);
    const { status, startTime, closeTime } = await handle.describe();
    expect(status.name).toBe('FAILED');
    expect(Number(closeTime) - Number(startTime)).toBeLessThan(TIMEOUT);
    const state: TaskState = (await cadre.client.task(handle.workflowId).describe()).state;
    expect(state.phase).toMatchObject({ kind: 'compensated', failure: { type: 'TimeLimitReached' } });
  },
  30_000,
);
