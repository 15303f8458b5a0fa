// What a task does when its leader fails, stops or is out of date.
import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import { readFacts } from '../../src/client/history-reader';
import { TaskFailedError } from '../../src/client/task-handle';
import { MAIN } from '../../src/core/names';
import type { Step } from '../../src/core/plan';
import type { TaskState } from '../../src/core/task-state';
import { TaskProjection } from '../../src/core/task-projection';
import { TestCadre } from '../../src/testing';
import { agent, step } from '../support/agents';
import { type AskedWork, scriptLeader } from '../support/scripted-leader';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';
import { logOf } from '../support/team-processes';

describe('on a server whose clock skips waits, a planner', () => {
  type Say = 'fails' | 'for good' | 'handed back';
  let cadre: TestCadre;
  /** What it does before it plans. */
  let says: Say[] = [];

  beforeAll(async () => {
    cadre = await TestCadre.create({
      agents: [
        agent('echo', (input) => input),
        agent('planner', () => {
          const next = says.shift();
          if (next === 'fails') throw new Error('not yet');
          if (next === 'for good') throw ApplicationFailure.nonRetryable('never', 'Broken');
          if (next === 'handed back') throw ApplicationFailure.nonRetryable('stopping', 'HandedBack');
          return { steps: [step('a', 'echo', { input: 1 })] };
        }),
      ],
    });
  }, 60_000);

  afterAll(() => cadre.close());

  /** How long the task's timers were set for, in ms. */
  async function pausesOf(id: string): Promise<number[]> {
    const { events } = await cadre.client.temporal.workflow.getHandle(id).fetchHistory();
    return (events ?? []).flatMap(({ timerStartedEventAttributes: timer }) => {
      const { seconds, nanos } = timer?.startToFireTimeout ?? {};
      return timer ? [Number(seconds ?? 0) * 1000 + (nanos ?? 0) / 1_000_000] : [];
    });
  }

  async function plan(...before: Say[]) {
    says = [...before];
    const task = await cadre.client.start({ goal: 'a goal' });
    const result: unknown = await task.result().catch((error: unknown) => error);
    const events = await logOf(task);
    return { result, events, pauses: await pausesOf(task.id) };
  }

  test('that fails is asked again after 1, 2, 4 and 8 s, and then plans', async () => {
    const { result, events, pauses } = await plan('fails', 'fails', 'fails', 'fails');
    expect(result).toEqual({ a: 1 });
    expect(events.filter(({ type }) => type === 'planFailed')).toHaveLength(4);
    expect(pauses).toEqual([1000, 2000, 4000, 8000]);
  });

  test('that fails five times fails the task with its last failure', async () => {
    const { result, events } = await plan('fails', 'fails', 'fails', 'fails', 'fails');
    expect(result).toBeInstanceOf(TaskFailedError);
    expect(result).toMatchObject({ message: 'not yet' });
    expect(events.filter(({ type }) => type === 'planRequested')).toHaveLength(5);
  });

  test('that fails for good is not asked again', async () => {
    const { result, events } = await plan('for good');
    expect(result).toMatchObject({ type: 'Broken', message: 'never' });
    expect(events.filter(({ type }) => type === 'planRequested')).toHaveLength(1);
  });

  test('that is handed back between its failures is asked again as often as it takes', async () => {
    const back = Array.from({ length: 10 }, (): Say => 'handed back');
    const { result, events } = await plan('fails', 'fails', ...back, 'fails', 'fails');
    expect(result).toEqual({ a: 1 });
    expect(events.filter(({ type }) => type === 'planFailed')).toHaveLength(4);
    expect(events.filter(({ type }) => type === 'leaderWorkReturned')).toHaveLength(10);
  });

  test('that is handed back is asked again at once, then after pauses that double up to 5 s', async () => {
    const { pauses } = await plan(...Array.from({ length: 12 }, (): Say => 'handed back'));
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
  });
});

