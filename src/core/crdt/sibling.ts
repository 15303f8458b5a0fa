import type { Json } from '../json';
import type { Dot, ReplicaId } from './causal-context';

/** What one operation wrote under a key: its dot, its hybrid time, the value, and the term of the leader that decided it. */
export type Sibling = readonly [
  replica: ReplicaId,
  counter: number,
  ms: number,
  logical: number,
  value: Json,
  term?: number,
];

/** By key: what stands there; several where they were written concurrently. Ascending by dot, so that equal is equal. */
export type Entries = Map<string, readonly Sibling[]>;

export function dotOf([replica, counter]: Sibling): Dot {
  return [replica, counter];
}

export function valueOf(sibling: Sibling): Json {
  return sibling[4];
}

export function termOf(sibling: Sibling): number {
  return sibling[5] ?? 0;
}

export function isSameDot(a: Sibling | Dot, b: Sibling | Dot): boolean {
  return a[1] === b[1] && a[0] === b[0];
}

export function byDot(a: Sibling, b: Sibling): number {
  return byText(a[0], b[0]) || a[1] - b[1];
}

/** By hybrid time; equal times by replica. Total, and the same everywhere. */
export function byTime(a: Sibling, b: Sibling): number {
  return a[2] - b[2] || a[3] - b[3] || byDot(a, b);
}

/** The one that was written last. `siblings` must not be empty. */
export function newest(siblings: readonly Sibling[]): Sibling {
  return greatest(siblings, byTime);
}

/** The one that wins in a register: of the highest term, then the one written last. `siblings` must not be empty. */
export function winner(siblings: readonly Sibling[]): Sibling {
  return greatest(siblings, (a, b) => termOf(a) - termOf(b) || byTime(a, b));
}

/** Keys and what stands there, in the order in which they were last written. */
export function inOrder(entries: Entries): (readonly [key: string, siblings: readonly Sibling[]])[] {
  const dated = [...entries].map(([key, siblings]) => ({ key, siblings, last: newest(siblings) }));
  return dated.sort((a, b) => byTime(a.last, b.last)).map(({ key, siblings }) => [key, siblings]);
}

function greatest(siblings: readonly Sibling[], order: (a: Sibling, b: Sibling) => number): Sibling {
  return siblings.reduce((best, one) => (order(one, best) > 0 ? one : best));
}

/** By code unit: the same in every locale. */
function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
