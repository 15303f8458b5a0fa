// Pure: what the leader's work leaves in a task's events, and what votes fold to.
import fc from 'fast-check';
import { jsonBytes } from '../../src/core/json';
import {
  aggregateEvents,
  arbitrateEvents,
  assignEvents,
  planEvents,
  quorumEvents,
  returnReason,
} from '../../src/core/leader-work';
import { type Plan, type Step, planProblems } from '../../src/core/plan';
import type { ResolvedPolicy } from '../../src/core/policy';
import type { TaskEvent } from '../../src/core/task-events';
import { evolve, foldTask } from '../../src/core/task-fold';
import { type TaskState, agentOf } from '../../src/core/task-state';
import { TaskProjection } from '../../src/core/task-projection';
import {
  QUORUMS,
  ballotsNeeded,
  readBallotStep,
  ballotStep,
  voteOfTimer,
  voteTimer,
} from '../../src/core/vote';
import { agent, step } from '../support/agents';

const TERM = 7;
const policy: ResolvedPolicy = agent('echo', (input) => input).resolvedPolicy;
const failure = { type: 'Broken', message: 'no' };

const planned = (steps: readonly Step[], term = TERM): TaskEvent => ({
  type: 'planned',
  plan: { steps },
  policies: {},
  by: 'caller',
  term,
});
const voteStep = (voters: number, more: object = {}, id = 'a'): Step => ({
  id,
  instruction: 'vote',
  vote: { agents: Array.from({ length: voters }, () => 'x'), ...more },
});
const requested = (voter: number, id = 'a', term = TERM): TaskEvent => ({
  type: 'ballotRequested',
  step: id,
  voter,
  agent: 'x',
  term,
});
const cast = (voter: number, choice: unknown, id = 'a'): TaskEvent => ({
  type: 'ballotCast',
  step: id,
  voter,
  agent: 'x',
  choice,
});
const spoiled = (voter: number): TaskEvent => ({
  type: 'ballotSpoiled',
  step: 'a',
  voter,
  agent: 'x',
  failure,
});
const withdrawn = (voter: number): TaskEvent => ({ type: 'ballotWithdrawn', step: 'a', voter, agent: 'x' });

/** The vote `a` with all its voters asked. */
function votingOf(voters: number, more: object = {}): TaskState {
  return foldTask([
    planned([voteStep(voters, more)]),
    ...Array.from({ length: voters }, (_, index) => requested(index + 1)),
  ]);
}

/** The state after `event`, and what the vote concludes from it. */
function conclude(state: TaskState, event: TaskEvent): { state: TaskState; concluded: TaskEvent[] } {
  const after = evolve(state, event);
  const concluded = quorumEvents('a', after);
  return { state: foldTask(concluded, after), concluded };
}

describe('an outcome', () => {
  const state = votingOf(2);
  const plan: Plan = { steps: [step('b', 'echo')] };
  const works = {
    plan: (term: number) => planEvents({ plan, policies: {}, by: 'planner', term }, state),
    assign: (term: number) =>
      assignEvents('a', { agent: 'echo', policy, by: 'leader', reason: 'r', term }, state),
    arbitrate: (term: number) => arbitrateEvents('a', { choice: 1, by: 'leader', reason: 'r', term }, state),
    aggregate: (term: number) => aggregateEvents({ by: 'leader', term }, state),
  };

  test.each(Object.entries(works))(
    'of %s in a lower term than was seen comes back and changes nothing',
    (work, of) => {
      for (const term of [0, TERM - 1]) {
        expect(of(term)).toEqual([{ type: 'leaderWorkReturned', work, why: 'staleTerm' }]);
        expect(foldTask(of(term), state)).toEqual(state);
      }
    },
  );

  test.each(Object.entries(works))(
    'of %s in the term that was seen, or a higher one, is believed',
    (_work, of) => {
      for (const term of [TERM, TERM + 5]) {
        expect(of(term).map(({ type }) => type)).not.toContain('leaderWorkReturned');
        expect(foldTask(of(term), state).term).toBe(term);
      }
    },
  );
});

test.each([
  [{ type: 'HandedBack', message: 'stopping' }, 'handedBack'],
  [{ type: 'TimedOut', message: 'Timed out: HEARTBEAT' }, 'heartbeatLost'],
  [{ type: 'TimedOut', message: 'Timed out: START_TO_CLOSE' }, undefined],
  [{ type: 'Error', message: 'no HEARTBEAT' }, undefined],
])('%j is none of the work itself: %j', (info, why) => {
  expect(returnReason(info)).toBe(why);
});

