/**
 * One replica of shared knowledge: it applies operations, and merges what others send. Owns the minting of dots; nobody
 * else mints under its id.
 */
import { CadreError, inputInvalid } from '../failures';
import { fieldMessage, isRecord } from '../json';
import {
  type CausalContext,
  type ReplicaId,
  type VersionVector,
  exceeds,
  nextCounter,
  versionVector,
} from './causal-context';
import type { CrdtType } from './crdt-type';
import { CLOCK_START, type HybridTime, later, tick } from './hybrid-clock';
import {
  type Knowledge,
  type Place,
  deltaOf,
  eachKey,
  entriesAt,
  join,
  mayJoin,
  noKnowledge,
  since,
} from './knowledge';
import { type KnowledgeJson, decodeKnowledge, encodeKnowledge } from './knowledge-json';
import type { Entries, Sibling } from './sibling';
import { CRDT_NAMES, CRDT_TYPES, type CrdtName, type OperationOf, type ValueOf, isCrdtName } from './types';

/** What is to be done to one CRDT: where it stands, and an operation of its kind. */
export type Operation = Place & OperationOf<CrdtName>;

/** A replica as JSON. */
export interface ReplicaJson {
  readonly version: 1;
  readonly id: ReplicaId;
  readonly time: HybridTime;
  readonly knowledge: KnowledgeJson;
}

/** How many entries a set, map or log keeps. */
export const MAX_ENTRIES = 2000;
/** What `maxEntries` may be. */
const MAX_ENTRIES_LIMIT = 1_000_000;
export const MAX_ENTRIES_EXPECTED = `a whole number from 1 to ${MAX_ENTRIES_LIMIT}`;
/** How far the times of what is merged may be ahead of the clock here, in ms. */
export const CLOCK_AHEAD_MAXIMUM = 24 * 60 * 60 * 1000;
/** Of a CRDT's name, in characters. */
const NAME_MAXIMUM_LENGTH = 200;

export class ReplicaState {
  private constructor(
    readonly id: ReplicaId,
    private time: HybridTime,
    readonly knowledge: Knowledge,
  ) {}

  static create(id: ReplicaId): ReplicaState {
    return new ReplicaState(id, CLOCK_START, noKnowledge('all'));
  }

  /** What {@link toJSON} gave. Throws InputInvalid for anything else. */
  static read(json: unknown, what = 'the replica'): ReplicaState {
    const { version, id, time, knowledge } = isRecord(json) ? json : {};
    if (version !== 1) throw inputInvalid(`${what}.version`, '1, the version that this build reads', version);
    if (typeof id !== 'string') throw inputInvalid(`${what}.id`, 'a text', id);
    if (!isTime(time)) throw inputInvalid(`${what}.time`, '[ms, logical]', time);
    const read = decodeKnowledge(knowledge, `${what}.knowledge`);
    if (read.reach !== 'all') throw inputInvalid(`${what}.knowledge.reach`, 'all', read.reach);
    return new ReplicaState(id, time, read);
  }

  /** The same knowledge, under another id from now on. */
  as(id: ReplicaId): ReplicaState {
    return new ReplicaState(id, this.time, this.knowledge);
  }

  get context(): CausalContext {
    return this.knowledge.context;
  }

  get versionVector(): VersionVector {
    return versionVector(this.context);
  }

  /**
   * Applies an operation that {@link checkOperation} has passed, at `now` (ms since 1970). Returns its delta; undefined
   * where it has nothing to do, such as removing what is not there. Throws InputInvalid for a counter that is at its end.
   */
  apply(operation: Operation, now: number, maxEntries: number = MAX_ENTRIES): Knowledge | undefined {
    const { type, name } = operation;
    const dot = [this.id, nextCounter(this.context, this.id)] as const;
    const entries = entriesAt(this.knowledge, { type, name }) ?? NO_ENTRIES;
    const effect = typeOf(type).effect(entries, operation, { dot, maxEntries });
    if (effect === undefined) return undefined;
    this.time = tick(this.time, now);
    const delta = deltaOf({ type, name }, effect, dot, this.time);
    join(this.knowledge, delta);
    return delta;
  }

  /**
   * Merges what somebody else knows. True where there was anything new. A part that was made for somebody who had seen
   * more is not merged. Throws ClockAhead, and merges nothing, where
   * it has times more than {@link CLOCK_AHEAD_MAXIMUM} after `now`: they would win over everything for as long.
   */
  merge(from: Knowledge, now: number): boolean {
    checkTimes(from, now);
    if (!mayJoin(this.knowledge, from)) return false;
    const isNews = exceeds(from.context, this.context);
    const { added } = join(this.knowledge, from);
    for (const [, , ms, logical] of added) this.time = later(this.time, [ms, logical]);
    return isNews;
  }

  /** What somebody lacks who has `seen` so much. */
  since(seen: CausalContext): Knowledge {
    return since(this.knowledge, seen);
  }

  value<Name extends CrdtName>(type: Name, name: string): ValueOf<Name> {
    return typeOf(type).value(this.entries({ type, name })) as ValueOf<Name>;
  }

  entries(place: Place): Entries {
    return entriesAt(this.knowledge, place) ?? NO_ENTRIES;
  }

  toJSON(): ReplicaJson {
    return { version: 1, id: this.id, time: this.time, knowledge: encodeKnowledge(this.knowledge) };
  }
}

const NO_ENTRIES: Entries = new Map();

export function isMaxEntries(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_ENTRIES_LIMIT;
}

/** `candidate` as an operation. Throws InputInvalid, which names the field. */
export function checkOperation(candidate: unknown): Operation {
  if (!isRecord(candidate)) throw inputInvalid('an operation on knowledge', 'an object', candidate);
  const { type, name } = candidate;
  if (!isCrdtName(type)) throw inputInvalid('`type`', `one of ${CRDT_NAMES.join(', ')}`, type);
  if (typeof name !== 'string' || name.length > NAME_MAXIMUM_LENGTH) {
    throw inputInvalid('`name`', `a text of at most ${NAME_MAXIMUM_LENGTH} characters`, name);
  }
  const [problem] = typeOf(type).problems(candidate);
  if (problem === undefined) return candidate as unknown as Operation;
  throw new CadreError('InputInvalid', `${fieldMessage(candidate, problem)} (${type} "${name}")`);
}

/** Throws ClockAhead where `knowledge` holds what would have been written long after `now`. */
function checkTimes(knowledge: Knowledge, now: number): void {
  for (const { siblings } of eachKey(knowledge)) {
    for (const sibling of siblings)
      if (sibling[2] > now + CLOCK_AHEAD_MAXIMUM) throw clockAhead(sibling, now);
  }
}

function clockAhead([replica, , ms]: Sibling, now: number): CadreError {
  const hours = Math.round((ms - now) / 3_600_000);
  return new CadreError(
    'ClockAhead',
    `The replica "${replica.slice(0, 60)}" wrote at ${new Date(Math.min(ms, 8.64e15)).toISOString()}, ${hours} hours after the clock here (${new Date(now).toISOString()})`,
  );
}

function typeOf(type: CrdtName): CrdtType {
  return CRDT_TYPES[type];
}

function isTime(value: unknown): value is HybridTime {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((part) => Number.isSafeInteger(part) && (part as number) >= 0)
  );
}
