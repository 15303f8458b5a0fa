// Random tasks on a real server (the test server loses its way when an activity is cancelled as it completes): what the workflow says of itself is the fold of what its history projects to.
import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import { readFacts } from '../../src/client/history-reader';
import type { TaskHandle } from '../../src/client/task-handle';
import type { HistoryFact } from '../../src/core/history-facts';
import type { AgentStep, Plan, Step } from '../../src/core/plan';
import type { UnwindingOptions } from '../../src/core/saga';
import type { TaskEventType } from '../../src/core/task-events';
import { type StepState, type TaskState, isUnwinding, pivotPassed } from '../../src/core/task-state';
import { TaskProjection } from '../../src/core/task-projection';
import { QUORUMS } from '../../src/core/vote';
import { agent, step } from '../support/agents';
import { Random } from '../support/random';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

const ON_OPEN = {
  guarded: {},
  strict: { onOpen: 'fail' },
  relied: { onOpen: { fallback: 'quick' } },
} as const;
const outages = new Random(7);

/** Every other call fails as a provider that is down. */
function unreliable(): string {
  if (outages.between(0, 1) < 0.5) throw Object.assign(new Error('overloaded'), { status: 529 });
  return 'answered';
}

interface Report {
  readonly historyLength: number;
  readonly state: TaskState;
}

type RunReport = Report & { readonly runId: string };

/** A run of a task ends where a workflow task ends with so many events. */
const RUN_EVENTS = 40;

let cadre: ServerCadre;
/** The idempotency keys of the compensations that `stubborn` has refused once. */
const refused = new Set<string>();

beforeAll(async () => {
  cadre = await startServerCadre(
    [
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
      // Nobody knows whether it happened.
      agent('unsure', () => {
        throw ApplicationFailure.nonRetryable('who knows', 'OutcomeUnknown');
      }),
      agent('undoable', (_input, { step: id }) => id, {
        compensate: () => Promise.resolve(),
      }),
      // What it did can be undone only at the second try that a person asks for.
      agent('stubborn', () => 'done', {
        compensation: { retry: { maximumAttempts: 1 } },
        compensate: (_undo, { idempotencyKey }) => {
          if (refused.has(idempotencyKey)) return Promise.resolve();
          refused.add(idempotencyKey);
          return Promise.reject(new Error('not now'));
        },
      }),
      agent('slow', () => after(60), {
        compensate: () => after(30),
      }),
      agent('helper', () => 'helped'),
      // Goes on without whatever nobody answers in time.
      agent('asker', async (input, { ask, checkpoint }) => {
        checkpoint({ of: input });
        const go = { name: 'go', question: 'Shall I?', options: ['yes', 'no'], answerWithin: 1000 };
        const { answer } = await ask(go).catch(() => ({ answer: 'nobody said' }));
        return answer === 'no' ? (await ask(WHY)).answer : answer;
      }),
      agent('patient', async (_input, { ask }) => (await ask(WHY)).answer),
      // Their breaker opens and closes all the time.
      ...(['guarded', 'strict', 'relied'] as const).map((name) =>
        agent(name, unreliable, {
          policy: {
            breaker: { key: 'model', window: { calls: 2 }, minimumCalls: 1, cooldown: 20, cooldownMax: 100 },
            retry: { initialInterval: 10 },
            ...ON_OPEN[name],
          },
        }),
      ),
    ],
    { settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: RUN_EVENTS }] },
  );
}, 60_000);

afterAll(() => cadre.close());

const anyVote = fc.record({
  agents: fc.array(
    fc.constantFrom('quick', 'mender', 'mender', 'pause', 'broken', 'flaky', 'guarded', 'relied'),
    {
      minLength: 2,
      maxLength: 4,
    },
  ),
  quorum: fc.constantFrom(...QUORUMS),
  timeLimit: fc.integer({ min: 10, max: 120 }),
});

const WHY = { name: 'why', question: 'Why?', about: 'x'.repeat(2000) };

const AGENTS = [
  'quick',
  'pause',
  'flaky',
  'broken',
  'clumsy',
  'unsure',
  'undoable',
  'stubborn',
  'slow',
  'asker',
  'guarded',
  'guarded',
  'strict',
  'relied',
  'relied',
];

const anyStep = fc.record({
  agent: fc.constantFrom(...AGENTS, 'undoable', 'undoable', 'quick', 'slow'),
  vote: fc.option(anyVote, { nil: undefined, freq: 2 }),
  needs: fc.array(fc.nat({ max: 100 }), { maxLength: 3 }),
  kind: fc.option(fc.constantFrom('compensable', 'retryable'), { nil: undefined, freq: 2 }),
  compensate: fc.option(fc.constantFrom<('helper' | false)[]>('helper', false), { nil: undefined, freq: 2 }),
  approval: fc.option(fc.constantFrom({}, { answerWithin: 1000 }), { nil: undefined, freq: 3 }),
});