describe('a vote', () => {
  const votes = fc.record({
    kind: fc.constantFrom(...QUORUMS),
    given: fc.array(fc.constantFrom('a', 'b', undefined), { minLength: 2, maxLength: 9 }),
    order: fc.infiniteStream(fc.nat()),
  });

  test('is decided once, as soon as a quorum is in, whatever the order; what comes later changes nothing', () => {
    fc.assert(
      fc.property(votes, ({ kind, given, order }) => {
        const inOrder = given
          .map((choice, index) => ({ choice, voter: index + 1, at: order.next().value as number }))
          .sort((a, b) => a.at - b.at);
        const needed = ballotsNeeded(kind, given.length);
        const counts = new Map<string, number>();
        const decisions: TaskEvent[] = [];
        let state = votingOf(given.length, { quorum: kind });
        for (const { choice, voter } of inOrder) {
          const before = decisions.length;
          const next = conclude(state, choice === undefined ? spoiled(voter) : cast(voter, choice));
          decisions.push(...next.concluded.filter(({ type }) => type === 'voteDecided'));
          if (choice !== undefined) counts.set(choice, (counts.get(choice) ?? 0) + 1);
          if (before === 1) expect(next.state).toEqual(state);
          state = next.state;
          expect(decisions.length).toBe(Math.max(...counts.values(), 0) >= needed ? 1 : 0);
        }
        expect(state.steps['a']?.kind).toBe(decisions.length === 1 ? 'completed' : 'voting');
        expect(JSON.parse(JSON.stringify(state))).toEqual(state);
      }),
    );
  });

  test('has as its output who decided, in which term, and how many gave each answer', () => {
    const { state } = conclude(evolve(votingOf(3), cast(3, 'yes')), cast(1, 'yes'));
    expect(state.steps['a']).toEqual({
      kind: 'completed',
      output: {
        value: { choice: 'yes', by: 'quorum', term: TERM, tally: [{ choice: 'yes', ballots: 2 }], voters: 3 },
      },
    });
  });

  test('that the leader decides counts the ballots of before, and none that come meanwhile', () => {
    const over = foldTask([cast(1, 'no'), { type: 'voteTimedOut', step: 'a' }, cast(2, 'yes')], votingOf(3));
    expect(over.steps['a']).toMatchObject({ kind: 'arbitrating', why: 'timeLimit' });
    expect(quorumEvents('a', evolve(over, cast(3, 'yes')))).toEqual([]);
    const [decided] = arbitrateEvents('a', { choice: 'no', by: 'leader', reason: 'r', term: TERM + 1 }, over);
    expect(decided).toEqual({
      type: 'voteDecided',
      step: 'a',
      outcome: {
        choice: 'no',
        by: 'leader',
        term: TERM + 1,
        reason: 'r',
        tally: [{ choice: 'no', ballots: 1 }],
        voters: 3,
      },
    });
  });

  test('keeps why it went to the leader over what the leader fails with', () => {
    const state = foldTask(
      [
        { type: 'voteTimedOut', step: 'a' },
        { type: 'arbitrationRequested', step: 'a', why: 'timeLimit', term: TERM },
        { type: 'arbitrationFailed', step: 'a', failure },
      ],
      votingOf(2),
    );
    expect(state.steps['a']).toEqual({ kind: 'arbitrating', ballots: [], why: 'timeLimit', failure });
    const again = evolve(state, { type: 'arbitrationRequested', step: 'a', why: 'timeLimit', term: TERM });
    expect(again.steps['a']).toEqual({ kind: 'arbitrating', ballots: [], why: 'timeLimit' });
  });

  test('is cancelled once every ballot is in or out, and one was withdrawn', () => {
    const state = foldTask([cast(1, 'yes'), withdrawn(2)], votingOf(3));
    expect(state.steps['a']?.kind).toBe('voting');
    expect(evolve(state, spoiled(3)).steps['a']).toEqual({ kind: 'cancelled' });
    expect(foldTask([spoiled(1), spoiled(2), spoiled(3)], votingOf(3)).steps['a']?.kind).toBe('voting');
  });

  test('is not begun anew by a ballot that is asked for after it is over', () => {
    const decided = conclude(evolve(votingOf(3), cast(1, 'yes')), cast(2, 'yes')).state;
    expect(evolve(decided, requested(3)).steps).toEqual(decided.steps);
  });

  test('leaves a state of at most 1 MiB, over all the votes of a plan', () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => voteStep(25, {}, `s${index}`));
    expect(planProblems({ steps: many(9) }, undefined)).toMatchObject([{ code: 'TooManyVoters' }]);
    const steps = many(8);
    expect(planProblems({ steps }, undefined)).toEqual([]);
    let state = foldTask([planned(steps)]);
    for (const { id } of steps) {
      const ballots = Array.from({ length: 25 }, (_, index) =>
        cast(index + 1, String(index < 13 ? 0 : index).padEnd(1000, 'x'), id),
      );
      state = foldTask([requested(1, id), ...ballots], state);
      state = foldTask(quorumEvents(id, state), state);
    }
    expect(jsonBytes(state)).toBeLessThan(1024 * 1024);
  });
});