test('a planner that fails five times gives way to its fallback, and the log says so', async () => {
  const plan = { steps: [step('a', 'echo', { input: 1 })] };
  const cadre = await TestCadre.create({
    agents: [
      agent('echo', (input) => input),
      agent(
        'planner',
        () => {
          throw new Error('not yet');
        },
        { policy: { breaker: {}, onOpen: { fallback: 'plain-planner' } } },
      ),
      agent('plain-planner', () => plan),
    ],
  });
  try {
    const task = await cadre.client.start({ goal: 'a goal' });
    expect(await task.result()).toEqual({ a: 1 });
    const events = await logOf(task);
    expect(events.filter(({ type }) => type === 'planFailed')).toHaveLength(4);
    expect(events.find(({ type }) => type === 'planned')).toMatchObject({
      by: 'plain-planner',
      decisions: { value: [{ type: 'fellBack', rationale: 'plain-planner instead of planner: not yet' }] },
    });
  } finally {
    await cadre.close();
  }
}, 60_000);

describe('on a real server, whatever its leaders do, a task', () => {
  /** What a leader does with one piece of work. */
  const FAULTS = ['none', 'none', 'raises', 'stale', 'handed back', 'fails'] as const;
  type Fault = (typeof FAULTS)[number];

  const broken = (): never => {
    throw ApplicationFailure.nonRetryable('cannot', 'Broken');
  };
  const agents = [
    agent('echo', (input) => input),
    agent('yes', () => 'yes'),
    agent('no', () => 'no'),
    agent('mute', broken),
    agent('clumsy', broken, { skills: ['mend'] }),
    agent('mender', () => 'mended', { skills: ['mend'] }),
  ];
  let faults: Fault[] = [];
  let cadre: ServerCadre;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    cadre = await startServerCadre(agents, { roles: ['workflows', 'agents'], serve: [MAIN] });
    stop = await scriptLeader(cadre, { agents: () => agents, answer: faulty });
  }, 60_000);

  afterAll(async () => {
    await stop();
    await cadre.close();
  });

  /** The leader's work, in the term that the task has seen, unless the next fault says otherwise. */
  async function faulty({ seen, normally }: AskedWork): Promise<object> {
    const fault = faults.shift() ?? 'none';
    if (fault === 'handed back') throw ApplicationFailure.nonRetryable('stopping', 'HandedBack');
    if (fault === 'fails') throw new Error('not yet');
    const term = Math.max(seen, 1);
    const outcome = await normally(term);
    if (fault === 'raises') return { ...outcome, term: term + 1 };
    return fault === 'stale' ? { ...outcome, term: seen - 1 } : outcome;
  }

  const anyStep = fc.oneof(
    fc.constantFrom('echo', 'clumsy').map((name) => ({ agent: name })),
    fc
      .array(fc.constantFrom('yes', 'no', 'yes', 'mute'), { minLength: 2, maxLength: 4 })
      .map((voters) => ({ vote: { agents: ['yes', ...voters] } })),
  );
  const cases = fc.record({
    steps: fc.array(anyStep, { minLength: 1, maxLength: 4 }),
    // At most two failures in a row of any one work, so that none is failed for good; each costs a second or two.
    faults: fc
      .array(fc.constantFrom(...FAULTS), { maxLength: 8 })
      .map((all) => all.filter((fault, index) => fault !== 'fails' || index % 4 === 0)),
  });

  test('ends with its result, its terms never fall, and its state is the fold of its log', async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(cases, async (given) => {
        faults = [...given.faults];
        const steps = given.steps.map(
          (one, index): Step => ({ id: `s${index}`, instruction: `do s${index}`, ...one }),
        );
        const task = await cadre.client.start({ goal: 'a goal', plan: { steps } });
        const outputs = await task.result();
        expect(Object.keys(outputs).sort()).toEqual(steps.map(({ id }) => id));
        const projection = new TaskProjection();
        let term = 0;
        for await (const fact of readFacts(cadre.client.temporal, task.id)) {
          for (const event of projection.next(fact)) seen.add(event.type);
          expect(projection.state.term).toBeGreaterThanOrEqual(term);
          ({ term } = projection.state);
        }
        const handle = cadre.client.temporal.workflow.getHandle(task.id);
        const { state } = await handle.query<{ state: TaskState }>('state');
        expect(state).toEqual(projection.state);
        expect(state.aggregated?.term).toBe(term);
      }),
      { numRuns: 25 },
    );
    const all = ['leaderWorkReturned', 'assigned', 'arbitrationRequested', 'voteDecided', 'ballotSpoiled'];
    expect([...seen]).toEqual(expect.arrayContaining(all));
  }, 180_000);
});
