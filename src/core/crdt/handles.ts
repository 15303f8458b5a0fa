/** Knowledge as users of it see it: named counters, registers, sets, maps and logs. */
import type { Json } from '../json';
import { inputInvalid } from '../failures';
import { elementKey, valueProblems } from './collection';
import type { Place } from './knowledge';
import type { Operation } from './replica';
import { type Entries, dotOf, newest, valueOf, winner } from './sibling';
import { CRDT_TYPES } from './types';

/** Whether what is read is at hand, or comes later. */
export type Mode = 'now' | 'later';
export type Reading<M extends Mode, Value> = M extends 'now' ? Value : Promise<Value>;

/** Where operations go, and where values come from. */
export interface Port<M extends Mode> {
  /** Throws InputInvalid for an operation that is none. */
  write(operation: Operation): void;
  read<Value>(place: Place, value: (entries: Entries) => Value): Reading<M, Value>;
  /** Removes what stands under `key`. True where anything did. */
  remove(place: Place & { type: 'orSet' | 'lwwMap' | 'orMap' }, key: string): Reading<M, boolean>;
}

/**
 * Named CRDTs. Kinds have names of their own: `counter('x')` and `set('x')` are two. Values are JSON of up to 8 KiB. What
 * writes throws InputInvalid for anything else.
 */
export interface KnowledgeOf<M extends Mode> {
  /** A PN-Counter. */
  counter(name: string): CounterOf<M>;
  /** A G-Counter: only grows. */
  growOnlyCounter(name: string): Omit<CounterOf<M>, 'decrement'>;
  /** An LWW-Register: of values that are assigned concurrently the one assigned last is read. */
  register(name: string): RegisterOf<M>;
  /** An MV-Register: keeps all values that were assigned concurrently. */
  multiValueRegister(name: string): MultiValueRegisterOf<M>;
  /** An OR-Set of values, known by their content. Of an addition and a removal that are concurrent the addition wins. */
  set(name: string): SetOf<M>;
  /** A G-Set: nothing is removed. */
  growOnlySet(name: string): Omit<SetOf<M>, 'remove'>;
  /** An OR-Map: keeps all values that were set concurrently under a key. */
  map(name: string): MultiValueMapOf<M>;
  /** An LWW-Map: of values that were set concurrently under a key the one set last is read. */
  lastWriteMap(name: string): MapOf<M>;
  /** A log that keeps its newest entries. */
  log(name: string): LogOf<M>;
}

export interface CounterOf<M extends Mode> {
  /** Adds a whole number of 1 or more; default 1. */
  increment(by?: number): void;
  /** Takes away a whole number of 1 or more; default 1. */
  decrement(by?: number): void;
  value(): Reading<M, number>;
}

export interface RegisterOf<M extends Mode> {
  /** `term`: of the leader that decided it; one of an older term than what is read has no effect. */
  assign(value: Json, options?: { readonly term?: number }): void;
  /** Undefined before the first assignment. */
  value(): Reading<M, Json | undefined>;
}

export interface MultiValueRegisterOf<M extends Mode> {
  assign(value: Json): void;
  /** More than one where they were assigned concurrently. */
  values(): Reading<M, Json[]>;
}

export interface SetOf<M extends Mode> {
  add(value: Json): void;
  /** Removes it as it was read; what is added concurrently stays. True where it was there. */
  remove(value: Json): Reading<M, boolean>;
  has(value: Json): Reading<M, boolean>;
  /** In the order in which they were added last. */
  values(): Reading<M, Json[]>;
}

export interface MapOf<M extends Mode> {
  /** `term`: as in a register. */
  set(key: string, value: Json, options?: { readonly term?: number }): void;
  /** Removes the key as it was read; what is set concurrently stays. True where it was there. */
  delete(key: string): Reading<M, boolean>;
  get(key: string): Reading<M, Json | undefined>;
  value(): Reading<M, Record<string, Json>>;
}

export interface MultiValueMapOf<M extends Mode> extends Omit<MapOf<M>, 'value'> {
  /** All values that were set concurrently; none where the key is not there. `get` is the one set last. */
  getAll(key: string): Reading<M, Json[]>;
  value(): Reading<M, Record<string, Json[]>>;
}

