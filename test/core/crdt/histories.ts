/** Random histories of a few replicas: operations, and exchanges of which many are partial. */
import fc from 'fast-check';
import type { Json } from '../../../src/core/json';
import type { CausalContext } from '../../../src/core/crdt/causal-context';
import type { Knowledge } from '../../../src/core/crdt/knowledge';
import { join, noKnowledge } from '../../../src/core/crdt/knowledge';
import { encodeContext, encodeKnowledge } from '../../../src/core/crdt/knowledge-json';
import { type Operation, ReplicaState } from '../../../src/core/crdt/replica';
import type { CrdtName } from '../../../src/core/crdt/types';
import { operationOf } from './operations';

/** 2023-11-14, in ms. */
export const T = 1_700_000_000_000;
const NAMES = ['facts', '__proto__'] as const;

/** Texts that an object, a sort or an encoding may trip over. */
export const ODD_TEXTS = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  ' ',
  '0',
  '1',
  '-1',
  'a:b',
  '"\\\n\u0000',
  'ключ',
  '鍵',
  'é',
  'e\u0301',
  '🦀',
  '\ud83e',
  '\udd80',
];
const LONG_TEXTS = ['x'.repeat(1000), '鍵'.repeat(1000)];

export const anyText = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...ODD_TEXTS) },
  { weight: 6, arbitrary: fc.string({ maxLength: 8, unit: 'binary' }) },
  { weight: 1, arbitrary: fc.constantFrom(...LONG_TEXTS) },
);

export const anyValue: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(null, true, 0, 1, '', 'yes', [], {}, [1, { a: [] }], { b: 1, a: 2 }),
  anyText,
  anyText.map((key): Json => Object.fromEntries([[key, 'x'.repeat(80)]])),
);

/** A step: small numbers, each taken modulo what there is to choose from. */
type Step = readonly [
  kind: number,
  replica: number,
  other: number,
  key: number,
  value: number,
  amount: number,
];

/** What a history is made of. */
export interface Plan {
  readonly replicas: readonly string[];
  readonly keys: readonly string[];
  readonly values: readonly Json[];
  readonly maxEntries: number;
  readonly steps: readonly Step[];
}

/** What came of it. */
export interface History {
  readonly plan: Plan;
  readonly states: readonly ReplicaState[];
  /** Of all operations that did anything, in the order in which they were made. */
  readonly deltas: readonly Knowledge[];
  /** What replicas sent each other. */
  readonly messages: readonly Knowledge[];
}

/** What is watched of a history as it goes. */
export interface Watch {
  before?(replica: ReplicaState, operation: Operation, now: number): void;
  applied?(replica: ReplicaState, operation: Operation, delta: Knowledge | undefined): void;
  /** Something new was told. `source`: who told all that he knows, or the deltas that were told. */
  exchanged?(to: ReplicaState, source: ReplicaState | readonly Knowledge[]): void;
  /** After each operation and exchange. */
  changed?(replica: ReplicaState): void;
}

export const anyPlan: fc.Arbitrary<Plan> = fc.record({
  replicas: fc.uniqueArray(anyText, { minLength: 2, maxLength: 4 }),
  keys: fc.uniqueArray(anyText, { minLength: 1, maxLength: 3 }),
  values: fc.array(anyValue, { minLength: 1, maxLength: 3 }),
  maxEntries: fc.constantFrom(1, 2, 1000),
  steps: fc.array(fc.tuple(fc.nat(15), fc.nat(3), fc.nat(3), fc.nat(2), fc.nat(2), fc.nat(9)), {
    minLength: 3,
    maxLength: 14,
    size: 'max',
  }),
});

