// Pure: facts as the history reader gives them. The same on a real server: test/server/log/fleet.test.ts.
import type { HistoryFact } from '../../../src/core/history-facts';
import { type CutSignals, WorkflowCut, cutSignals } from '../../../src/core/log/fleet';
import { step } from '../../support/agents';
import { Random } from '../../support/random';

type Body = HistoryFact extends infer Fact
  ? Fact extends HistoryFact
    ? Omit<Fact, 'eventId' | 'time' | 'runId'>
    : never
  : never;

const NOTHING: CutSignals = { notCausal: [], inFlight: [], unknown: [] };

const started = (workflowId: string, more: object = {}): Body => ({
  kind: 'workflowStarted',
  workflowId,
  firstRunId: 'run',
  input: { goal: 'a goal', plan: { steps: [step('a', 'echo')] } },
  ...more,
});
const sent = (to: string): Body => ({ kind: 'signalSent', to, name: 'hello' });
const failed = (to: string): Body => ({ kind: 'signalFailed', to });
const heard = (from: string): Body => ({ kind: 'signalled', name: 'hello', input: [], from });
const taskStarted: Body = { kind: 'workflowTaskStarted' };

/** A cut at `time` of a workflow whose facts are these, by their times. */
function cutOf(workflow: string, time: number, timed: readonly (readonly [number, Body])[]): WorkflowCut {
  const cut = new WorkflowCut(workflow, 'task', time);
  for (const [index, [at, body]] of timed.entries()) {
    if (!cut.next({ ...body, time: at, eventId: index + 1, runId: 'run' })) break;
  }
  return cut;
}

const signalsOf = (...cuts: readonly WorkflowCut[]): CutSignals =>
  cutSignals(cuts.map(({ traffic }) => traffic));

describe('a workflow belongs to the cut', () => {
  test('from its start, as its facts up to the time leave it', () => {
    const facts = [
      [10, started('w')],
      [20, { kind: 'cancelRequested' }],
      [30, { kind: 'workflowCancelled' }],
    ] as const;
    const kindAt = (time: number): unknown => {
      const { isOpen, state } = cutOf('w', time, facts);
      return [isOpen, state.kind === 'task' ? state.state.phase.kind : state.kind];
    };
    expect(kindAt(9)).toEqual([false, 'other']);
    expect(kindAt(10)).toEqual([true, 'planning']);
    expect(kindAt(29)).toEqual([true, 'cancelling']);
    expect(kindAt(30)).toEqual([false, 'cancelled']);
  });

  test('between two runs of a chain', () => {
    const facts = [
      [10, started('w')],
      [20, { kind: 'continuedAsNew', newRunId: 'next' }],
      [40, started('w', { continuedFrom: 'run' })],
    ] as const;
    expect(cutOf('w', 30, facts).isOpen).toBe(true);
  });

  test('and what stands behind a later fact is not folded, though it is dated before', () => {
    const { state } = cutOf('w', 5, [
      [1, started('w')],
      [6, { kind: 'workflowTaskCompleted' }],
      [5, { kind: 'cancelRequested' }],
    ]);
    expect(state).toMatchObject({ state: { phase: { kind: 'planning' } } });
  });

  test('and no later workflow task is read', () => {
    const cut = new WorkflowCut('w', 'task', 10);
    const fact = (time: number, body: Body): HistoryFact => ({ ...body, time, eventId: 1, runId: 'run' });
    expect(cut.next(fact(10, started('w')))).toBe(true);
    expect(cut.next(fact(11, { kind: 'workflowTaskCompleted' }))).toBe(true);
    expect(cut.next(fact(12, taskStarted))).toBe(false);
  });
});

test('a history that is not of its type is refused', () => {
  const cut = new WorkflowCut('cadre.breaker.model', 'breaker', 10);
  const fact = { ...started('cadre.breaker.model'), time: 1, eventId: 1, runId: 'run' };
  expect(() => cut.next(fact)).toThrow(/key/);
});

test('what could not be read is counted', () => {
  const unread: Body = { kind: 'unread', eventType: 'Novelty', why: 'unknownEvent' };
  expect(
    cutOf('w', 10, [
      [1, started('w')],
      [2, unread],
      [11, unread],
    ]).unread,
  ).toBe(1);
});

