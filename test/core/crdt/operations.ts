/** Random operations of every kind of CRDT, made of small numbers so that a failing case shrinks. */
import type { Json } from '../../../src/core/json';
import { elementKey } from '../../../src/core/crdt/collection';
import { dotsAt } from '../../../src/core/crdt/handles';
import type { Place } from '../../../src/core/crdt/knowledge';
import type { ReplicaState } from '../../../src/core/crdt/replica';
import type { CrdtName, OperationOf } from '../../../src/core/crdt/types';

/** What an operation is made of. */
export interface Draw {
  readonly key: string;
  readonly value: Json;
  /** 1 or more. */
  readonly amount: number;
  readonly term: number | undefined;
  readonly removes: boolean;
  /** Whose entries a removal has read; often those of the replica that it is applied to. */
  readonly read: ReplicaState;
}

type Make<Name extends CrdtName> = (draw: Draw, place: Place) => OperationOf<Name>;

/** One row a kind: one without a row does not compile. */
const OPERATIONS = {
  gCounter: ({ amount }) => ({ by: amount }),
  pnCounter: ({ amount, removes }) => ({ by: removes ? -amount : amount }),
  lwwRegister: ({ value, term }) => ({ assign: value, ...termOf(term) }),
  mvRegister: ({ value, term }) => ({ assign: value, ...termOf(term) }),
  gSet: ({ value }) => ({ add: value }),
  orSet: ({ value, removes, read }, place) =>
    removes ? removal(read, place, elementKey(value)) : { add: value },
  lwwMap: ({ key, value, term, removes, read }, place) =>
    removes ? removal(read, place, key) : { set: key, value, ...termOf(term) },
  orMap: ({ key, value, term, removes, read }, place) =>
    removes ? removal(read, place, key) : { set: key, value, ...termOf(term) },
  appendLog: ({ value }) => ({ append: value }),
} satisfies { [Name in CrdtName]: Make<Name> };

export function operationOf<Name extends CrdtName>(
  place: Place & { type: Name },
  draw: Draw,
): Place & OperationOf<Name> {
  const make = OPERATIONS[place.type] as Make<Name>;
  return { ...place, ...make(draw, place) };
}

function removal(
  read: ReplicaState,
  place: Place,
  key: string,
): { remove: string; dots: (readonly [string, number])[] } {
  return { remove: key, dots: dotsAt(read.entries(place), key) };
}

function termOf(term: number | undefined): { term?: number } {
  return term === undefined ? {} : { term };
}