/** Plays `plan` with operations of one kind. */
export function play(plan: Plan, type: CrdtName, watch: Watch = {}): History {
  const { replicas, keys, values, maxEntries, steps } = plan;
  const states = replicas.map((id) => ReplicaState.create(id));
  const deltas: Knowledge[] = [];
  const messages: Knowledge[] = [];
  /** All there is, what a third lacks, or what `to` lacks. */
  const seenFor = (kind: number, to: ReplicaState, at: number): CausalContext =>
    kind === 11 ? new Map() : (kind === 12 ? pick(states, at) : to).context;
  const exchange = (kind: number, to: ReplicaState, from: ReplicaState, at: number, now: number): void => {
    const [delta, next] = deltas.length === 0 ? [] : [pick(deltas, at), pick(deltas, at + 1)];
    const source = kind < 13 || !delta || !next ? from : kind === 13 ? [delta, next] : [delta];
    const message = 'id' in source ? from.since(seenFor(kind, to, at)) : joinedDeltas(...source);
    messages.push(message);
    if (to.merge(message, now)) watch.exchanged?.(to, source);
    watch.changed?.(to);
  };
  for (const [index, [kind, by, other, key, value, amount]] of steps.entries()) {
    const mine = pick(states, by);
    const theirs = pick(states, other);
    // Clocks that differ by up to 4 minutes, and run backwards now and then.
    const now = T + 60_000 * (by % states.length) + (amount > 7 ? -index : index);
    if (kind >= 9) {
      exchange(kind, mine, theirs, 7 * key + value + amount, now);
      continue;
    }
    const operation = operationOf(
      { type, name: kind === 0 ? NAMES[1] : NAMES[0] },
      {
        key: pick(keys, key),
        value: pick(values, value),
        amount: amount + 1,
        term: amount < 5 ? undefined : amount % 3,
        removes: kind >= 6,
        read: kind === 6 ? theirs : mine,
      },
    );
    watch.before?.(mine, operation, now);
    const delta = mine.apply(operation, now, maxEntries);
    if (delta !== undefined) deltas.push(delta);
    watch.applied?.(mine, operation, delta);
    watch.changed?.(mine);
  }
  return { plan, states, deltas, messages };
}

export function pick<Value>(values: readonly Value[], index: number): Value {
  const value = values[index % values.length];
  if (value === undefined) throw new RangeError('Expected at least one value, got none');
  return value;
}

export function joined(...parts: readonly Knowledge[]): Knowledge {
  const whole = noKnowledge('all');
  for (const part of parts) join(whole, part);
  return whole;
}

/** A part of what is known: of no parts nothing. */
export function joinedDeltas(...parts: readonly Knowledge[]): Knowledge {
  const part = noKnowledge('keys');
  for (const one of parts) join(part, one);
  return part;
}

export function textOf(knowledge: Knowledge): string {
  return JSON.stringify(encodeKnowledge(knowledge));
}

export function contextText({ context }: Knowledge): string {
  return JSON.stringify(encodeContext(context));
}

/** As {@link same} of the texts of both, and quicker where they are equal. */
export function sameKnowledge(actual: Knowledge, expected: Knowledge, what: string): void {
  if (!isEqual(actual, expected)) same(textOf(actual), textOf(expected), what);
}

function isEqual(a: Knowledge, b: Knowledge): boolean {
  const contexts = [
    [a.context, b.context],
    [a.replaced, b.replaced],
    [a.leftOut, b.leftOut],
  ] as const;
  return (
    a.reach === b.reach &&
    contexts.every(([x, y]) => areEqual(x, y, (i, j) => areListsEqual(i, j))) &&
    areEqual(a.crdts, b.crdts, (x, y) => areEqual(x, y, (i, j) => areEqual(i, j, areListsEqual)))
  );
}

function areEqual<Value>(
  a: ReadonlyMap<string, Value>,
  b: ReadonlyMap<string, Value>,
  isSame: (a: Value, b: Value) => boolean,
): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) {
    const other = b.get(key);
    if (other === undefined || !isSame(value, other)) return false;
  }
  return true;
}

function areListsEqual(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** Throws, in a line, where two texts differ. */
export function same(actual: string, expected: string, what: string): void {
  if (actual === expected) return;
  let at = 0;
  while (actual[at] === expected[at]) at += 1;
  const from = Math.max(0, at - 60);
  throw new Error(
    `${what}: from character ${at} on …${actual.slice(from, at + 60)}… is not …${expected.slice(from, at + 60)}…`,
  );
}

/** Says which random cases are made. */
const SEED = Number(process.env['CADRE_LAW_SEED'] ?? Date.now() % 1_000_000);

/** So many random plans: for all that is to hold of them, since making them takes the most time. */
export function somePlans(cases: number): readonly Plan[] {
  return fc.sample(anyPlan, { numRuns: cases, seed: SEED });
}

/** Why `check` throws for one of `plans`, in a few lines; with CADRE_LAW_SEED it comes again. Empty where it throws for none. */
export function failureIn(plans: readonly Plan[], check: (plan: Plan) => void): string {
  for (const plan of plans) {
    const reason = reasonOf(() => check(plan));
    if (reason === undefined) continue;
    const shrunk = fc.check(fc.property(anyPlan, check), { numRuns: plans.length, seed: SEED });
    const [least, why] = shrunk.failed
      ? [shrunk.counterexample?.[0], String(shrunk.errorInstance)]
      : [plan, reason];
    return `CADRE_LAW_SEED=${SEED}: ${why}\n${JSON.stringify(least).slice(0, 1000)}`;
  }
  return '';
}

/** What `act` throws. */
export function reasonOf(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return String(error);
  }
}
