/**
 * Which operations a replica has seen: a set of dots, kept as intervals. Where nothing is missing it is a version vector
 * (one interval a replica, from 1). After Almeida, Shoker, Baquero: Delta State Replicated Data Types (2018), who keep a
 * vector and a cloud of dots beside it.
 */

/** The name of whoever mints dots. Any text; no two ever mint under the same. */
export type ReplicaId = string;

/** Names one operation: the `counter`-th of `replica`, from 1. */
export type Dot = readonly [replica: ReplicaId, counter: number];

/** By replica: `[from, to, from, to ...]`, ascending, with gaps between. */
export type CausalContext = Map<ReplicaId, number[]>;

/** How far each replica is known without a gap. */
export type VersionVector = Readonly<Record<ReplicaId, number>>;

export function covers(context: CausalContext, replica: ReplicaId, counter: number): boolean {
  const intervals = context.get(replica);
  return intervals !== undefined && isIn(intervals, counter);
}

/** The counter of the dot that `replica` mints next. */
export function nextCounter(context: CausalContext, replica: ReplicaId): number {
  return (context.get(replica)?.at(-1) ?? 0) + 1;
}

/** Adds a dot to `context`. */
export function addDot(context: CausalContext, [replica, counter]: Dot): void {
  const intervals = context.get(replica);
  if (intervals === undefined) context.set(replica, [counter, counter]);
  else if (intervals.at(-1) === counter - 1) intervals[intervals.length - 1] = counter;
  else if (!isIn(intervals, counter)) context.set(replica, merged(intervals, [counter, counter]));
}

/** Adds all dots of `from` to `into`. */
export function addAll(into: CausalContext, from: CausalContext): void {
  for (const [replica, intervals] of from) {
    const mine = into.get(replica);
    into.set(replica, mine === undefined ? [...intervals] : merged(mine, intervals));
  }
}

/** The context that has `dots`, and no others. */
export function contextOf(dots: Iterable<Dot>): CausalContext {
  const counters = new Map<ReplicaId, number[]>();
  for (const [replica, counter] of dots) {
    const known = counters.get(replica);
    if (known === undefined) counters.set(replica, [counter]);
    else known.push(counter);
  }
  const context: CausalContext = new Map();
  for (const [replica, known] of counters) {
    for (const counter of known.sort(ascending)) addDot(context, [replica, counter]);
  }
  return context;
}

/** The dots of all `contexts`, of which none is changed by what is done to it. */
export function unionOf(...contexts: CausalContext[]): CausalContext {
  const union: CausalContext = new Map();
  for (const context of contexts) addAll(union, context);
  return union;
}

/** A copy of `context` without the dots of `others`. */
export function without(context: CausalContext, others: CausalContext): CausalContext {
  const rest = unionOf(context);
  removeAll(rest, others);
  return rest;
}

/** Takes the dots of `others` out of `context`. */
export function removeAll(context: CausalContext, others: CausalContext): void {
  for (const [replica, intervals] of context) {
    const left = minus(intervals, others.get(replica) ?? []);
    if (left.length > 0) context.set(replica, left);
    else context.delete(replica);
  }
}

/** True where `context` has a dot that `other` has not. */
export function exceeds(context: CausalContext, other: CausalContext): boolean {
  for (const [replica, intervals] of context) {
    const theirs = other.get(replica) ?? [];
    for (let index = 0; index < intervals.length; index += 2) {
      if (!isSpanned(theirs, intervals[index] as number, intervals[index + 1] as number)) return true;
    }
  }
  return false;
}

export function versionVector(context: CausalContext): VersionVector {
  const pairs = [...context].flatMap(([replica, [from, to]]) =>
    from === 1 && to !== undefined ? [[replica, to] as const] : [],
  );
  return Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** How many dots are known of which an earlier one is missing. */
export function beyondGaps(context: CausalContext): number {
  let count = 0;
  for (const intervals of context.values()) {
    for (let index = intervals[0] === 1 ? 2 : 0; index < intervals.length; index += 2) {
      count += (intervals[index + 1] as number) - (intervals[index] as number) + 1;
    }
  }
  return count;
}

/** The position of the last interval that begins at or before `counter`; negative where none does. */
function intervalBefore(intervals: readonly number[], counter: number): number {
  let low = 0;
  let high = intervals.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((intervals[2 * middle] as number) <= counter) low = middle + 1;
    else high = middle;
  }
  return 2 * (low - 1);
}

function isIn(intervals: readonly number[], counter: number): boolean {
  const at = intervalBefore(intervals, counter);
  return at >= 0 && counter <= (intervals[at + 1] as number);
}

function isSpanned(intervals: readonly number[], from: number, to: number): boolean {
  const at = intervalBefore(intervals, from);
  return at >= 0 && to <= (intervals[at + 1] as number);
}

function merged(a: readonly number[], b: readonly number[]): number[] {
  const all: number[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const takeA = j >= b.length || (i < a.length && (a[i] as number) <= (b[j] as number));
    const [from, to] = takeA ? [a[i] as number, a[i + 1] as number] : [b[j] as number, b[j + 1] as number];
    if (takeA) i += 2;
    else j += 2;
    const last = all.at(-1);
    if (last === undefined || from > last + 1) all.push(from, to);
    else if (to > last) all[all.length - 1] = to;
  }
  return all;
}

/** `intervals` without the intervals `holes`. */
function minus(intervals: readonly number[], holes: readonly number[]): number[] {
  const left: number[] = [];
  let hole = 0;
  for (let index = 0; index < intervals.length; index += 2) {
    let from = intervals[index] as number;
    const to = intervals[index + 1] as number;
    while (hole < holes.length && (holes[hole + 1] as number) < from) hole += 2;
    for (let cut = hole; cut < holes.length && (holes[cut] as number) <= to; cut += 2) {
      const at = holes[cut] as number;
      if (at > from) left.push(from, at - 1);
      from = (holes[cut + 1] as number) + 1;
    }
    if (from <= to) left.push(from, to);
  }
  return left;
}

function ascending(a: number, b: number): number {
  return a - b;
}
