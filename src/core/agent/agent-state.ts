/**
 * What an agent knows and has decided: the fold of what its workflow was told.
 *
 * 1. It follows from the messages, their order and the workflow's time at each, and from nothing else.
 * 2. What comes twice counts once, also over continue-as-new.
 * 3. No message is dropped without a trace: what is refused is recorded, what cannot be read yet is kept.
 */
import { sha256 } from '@noble/hashes/sha2';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils';
import { exceeds } from '../crdt/causal-context';
import { dotsAt } from '../crdt/handles';
import { join, noKnowledge } from '../crdt/knowledge';
import { type Operation, type ReplicaJson, ReplicaState } from '../crdt/replica';
import { inputInvalid, isCadreError } from '../failures';
import { assertNever, isRecord, jsonBytes } from '../json';
import {
  type Gossip,
  type Heard,
  type News,
  type Read,
  type Remember,
  type RememberedDecision,
  readGossip,
  readRemember,
} from './agent-messages';
import { knowledgeBytes } from './knowledge-bytes';
import { MEMBERS, type Member } from './members';

/** A replica takes no operation that makes it grow beyond this, in bytes of JSON. */
export const REPLICA_MAXIMUM_BYTES = 1024 * 1024;
/**
 * Nor does it merge what makes it grow beyond this: others may have grown at the same time. With its decisions (200 KiB),
 * ids (100), what is unread (64) and what is on its way (256), it must go into one payload of at most 2 MiB.
 */
export const MERGED_MAXIMUM_BYTES = 1.25 * REPLICA_MAXIMUM_BYTES;
/** So many decisions are in the state; all are in the history. */
const DECISIONS_KEPT = 100;
/** A longer decision is in the state without its evidence, in bytes of JSON. */
const DECISION_MAXIMUM_BYTES = 2 * 1024;
/** Ids of what was remembered, the oldest out: what comes again comes soon. */
const IDS_KEPT = 5000;
const REFUSALS_KEPT = 10;
const WHY_MAXIMUM_LENGTH = 300;
/** Messages of a later version are kept up to here, in bytes of JSON; beyond, they are in the history only. */
const UNREAD_MAXIMUM_BYTES = 64 * 1024;

export interface AgentState {
  readonly version: 1;
  readonly cadre: string;
  readonly member: Member;
  /** Its own: changed in place by {@link evolveAgent}. */
  readonly replica: ReplicaState;
  /** The last, oldest first. */
  readonly decisions: readonly DatedDecision[];
  /** How many there were. */
  readonly decided: number;
  /** How many tasks were remembered, and when the last was. */
  readonly remembered: number;
  readonly rememberedAt?: number;
  /** Short hashes of the ids that were counted, oldest first. */
  readonly ids: readonly string[];
  readonly refusals: readonly Refused[];
  /** How many messages, or parts of one, were refused. */
  readonly refused: number;
  /** Of a version that this build does not know. */
  readonly unread: readonly Unread[];
  /** True once it has left the cadre. */
  readonly left: boolean;
  /** The replica is no larger, in bytes of JSON. */
  readonly bytesBound: number;
}

export interface DatedDecision extends RememberedDecision {
  /** When it was remembered, in ms since 1970. */
  readonly at: number;
}

/** What was not taken. */
export interface Refused {
  readonly at: number;
  /** A task or a replica; empty where the message does not say. */
  readonly from: string;
  readonly why: string;
}

export interface Unread {
  readonly at: number;
  readonly kind: 'remember' | 'gossip';
  readonly message: unknown;
}

/** {@link AgentState} as JSON: what a run hands to the next, and what the query answers. */
export type AgentSnapshot = Omit<AgentState, 'replica'> & { readonly replica: ReplicaJson };

/** What an agent's workflow is told. `at`: the workflow's time, in ms since 1970. */
export type AgentEvent = { readonly at: number } & (
  | { readonly type: 'joined' }
  | { readonly type: 'remembered'; readonly read: Read<Remember>; readonly message: unknown }
  | { readonly type: 'heard'; readonly read: Read<Heard>; readonly message: unknown }
  /** A member is gone for good: no worker knows its agent. */
  | { readonly type: 'memberGone'; readonly member: Member }
  | { readonly type: 'left' }
);

export function rememberedEvent(message: unknown, at: number): AgentEvent {
  return { type: 'remembered', at, read: readRemember(message), message };
}

export function heardEvent(message: unknown, at: number): AgentEvent {
  return { type: 'heard', at, read: readGossip(message), message };
}

/** What the others are to hear of an event. */
export interface Evolved {
  readonly state: AgentState;
  /** What was done here, or heard, and is to be passed on. */
  readonly news?: readonly News[];
  /** True where a part was merged that was made for this replica: whom else it is for, a comparison tells. */
  readonly caughtUp?: true;
}

