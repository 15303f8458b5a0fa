import type { CrdtType } from '../crdt-type';
import { type Appending, appendLog } from './append-log';
import { type Addition, gCounter, pnCounter } from './counters';
import { type Setting, lwwMap, orMap } from './maps';
import { type Assignment, lwwRegister, mvRegister } from './registers';
import { type Addendum, gSet, orSet } from './sets';

/** Every kind of CRDT that knowledge is made of, by the name that stands in messages and states. */
export const CRDT_TYPES = {
  gCounter,
  pnCounter,
  lwwRegister,
  mvRegister,
  gSet,
  orSet,
  lwwMap,
  orMap,
  appendLog,
} as const;

export type CrdtName = keyof typeof CRDT_TYPES;

export type ValueOf<Name extends CrdtName> = ReturnType<(typeof CRDT_TYPES)[Name]['value']>;
export type OperationOf<Name extends CrdtName> = Name extends CrdtName
  ? (typeof CRDT_TYPES)[Name] extends CrdtType<infer Operation>
    ? Operation
    : never
  : never;

export const CRDT_NAMES = Object.keys(CRDT_TYPES) as CrdtName[];

export function isCrdtName(name: unknown): name is CrdtName {
  return typeof name === 'string' && Object.hasOwn(CRDT_TYPES, name);
}

export type { Addendum, Addition, Appending, Assignment, Setting };
