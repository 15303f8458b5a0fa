/** What sets, maps and logs have in common. */
import { sha256 } from '@noble/hashes/sha2';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils';
import { type FieldProblem, type Json, canonicalJson, isRecord, jsonBytes } from '../json';
import type { Dot } from './causal-context';
import { type Effect, NO_SIBLINGS, type Writing } from './crdt-type';
import { type Entries, type Sibling, isSameDot, newest, byTime, inOrder } from './sibling';

/** Of one value, in bytes of JSON. */
export const VALUE_MAXIMUM_BYTES = 8 * 1024;
const VALUE_MAXIMUM_DEPTH = 32;
/** Of a key, in characters. */
export const KEY_MAXIMUM_LENGTH = 1000;
/** Longer values are known by their hash. */
const READABLE_KEY_MAXIMUM_LENGTH = 64;

/** What removes an entry: the dots that were read of it, so that what was written concurrently stays. */
export interface Removal {
  readonly remove: string;
  readonly dots: readonly Dot[];
}

/** The key of a value in a set: the same for equal values, whatever the order of their fields. */
export function elementKey(value: Json): string {
  const text = canonicalJson(value);
  return text.length <= READABLE_KEY_MAXIMUM_LENGTH ? text : bytesToHex(sha256(utf8ToBytes(text)));
}

/** Puts `value` under `key`, in the place of what is seen there, and drops the oldest entries where there are too many. */
export function put(
  entries: Entries,
  write: NonNullable<Effect['write']>,
  { maxEntries }: Pick<Writing, 'maxEntries'>,
): Effect {
  const replaced = entries.get(write.key);
  const tooMany = entries.size + (replaced === undefined ? 1 : 0) - maxEntries;
  const dropped = tooMany > 0 ? oldest(entries, write.key, tooMany) : [];
  return { write, replaces: [...dropped, [write.key, replaced ?? NO_SIBLINGS]] };
}

export function remove(entries: Entries, { remove: key, dots }: Removal): Effect | undefined {
  const seen = (entries.get(key) ?? NO_SIBLINGS).filter((one) => dots.some((dot) => isSameDot(dot, one)));
  return seen.length === 0 ? undefined : { replaces: [[key, seen]] };
}

export function isRemoval(operation: object): operation is Removal {
  return 'remove' in operation;
}

export function valueProblems(field: string, value: unknown): FieldProblem[] {
  if (!isJson(value)) {
    return [
      [
        [field],
        `JSON of at most ${VALUE_MAXIMUM_DEPTH} levels, without what JSON would change (undefined, NaN, -0, a Date, a Map)`,
      ],
    ];
  }
  if (jsonBytes(value) <= VALUE_MAXIMUM_BYTES) return [];
  return [
    [
      [field],
      `at most ${VALUE_MAXIMUM_BYTES / 1024} KiB of JSON (keep it in the artifact store, and its reference here)`,
    ],
  ];
}

export function keyProblems(field: string, key: unknown): FieldProblem[] {
  return typeof key === 'string' && key.length <= KEY_MAXIMUM_LENGTH
    ? []
    : [[[field], `a text of at most ${KEY_MAXIMUM_LENGTH} characters`]];
}

export function termProblems(term: unknown): FieldProblem[] {
  return term === undefined || (Number.isSafeInteger(term) && (term as number) >= 0)
    ? []
    : [[['term'], 'a whole number, 0 or more']];
}

export function removalProblems(operation: Record<string, unknown>): FieldProblem[] {
  const { dots } = operation;
  const isDots = Array.isArray(dots) && dots.every(isDot);
  return [
    ...keyProblems('remove', operation['remove']),
    ...(isDots ? [] : [[['dots'], 'a list of [replica, counter]'] as const]),
  ];
}

/** Problems of an operation that is either a removal or, by `others`, one of the type's own. */
export function operationProblems(
  operation: unknown,
  others: (operation: Record<string, unknown>) => FieldProblem[],
): FieldProblem[] {
  if (!isRecord(operation)) return [[[], 'an operation']];
  return isRemoval(operation) ? removalProblems(operation) : others(operation);
}

function isDot(value: unknown): value is Dot {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === 'string' &&
    Number.isSafeInteger(value[1]) &&
    value[1] > 0
  );
}

/** False for what JSON would change or leave out, and for what is nested deeper than it may be. */
export function isJson(value: unknown, levels = VALUE_MAXIMUM_DEPTH): value is Json {
  if (levels < 0) return false;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0);
  const isInside = (item: unknown): boolean => isJson(item, levels - 1);
  // `every` passes over the holes of a list; `includes` does not.
  if (Array.isArray(value)) return value.every(isInside) && !value.includes(undefined);
  return isRecord(value) && isPlainObject(value) && Object.values(value).every(isInside);
}

/** False for a Date, a Map and the like. Objects may be of another realm: each has an Object.prototype of its own. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return !('toJSON' in value) && (prototype === null || Object.getPrototypeOf(prototype) === null);
}

/** The `count` entries other than `key` that were written the longest ago. */
function oldest(entries: Entries, key: string, count: number): (readonly [string, readonly Sibling[]])[] {
  if (count > 1) {
    return inOrder(entries)
      .filter(([other]) => other !== key)
      .slice(0, count);
  }
  // Every addition to a full collection comes by here: one pass, and no copy.
  let first: readonly [string, readonly Sibling[]] | undefined;
  for (const one of entries) {
    const isOlder = first === undefined || byTime(newest(one[1]), newest(first[1])) < 0;
    if (isOlder && one[0] !== key) first = one;
  }
  return first === undefined ? [] : [first];
}