export function newAgent(cadre: string, member: Member, replicaId: string): AgentState {
  return {
    version: 1,
    cadre,
    member,
    replica: ReplicaState.create(replicaId),
    decisions: [],
    decided: 0,
    remembered: 0,
    ids: [],
    refusals: [],
    refused: 0,
    unread: [],
    left: false,
    bytesBound: 0,
  };
}

/** A state that an earlier run left; what it could not read is read again. Throws InputInvalid. */
export function restoreAgent(snapshot: unknown): AgentState {
  if (!isRecord(snapshot) || snapshot['version'] !== 1) {
    throw inputInvalid('`snapshot`', "an agent's state, of version 1", snapshot);
  }
  const json = snapshot as unknown as AgentSnapshot;
  return { ...json, replica: ReplicaState.read(json.replica, '`snapshot.replica`') };
}

/** What stands in `state`, apart from it: later events do not change it. */
export function snapshotOf(state: AgentState): AgentSnapshot {
  return { ...state, replica: state.replica.toJSON() };
}

export function membersIn(state: AgentState): Member[] {
  return [...state.replica.entries(MEMBERS).keys()].sort();
}

/** Who gossips: the members, and this one, which may not be among them yet or any more. */
export function cohortOf(state: AgentState): Member[] {
  return [...new Set([...membersIn(state), state.member])].sort();
}

/** The state after an event. The replica of `state` is changed in place: `state` must not be used any more. */
export function evolveAgent(state: AgentState, event: AgentEvent): Evolved {
  switch (event.type) {
    case 'joined':
      return write(state, [{ ...MEMBERS, set: state.member, value: { since: event.at } }], event.at);
    case 'remembered':
      return remember(state, event);
    case 'heard':
      return hear(state, event);
    case 'memberGone':
      return write(state, removalOf(state, event.member), event.at);
    case 'left':
      return write({ ...state, left: true }, removalOf(state, state.member), event.at);
    default:
      return assertNever(event);
  }
}

/** Reads again what was kept unread, with what this build knows. */
export function rereadAgent(state: AgentState, at: number): Evolved {
  let evolved: Evolved = { state: { ...state, unread: [] } };
  for (const { kind, message } of state.unread) {
    const event = kind === 'remember' ? rememberedEvent(message, at) : heardEvent(message, at);
    evolved = andThen(evolved, (current) => evolveAgent(current, event));
  }
  return evolved;
}

function remember(state: AgentState, { read, message, at }: AgentEvent & { type: 'remembered' }): Evolved {
  if (read.kind === 'unknown') return keepUnread(state, { at, kind: 'remember', message });
  if (read.kind === 'malformed') return refuse(state, { at, from: '', why: read.why });
  const { id, task, decisions, operations, maxEntries } = read.message;
  const hash = shortHash(id);
  if (state.ids.includes(hash)) return { state };
  const counted: AgentState = {
    ...state,
    ids: [...state.ids, hash].slice(-IDS_KEPT),
    remembered: state.remembered + 1,
    rememberedAt: at,
    decided: state.decided + decisions.length,
    decisions: [...state.decisions, ...decisions.map((one) => kept({ ...one, at }))].slice(-DECISIONS_KEPT),
  };
  return write(counted, operations, at, { from: task, maxEntries });
}

function hear(state: AgentState, { read, message, at }: AgentEvent & { type: 'heard' }): Evolved {
  if (read.kind === 'unknown') return keepUnread(state, { at, kind: 'gossip', message });
  if (read.kind === 'malformed') return refuse(state, { at, from: '', why: read.why });
  const { cadre, from, delta, news } = read.message;
  if (cadre !== state.cadre) {
    return refuse(state, { at, from, why: `It is of the cadre "${cadre}", and this is "${state.cadre}"` });
  }
  const bytes = { delta: jsonBytes((message as Gossip).delta), news: jsonBytes((message as Gossip).news) };
  const wasMember = isMember(state);
  const parts = delta === undefined ? [] : [{ delta }];
  const evolved = andThen(merge(state, { at, from, bytes: bytes.delta }, parts), (current) =>
    merge(current, { at, from, bytes: bytes.news }, news),
  );
  // Who did not find it has said that it is gone.
  return wasMember && !isMember(evolved.state) && !state.left
    ? andThen(evolved, (current) => evolveAgent(current, { type: 'joined', at }))
    : evolved;
}