export interface LogOf<M extends Mode> {
  append(value: Json): void;
  /** In the order in which they were appended. */
  values(): Reading<M, Json[]>;
}

/** Knowledge whose operations and reads go through `port`. */
export function knowledgeOf<M extends Mode>(port: Port<M>): KnowledgeOf<M> {
  return {
    counter: (name) => counter(port, { type: 'pnCounter', name }),
    growOnlyCounter: (name) => counter(port, { type: 'gCounter', name }),
    register: (name) => ({
      assign: (value, { term } = {}) =>
        port.write({ type: 'lwwRegister', name, assign: value, ...(term === undefined ? {} : { term }) }),
      value: () => port.read({ type: 'lwwRegister', name }, CRDT_TYPES.lwwRegister.value),
    }),
    multiValueRegister: (name) => ({
      assign: (value) => port.write({ type: 'mvRegister', name, assign: value }),
      values: () => port.read({ type: 'mvRegister', name }, CRDT_TYPES.mvRegister.value),
    }),
    set: (name) => ({
      ...setOf(port, { type: 'orSet', name }),
      remove: (value) => port.remove({ type: 'orSet', name }, keyOfElement(value)),
    }),
    growOnlySet: (name) => setOf(port, { type: 'gSet', name }),
    map: (name) => ({
      ...mapOf(port, { type: 'orMap', name }),
      getAll: (key) => port.read({ type: 'orMap', name }, (entries) => (entries.get(key) ?? []).map(valueOf)),
      value: () => port.read({ type: 'orMap', name }, CRDT_TYPES.orMap.value),
    }),
    lastWriteMap: (name) => ({
      ...mapOf(port, { type: 'lwwMap', name }),
      value: () => port.read({ type: 'lwwMap', name }, CRDT_TYPES.lwwMap.value),
    }),
    log: (name) => ({
      append: (value) => port.write({ type: 'appendLog', name, append: value }),
      values: () => port.read({ type: 'appendLog', name }, CRDT_TYPES.appendLog.value),
    }),
  };
}

/** The dots of what stands under `key`: what a removal of it has seen. */
export function dotsAt(entries: Entries, key: string): (readonly [string, number])[] {
  return (entries.get(key) ?? []).map(dotOf);
}

function counter<M extends Mode>(
  port: Port<M>,
  place: Place & { type: 'pnCounter' | 'gCounter' },
): CounterOf<M> {
  return {
    increment: (by = 1) => port.write({ ...place, by: amount(by, place) }),
    decrement: (by = 1) => port.write({ ...place, by: -amount(by, place) }),
    value: () => port.read(place, CRDT_TYPES[place.type].value),
  };
}

/** Throws InputInvalid. */
function amount(by: unknown, { name }: Place): number {
  if (Number.isSafeInteger(by) && (by as number) >= 1) return by as number;
  throw inputInvalid('by', `a whole number of 1 or more (counter ${JSON.stringify(name)})`, by);
}

/** Throws InputInvalid for what no set has. */
function keyOfElement(value: unknown): string {
  const [problem] = valueProblems('value', value);
  if (problem !== undefined) throw inputInvalid('value', problem[1], value);
  return elementKey(value as Json);
}

function setOf<M extends Mode>(
  port: Port<M>,
  place: Place & { type: 'orSet' | 'gSet' },
): Omit<SetOf<M>, 'remove'> {
  return {
    add: (value) => port.write({ ...place, add: value }),
    has: (value) => {
      const key = keyOfElement(value);
      return port.read(place, (entries) => entries.has(key));
    },
    values: () => port.read(place, CRDT_TYPES[place.type].value),
  };
}

function mapOf<M extends Mode>(
  port: Port<M>,
  place: Place & { type: 'orMap' | 'lwwMap' },
): Omit<MapOf<M>, 'value'> {
  const read = place.type === 'orMap' ? newest : winner;
  return {
    set: (key, value, { term } = {}) =>
      port.write({ ...place, set: key, value, ...(term === undefined ? {} : { term }) }),
    delete: (key) => port.remove(place, key),
    get: (key) =>
      port.read(place, (entries) => {
        const siblings = entries.get(key);
        return siblings === undefined ? undefined : valueOf(read(siblings));
      }),
  };
}
