/** What an agent's workflow is told, and how it is read. Each message has a version; older ones are upcast. */
import type { CausalContext, ReplicaId } from '../crdt/causal-context';
import type { Knowledge } from '../crdt/knowledge';
import { type ContextJson, type KnowledgeJson, decodeContext, decodeKnowledge } from '../crdt/knowledge-json';
import { MAX_ENTRIES_EXPECTED, type Operation, checkOperation, isMaxEntries } from '../crdt/replica';
import type { Decision } from '../decision';
import { inputInvalid, isCadreError } from '../failures';
import { isRecord } from '../json';

export const MESSAGE_VERSION = 1;

/** What a task remembers in an agent, when it ends. */
export interface Remember {
  readonly version: typeof MESSAGE_VERSION;
  /** One a task and agent, or a part of it; what comes under it again is not counted again. */
  readonly id: string;
  /** The task's workflow id. */
  readonly task: string;
  readonly decisions: readonly RememberedDecision[];
  readonly operations: readonly Operation[];
  /** How many entries its collections keep. Default 2,000. */
  readonly maxEntries?: number;
}

export interface RememberedDecision extends Decision {
  readonly task: string;
  readonly step: string;
}

/** What one replica tells another. */
export interface Gossip {
  readonly version: typeof MESSAGE_VERSION;
  readonly cadre: string;
  /** A member, or a replica outside. */
  readonly from: string;
  /** Under what the sender writes. Absent: it does not say, and its `seen` is not remembered. */
  readonly replica?: ReplicaId;
  /** What the sender has seen, `delta` and `news` included. */
  readonly seen: ContextJson;
  /** What of `seen` is on its way to all, and not lacking where it has not arrived. */
  readonly pending?: ContextJson;
  /** What is lacking there. */
  readonly delta?: KnowledgeJson;
  /** To be passed on. */
  readonly news?: readonly NewsJson[];
  /** Whether the sender wants what it has not seen. */
  readonly asks: boolean;
}

/** Something new, on its way to all. */
export interface NewsJson {
  /** The round in which it was minted. */
  readonly since: number;
  readonly delta: KnowledgeJson;
  /** True where who minted it did not know the others yet: all tell it on all ways. */
  readonly widely?: true;
}

/** A {@link Gossip} that was read. */
export interface Heard {
  readonly cadre: string;
  readonly from: string;
  readonly replica?: ReplicaId;
  readonly seen: CausalContext;
  readonly pending?: CausalContext;
  readonly delta?: Knowledge;
  readonly news: readonly News[];
  readonly asks: boolean;
}

/** A {@link NewsJson} that was read, or what was minted here. */
export interface News {
  /** Absent for what is new here and now. */
  readonly since?: number;
  readonly delta: Knowledge;
  readonly widely?: true;
}

/** What came, and what it is. */
export type Read<Message> =
  | { readonly kind: 'message'; readonly message: Message }
  /** Of a version this build does not know: a later one may. */
  | { readonly kind: 'unknown'; readonly version: unknown }
  | { readonly kind: 'malformed'; readonly why: string };

/** By version: what makes a message of it one of the next. */
export type Upcasts = Readonly<Record<number, (message: Record<string, unknown>) => Record<string, unknown>>>;

/** None yet: there has been one version only. */
const UPCASTS: Upcasts = {};

/** Never throws. */
export function readRemember(candidate: unknown, upcasts?: Upcasts): Read<Remember> {
  return read(candidate, upcasts, rememberOf);
}

/** Never throws. */
export function readGossip(candidate: unknown, upcasts?: Upcasts): Read<Heard> {
  return read(candidate, upcasts, heardOf);
}

/** `candidate` as the newest version has it; undefined where that cannot be. */
export function upcast(
  candidate: Record<string, unknown>,
  upcasts: Upcasts = UPCASTS,
): Record<string, unknown> | undefined {
  let message = candidate;
  for (;;) {
    const { version } = message;
    if (version === MESSAGE_VERSION) return message;
    const step =
      typeof version === 'number' && Object.hasOwn(upcasts, version) ? upcasts[version] : undefined;
    if (step === undefined) return undefined;
    message = { ...step(message), version: (version as number) + 1 };
  }
}

function read<Message>(
  candidate: unknown,
  upcasts: Upcasts | undefined,
  of: (message: Record<string, unknown>) => Message,
): Read<Message> {
  try {
    if (!isRecord(candidate)) throw inputInvalid('the message', 'an object', candidate);
    const message = upcast(candidate, upcasts);
    return message === undefined
      ? { kind: 'unknown', version: candidate['version'] }
      : { kind: 'message', message: of(message) };
  } catch (error) {
    return { kind: 'malformed', why: isCadreError(error) ? error.message : String(error) };
  }
}

function rememberOf({ id, task, decisions, operations, maxEntries }: Record<string, unknown>): Remember {
  if (typeof id !== 'string' || id === '') throw inputInvalid('`id`', 'a text', id);
  if (typeof task !== 'string') throw inputInvalid('`task`', "a task's id", task);
  if (!Array.isArray(decisions)) throw inputInvalid('`decisions`', 'a list', decisions);
  if (!Array.isArray(operations)) throw inputInvalid('`operations`', 'a list', operations);
  if (maxEntries !== undefined && !isMaxEntries(maxEntries)) {
    throw inputInvalid('`maxEntries`', MAX_ENTRIES_EXPECTED, maxEntries);
  }
  return {
    version: MESSAGE_VERSION,
    id,
    task,
    decisions: decisions.map(decisionOf),
    operations: operations.map(checkOperation),
    ...(maxEntries === undefined ? {} : { maxEntries }),
  };
}

function decisionOf(candidate: unknown): RememberedDecision {
  if (
    isRecord(candidate) &&
    ['type', 'rationale', 'task', 'step'].every((field) => typeof candidate[field] === 'string')
  ) {
    return candidate as unknown as RememberedDecision;
  }
  throw inputInvalid('a decision', 'to have `type`, `rationale`, `task` and `step`, texts', candidate);
}

function heardOf(message: Record<string, unknown>): Heard {
  const { cadre, from, replica, seen, pending, delta, news = [], asks } = message;
  if (typeof cadre !== 'string') throw inputInvalid('`cadre`', "a cadre's name", cadre);
  if (typeof from !== 'string' || from === '') throw inputInvalid('`from`', 'a text', from);
  if (replica !== undefined && typeof replica !== 'string')
    throw inputInvalid('`replica`', 'a text', replica);
  if (typeof asks !== 'boolean') throw inputInvalid('`asks`', 'true or false', asks);
  if (!Array.isArray(news)) throw inputInvalid('`news`', 'a list', news);
  return {
    cadre,
    from,
    asks,
    seen: decodeContext(seen, '`seen`'),
    news: news.map(newsOf),
    ...(replica === undefined ? {} : { replica }),
    ...(pending === undefined ? {} : { pending: decodeContext(pending, '`pending`') }),
    ...(delta === undefined ? {} : { delta: decodeKnowledge(delta, '`delta`') }),
  };
}

/** Throws InputInvalid. */
export function newsOf(candidate: unknown): News {
  const { since, delta, widely } = isRecord(candidate) ? candidate : {};
  if (!Number.isSafeInteger(since)) throw inputInvalid('`news.since`', 'the number of a round', since);
  const knowledge = decodeKnowledge(delta, '`news.delta`');
  const { reach } = knowledge;
  if (reach !== 'keys') throw inputInvalid('`news.delta.reach`', 'keys', reach);
  return { since: since as number, delta: knowledge, ...(widely === true ? { widely } : {}) };
}
