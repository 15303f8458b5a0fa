/**
 * Counters, each replica with a total of its own that nobody else writes: the value is their sum. G-Counter and
 * PN-Counter of Shapiro, Preguiça, Baquero, Zawirski: A comprehensive study of convergent and commutative replicated
 * data types (2011).
 */
import { inputInvalid } from '../../failures';
import { type FieldProblem, type Json, isRecord } from '../../json';
import { type CrdtType, type Effect, NO_SIBLINGS, type Writing } from '../crdt-type';
import { type Entries, newest, valueOf } from '../sibling';

/** Adds `by`: a whole number other than 0; for a G-Counter more than 0. */
export interface Addition {
  readonly by: number;
}

export const gCounter: CrdtType<Addition, number> = {
  problems: (operation) => additionProblems(operation, 1),
  effect: (entries, { by }, on) => addTo(entries, on, (total) => (total as number) + by, 0),
  stores: isTotal,
  value: (entries) => sum(entries, (total) => total as number),
};

/** What a replica added, and what it took away. */
type Totals = [plus: number, minus: number];

export const pnCounter: CrdtType<Addition, number> = {
  problems: (operation) => additionProblems(operation, -Number.MAX_SAFE_INTEGER),
  effect: (entries, { by }, on) => addTo(entries, on, (totals) => added(totals as Totals, by), [0, 0]),
  stores: (value) => Array.isArray(value) && value.length === 2 && value.every(isTotal),
  value: (entries) =>
    sum(entries, (totals) => {
      const [plus, minus] = totals as Totals;
      return plus - minus;
    }),
};

function isTotal(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

function added([plus, minus]: Totals, by: number): Totals {
  return by > 0 ? [plus + by, minus] : [plus, minus - by];
}

function additionProblems(operation: unknown, least: number): FieldProblem[] {
  const by = isRecord(operation) ? operation['by'] : undefined;
  return Number.isSafeInteger(by) && by !== 0 && (by as number) >= least
    ? []
    : [[['by'], least > 0 ? 'a whole number of 1 or more' : 'a whole number other than 0']];
}

/**
 * What is under the key of a replica only that replica writes, one operation after the other. Throws InputInvalid
 * where its total would go beyond 2^53 - 1.
 */
function addTo(
  entries: Entries,
  { dot: [replica] }: Writing,
  add: (total: Json) => Json,
  nothing: Json,
): Effect {
  const mine = entries.get(replica) ?? NO_SIBLINGS;
  const total = mine.length === 0 ? nothing : valueOf(newest(mine));
  const value = add(total);
  // Beyond, whole numbers are not exact: one more would be lost.
  if (![value].flat().every(Number.isSafeInteger)) {
    throw inputInvalid(
      'by',
      `at most what brings the replica's own total to ${Number.MAX_SAFE_INTEGER}`,
      total,
    );
  }
  return { write: { key: replica, value }, replaces: [[replica, mine]] };
}

function sum(entries: Entries, amount: (total: Json) => number): number {
  let total = 0;
  for (const siblings of entries.values()) total += amount(valueOf(newest(siblings)));
  return total;
}
