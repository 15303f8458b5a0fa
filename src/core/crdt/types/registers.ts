/** Registers. Of values assigned concurrently one wins in an LWW-Register; an MV-Register keeps all. */
import { type FieldProblem, type Json, isRecord } from '../../json';
import { termProblems, valueProblems } from '../collection';
import { type CrdtType, type Effect, NO_SIBLINGS } from '../crdt-type';
import { type Entries, type Sibling, termOf, valueOf, winner } from '../sibling';

/** Assigns `assign`; with the term of the leader that decided it, where one did. */
export interface Assignment {
  readonly assign: Json;
  readonly term?: number;
}

const KEY = '';

/** Causality first, then the term, then hybrid time, then the replica. An assignment of an older term has no effect. */
export const lwwRegister: CrdtType<Assignment> = {
  problems: assignmentProblems,
  effect: (entries, operation) => assign(entries, operation),
  value(entries) {
    const siblings = entries.get(KEY);
    return siblings === undefined ? undefined : valueOf(winner(siblings));
  },
};

export const mvRegister: CrdtType<Assignment, Json[]> = {
  problems: assignmentProblems,
  effect: (entries, operation) => assign(entries, operation),
  value: (entries) => (entries.get(KEY) ?? NO_SIBLINGS).map(valueOf),
};

function assign(entries: Entries, { assign: value, term }: Assignment): Effect | undefined {
  const seen = entries.get(KEY) ?? NO_SIBLINGS;
  if (isStale(seen, term)) return undefined;
  return { write: { key: KEY, value, ...(term === undefined ? {} : { term }) }, replaces: [[KEY, seen]] };
}

/** True for what a leader decided of whom a later one is known to have followed. */
export function isStale(seen: readonly Sibling[], term = 0): boolean {
  return seen.some((one) => termOf(one) > term);
}

function assignmentProblems(operation: unknown): FieldProblem[] {
  if (!isRecord(operation)) return [[[], 'an operation']];
  return [...valueProblems('assign', operation['assign']), ...termProblems(operation['term'])];
}