describe('signals', () => {
  test('that were sent and received by then are nothing to speak of', () => {
    const a = cutOf('a', 10, [
      [1, started('a')],
      [2, sent('b')],
    ]);
    const b = cutOf('b', 10, [
      [1, started('b')],
      [3, heard('a')],
    ]);
    expect(signalsOf(a, b)).toEqual(NOTHING);
  });

  test('that were sent and not received by then are in flight, but for those that failed', () => {
    const a = cutOf('a', 10, [
      [1, started('a')],
      [2, sent('b')],
      [3, sent('b')],
      [4, sent('b')],
      [5, failed('b')],
      [11, sent('b')],
    ]);
    const b = cutOf('b', 10, [
      [1, started('b')],
      [3, heard('a')],
      [11, heard('a')],
    ]);
    expect(signalsOf(a, b)).toEqual({ ...NOTHING, inFlight: [{ from: 'a', to: 'b', signals: 1 }] });
  });

  test('that were received before they were sent make the cut not causal there', () => {
    const a = cutOf('a', 10, [
      [1, started('a')],
      [11, sent('b')],
    ]);
    const b = cutOf('b', 10, [
      [1, started('b')],
      [9, heard('a')],
    ]);
    expect(signalsOf(a, b)).toEqual({ ...NOTHING, notCausal: [{ from: 'a', to: 'b', signals: 1 }] });
  });

  test('to or from what is not in the cut count for nothing', () => {
    const a = cutOf('a', 10, [
      [1, started('a')],
      [2, sent('gone')],
      [3, heard('gone')],
    ]);
    expect(signalsOf(a)).toEqual(NOTHING);
  });

  test('that the server kept back while a workflow task was under way are received when it says', () => {
    const b = cutOf('b', 5, [
      [1, started('b')],
      [3, taskStarted],
      [6, { kind: 'workflowTaskCompleted' }],
      [5, heard('a')],
      [7, taskStarted],
      [4, heard('a')],
    ]);
    const a = cutOf('a', 5, [
      [1, started('a')],
      [4, sent('b')],
    ]);
    expect(signalsOf(a, b)).toEqual(NOTHING);
  });

  test('to or from an earlier workflow of the same id count for nothing', () => {
    const sender = cutOf('a', 10, [
      [1, started('a')],
      [2, sent('b')],
      [7, sent('b')],
    ]);
    const receiver = cutOf('b', 10, [
      [5, started('b')],
      [8, heard('a')],
    ]);
    expect(signalsOf(sender, receiver)).toEqual(NOTHING);
    const again = cutOf('a', 10, [[9, started('a')]]);
    expect(signalsOf(again, receiver)).toEqual(NOTHING);
  });

  test('of a workflow of which earlier runs are gone are not known', () => {
    const a = cutOf('a', 10, [[1, started('a', { continuedFrom: 'before' })]]);
    const b = cutOf('b', 10, [
      [1, started('b')],
      [3, heard('a')],
    ]);
    expect(signalsOf(a, b)).toEqual({ ...NOTHING, unknown: [{ from: 'a', to: 'b' }] });
  });
});

// A made-up fleet under one clock, and one in which a sender's clock is ahead.
test.each([0, 8])(
  'of a fleet whose clocks differ by %s it is causal if and only if they do not differ',
  (ahead) => {
    let surplus = 0;
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = new Random(seed);
      const timed: Record<string, [number, Body][]> = {
        a: [[0, started('a')]],
        b: [[0, started('b')]],
        c: [[0, started('c')]],
      };
      for (let signal = 0; signal < 20; signal += 1) {
        const [from = 'a', to = 'b'] = random.oneOf([
          ['a', 'b'],
          ['b', 'c'],
          ['c', 'a'],
          ['b', 'a'],
        ] as const);
        const at = Math.round(random.between(1, 100));
        timed[from]?.push([at + (from === 'a' ? ahead : 0), sent(to)]);
        timed[to]?.push([at + Math.round(random.between(0, 6)), heard(from)]);
      }
      const time = Math.round(random.between(1, 100));
      const inOrder = (facts: [number, Body][] = []) => facts.toSorted(([a], [b]) => a - b);
      const cuts = Object.entries(timed).map(([id, facts]) => cutOf(id, time, inOrder(facts)));
      const { notCausal, inFlight } = signalsOf(...cuts);
      if (ahead === 0) expect([seed, notCausal]).toEqual([seed, []]);
      surplus += notCausal.length;
      for (const { from } of notCausal) expect([seed, from]).toEqual([seed, 'a']);
      const pending = inFlight.reduce((sum, { signals }) => sum + signals, 0);
      if (ahead === 0) expect([seed, pending]).toEqual([seed, onTheWay(timed, time)]);
    }
    expect(surplus > 0).toBe(ahead > 0);
  },
);

/** How many signals were sent up to `time` and not received. */
function onTheWay(timed: Readonly<Record<string, readonly [number, Body][]>>, time: number): number {
  const all = Object.values(timed)
    .flat()
    .filter(([at]) => at <= time);
  const count = (kind: Body['kind']): number => all.filter(([, body]) => body.kind === kind).length;
  return count('signalSent') - count('signalled');
}
