// Pure: windows of calls, against a list of all calls that is looked through again each time.
import fc from 'fast-check';
import {
  type CallGroup,
  EMPTY_WINDOW,
  NO_CALLS,
  type Tally,
  type Window,
  addCalls,
  currentWindow,
  plus,
} from '../../../src/core/breaker/window';

const NOW = 1_700_000_000_000;
const sumsOf = ({ calls, failures, slow }: Tally): Tally => ({ calls, failures, slow });
const total = (tallies: readonly Tally[]): Tally => tallies.map(sumsOf).reduce(plus, NO_CALLS);
const single = (failed: boolean, slow: boolean): Tally => ({
  calls: 1,
  failures: failed ? 1 : 0,
  slow: slow ? 1 : 0,
});

/** The calls of a group one by one, those that went well first. */
function singles({ calls, failures, slow }: Tally): Tally[] {
  return Array.from({ length: calls }, (_, index) =>
    single(index >= calls - failures, index >= calls - slow),
  );
}

const anyTally: fc.Arbitrary<Tally> = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.nat(12), fc.nat(12))
  .map(([calls, failures, slow]) => ({
    calls,
    failures: Math.min(calls, failures),
    slow: Math.min(calls, slow),
  }));
const anySingle = fc.tuple(fc.boolean(), fc.boolean()).map(([failed, slow]) => single(failed, slow));
/** Times by which a group is added later than the one before, and by which it ended before it is added. */
const addedTo = (seconds: number): fc.Arbitrary<{ tally: Tally; later: number; ended: number }> =>
  fc.record({
    tally: anyTally,
    later: fc.oneof(fc.nat(seconds * 300), fc.constant(0), fc.nat(seconds * 2000)),
    ended: fc.oneof(fc.constant(0), fc.nat(seconds * 1200)),
  });

function group(tally: Tally, endedAt: number): CallGroup {
  return { ...tally, beganAt: endedAt - 5, endedAt };
}

function expectSound(window: Window): void {
  expect(total(window.groups)).toEqual(sumsOf(window));
  const wrong = window.groups.filter(
    ({ calls, failures, slow }) =>
      calls === 0 || Math.min(failures, slow) < 0 || Math.max(failures, slow) > calls,
  );
  expect(wrong).toEqual([]);
  expect(JSON.parse(JSON.stringify(window))).toEqual(window);
}

test.each([
  ['one by one', anySingle],
  ['in groups', anyTally],
])('a window of calls has exactly the last of those added %s, whenever they ended', (_how, anyOf) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.tuple(anyOf, fc.nat(100_000)), { maxLength: 60 }),
      (calls, added) => {
        let window = EMPTY_WINDOW;
        const all: Tally[] = [];
        for (const [tally, ended] of added) {
          window = addCalls(window, group(tally, NOW - ended), { calls }, NOW);
          all.push(...singles(tally));
          expect(sumsOf(window)).toEqual(total(all.slice(-calls)));
          expectSound(window);
          expect(window.groups.length).toBeLessThanOrEqual(calls);
        }
        expect(currentWindow(window, { calls }, NOW + 1e9)).toBe(window);
      },
    ),
  );
});

test.each([1, 7, 60, 86_400])(
  'a window of %d s has the calls that ended in its last ten slices, in whatever order they came',
  (seconds) => {
    const sliceOf = (time: number): number => Math.floor(time / (seconds * 100));
    fc.assert(
      fc.property(fc.array(addedTo(seconds), { maxLength: 60 }), fc.nat(seconds * 1500), (added, idle) => {
        let window = EMPTY_WINDOW;
        let now = NOW;
        const all: CallGroup[] = [];
        const inLastSlices = (): Tally =>
          total(all.filter(({ endedAt }) => sliceOf(endedAt) > sliceOf(now) - 10));
        for (const { tally, later, ended } of added) {
          now += later;
          all.push(group(tally, now - ended));
          window = addCalls(window, group(tally, now - ended), { seconds }, now);
          expect(sumsOf(window)).toEqual(inLastSlices());
          expectSound(window);
          const slices = window.groups.map(({ endedAt }) => sliceOf(endedAt));
          expect(slices).toEqual([...new Set(slices)].sort((a, b) => a - b));
        }
        now += idle;
        const later = currentWindow(window, { seconds }, now);
        expect(sumsOf(later)).toEqual(inLastSlices());
        expectSound(later);
      }),
    );
  },
);

test.each([1, 7, 60])(
  'a window of %d s reaches back nine tenths of its length for sure, and never further than its length',
  (seconds) => {
    fc.assert(
      fc.property(fc.array(addedTo(seconds), { maxLength: 40 }), (added) => {
        let window = EMPTY_WINDOW;
        let now = NOW;
        const all: CallGroup[] = [];
        for (const { tally, later, ended } of added) {
          now += later;
          all.push(group(tally, now - ended));
          window = addCalls(window, group(tally, now - ended), { seconds }, now);
          const within = (age: number): number =>
            total(all.filter(({ endedAt }) => now - endedAt < age)).calls;
          expect(window.calls).toBeGreaterThanOrEqual(within(seconds * 900));
          expect(window.calls).toBeLessThanOrEqual(within(seconds * 1000));
        }
        expect(currentWindow(window, { seconds }, now + seconds * 1000)).toEqual(EMPTY_WINDOW);
      }),
    );
  },
);

test('a slice knows when the first of its calls began and when the last ended', () => {
  const first = { ...single(false, false), beganAt: NOW - 900, endedAt: NOW + 50 };
  const second = { ...single(true, false), beganAt: NOW - 2000, endedAt: NOW + 20 };
  const window = addCalls(
    addCalls(EMPTY_WINDOW, first, { seconds: 60 }, NOW + 60),
    second,
    { seconds: 60 },
    NOW + 60,
  );
  expect(window.groups).toEqual([{ calls: 2, failures: 1, slow: 0, beganAt: NOW - 2000, endedAt: NOW + 50 }]);
});

test('ten thousand calls that all went one way are one group of a window of calls', () => {
  let window = EMPTY_WINDOW;
  for (let count = 0; count < 10_000; count += 1) {
    window = addCalls(window, group(single(false, false), NOW + count), { calls: 1000 }, NOW + count);
  }
  expect(window.groups).toHaveLength(1);
  expect(window.calls).toBe(1000);
});

test('windows are not changed by what is added to them', () => {
  let window: Window = EMPTY_WINDOW;
  for (const size of [{ calls: 3 }, { seconds: 1 }]) {
    for (let count = 0; count < 20; count += 1) {
      const before = window;
      const text = JSON.stringify(before);
      window = addCalls(
        window,
        group(single(count % 3 === 0, count % 2 === 0), NOW + count * 30),
        size,
        NOW + count * 30,
      );
      expect(JSON.stringify(before)).toBe(text);
    }
  }
  expect(EMPTY_WINDOW).toEqual({ ...NO_CALLS, groups: [] });
});