const anyTask = fc.record({
  /** Without a leader: of the type `saga`, which has no votes. */
  saga: fc.boolean(),
  steps: fc.array(anyStep, { minLength: 1, maxLength: 8 }),
  pivot: fc.option(fc.nat({ max: 7 }), { nil: undefined, freq: 2 }),
  unwinding: fc.constantFrom<(UnwindingOptions | undefined)[]>(
    undefined,
    { groups: 'oneByOne' },
    { onFailure: 'goOn' },
  ),
  timeLimit: fc.option(fc.constant(1000), { nil: undefined, freq: 4 }),
  cancelAfter: fc.option(fc.nat({ max: 300 }), { nil: undefined }),
  resignAfter: fc.option(fc.nat({ max: 300 }), { nil: undefined, freq: 4 }),
  /** Of what a person says. */
  seed: fc.nat(),
});

type Drawn = typeof anyTask extends fc.Arbitrary<infer Value> ? Value : never;

const plain = { vote: undefined, needs: [], kind: undefined, compensate: undefined, approval: undefined };
const undrawn = {
  saga: true,
  unwinding: undefined,
  timeLimit: undefined,
  cancelAfter: undefined,
  resignAfter: undefined,
  seed: 1,
};

/** Asks for approval, then has a pivot of which nobody knows whether it happened. */
const PARKS: Drawn = {
  ...undrawn,
  steps: [
    { ...plain, agent: 'undoable', approval: {} },
    { ...plain, agent: 'unsure' },
  ],
  pivot: 1,
};

/** Fails, and a compensation fails too. */
const FAILS: Drawn = {
  ...undrawn,
  steps: [
    { ...plain, agent: 'undoable' },
    { ...plain, agent: 'stubborn', needs: [0] },
    { ...plain, agent: 'broken', needs: [1] },
  ],
  pivot: undefined,
};

/** Asks beside a step that fails. */
const WITHDRAWS: Drawn = {
  ...undrawn,
  steps: [
    { ...plain, agent: 'asker' },
    { ...plain, agent: 'broken' },
  ],
  pivot: undefined,
};

/** Asks for as long as it takes. */
const ANSWERED: Drawn = {
  ...undrawn,
  steps: [{ ...plain, agent: 'patient' }],
  pivot: undefined,
};

/** Asks somebody who leaves it unanswered. */
const EXPIRES: Drawn = {
  ...undrawn,
  steps: [{ ...plain, agent: 'asker' }],
  pivot: undefined,
  seed: 7,
};

/** One step after the other, over several runs. */
const LONG: Drawn = {
  ...undrawn,
  saga: false,
  steps: Array.from({ length: 8 }, (_none, index) => ({
    ...plain,
    agent: 'undoable',
    needs: [Math.max(0, index - 1)],
  })),
  pivot: undefined,
};

test('at every workflow-task boundary the state is the fold of the projected events', async () => {
  let compared = 0;
  const seen = new Set<TaskEventType>();
  await fc.assert(
    fc.asyncProperty(anyTask, async (drawn) => {
      const task = await start(drawn);
      const reports = await watch(task, drawn, new Person(task, drawn.seed));
      const facts: HistoryFact[] = [];
      for await (const fact of readFacts(cadre.client.temporal, task.id)) facts.push(fact);
      const runs = [...new Set(facts.map(({ runId }) => runId))];
      const tasks = new Map(
        await Promise.all(runs.map(async (runId) => [runId, await workflowTasksOf(task, runId)] as const)),
      );
      for (const { runId, historyLength, state } of reports) {
        const of = tasks.get(runId);
        // A query may be answered by a replay, which counts events that no workflow task has brought yet.
        if (of === undefined || !of.begun.has(historyLength)) continue;
        // Its agents are told within a workflow task, in which a query may be answered, also with the end: that another brings.
        const isOver = ENDS.has(state.phase.kind);
        const { remembered, ...fold } = isOver
          ? foldOf(facts)
          : foldAtBoundary(facts, of.commands, { runId, historyLength });
        expect({ ...fold, ...(state.remembered && remembered ? { remembered } : {}) }).toEqual(state);
        compared += 1;
      }
      const projection = new TaskProjection();
      for (const fact of facts) for (const { type } of projection.next(fact)) seen.add(type);
    }),
    { numRuns: 100, examples: [[PARKS], [FAILS], [WITHDRAWS], [ANSWERED], [EXPIRES], [LONG]] },
  );
  expect(compared).toBeGreaterThan(200);
  expect(SEEN.filter((type) => !seen.has(type))).toEqual([]);
}, 300_000);

