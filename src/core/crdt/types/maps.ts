/** Maps. Keys are those of an OR-Set; of values set concurrently one wins in an LWW-Map, an OR-Map keeps all. */
import { type FieldProblem, type Json } from '../../json';
import {
  type Removal,
  isRemoval,
  keyProblems,
  operationProblems,
  put,
  remove,
  termProblems,
  valueProblems,
} from '../collection';
import { type CrdtType, type Effect, NO_SIBLINGS, type Writing } from '../crdt-type';
import { type Entries, type Sibling, inOrder, valueOf, winner } from '../sibling';
import { isStale } from './registers';

/** Sets `value` under the key `set`; with the term of the leader that decided it, where one did. */
export interface Setting {
  readonly set: string;
  readonly value: Json;
  readonly term?: number;
}

/** As in an LWW-Register, under each key. */
export const lwwMap: CrdtType<Setting | Removal, Record<string, Json>> = {
  problems: settingProblems,
  effect: settingEffect,
  value: (entries) => record(entries, (siblings) => valueOf(winner(siblings))),
};

/** By key all values that were set concurrently; mostly one. */
export const orMap: CrdtType<Setting | Removal, Record<string, Json[]>> = {
  problems: settingProblems,
  effect: settingEffect,
  value: (entries) => record(entries, (siblings) => siblings.map(valueOf)),
};

function settingEffect(entries: Entries, operation: Setting | Removal, on: Writing): Effect | undefined {
  if (isRemoval(operation)) return remove(entries, operation);
  const { set: key, value, term } = operation;
  if (isStale(entries.get(key) ?? NO_SIBLINGS, term)) return undefined;
  return put(entries, { key, value, ...(term === undefined ? {} : { term }) }, on);
}

function settingProblems(operation: unknown): FieldProblem[] {
  return operationProblems(operation, ({ set, value, term }) => [
    ...keyProblems('set', set),
    ...valueProblems('value', value),
    ...termProblems(term),
  ]);
}

function record<Value>(
  entries: Entries,
  read: (siblings: readonly Sibling[]) => Value,
): Record<string, Value> {
  return Object.fromEntries(inOrder(entries).map(([key, siblings]) => [key, read(siblings)]));
}
