/**
 * Named CRDTs under one causal context: what a replica holds, and what replicas send each other. A delta is the same as
 * a whole state, only smaller; {@link join} is the merge of both, and of all kinds of CRDT: the join of the causal
 * δ-CRDTs of Almeida, Shoker, Baquero (2018).
 *
 * 1. A sibling whose dot the context has stands in the entries, or was replaced or removed.
 * 2. Every operation has a dot, a removal too: equal contexts mean equal knowledge.
 * 3. What was removed leaves no tombstone: that its dot is in the context and it is not in the entries says it.
 * 4. The context has an operation only where all that it replaced is gone too. What was replaced by an operation that
 *    came sooner than it stands in `replaced` until it comes.
 */
import {
  type CausalContext,
  type Dot,
  addAll,
  addDot,
  contextOf,
  covers,
  exceeds,
  removeAll,
  unionOf,
  without,
} from './causal-context';
import type { Effect } from './crdt-type';
import { type HybridTime } from './hybrid-clock';
import { type Entries, type Sibling, byDot, dotOf, isSameDot } from './sibling';
import type { CrdtName } from './types';

/** Where entries stand: a kind of CRDT and the name that users gave it. */
export interface Place {
  readonly type: CrdtName;
  readonly name: string;
}

/** Knowledge, whole or in part. */
export interface Knowledge {
  readonly context: CausalContext;
  readonly crdts: Map<CrdtName, Map<string, Entries>>;
  /** What was replaced or removed and is not in the context. */
  readonly replaced: CausalContext;
  /** What the entries leave out, since whom this part is for has it: nobody else may merge it. */
  readonly leftOut: CausalContext;
  /**
   * `keys`: what was replaced or removed stood under the keys that are listed here, if only with nothing. Saves
   * looking at all others. `all`: it may have stood anywhere.
   */
  reach: 'keys' | 'all';
}

/** What a join changed. */
export interface Changes {
  readonly added: Sibling[];
  readonly removed: Sibling[];
}

export function noKnowledge(reach: Knowledge['reach']): Knowledge {
  return { context: new Map(), crdts: new Map(), replaced: new Map(), leftOut: new Map(), reach };
}

export function entriesAt({ crdts }: Knowledge, { type, name }: Place): Entries | undefined {
  return crdts.get(type)?.get(name);
}

/** The delta of one operation. */
export function deltaOf(
  { type, name }: Place,
  { write, replaces }: Effect,
  dot: Dot,
  [ms, logical]: HybridTime,
): Knowledge {
  const delta = noKnowledge('keys');
  const entries = makeEntries(delta, { type, name });
  addDot(delta.context, dot);
  for (const [key, siblings] of replaces) {
    entries.set(key, []);
    for (const sibling of siblings) addDot(delta.replaced, dotOf(sibling));
  }
  if (write !== undefined) {
    const { key, value, term } = write;
    entries.set(key, [
      term === undefined ? [...dot, ms, logical, value] : [...dot, ms, logical, value, term],
    ]);
  }
  return delta;
}

/**
 * Merges `from` into `into`, which the caller owns; `from` is left as it was. A state may merge a part only where
 * {@link mayJoin}.
 */
export function join(into: Knowledge, from: Knowledge): Changes {
  const changes: Changes = { added: [], removed: [] };
  if (from.reach === 'all') dropRemoved(into, from, changes);
  for (const [type, named] of from.crdts) {
    for (const [name, entries] of named) {
      const mine = makeEntries(into, { type, name });
      for (const [key, theirs] of entries) joinKey(mine, key, theirs, { into, from }, changes);
      if (mine.size === 0) dropEntries(into, { type, name });
    }
  }
  addAll(into.context, from.context);
  addAll(into.replaced, from.replaced);
  removeAll(into.replaced, into.context);
  addAll(into.leftOut, from.leftOut);
  removeAll(into.leftOut, into.context);
  if (from.reach === 'all') into.reach = 'all';
  return changes;
}

