// Pure: time that goes on whatever clocks do.
import fc from 'fast-check';
import { CLOCK_START, type HybridTime, later, tick } from '../../../src/core/crdt/hybrid-clock';
import { CLOCK_AHEAD_MAXIMUM, ReplicaState } from '../../../src/core/crdt/replica';
import { T } from './histories';

const HOUR = 3_600_000;

function isLater([ms, logical]: HybridTime, [otherMs, otherLogical]: HybridTime): boolean {
  return ms > otherMs || (ms === otherMs && logical > otherLogical);
}

function assign(replica: ReplicaState, value: string, now: number): void {
  replica.apply({ type: 'lwwRegister', name: 'r', assign: value }, now);
}

function read(replica: ReplicaState): unknown {
  return replica.value('lwwRegister', 'r');
}

test('each time is later than the last, whole, and not before the clock', () => {
  const anyClock = fc.array(
    fc.oneof(fc.integer({ min: -5, max: 50 }), fc.double({ min: 0, max: 9, noNaN: true })),
    {
      minLength: 2,
    },
  );
  fc.assert(
    fc.property(anyClock, (clock) => {
      let last = CLOCK_START;
      for (const now of clock) {
        const next = tick(last, now);
        expect([isLater(next, last), next.every(Number.isSafeInteger)]).toEqual([true, true]);
        expect(next[0]).toBeGreaterThanOrEqual(Math.floor(now));
        last = next;
      }
    }),
  );
});

test('the later of two times is the greater by ms, then by count', () => {
  expect(later([2, 0], [1, 9])).toEqual([2, 0]);
  expect(later([1, 9], [2, 0])).toEqual([2, 0]);
  expect(later([1, 2], [1, 3])).toEqual([1, 3]);
  expect(later([1, 3], [1, 2])).toEqual([1, 3]);
});

test.each([
  ['ahead', HOUR],
  ['behind', -HOUR],
])('what is written after what came from a clock an hour %s wins', (_direction, wrong) => {
  const [odd, right] = [ReplicaState.create('odd'), ReplicaState.create('a')];
  let now = T;
  for (let round = 0; round < 20; round += 1) {
    const [first, second] = round % 2 === 0 ? [odd, right] : [right, odd];
    assign(first, `first ${round}`, now + (first === odd ? wrong : 0));
    second.merge(first.since(second.context), now + (second === odd ? wrong : 0));
    assign(second, `second ${round}`, now + (second === odd ? wrong : 0));
    first.merge(second.since(first.context), now + (first === odd ? wrong : 0));
    expect([read(first), read(second)]).toEqual([`second ${round}`, `second ${round}`]);
    now += 1000;
  }
  expect(odd.toJSON().time[0] - now).toBeLessThanOrEqual(HOUR);
});

test('a log has what was appended after an entry behind it, though clocks differ by an hour', () => {
  const [ahead, right] = [ReplicaState.create('z'), ReplicaState.create('a')];
  ahead.apply({ type: 'appendLog', name: 'l', append: 'first' }, T + HOUR);
  right.merge(ahead.since(right.context), T);
  right.apply({ type: 'appendLog', name: 'l', append: 'second' }, T);
  right.apply({ type: 'appendLog', name: 'l', append: 'third' }, T - HOUR);
  ahead.merge(right.since(ahead.context), T + HOUR);
  for (const replica of [ahead, right]) {
    expect(replica.value('appendLog', 'l')).toEqual(['first', 'second', 'third']);
  }
});

test('a clock that was an hour ahead does no lasting harm: an hour later times are those of the clock', () => {
  const [ahead, right] = [ReplicaState.create('z'), ReplicaState.create('a')];
  assign(ahead, 'ahead', T + HOUR);
  right.merge(ahead.since(right.context), T);
  assign(right, 'now', T);
  expect(right.toJSON().time).toEqual([T + HOUR, 1]);
  assign(right, 'later', T + HOUR + 1);
  expect(right.toJSON().time).toEqual([T + HOUR + 1, 0]);
});

test('the clock survives JSON', () => {
  const replica = ReplicaState.create('a');
  assign(replica, 'ahead', T + HOUR);
  const loaded = ReplicaState.read(JSON.parse(JSON.stringify(replica)));
  assign(loaded, 'after', T);
  expect([read(loaded), loaded.toJSON().time]).toEqual(['after', [T + HOUR, 1]]);
});

test('what was written more than a day ahead is refused by name, and nothing is merged; a day later it is taken', () => {
  const [far, right] = [ReplicaState.create('far'), ReplicaState.create('a')];
  assign(right, 'mine', T);
  far.apply({ type: 'pnCounter', name: 'n', by: 1 }, T);
  assign(far, 'far', T + CLOCK_AHEAD_MAXIMUM + HOUR);
  const before = JSON.stringify(right);
  const merge = (now: number): boolean => right.merge(far.since(right.context), now);
  expect(() => merge(T)).toThrow(
    expect.objectContaining({
      type: 'ClockAhead',
      message: expect.stringMatching(/replica "far" wrote at 2023-11-15T23:13:20.000Z, 25 hours after/),
    }),
  );
  expect(JSON.stringify(right)).toBe(before);
  expect(() => merge(T + HOUR - 1)).toThrow(expect.objectContaining({ type: 'ClockAhead' }));
  expect(merge(T + HOUR)).toBe(true);
  expect([read(right), right.value('pnCounter', 'n')]).toEqual(['far', 1]);
});