const ENDS: ReadonlySet<TaskState['phase']['kind']> = new Set(['completed', 'failed', 'cancelled'] as const);

/** What the cases are about. */
const SEEN: TaskEventType[] = [
  ...(['pinned', 'approvalRequested', 'approvalAnswered', 'stepParked', 'stepResolved'] as const),
  ...(['questionAsked', 'questionAnswered', 'questionExpired', 'questionWithdrawn'] as const),
  ...(['stepRefused', 'stepFellBack'] as const),
  'continuedAsNew',
  ...(['compensationScheduled', 'compensated', 'compensationFailed', 'compensationResolved'] as const),
];

function start({ saga, steps, pivot, unwinding, timeLimit }: Drawn): Promise<TaskHandle> {
  const plan = planOf(saga ? steps.map((one) => ({ ...one, vote: undefined })) : steps, pivot);
  const options = {
    ...(unwinding === undefined ? {} : { unwinding }),
    ...(timeLimit === undefined ? {} : { timeLimit }),
  };
  if (!saga) return cadre.client.start({ goal: 'a goal', plan, ...options });
  const agentSteps = plan.steps.filter((one): one is AgentStep => one.vote === undefined);
  return cadre.client.startSaga({ name: 'a saga', steps: agentSteps, ...options });
}

/** The steps from the pivot on need it, and it needs all before it; what comes after it is not undone. */
function planOf(steps: Drawn['steps'], pivot: number | undefined): Plan {
  return {
    steps: steps.map(({ agent: name, vote, needs: all, ...more }, index): Step => {
      const id = `s${index}`;
      const before = steps.slice(0, index).map((_, earlier) => `s${earlier}`);
      const drawn = index === 0 ? [] : all.map((need) => `s${need % index}`);
      const isAfter = pivot !== undefined && pivot < index;
      const needs = index === pivot ? before : [...new Set([...drawn, ...(isAfter ? [`s${pivot}`] : [])])];
      if (vote !== undefined && index !== pivot) return { id, vote, instruction: `vote on ${id}`, needs };
      const where = index === pivot ? 'pivot' : isAfter ? 'after' : 'before';
      return { ...step(id, name, { needs, input: { of: id } }), ...undoingOf(name, more, where) };
    }),
  };
}

function undoingOf(
  name: string,
  { kind, compensate, approval }: Pick<Drawn['steps'][number], 'kind' | 'compensate' | 'approval'>,
  where: 'before' | 'pivot' | 'after',
): Pick<AgentStep, 'kind' | 'compensate' | 'approval'> {
  const asks = approval === undefined ? {} : { approval };
  if (where === 'pivot') return { kind: 'pivot', ...asks };
  if (where === 'after') return { ...(kind === 'retryable' ? { kind } : {}), ...asks };
  const undoes = compensate === 'helper' ? { compensate: { agent: 'helper' } } : { compensate };
  const undoer = compensate === undefined || kind === 'retryable' ? {} : undoes;
  const undoable = compensate === 'helper' || (compensate !== false && UNDOABLE.includes(name));
  return {
    ...undoer,
    ...(kind === 'compensable' && !undoable ? {} : kind === undefined ? {} : { kind }),
    ...asks,
  };
}

const UNDOABLE = ['undoable', 'stubborn', 'slow'];

/** Says what the saga asks for, or leaves it to the time limits. */
class Person {
  private readonly random: Random;
  private readonly left = new Set<string>();

  constructor(
    private readonly task: TaskHandle,
    seed: number,
  ) {
    this.random = new Random(seed);
  }

  /** Comes to a refusal where the task has gone on meanwhile. */
  async say(state: TaskState): Promise<void> {
    for (const [id, now] of Object.entries(state.steps)) {
      if (now.kind === 'awaitingApproval') await this.answer(state, id, now.hash);
      if (now.kind === 'asking') await this.tell(id, now);
    }
    if (state.phase.kind !== 'needsAttention') return;
    const hows =
      isUnwinding(state) || pivotPassed(state)
        ? (['retry', 'skip'] as const)
        : (['retry', 'skip', 'fail'] as const);
    await this.task.resolve(state.phase.step, this.random.oneOf(hows), 'a note').catch(() => undefined);
  }

