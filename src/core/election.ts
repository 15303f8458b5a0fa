/**
 * The election of a cadre's leader: its events and the fold over them. The workflow `election` records them as it
 * goes; the client projects the same from its history.
 *
 * 1. Terms strictly rise, from run to run too; each is offered once, so the term alone is the fencing token.
 * 2. A term has at most one leader, the one whose announcement came while the term was offered.
 * 3. The state is bounded: it keeps the last {@link PAST_TERMS} terms.
 */
import { backoff } from './backoff';
import { assertNever, isRecord } from './json';
import type { Resume } from './resume';

/** An attempt to lead that has not renewed its lease for so long, in ms, is over. */
export const LEASE_DURATION = 1500;
/** How often a leader renews its lease, in ms. */
export const LEASE_RENEWAL_INTERVAL = 300;

/** How many ended terms the election remembers. */
export const PAST_TERMS = 20;

/**
 * How a term ended. `resigned`: somebody asked the leader to hand over. `steppedDown`: its worker was told to stop.
 * `lostHeartbeat`: it was killed, paused or cut off. `cancelled`: the election was. `failed`: it could not lead.
 */
export type TermEnd = 'resigned' | 'steppedDown' | 'lostHeartbeat' | 'cancelled' | 'failed';

/** A term that is over. Times in milliseconds since 1970. */
export interface PastTerm {
  readonly term: number;
  /** Identity of the worker that led; absent where none announced itself. */
  readonly leader?: string;
  /** When it began to lead. */
  readonly from?: number;
  readonly to: number;
  readonly how: TermEnd;
  /** Why, where `how` does not say it all. */
  readonly reason?: string;
}

/** Where the election stands. */
export interface ElectionState {
  readonly version: 1;
  /** The present term: offered to the candidates, or held. */
  readonly term: number;
  /** Absent while nobody holds the term. */
  readonly leader?: { readonly identity: string; readonly since: number };
  /** Terms in a row that failed within a second. */
  readonly quickFailures: number;
  /** Latest first. */
  readonly past: readonly PastTerm[];
}

export type ElectionEvent =
  | { readonly type: 'electionStarted'; readonly state: ElectionState }
  | { readonly type: 'termOffered'; readonly term: number }
  | {
      readonly type: 'leaderElected';
      readonly term: number;
      readonly identity: string;
      readonly time: number;
    }
  | {
      readonly type: 'termEnded';
      readonly term: number;
      readonly time: number;
      readonly how: TermEnd;
      readonly reason?: string;
    };

/** What starts an election: nothing, what is known of the last one (its highest term, how its terms ended), or an earlier run's state. */
export type ElectionStart =
  | { readonly after?: number; readonly past?: readonly PastTerm[] }
  | Resume<ElectionState>
  | undefined;

/**
 * The state that a run begins with. A new election starts above the highest term it is told of, and never below the
 * Unix time in seconds: so terms rise also where the last election's history is gone, or the whole server.
 */
export function electionStart(start: unknown, now: number): ElectionState {
  if (isRecord(start) && isElectionState(start['snapshot'])) return start['snapshot'];
  const { after, past } = isRecord(start) ? start : {};
  return {
    version: 1,
    term: Math.max(isTerm(after) ? after : 0, Math.floor(now / 1000)),
    quickFailures: 0,
    past: Array.isArray(past) ? past.filter(isPastTerm).slice(0, PAST_TERMS) : [],
  };
}

/** The state after `event`. What does not belong to the present term changes nothing. */
export function evolveElection(state: ElectionState, event: ElectionEvent): ElectionState {
  switch (event.type) {
    case 'electionStarted':
      return event.state;
    case 'termOffered':
      return event.term > state.term ? withoutLeader({ ...state, term: event.term }) : state;
    case 'leaderElected':
      return isOpen(state, event.term) && state.leader === undefined
        ? { ...state, leader: { identity: event.identity, since: event.time } }
        : state;
    case 'termEnded':
      return isOpen(state, event.term) ? ended(state, event) : state;
    default:
      return assertNever(event);
  }
}

/** True for the present term, until it has ended. */
function isOpen(state: ElectionState, term: number): boolean {
  return term === state.term && state.past[0]?.term !== term;
}

function ended(state: ElectionState, event: ElectionEvent & { type: 'termEnded' }): ElectionState {
  const { term, time, how, reason } = event;
  const { leader } = state;
  const past: PastTerm = {
    term,
    ...(leader === undefined ? {} : { leader: leader.identity, from: leader.since }),
    to: time,
    how,
    ...(reason === undefined ? {} : { reason }),
  };
  const quick = how === 'failed' && (leader === undefined || time - leader.since < QUICK);
  return withoutLeader({
    ...state,
    quickFailures: quick ? state.quickFailures + 1 : 0,
    past: [past, ...state.past].slice(0, PAST_TERMS),
  });
}

/** A term that fails within so many ms is followed by a pause. */
const QUICK = 1000;
const PAUSE_MINIMUM = 100;
const PAUSE_MAXIMUM = 5000;

/** How long to wait before the next term is offered, in ms: what fails at once must not fail in a hot loop. */
export function pauseBeforeTerm({ quickFailures }: ElectionState): number {
  return backoff(quickFailures, PAUSE_MINIMUM, PAUSE_MAXIMUM);
}

function withoutLeader({ leader: _leader, ...rest }: ElectionState): ElectionState {
  return rest;
}

function isTerm(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isPastTerm(value: unknown): value is PastTerm {
  return isRecord(value) && isTerm(value['term']) && isTerm(value['to']) && typeof value['how'] === 'string';
}

function isElectionState(value: unknown): value is ElectionState {
  return (
    isRecord(value) &&
    value['version'] === 1 &&
    isTerm(value['term']) &&
    isTerm(value['quickFailures']) &&
    Array.isArray(value['past'])
  );
}

/** What a leader announces itself with. */
export interface Announcement {
  readonly term: number;
  /** Of its worker. */
  readonly identity: string;
}

/** What a request to hand over may say of itself; one without is meant for whoever leads when it arrives. */
export interface Resignation {
  /** Meant for the leader of this term alone. */
  readonly term?: number;
  /** Void after this time, in milliseconds since 1970: the server keeps a request until a worker can take it. */
  readonly until?: number;
}

/** `value` as an announcement; undefined where it is none. */
export function readAnnouncement(value: unknown): Announcement | undefined {
  if (!isRecord(value) || !isTerm(value['term']) || typeof value['identity'] !== 'string') return undefined;
  return { term: value['term'], identity: value['identity'].slice(0, IDENTITY_MAXIMUM_LENGTH) };
}

const IDENTITY_MAXIMUM_LENGTH = 200;
