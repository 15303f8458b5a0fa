/**
 * Sets. The OR-Set is the optimized one of Bieniusa and others (An optimized conflict-free replicated set, 2012): it
 * keeps no tombstones, and of an addition and a removal that are concurrent the addition wins.
 */
import { type Json, isRecord } from '../../json';
import {
  type Removal,
  elementKey,
  isRemoval,
  operationProblems,
  put,
  remove,
  valueProblems,
} from '../collection';
import type { CrdtType } from '../crdt-type';
import { inOrder, newest, valueOf } from '../sibling';
import type { Entries } from '../sibling';

/** Adds a value, known by its content. */
export interface Addendum {
  readonly add: Json;
}

/** Nothing is removed but by its bound. Adding what is in it does nothing. */
export const gSet: CrdtType<Addendum, Json[]> = {
  problems: (operation) =>
    isRecord(operation) ? valueProblems('add', operation['add']) : [[[], 'an operation']],
  effect(entries, { add }, on) {
    const key = elementKey(add);
    return entries.has(key) ? undefined : put(entries, { key, value: add }, on);
  },
  value: elements,
};

/** Adding what is in it makes it the newest. */
export const orSet: CrdtType<Addendum | Removal, Json[]> = {
  problems: (operation) => operationProblems(operation, ({ add }) => valueProblems('add', add)),
  effect: (entries, operation, on) =>
    isRemoval(operation)
      ? remove(entries, operation)
      : put(entries, { key: elementKey(operation.add), value: operation.add }, on),
  value: elements,
};

function elements(entries: Entries): Json[] {
  return inOrder(entries).map(([, siblings]) => valueOf(newest(siblings)));
}
