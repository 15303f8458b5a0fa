/** A replica of a cadre's knowledge outside of Temporal: on a laptop, in a browser. */
import { writerOf } from '../core/agent/members';
import { type VersionVector } from '../core/crdt/causal-context';
import { type KnowledgeOf, type Port, dotsAt, knowledgeOf } from '../core/crdt/handles';
import { type Place, mayJoin } from '../core/crdt/knowledge';
import {
  type ContextJson,
  type KnowledgeJson,
  decodeContext,
  decodeKnowledge,
  encodeContext,
  encodeKnowledge,
} from '../core/crdt/knowledge-json';
import {
  MAX_ENTRIES,
  MAX_ENTRIES_EXPECTED,
  type Operation,
  type ReplicaJson,
  ReplicaState,
  checkOperation,
  isMaxEntries,
} from '../core/crdt/replica';
import type { Entries } from '../core/crdt/sibling';
import { inputInvalid } from '../core/failures';

export interface ReplicaOptions {
  /** How many entries a set, map or log keeps, the oldest out. Default 2,000; 1 to 1,000,000. */
  readonly maxEntries?: number;
  /** The clock, in ms since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

/** What a replica is called by those who read what it wrote: 1 to 60 characters, of which none is ":" or a control character. */
const NAME = /^[^\p{Cc}\p{Cs}:]{1,60}$/u;

/**
 * A replica in memory, which is not told what happens elsewhere until it merges it. It can be written to while it is cut
 * off; once it has exchanged deltas with another, both have what either had, whatever the order.
 *
 * Each `Replica` writes under an id of its own, made of its name and random digits, also one that was loaded: a file that
 * is loaded twice makes two replicas.
 */
export class Replica {
  /** Its CRDTs. */
  readonly knowledge: KnowledgeOf<'now'>;
  private readonly now: () => number;
  private readonly maxEntries: number;

  private constructor(
    private readonly state: ReplicaState,
    { maxEntries = MAX_ENTRIES, now = Date.now }: ReplicaOptions,
  ) {
    if (!isMaxEntries(maxEntries)) throw inputInvalid('`maxEntries`', MAX_ENTRIES_EXPECTED, maxEntries);
    this.now = now;
    this.maxEntries = maxEntries;
    const write = (operation: Operation): void => this.apply(operation);
    const port: Port<'now'> = {
      write,
      // Whoever changes what he has read changes nothing here.
      read: <Value>(place: Place, value: (entries: Entries) => Value): Value =>
        structuredClone(value(state.entries(place))),
      remove(place, key) {
        const dots = dotsAt(state.entries(place), key);
        if (dots.length > 0) write({ ...place, remove: key, dots });
        return dots.length > 0;
      },
    };
    this.knowledge = knowledgeOf(port);
  }

  /** An empty one. Throws InputInvalid. */
  static create(name: string, options: ReplicaOptions = {}): Replica {
    return new Replica(ReplicaState.create(newId(name)), options);
  }

  /** One that has what {@link toJSON} gave, parsed. Throws InputInvalid for anything else. */
  static load(json: unknown, options: ReplicaOptions = {}): Replica {
    const state = ReplicaState.read(json);
    return new Replica(state.as(newId(writerOf(state.id))), options);
  }

  /** Applies an operation as it stands in messages; {@link knowledge} makes them. Throws InputInvalid. */
  apply(operation: Operation): void {
    this.state.apply(structuredClone(checkOperation(operation)), this.now(), this.maxEntries);
  }

  /** Under what it writes. */
  get id(): string {
    return this.state.id;
  }

  /** How many operations it knows of each replica. */
  get versionVector(): VersionVector {
    return this.state.versionVector;
  }

  /** Which operations it has seen: for another to give to {@link delta}. */
  get seen(): ContextJson {
    return encodeContext(this.state.context);
  }

  /** What another lacks that has `seen` so much; all there is without it. Throws InputInvalid. */
  delta(seen: ContextJson = {}): KnowledgeJson {
    return encodeKnowledge(this.state.since(decodeContext(seen, '`seen`')));
  }

  /**
   * Merges another's {@link delta}, however often; true where there was anything new. Throws, and merges nothing:
   * InputInvalid for what is no delta, and for one that was made for somebody who had {@link seen} more; ClockAhead for one
   * written more than a day after the time here.
   */
  merge(delta: KnowledgeJson): boolean {
    const part = decodeKnowledge(delta, '`delta`');
    if (!mayJoin(this.state.knowledge, part)) {
      const missing = encodeContext(part.leftOut);
      throw inputInvalid('`delta`', 'made for what this replica has seen: it leaves out operations', missing);
    }
    return this.state.merge(part, this.now());
  }

  toJSON(): ReplicaJson {
    return this.state.toJSON();
  }
}

function newId(name: unknown): string {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw inputInvalid(
      "a replica's name",
      '1 to 60 characters, none of them ":" or a control character',
      name,
    );
  }
  const digits = [...crypto.getRandomValues(new Uint8Array(4))].map((byte) =>
    byte.toString(16).padStart(2, '0'),
  );
  return `${name}:${digits.join('')}`;
}
