import type { FieldProblem, Json } from '../json';
import type { Dot } from './causal-context';
import type { Entries, Sibling } from './sibling';

/**
 * What sets one kind of CRDT apart from the others. They share their state (entries of siblings) and their merge
 * (`knowledge.ts`): a kind says what its operations write and replace, and how its entries read as a value.
 */
export interface CrdtType<Operation = unknown, Value extends Json | undefined = Json | undefined> {
  /** What is wrong with `operation`; nothing where it may be applied. */
  readonly problems: (operation: unknown) => FieldProblem[];
  /** What `operation` does to a replica that has `entries`; undefined where that is nothing. Pure. */
  effect(entries: Entries, operation: Operation, on: Writing): Effect | undefined;
  /** Whether `value` may stand in an entry; where absent all JSON may. */
  readonly stores?: (value: unknown) => boolean;
  /** What the entries stand for. Pure. */
  readonly value: (entries: Entries) => Value;
}

/** How an operation is written. */
export interface Writing {
  /** Of the operation. */
  readonly dot: Dot;
  /** How many entries a collection keeps; the oldest go first. */
  readonly maxEntries: number;
}

/** What an operation does to entries. */
export interface Effect {
  /** What it writes; absent for one that only removes. */
  readonly write?: { readonly key: string; readonly value: Json; readonly term?: number };
  /** What it replaces or removes, by key: what it has seen of it. */
  readonly replaces: Iterable<readonly [key: string, siblings: readonly Sibling[]]>;
}

export const NO_SIBLINGS: readonly Sibling[] = [];
