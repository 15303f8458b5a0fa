/** Knowledge as JSON, for messages, checkpoints and files. */
import { inputInvalid } from '../failures';
import { isRecord } from '../json';
import { type CausalContext, addAll, covers, removeAll } from './causal-context';
import { type Knowledge, type Place, eachKey, entriesAt, noKnowledge } from './knowledge';
import { type Entries, type Sibling, byDot } from './sibling';
import { CRDT_NAMES, isCrdtName } from './types';

/** `crdts`: by kind, by name, by key. */
export interface KnowledgeJson {
  readonly context: ContextJson;
  readonly crdts: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<string, readonly Sibling[]>>>>>
  >;
  /** Absent where there is none, as where no operation came sooner than those before it. */
  readonly replaced?: ContextJson;
  readonly reach: Knowledge['reach'];
}

/** By replica: `[from, to, from, to ...]`. */
export type ContextJson = Readonly<Record<string, readonly number[]>>;

/** The same for equal knowledge: fields are in order. */
export function encodeKnowledge({ context, crdts, replaced, reach }: Knowledge): KnowledgeJson {
  return {
    context: encodeContext(context),
    crdts: sorted(crdts, (named) =>
      sorted(named, (entries: Entries) => sorted(entries, (siblings) => siblings)),
    ),
    ...(replaced.size === 0 ? {} : { replaced: encodeContext(replaced) }),
    reach,
  };
}

export function encodeContext(context: CausalContext): ContextJson {
  return sorted(context, (intervals) => [...intervals]);
}

/** Throws InputInvalid for what no replica has written. `what` names it in the message. */
export function decodeKnowledge(json: unknown, what: string): Knowledge {
  if (!isRecord(json)) throw inputInvalid(what, 'knowledge: an object', json);
  const { context, crdts, replaced = {}, reach } = json;
  if (reach !== 'keys' && reach !== 'all') throw inputInvalid(`${what}.reach`, 'keys or all', reach);
  const knowledge: Knowledge = { ...noKnowledge(reach), context: decodeContext(context, `${what}.context`) };
  addAll(knowledge.replaced, decodeContext(replaced, `${what}.replaced`));
  removeAll(knowledge.replaced, knowledge.context);
  for (const [type, named] of fields(crdts, `${what}.crdts`)) {
    if (!isCrdtName(type)) throw inputInvalid(`${what}.crdts`, `of the kinds ${CRDT_NAMES.join(', ')}`, type);
    for (const [name, keys] of fields(named, `${what}.crdts.${type}`)) {
      knowledge.crdts.set(type, knowledge.crdts.get(type) ?? new Map());
      const entries: Entries = new Map();
      for (const [key, siblings] of fields(keys, `${what}.crdts.${type}.${name}`)) {
        entries.set(key, decodeSiblings(siblings, knowledge.context, `${what}.crdts.${type}.${name}.${key}`));
      }
      knowledge.crdts.get(type)?.set(name, entries);
    }
  }
  return knowledge;
}

/** Throws InputInvalid. */
export function decodeContext(json: unknown, what: string): CausalContext {
  const context: CausalContext = new Map();
  for (const [replica, intervals] of fields(json, what)) {
    if (!areIntervals(intervals)) {
      throw inputInvalid(
        `${what}.${replica}`,
        'pairs of whole numbers from 1, ascending, with gaps between',
        intervals,
      );
    }
    context.set(replica, [...intervals]);
  }
  return context;
}

/** What `knowledge` has of one CRDT, with the newest last. */
export function encodeEntries(knowledge: Knowledge, place: Place): Record<string, readonly Sibling[]> {
  return sorted(entriesAt(knowledge, place) ?? new Map(), (siblings) => siblings);
}

/** Where there is knowledge. */
export function places(knowledge: Knowledge): Place[] {
  const all = [...knowledge.crdts].flatMap(([type, named]) =>
    [...named.keys()].map((name) => ({ type, name })),
  );
  return all.sort((a, b) => (a.type < b.type || (a.type === b.type && a.name < b.name) ? -1 : 1));
}

export function countEntries(knowledge: Knowledge): number {
  let count = 0;
  for (const { siblings } of eachKey(knowledge)) if (siblings.length > 0) count += 1;
  return count;
}

function decodeSiblings(json: unknown, context: CausalContext, what: string): readonly Sibling[] {
  if (!Array.isArray(json)) throw inputInvalid(what, 'a list', json);
  const siblings = json.map((one: unknown) => {
    if (!isSibling(one)) throw inputInvalid(what, '[replica, counter, ms, logical, value, term?]', one);
    if (!covers(context, one[0], one[1])) throw inputInvalid(what, 'among what its context has seen', one);
    return one;
  });
  return siblings.sort(byDot);
}

function isSibling(json: unknown): json is Sibling {
  if (!Array.isArray(json) || json.length < 5 || json.length > 6) return false;
  const [replica, counter, ms, logical, , term = 0] = json as unknown[];
  return (
    typeof replica === 'string' &&
    isCount(counter, 1) &&
    isCount(ms, 0) &&
    isCount(logical, 0) &&
    isCount(term, 0)
  );
}

function areIntervals(json: unknown): json is number[] {
  if (!Array.isArray(json) || json.length === 0 || json.length % 2 === 1) return false;
  return json.every((bound: unknown, index) => {
    const before = index === 0 ? -1 : (json[index - 1] as number);
    return isCount(bound, 1) && (index % 2 === 1 ? bound >= before : bound > before + 1);
  });
}

function isCount(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function fields(json: unknown, what: string): [string, unknown][] {
  if (!isRecord(json)) throw inputInvalid(what, 'an object', json);
  return Object.entries(json);
}

/** Entries of an object are made, not assigned: a key like `__proto__` is one like any other. */
function sorted<Value, To>(
  map: ReadonlyMap<string, Value>,
  encode: (value: Value) => To,
): Record<string, To> {
  const pairs = [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(pairs.map(([key, value]) => [key, encode(value)]));
}
