// Random tasks on a real server (the test server loses its way when an activity is cancelled as it completes): what the workflow says of itself is the fold of what its history projects to.
import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import { readFacts } from '../../src/client/history-reader';
import type { TaskHandle } from '../../src/client/task-handle';
import type { HistoryFact } from '../../src/core/history-facts';
import type { Plan, Step } from '../../src/core/plan';
import type { TaskState } from '../../src/core/task-events';
import { TaskProjection } from '../../src/core/task-projection';
import { QUORUMS, type Vote } from '../../src/core/vote';
import { agent, step } from '../support/agents';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

interface Report {
  readonly historyLength: number;
  readonly state: TaskState;
}

let cadre: ServerCadre;

beforeAll(async () => {
  cadre = await startServerCadre([
    agent('quick', (_input, { decide, step: id }) => {
      decide({ type: 'noted', rationale: `did ${id}` });
      return id;
    }),
    agent('pause', async (_input, { signal }) => {
      await new Promise<void>((resolve, reject) => {
        setTimeout(resolve, 30);
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    }),
    agent(
      'flaky',
      (_input, { attempt }) => {
        if (attempt < 2) throw new Error('once');
      },
      { policy: { retry: { initialInterval: 10 } } },
    ),
    agent('broken', () => {
      throw ApplicationFailure.nonRetryable('for good', 'Broken');
    }),
    // What fails here goes to `mender`.
    agent(
      'clumsy',
      () => {
        throw ApplicationFailure.nonRetryable('cannot', 'Broken');
      },
      { skills: ['mend'] },
    ),
    agent('mender', () => 'mended', { skills: ['mend'] }),
  ]);
}, 60_000);

afterAll(() => cadre.close());

const anyVote = fc.record({
  agents: fc.array(fc.constantFrom('quick', 'mender', 'mender', 'pause', 'broken', 'flaky'), {
    minLength: 2,
    maxLength: 4,
  }),
  quorum: fc.constantFrom(...QUORUMS),
  timeLimit: fc.integer({ min: 10, max: 120 }),
});

const anyTask = fc.record({
  steps: fc.array(
    fc.record({
      agent: fc.constantFrom('quick', 'quick', 'pause', 'pause', 'flaky', 'broken', 'clumsy', 'clumsy'),
      vote: fc.option(anyVote, { nil: undefined, freq: 2 }),
      needs: fc.array(fc.nat({ max: 100 }), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  cancelAfter: fc.option(fc.nat({ max: 150 }), { nil: undefined }),
});

test('at every workflow-task boundary the state is the fold of the projected events', async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(anyTask, async ({ steps, cancelAfter }) => {
      const task = await cadre.client.start({ goal: 'a goal', plan: planOf(steps) });
      const reports = await watch(task, cancelAfter);
      const facts: HistoryFact[] = [];
      for await (const fact of readFacts(cadre.client.temporal, task.id)) facts.push(fact);
      const commands = await commandsOf(task);
      for (const { historyLength, state } of reports) {
        expect(foldAtBoundary(facts, commands, historyLength)).toEqual(state);
        compared += 1;
      }
    }),
    { numRuns: 40 },
  );
  expect(compared).toBeGreaterThan(50);
}, 180_000);

function planOf(
  steps: readonly { agent: string; vote?: Vote | undefined; needs: readonly number[] }[],
): Plan {
  return {
    steps: steps.map(({ agent: name, vote, needs: all }, index): Step => {
      const needs = index === 0 ? [] : [...new Set(all.map((need) => `s${need % index}`))];
      const id = `s${index}`;
      return vote === undefined
        ? step(id, name, { needs })
        : { id, vote, instruction: `vote on ${id}`, needs };
    }),
  };
}

/** By id of an event that a workflow task commanded: the id of the event of that task's completion. */
async function commandsOf(task: TaskHandle): Promise<ReadonlyMap<number, number>> {
  const { events = [] } = await cadre.client.temporal.workflow.getHandle(task.id).fetchHistory();
  const commands = new Map<number, number>();
  for (const event of events ?? []) {
    for (const attributes of Object.values(event as Record<string, unknown>)) {
      const by = (attributes as { workflowTaskCompletedEventId?: unknown } | null)
        ?.workflowTaskCompletedEventId;
      if (by !== undefined && by !== null) commands.set(Number(event.eventId), Number(by));
    }
  }
  return commands;
}

/** Asks the task for its state until it ends; cancels it on the way where the case says so. */
async function watch(task: TaskHandle, cancelAfter: number | undefined): Promise<Report[]> {
  const handle = cadre.client.temporal.workflow.getHandle(task.id);
  const reports = new Map<number, Report>();
  const ended = task.result().then(
    () => true,
    () => true,
  );
  const cancelled =
    cancelAfter === undefined
      ? undefined
      : after(cancelAfter).then(() => task.cancel().catch(() => undefined));
  let done = false;
  while (!done) {
    done = await Promise.race([ended, after(10).then(() => false)]);
    const report = await handle.query<Report>('state');
    reports.set(report.historyLength, report);
  }
  await cancelled;
  return [...reports.values()];
}

/**
 * A workflow task that began with `historyLength` events adds its completion, then what it commands; the state it
 * reports has both.
 */
function foldAtBoundary(
  facts: readonly HistoryFact[],
  commands: ReadonlyMap<number, number>,
  historyLength: number,
): TaskState {
  const projection = new TaskProjection();
  for (const fact of facts) {
    if (fact.eventId <= historyLength || commands.get(fact.eventId) === historyLength + 1)
      projection.next(fact);
  }
  return projection.state;
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