/** What of `knowledge` somebody lacks who has `seen` so much. */
export function since(knowledge: Knowledge, seen: CausalContext): Knowledge {
  const known: Dot[] = [];
  const crdts: Knowledge['crdts'] = new Map();
  for (const { place, key, siblings } of eachKey(knowledge)) {
    const unknown = siblings.filter(([replica, counter]) => !covers(seen, replica, counter));
    for (const sibling of siblings) if (!unknown.includes(sibling)) known.push(dotOf(sibling));
    if (unknown.length > 0) makeEntries({ crdts }, place).set(key, unknown);
  }
  const leftOut = unionOf(contextOf(known), knowledge.leftOut);
  const context = without(knowledge.context, leftOut);
  return { context, crdts, replaced: unionOf(knowledge.replaced), leftOut, reach: 'all' };
}

/** Whether `into` has all that `from` leaves out: else it would lose what `from` has seen replaced, and not by what. */
export function mayJoin(into: Knowledge, from: Knowledge): boolean {
  return !exceeds(from.leftOut, into.context);
}

/** All entries, one key after the other. */
export function* eachKey({
  crdts,
}: Pick<Knowledge, 'crdts'>): Generator<{ place: Place; key: string; siblings: readonly Sibling[] }> {
  for (const [type, named] of crdts) {
    for (const [name, entries] of named) {
      for (const [key, siblings] of entries) yield { place: { type, name }, key, siblings };
    }
  }
}

/** Merges what stands under one key. A part keeps keys under which nothing is left: it tells of them. */
function joinKey(
  mine: Entries,
  key: string,
  theirs: readonly Sibling[],
  { into, from }: { into: Knowledge; from: Knowledge },
  changes: Changes,
): void {
  const before = mine.get(key) ?? [];
  const added = theirs.filter((one) => !tellsOf(into, one) && !before.some((other) => isSameDot(one, other)));
  const removed = before.filter(
    (one) => tellsOf(from, one) && !theirs.some((other) => isSameDot(one, other)),
  );
  changes.added.push(...added);
  changes.removed.push(...removed);
  const kept = removed.length === 0 ? before : before.filter((one) => !removed.includes(one));
  const after = added.length === 0 ? kept : [...kept, ...added].sort(byDot);
  if (after.length > 0 || into.reach === 'keys') mine.set(key, after);
  else mine.delete(key);
}

/** Drops what `from` has seen and has no more, under keys of which `from` says nothing. */
function dropRemoved(into: Knowledge, from: Knowledge, changes: Changes): void {
  for (const { place, key, siblings } of eachKey(into)) {
    if (entriesAt(from, place)?.has(key) === true) continue;
    const removed = siblings.filter((one) => tellsOf(from, one));
    if (removed.length === 0) continue;
    changes.removed.push(...removed);
    const entries = makeEntries(into, place);
    const kept = siblings.filter((one) => !removed.includes(one));
    if (kept.length > 0 || into.reach === 'keys') entries.set(key, kept);
    else entries.delete(key);
    if (entries.size === 0) dropEntries(into, place);
  }
}

/** True for what stands in the entries of `knowledge`, or is gone. */
function tellsOf({ context, replaced }: Knowledge, [replica, counter]: Sibling): boolean {
  return covers(context, replica, counter) || covers(replaced, replica, counter);
}

function makeEntries({ crdts }: Pick<Knowledge, 'crdts'>, { type, name }: Place): Entries {
  let named = crdts.get(type);
  if (named === undefined) crdts.set(type, (named = new Map()));
  let entries = named.get(name);
  if (entries === undefined) named.set(name, (entries = new Map()));
  return entries;
}

function dropEntries({ crdts }: Knowledge, { type, name }: Place): void {
  const named = crdts.get(type);
  named?.delete(name);
  if (named?.size === 0) crdts.delete(type);
}
