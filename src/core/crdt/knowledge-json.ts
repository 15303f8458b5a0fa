/** Knowledge as JSON, for messages, checkpoints and files. */
import { type CadreError, inputInvalid } from '../failures';
import { isRecord } from '../json';
import { type CausalContext, covers, unionOf, without } from './causal-context';
import { isJson } from './collection';
import { type Knowledge, type Place, eachKey, noKnowledge } from './knowledge';
import { type Entries, type Sibling, byDot, valueOf } from './sibling';
import { CRDT_NAMES, CRDT_TYPES, type CrdtName, isCrdtName } from './types';

/** Of what a message says of a field: keys may be long. In characters. */
const FIELD_MAXIMUM_LENGTH = 300;

/** `crdts`: by kind, by name, by key. */
export interface KnowledgeJson {
  /** What is left out among it: so it has few holes. */
  readonly context: ContextJson;
  readonly crdts: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<string, readonly Sibling[]>>>>>
  >;
  /** Absent where there is none, as where no operation came sooner than those before it. */
  readonly replaced?: ContextJson;
  /** Absent where nothing is left out. */
  readonly leftOut?: ContextJson;
  readonly reach: Knowledge['reach'];
}

/** By replica: `[from, to, from, to ...]`. */
export type ContextJson = Readonly<Record<string, readonly number[]>>;

/** The same for equal knowledge: fields are in order. */
export function encodeKnowledge({ context, crdts, replaced, leftOut, reach }: Knowledge): KnowledgeJson {
  return {
    context: encodeContext(unionOf(context, leftOut)),
    crdts: sorted(crdts, (named) =>
      sorted(named, (entries: Entries) => sorted(entries, (siblings) => siblings)),
    ),
    ...(replaced.size === 0 ? {} : { replaced: encodeContext(replaced) }),
    ...(leftOut.size === 0 ? {} : { leftOut: encodeContext(leftOut) }),
    reach,
  };
}

export function encodeContext(context: CausalContext): ContextJson {
  return sorted(context, (intervals) => [...intervals]);
}

/** Throws InputInvalid for what no replica has written. `what` names it in the message. */
export function decodeKnowledge(json: unknown, what: string): Knowledge {
  if (!isRecord(json)) throw invalid(what, 'knowledge: an object', json);
  const { context, crdts, replaced = {}, leftOut = {}, reach } = json;
  if (reach !== 'keys' && reach !== 'all') throw invalid(`${what}.reach`, 'keys or all', reach);
  const left = decodeContext(leftOut, `${what}.leftOut`);
  const seen = without(decodeContext(context, `${what}.context`), left);
  const gone = without(decodeContext(replaced, `${what}.replaced`), seen);
  const knowledge: Knowledge = { ...noKnowledge(reach), context: seen, leftOut: left, replaced: gone };
  for (const [type, named] of fields(crdts, `${what}.crdts`)) {
    if (!isCrdtName(type)) throw invalid(`${what}.crdts`, `of the kinds ${CRDT_NAMES.join(', ')}`, type);
    for (const [name, keys] of fields(named, `${what}.crdts.${type}`)) {
      const entries = decodeEntries(keys, type, knowledge, `${what}.crdts.${type}.${name}`);
      if (entries.size === 0) continue;
      knowledge.crdts.set(type, knowledge.crdts.get(type) ?? new Map());
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
      throw invalid(
        `${what}.${replica}`,
        'pairs of whole numbers from 1, ascending, with gaps between',
        intervals,
      );
    }
    context.set(replica, [...intervals]);
  }
  return context;
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

/** Keys under which nothing is say something only in what tells of keys. */
function decodeEntries(json: unknown, type: CrdtName, { context, reach }: Knowledge, what: string): Entries {
  const entries: Entries = new Map();
  for (const [key, list] of fields(json, what)) {
    const siblings = decodeSiblings(list, context, `${what}.${key}`);
    const stranger = siblings.find((one) => CRDT_TYPES[type].stores?.(valueOf(one)) === false);
    if (stranger !== undefined) throw invalid(`${what}.${key}`, `what a ${type} stores`, valueOf(stranger));
    if (siblings.length > 0 || reach === 'keys') entries.set(key, siblings);
  }
  return entries;
}

function decodeSiblings(json: unknown, context: CausalContext, what: string): readonly Sibling[] {
  if (!Array.isArray(json)) throw invalid(what, 'a list', json);
  const siblings = json.map((one: unknown) => {
    if (!isSibling(one)) throw invalid(what, '[replica, counter, ms, logical, value, term?]', one);
    if (!covers(context, one[0], one[1])) throw invalid(what, 'among what its context has seen', one);
    return one;
  });
  siblings.sort(byDot);
  const double = siblings.find((one, index) => index > 0 && byDot(siblings[index - 1] ?? one, one) === 0);
  if (double !== undefined) throw invalid(what, 'written by an operation each', double);
  return siblings;
}

function isSibling(json: unknown): json is Sibling {
  if (!Array.isArray(json) || json.length < 5 || json.length > 6) return false;
  const [replica, counter, ms, logical, value, term = 0] = json as unknown[];
  return (
    typeof replica === 'string' &&
    isCounter(counter) &&
    isCount(ms, 0) &&
    isCount(logical, 0) &&
    isJson(value) &&
    isCount(term, 0)
  );
}

function areIntervals(json: unknown): json is number[] {
  if (!Array.isArray(json) || json.length === 0 || json.length % 2 === 1) return false;
  return json.every((bound: unknown, index) => {
    const before = index === 0 ? -1 : (json[index - 1] as number);
    return isCounter(bound) && (index % 2 === 1 ? bound >= before : bound > before + 1);
  });
}

/** Far from where whole numbers are not exact any more: what a replica mints next must be a counter too. */
const COUNTER_MAXIMUM = 2 ** 50;

function isCounter(value: unknown): value is number {
  return isCount(value, 1) && value <= COUNTER_MAXIMUM;
}

function isCount(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function invalid(what: string, expected: string, got: unknown): CadreError {
  return inputInvalid(what.slice(0, FIELD_MAXIMUM_LENGTH), expected, got);
}

function fields(json: unknown, what: string): [string, unknown][] {
  if (!isRecord(json)) throw invalid(what, 'an object', json);
  return Object.entries(json);
}

/** Entries of an object are made, not assigned: a key like `__proto__` is one like any other. */
function sorted<Value, To>(
  map: ReadonlyMap<string, Value>,
  encode: (value: Value) => To,
): Record<string, To> {
  const keys = [...map.keys()].sort();
  return Object.fromEntries(keys.map((key) => [key, encode(map.get(key) as Value)]));
}