  private async tell(id: string, { name, hash, until }: StepState & { kind: 'asking' }): Promise<void> {
    const key = `${id} ${name}`;
    if (this.left.has(key)) return;
    if (until !== undefined && this.random.between(0, 1) < 0.3) {
      this.left.add(key);
      return;
    }
    const answer = name === 'why' ? 'because' : this.random.oneOf(['yes', 'no'] as const);
    await this.task.answer(id, answer, { hash, by: 'somebody' }).catch(() => undefined);
  }

  private async answer(state: TaskState, id: string, hash: string): Promise<void> {
    // Past a pivot the time limit ends nothing.
    const ends = state.deadline !== undefined && !state.plan?.steps.some(({ kind }) => kind === 'pivot');
    const limited = ends || planned(state, id)?.approval?.answerWithin !== undefined;
    if (this.left.has(id)) return;
    if (limited && this.random.between(0, 1) < 0.3) {
      this.left.add(id);
      return;
    }
    const answer = this.random.oneOf(['yes', 'yes', 'yes', 'no'] as const);
    await this.task.answer(id, answer, { hash }).catch(() => undefined);
  }
}

const planned = ({ plan }: TaskState, id: string): Step | undefined =>
  plan?.steps.find((one) => one.id === id);

/**
 * `commands`: by id of an event that a workflow task commanded, the id of the event of that task's completion.
 * `begun`: the ids of the events by which workflow tasks begin.
 */
async function workflowTasksOf(
  task: TaskHandle,
  runId: string,
): Promise<{ commands: ReadonlyMap<number, number>; begun: ReadonlySet<number> }> {
  const { events = [] } = await cadre.client.temporal.workflow.getHandle(task.id, runId).fetchHistory();
  const commands = new Map<number, number>();
  const begun = new Set<number>();
  let completed = 0;
  let started = 0;
  for (const event of events ?? []) {
    if (event.workflowTaskStartedEventAttributes) started = Number(event.eventId);
    if (event.workflowTaskCompletedEventAttributes) {
      completed = Number(event.eventId);
      // What a worker did in one that the server refused, since more had come, is in no history.
      begun.add(started);
    }
    // The event of an update does not say which workflow task had accepted it.
    if (event.workflowExecutionUpdateAcceptedEventAttributes) commands.set(Number(event.eventId), completed);
    for (const attributes of Object.values(event as Record<string, unknown>)) {
      const by = (attributes as { workflowTaskCompletedEventId?: unknown } | null)
        ?.workflowTaskCompletedEventId;
      if (by !== undefined && by !== null) commands.set(Number(event.eventId), Number(by));
    }
  }
  return { commands, begun };
}

/**
 * Asks the task for its state until it ends, and has `person` say what it asks for; cancels it, and has the leader resign,
 * where the case says so.
 */
async function watch(
  task: TaskHandle,
  { cancelAfter, resignAfter }: Pick<Drawn, 'cancelAfter' | 'resignAfter'>,
  person: Person,
): Promise<RunReport[]> {
  const { workflow } = cadre.client.temporal;
  const reports = new Map<string, RunReport>();
  const ended = task.result().then(
    () => true,
    () => true,
  );
  const cancelled =
    cancelAfter === undefined
      ? undefined
      : after(cancelAfter).then(() => task.cancel().catch(() => undefined));
  const resigned =
    resignAfter === undefined
      ? undefined
      : after(resignAfter).then(() => cadre.client.resignLeader().catch(() => undefined));
  let done = false;
  while (!done) {
    done = await Promise.race([ended, after(10).then(() => false)]);
    const { runId } = await workflow.getHandle(task.id).describe();
    const report = await workflow.getHandle(task.id, runId).query<Report>('state');
    reports.set(`${runId} ${report.historyLength}`, { runId, ...report });
    if (!done) await person.say(report.state);
  }
  await Promise.all([cancelled, resigned]);
  return [...reports.values()];
}

/**
 * A workflow task of the run that began with `historyLength` events adds its completion, then what it commands; the state it
 * reports has both.
 */
function foldAtBoundary(
  facts: readonly HistoryFact[],
  commands: ReadonlyMap<number, number>,
  at: { readonly runId: string; readonly historyLength: number },
): TaskState {
  const began = facts.findIndex(({ runId }) => runId === at.runId);
  const run = facts.filter(({ runId, eventId }) => {
    if (runId !== at.runId) return false;
    return eventId <= at.historyLength || commands.get(eventId) === at.historyLength + 1;
  });
  return foldOf([...facts.slice(0, began), ...run]);
}

function foldOf(facts: readonly HistoryFact[]): TaskState {
  const projection = new TaskProjection();
  for (const fact of facts) projection.next(fact);
  return projection.state;
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
