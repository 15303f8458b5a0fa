// Pure: causal contexts beside plain sets of dots.
import fc from 'fast-check';
import {
  type CausalContext,
  type Dot,
  addAll,
  addDot,
  beyondGaps,
  covers,
  exceeds,
  nextCounter,
  removeAll,
  versionVector,
  without,
} from '../../../src/core/crdt/causal-context';
import { decodeContext, encodeContext } from '../../../src/core/crdt/knowledge-json';

const REPLICAS = ['a', '__proto__', '', '7'];
const MOST = 12;
const CASES = { numRuns: 1000 };

const anyDot = fc.tuple(fc.constantFrom(...REPLICAS), fc.integer({ min: 1, max: MOST }));
const anyDots = fc.array(anyDot, { maxLength: 40, size: 'max' });
const EVERY_DOT = REPLICAS.flatMap((replica) =>
  Array.from({ length: MOST + 2 }, (_, index): Dot => [replica, index + 1]),
);

/** A dot is known by its text. */
type Naive = Set<string>;

function naiveOf(dots: readonly Dot[]): Naive {
  return new Set(dots.map((dot) => JSON.stringify(dot)));
}

function contextOf(dots: readonly Dot[]): CausalContext {
  const context: CausalContext = new Map();
  for (const dot of dots) addDot(context, dot);
  return context;
}

/** The dots of `context`, and that its intervals are as they must be. */
function dotsOf(context: CausalContext): Naive {
  expect(decodeContext(JSON.parse(JSON.stringify(encodeContext(context))), 'it')).toEqual(
    new Map([...context].sort(([a], [b]) => (a < b ? -1 : 1))),
  );
  return naiveOf(EVERY_DOT.filter(([replica, counter]) => covers(context, replica, counter)));
}

function countersOf(dots: Naive, replica: string): number[] {
  const all = [...dots].map((text) => JSON.parse(text) as Dot);
  return all.filter(([of]) => of === replica).map(([, counter]) => counter);
}

function holds(law: (a: readonly Dot[], b: readonly Dot[]) => void): void {
  fc.assert(fc.property(anyDots, anyDots, law), CASES);
}

test('it has the dots that were added, in whatever order', () => {
  holds((a) => expect(dotsOf(contextOf(a))).toEqual(naiveOf(a)));
});

test('contexts of equal dots are equal', () => {
  holds((a) => {
    const sorted = [...a].sort(([x, i], [y, j]) => (x === y ? i - j : x < y ? -1 : 1));
    expect(encodeContext(contextOf(a))).toEqual(encodeContext(contextOf(sorted)));
  });
});

test('`addAll` is the union, and leaves what is added as it was', () => {
  holds((a, b) => {
    const [into, from] = [contextOf(a), contextOf(b)];
    addAll(into, from);
    expect(dotsOf(into)).toEqual(naiveOf([...a, ...b]));
    for (const replica of REPLICAS) addDot(into, [replica, nextCounter(into, replica)]);
    expect(dotsOf(from)).toEqual(naiveOf(b));
  });
});

test('`without` and `removeAll` are the difference; `without` leaves its context as it was', () => {
  holds((a, b) => {
    const context = contextOf(a);
    const dropped = naiveOf(b);
    const rest = naiveOf(a.filter((dot) => !dropped.has(JSON.stringify(dot))));
    expect(dotsOf(without(context, contextOf(b)))).toEqual(rest);
    expect(dotsOf(context)).toEqual(naiveOf(a));
    removeAll(context, contextOf(b));
    expect(dotsOf(context)).toEqual(rest);
  });
});

test('`exceeds` is true where a dot is missing from the other', () => {
  holds((a, b) => {
    const known = naiveOf(b);
    const exceeding = a.some((dot) => !known.has(JSON.stringify(dot)));
    expect(exceeds(contextOf(a), contextOf(b))).toBe(exceeding);
    expect(exceeds(contextOf(a), contextOf([...b, ...a]))).toBe(false);
  });
});

test('the next counter is one more than the greatest', () => {
  holds((a) => {
    for (const replica of REPLICAS) {
      const counters = countersOf(naiveOf(a), replica);
      expect(nextCounter(contextOf(a), replica)).toBe(Math.max(0, ...counters) + 1);
    }
  });
});

test('the version vector ends before the first gap; what is beyond gaps is counted', () => {
  holds((a) => {
    const context = contextOf(a);
    const vector = versionVector(context);
    let beyond = 0;
    for (const replica of REPLICAS) {
      const counters = new Set(countersOf(naiveOf(a), replica));
      let to = 0;
      while (counters.has(to + 1)) to += 1;
      expect(Object.hasOwn(vector, replica) ? vector[replica] : 0).toBe(to);
      beyond += counters.size - to;
    }
    expect(beyondGaps(context)).toBe(beyond);
    expect(Object.keys(vector).length).toBe(
      [...context].filter(([replica]) => covers(context, replica, 1)).length,
    );
  });
});

test('a hundred thousand operations in a row are one interval', () => {
  const context: CausalContext = new Map();
  for (let counter = 1; counter <= 100_000; counter += 1) addDot(context, ['a', counter]);
  expect(JSON.stringify(encodeContext(context)).slice(0, 100)).toBe('{"a":[1,100000]}');
});
