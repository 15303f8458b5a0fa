/**
 * What every kind of CRDT means, said as simply as can be: a replica is the set of operations that it has seen, and an
 * operation keeps the operations that it replaced for ever. No contexts, no deltas, nothing is forgotten.
 */
import { type Json, assertNever, canonicalJson } from '../../../src/core/json';
import { elementKey } from '../../../src/core/crdt/collection';
import type { Place } from '../../../src/core/crdt/knowledge';
import type { Operation } from '../../../src/core/crdt/replica';

/** An operation that did something. */
interface Done {
  /** Its dot, as a text. */
  readonly id: string;
  readonly replica: string;
  readonly counter: number;
  readonly place: Place;
  /** Absent where it only removes. */
  readonly key?: string;
  readonly value: Json;
  readonly by: number;
  readonly term: number;
  readonly time: readonly [ms: number, logical: number];
  readonly replaces: ReadonlySet<string>;
}

/** Where and when an operation happens: its dot and time are those that the replica gave it. */
export interface Happening {
  readonly dot: readonly [replica: string, counter: number];
  readonly time: readonly [ms: number, logical: number];
  readonly maxEntries: number;
}

/** What a replica has seen. */
export type Seen = Set<string>;

export class Model {
  private readonly done = new Map<string, Done>();

  /** True where `operation` does something to who has seen so much; `seen` has it then. */
  apply(seen: Seen, operation: Operation, { dot, time, maxEntries }: Happening): boolean {
    const place = { type: operation.type, name: operation.name };
    const all = this.live(seen, place);
    const effect = effectOf(operation, all, maxEntries, dot);
    if (effect === undefined) return false;
    const id = JSON.stringify(dot);
    const fields = { value: null, by: 0, term: 0, ...effect };
    const replaces = new Set(effect.replaces.map((one) => one.id));
    this.done.set(id, { ...fields, id, replica: dot[0], counter: dot[1], place, time, replaces });
    seen.add(id);
    return true;
  }

  /** As text, in which equal values are equal. */
  value(seen: Seen, { type, name }: Place): string {
    return canonicalJson(this.valueOf(seen, { type, name })) ?? 'undefined';
  }

  private valueOf(seen: Seen, place: Place): Json | undefined {
    const live = this.live(seen, place);
    const groups = [...groupsOf(live)];
    switch (place.type) {
      case 'gCounter':
      case 'pnCounter':
        return this.sum(seen, place);
      case 'lwwRegister':
        return live.sort(byRank).at(-1)?.value;
      case 'mvRegister':
        return live.sort(byDot).map(({ value }) => value);
      case 'gSet':
      case 'orSet':
      case 'appendLog':
        return groups.map(([, group]) => group.at(-1)?.value ?? null);
      case 'lwwMap':
        return Object.fromEntries(
          groups.map(([key, group]) => [key, group.sort(byRank).at(-1)?.value ?? null]),
        );
      case 'orMap':
        return Object.fromEntries(
          groups.map(([key, group]) => [key, group.sort(byDot).map(({ value }) => value)]),
        );
      default:
        return assertNever(place.type);
    }
  }

  /** Who has seen an operation of a replica has counted those that the replica did before it. */
  private sum(seen: Seen, place: Place): number {
    const mine = [...this.done.values()].filter((one) => isAt(one, place));
    const counted = mine.filter((one) =>
      mine.some(
        (other) => other.replica === one.replica && other.counter >= one.counter && seen.has(other.id),
      ),
    );
    return counted.reduce((total, { by }) => total + by, 0);
  }

  /** What was written at `place` and that nothing seen has replaced. */
  private live(seen: Seen, place: Place): Done[] {
    const known = [...this.done.values()].filter((one) => seen.has(one.id) && isAt(one, place));
    return known.filter(
      ({ id, key }) => key !== undefined && !known.some(({ replaces }) => replaces.has(id)),
    );
  }
}

type Effect = Partial<Pick<Done, 'key' | 'value' | 'by' | 'term'>> & { readonly replaces: readonly Done[] };

function effectOf(
  operation: Operation,
  live: readonly Done[],
  maxEntries: number,
  dot: Happening['dot'],
): Effect | undefined {
  if ('remove' in operation) {
    const read = new Set(operation.dots.map((one) => JSON.stringify(one)));
    const replaces = live.filter(({ id, key }) => key === operation.remove && read.has(id));
    return replaces.length === 0 ? undefined : { replaces };
  }
  if ('by' in operation) return { key: dot[0], by: operation.by, replaces: [] };
  if ('append' in operation) return put(live, JSON.stringify(dot), { value: operation.append }, maxEntries);
  if ('add' in operation) {
    const key = elementKey(operation.add);
    if (operation.type === 'gSet' && live.some((one) => one.key === key)) return undefined;
    return put(live, key, { value: operation.add }, maxEntries);
  }
  const { term = 0 } = operation;
  if ('assign' in operation) {
    if (live.some((one) => one.term > term)) return undefined;
    return { key: '', value: operation.assign, term, replaces: live };
  }
  const { set: key, value } = operation;
  if (live.some((one) => one.key === key && one.term > term)) return undefined;
  return put(live, key, { value, term }, maxEntries);
}

/** In the place of what is there; the oldest go where there are too many. */
function put(live: readonly Done[], key: string, written: Partial<Done>, maxEntries: number): Effect {
  const others = [...groupsOf(live)].filter(([other]) => other !== key);
  const tooMany = Math.max(0, others.length + 1 - maxEntries);
  const dropped = others.slice(0, tooMany).flatMap(([, group]) => group);
  return { ...written, key, replaces: [...live.filter((one) => one.key === key), ...dropped] };
}

/** By key, the one whose newest is the oldest first; each with its newest last. */
function groupsOf(live: readonly Done[]): Map<string, Done[]> {
  const groups = new Map<string, Done[]>();
  for (const one of [...live].sort(byTime)) {
    const group = groups.get(one.key ?? '') ?? [];
    groups.delete(one.key ?? '');
    groups.set(one.key ?? '', [...group, one]);
  }
  return groups;
}

function isAt({ place }: Done, { type, name }: Place): boolean {
  return place.type === type && place.name === name;
}

function byRank(a: Done, b: Done): number {
  return a.term - b.term || byTime(a, b);
}

function byTime(a: Done, b: Done): number {
  return a.time[0] - b.time[0] || a.time[1] - b.time[1] || byDot(a, b);
}

function byDot(a: Done, b: Done): number {
  if (a.replica !== b.replica) return a.replica < b.replica ? -1 : 1;
  return a.counter - b.counter;
}