describe('a step that is assigned anew', () => {
  const assigned = (id: string, name: string): TaskEvent => ({
    type: 'assigned',
    step: id,
    agent: name,
    policy,
    by: 'leader',
    reason: 'r',
    term: TERM,
  });
  const start = foldTask([
    planned([step('a', 'first'), step('b', 'first'), step('constructor', 'first')]),
    { type: 'stepFailed', step: 'a', failure },
  ]);

  test('waits again for its new agent, and remembers who had it', () => {
    const state = foldTask([assigned('a', 'second'), assigned('a', 'third')], start);
    expect(state.steps['a']).toEqual({ kind: 'waiting' });
    expect(state.assignments).toEqual({ a: { agent: 'third', before: ['first', 'second'] } });
    expect(Object.keys(state.policies).sort()).toEqual(['second', 'third']);
    expect(state.plan?.steps.map((one) => agentOf(state, one))).toEqual(['third', 'first', 'first']);
  });

  test('stays failed where there is nobody, or no policy to run it by', () => {
    const outcomes = [
      { by: 'leader', reason: 'nobody', term: TERM },
      { agent: 'second', by: 'leader', reason: 'nobody', term: TERM },
    ];
    for (const outcome of outcomes) {
      const events = assignEvents('a', outcome, start);
      expect(events).toEqual([{ type: 'notAssigned', step: 'a', reason: 'nobody', term: TERM }]);
      expect(foldTask(events, start).steps).toEqual(start.steps);
    }
  });

  test('may be called what every object has', () => {
    const state = foldTask([assigned('a', 'second'), assigned('constructor', 'second')], start);
    expect(state.assignments?.['constructor']).toEqual({ agent: 'second', before: ['first'] });
  });
});

describe('the log', () => {
  const envelope = (id: string, kind: string) => ({ root: 'r', step: id, kind, term: 0, version: 1 });
  /** Reads an activity and its result, after a plan with the vote `a`. */
  function read(id: string, kind: string, result: unknown): TaskState {
    const projection = new TaskProjection();
    const base = { time: 0, runId: 'run' };
    const scheduled = (eventId: number, of: unknown) =>
      projection.next({ ...base, eventId, kind: 'activityScheduled', activityType: 'x', input: [of, {}] });
    const completed = (eventId: number, of: unknown) =>
      projection.next({
        ...base,
        eventId,
        kind: 'activityCompleted',
        scheduledEventId: eventId - 1,
        result: of,
      });
    scheduled(1, envelope('plan', 'plan'));
    completed(2, { plan: { steps: [voteStep(2)] }, policies: {}, by: 'planner', term: TERM });
    scheduled(3, envelope(id, kind));
    completed(4, result);
    return projection.state;
  }

  const unreadable = [
    ['a ballot that cannot be read', 'a/1', 'act', undefined],
    ['work of a kind of later versions', 'a', 'dance', {}],
    ['a plan without steps', 'plan', 'plan', { plan: {}, policies: {}, term: TERM }],
    ['a plan without a term', 'plan', 'plan', { plan: { steps: [] }, policies: {} }],
  ] as const;
  for (const [what, id, kind, result] of unreadable) {
    test(`is not broken by ${what}`, () => {
      expect(read(id, kind, result).term).toBe(TERM);
    });
  }

  test('knows the steps of ballots and the timers of votes from all others', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
        fc.integer({ min: 1, max: 25 }),
        (id, voter) => {
          expect(readBallotStep(ballotStep(id, voter))).toEqual({ step: id, voter });
          expect(voteOfTimer(voteTimer(id))).toBe(id);
          expect(readBallotStep(id)).toBeUndefined();
          expect(voteOfTimer(id)).toBeUndefined();
        },
      ),
    );
  });
});
