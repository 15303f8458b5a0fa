import { type Json, isRecord } from '../../json';
import { put, valueProblems } from '../collection';
import type { CrdtType } from '../crdt-type';
import { inOrder, newest, valueOf } from '../sibling';

/** Appends a value. */
export interface Appending {
  readonly append: Json;
}

/** A log that keeps its newest entries, in the order of hybrid time. */
export const appendLog: CrdtType<Appending, Json[]> = {
  problems: (operation) =>
    isRecord(operation) ? valueProblems('append', operation['append']) : [[[], 'an operation']],
  effect: (entries, { append: value }, on) => put(entries, { key: JSON.stringify(on.dot), value }, on),
  value: (entries) => inOrder(entries).map(([, siblings]) => valueOf(newest(siblings))),
};
