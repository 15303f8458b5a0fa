// Pure: the laws of elections.
import fc from 'fast-check';
import {
  type ElectionEvent,
  type ElectionState,
  PAST_TERMS,
  electionStart,
  evolveElection,
  pauseBeforeTerm,
  readAnnouncement,
} from '../../src/core/election';
import { termEnd } from '../../src/core/election-projection';

const NOW = 1_700_000_000_000;
const SECONDS = NOW / 1000;
const begun = electionStart(undefined, NOW);
const fold = (events: readonly ElectionEvent[], from: ElectionState = begun) =>
  events.reduce(evolveElection, from);

const term = fc.integer({ min: SECONDS - 2, max: SECONDS + 12 });
const event: fc.Arbitrary<ElectionEvent> = fc.oneof(
  fc.record({ type: fc.constant('termOffered' as const), term }),
  fc.record({
    type: fc.constant('leaderElected' as const),
    term,
    identity: fc.constantFrom('a', 'b'),
    time: fc.nat(),
  }),
  fc.record({
    type: fc.constant('termEnded' as const),
    term,
    time: fc.nat(),
    how: fc.constantFrom('resigned', 'steppedDown', 'lostHeartbeat', 'cancelled', 'failed'),
  }),
);

test('whatever comes, terms never fall, each ends at most once, and no ended term is led', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let state = begun;
      const leaders = new Map<number, string>();
      for (const one of events) {
        const next = evolveElection(state, one);
        expect(next.term).toBeGreaterThanOrEqual(state.term);
        const { leader } = next;
        if (leader !== undefined) {
          expect(leaders.get(next.term) ?? leader.identity).toBe(leader.identity);
          leaders.set(next.term, leader.identity);
          expect(next.past[0]?.term).not.toBe(next.term);
        }
        expect(JSON.parse(JSON.stringify(next))).toEqual(next);
        state = next;
      }
      const ended = state.past.map((past) => past.term);
      expect(ended).toEqual([...new Set(ended)].sort((a, b) => b - a));
    }),
  );
});

test('ten thousand terms leave a state of a few kilobytes', () => {
  let state = begun;
  for (let count = 1; count <= 10_000; count += 1) {
    const next = state.term + 1;
    state = fold(
      [
        { type: 'termOffered', term: next },
        { type: 'leaderElected', term: next, identity: `${count}@host/0.1.0+abcdef12`, time: NOW + count },
        { type: 'termEnded', term: next, time: NOW + count, how: 'steppedDown' },
      ],
      state,
    );
  }
  expect(state.term).toBe(SECONDS + 10_000);
  expect(state.past).toHaveLength(PAST_TERMS);
  expect(JSON.stringify(state).length).toBeLessThan(4096);
});

test.each([
  ['nothing', undefined, SECONDS],
  ['a term long past', { after: 7 }, SECONDS],
  ['a term above the time', { after: SECONDS + 50 }, SECONDS + 50],
  ['something else', { after: -1 }, SECONDS],
  ['no number', { after: '7' }, SECONDS],
])('an election that is told %s begins above %j', (_what, start, after) => {
  expect(electionStart(start, NOW).term).toBe(after);
});

test('a run that goes on has the state of the one before', () => {
  const snapshot = fold([{ type: 'termOffered', term: SECONDS + 1 }]);
  expect(electionStart({ snapshot, origin: {}, overrides: {} }, NOW + 1e9)).toBe(snapshot);
});

test('terms that fail at once are followed by pauses that double up to five seconds', () => {
  const pauses: number[] = [];
  let state = begun;
  for (let count = 0; count < 8; count += 1) {
    const next = state.term + 1;
    const failed = { type: 'termEnded', term: next, time: NOW, how: 'failed' } as const;
    state = fold([{ type: 'termOffered', term: next }, failed], state);
    pauses.push(pauseBeforeTerm(state));
  }
  expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  const held = { type: 'leaderElected', term: state.term + 1, identity: 'a', time: NOW } as const;
  const late = { type: 'termEnded', term: state.term + 1, time: NOW + 1000, how: 'failed' } as const;
  expect(pauseBeforeTerm(fold([{ type: 'termOffered', term: state.term + 1 }, held, late], state))).toBe(0);
});

test.each([
  undefined,
  null,
  7,
  'x',
  {},
  { term: 1 },
  { term: '1', identity: 'a' },
  { term: -1, identity: 'a' },
])('%j is no announcement', (value) => {
  expect(readAnnouncement(value)).toBeUndefined();
});

test("an announcement's name is cut", () => {
  expect(readAnnouncement({ term: 1, identity: 'x'.repeat(900) })?.identity).toHaveLength(200);
});

test('an announcement of another term than the present one, or after its end, changes nothing', () => {
  const offered = fold([{ type: 'termOffered', term: SECONDS + 5 }]);
  const announce = (of: number): ElectionEvent => ({
    type: 'leaderElected',
    term: of,
    identity: 'a',
    time: NOW,
  });
  for (const other of [SECONDS - 1, SECONDS + 4, SECONDS + 6]) {
    expect(evolveElection(offered, announce(other))).toBe(offered);
  }
  const ended = fold([{ type: 'termEnded', term: SECONDS + 5, time: NOW, how: 'lostHeartbeat' }], offered);
  expect(evolveElection(ended, announce(SECONDS + 5))).toBe(ended);
});

test.each([
  [{ type: 'TimedOut', message: 'Timed out: HEARTBEAT' }, 'resign', { how: 'lostHeartbeat' }],
  [{ type: 'Broken', message: 'no' }, undefined, { how: 'failed', reason: 'no' }],
  [{ type: 'Broken', message: 'x'.repeat(900) }, undefined, { how: 'failed', reason: 'x'.repeat(200) }],
  [{ type: 'Cancelled', message: 'Cancelled' }, 'resign', { how: 'resigned' }],
  [undefined, 'resign', { how: 'resigned' }],
  [{ type: 'Cancelled', message: 'Cancelled' }, 'cancel', { how: 'cancelled' }],
  [undefined, 'cancel', { how: 'cancelled' }],
  [undefined, undefined, { how: 'steppedDown' }],
] as const)('a term that ends with %j after %j ended as %j', (failure, asked, end) => {
  expect(termEnd(failure, asked)).toEqual(end);
});