/** Merges what somebody knows, in `bytes` of JSON; what cannot be merged is refused. */
function merge(
  state: AgentState,
  { at, from, bytes }: { at: number; from: string; bytes: number },
  parts: readonly News[],
): Evolved {
  const measured = measure(state, bytes, MERGED_MAXIMUM_BYTES);
  const isNews = parts.some(({ delta }) => exceeds(delta.context, state.replica.context));
  if (isNews && measured + bytes > MERGED_MAXIMUM_BYTES) {
    return refuse(state, { at, from, why: `With ${bytes} bytes more the replica would be too large` });
  }
  let evolved: Evolved = { state: { ...state, bytesBound: isNews ? measured + bytes : measured } };
  for (const part of parts) {
    evolved = andThen(evolved, (current) => {
      try {
        const isNew = current.replica.merge(part.delta, at);
        // What an answer brought sooner is passed on all the same.
        if (part.delta.reach === 'keys') return { state: current, news: [part] };
        return isNew ? { state: current, caughtUp: true } : { state: current };
      } catch (error) {
        return refuse(current, { at, from, why: isCadreError(error) ? error.message : String(error) });
      }
    });
  }
  return evolved;
}

/** What came of `evolved`, and then of `next`. */
function andThen({ state, news, caughtUp }: Evolved, next: (state: AgentState) => Evolved): Evolved {
  const evolved = next(state);
  const all = [...(news ?? []), ...(evolved.news ?? [])];
  return {
    state: evolved.state,
    ...(all.length === 0 ? {} : { news: all }),
    ...(caughtUp || evolved.caughtUp ? { caughtUp: true } : {}),
  };
}

function isMember({ replica, member }: AgentState): boolean {
  return replica.entries(MEMBERS).has(member);
}

/** Applies operations one by one; those that would make a full replica grow are refused. */
function write(
  state: AgentState,
  operations: readonly Operation[],
  at: number,
  { from = '', maxEntries }: { from?: string; maxEntries?: number | undefined } = {},
): Evolved {
  const news = noKnowledge('keys');
  let { bytesBound } = state;
  let full = 0;
  let why: string | undefined;
  let measures = 0;
  for (const operation of operations) {
    const bytes = jsonBytes(operation) + OPERATION_OVERHEAD_BYTES;
    if (bytesBound + bytes > REPLICA_MAXIMUM_BYTES && (measures += 1) <= MEASURES_MAXIMUM) {
      bytesBound = knowledgeBytes(state.replica.knowledge);
    }
    if (bytesBound + bytes > REPLICA_MAXIMUM_BYTES && !('remove' in operation)) {
      full += 1;
      continue;
    }
    try {
      const delta = state.replica.apply(operation, at, maxEntries);
      if (delta === undefined) continue;
      bytesBound += bytes;
      join(news, delta);
    } catch (error) {
      why = isCadreError(error) ? error.message : String(error);
    }
  }
  if (full > 0) {
    why = `${full} operations of ${operations.length}: the replica is full (${REPLICA_MAXIMUM_BYTES} bytes)`;
  }
  const after = { ...state, bytesBound };
  const refused = why === undefined ? after : refuse(after, { at, from, why }).state;
  return { state: refused, ...(news.context.size === 0 ? {} : { news: [{ delta: news }] }) };
}

/** A full replica is measured no more often for one message: a workflow task may compute for 5 s in all. */
const MEASURES_MAXIMUM = 10;
/** A sibling has a replica's id, times and a key beside the operation's value. */
export const OPERATION_OVERHEAD_BYTES = 200;

/** A bound of the replica's size; the size itself where `more` would bring the bound over `limit`. */
function measure({ replica, bytesBound }: AgentState, more: number, limit: number): number {
  return bytesBound + more > limit ? knowledgeBytes(replica.knowledge) : bytesBound;
}

function removalOf(state: AgentState, member: Member): Operation[] {
  const dots = dotsAt(state.replica.entries(MEMBERS), member);
  return dots.length === 0 ? [] : [{ ...MEMBERS, remove: member, dots }];
}

function keepUnread(state: AgentState, unread: Unread): Evolved {
  const all = [...state.unread, unread];
  if (jsonBytes(all) <= UNREAD_MAXIMUM_BYTES) return { state: { ...state, unread: all } };
  const why = 'Of a version that this build does not know, and too many are kept: it is in the history only';
  return refuse(state, { at: unread.at, from: '', why });
}

function refuse(state: AgentState, { at, from, why }: Refused): Evolved {
  const refusal = { at, from: from.slice(0, WHY_MAXIMUM_LENGTH), why: why.slice(0, WHY_MAXIMUM_LENGTH) };
  return {
    state: {
      ...state,
      refused: state.refused + 1,
      refusals: [...state.refusals, refusal].slice(-REFUSALS_KEPT),
    },
  };
}

function kept(decision: DatedDecision): DatedDecision {
  if (jsonBytes(decision) <= DECISION_MAXIMUM_BYTES) return decision;
  const { type, rationale, task, step, at } = decision;
  return { type: type.slice(0, 100), rationale: rationale.slice(0, 500), task, step, at };
}

function shortHash(id: string): string {
  return bytesToHex(sha256(utf8ToBytes(id))).slice(0, 16);
}
