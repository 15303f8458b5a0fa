/**
 * A circuit breaker as a pure state machine: `closed` lets calls through and counts them, `open` refuses them, `halfOpen`
 * lets a few through to find out, `isolated` refuses them until a person says otherwise. Its clock and its randomness
 * come with the events, and its state is JSON.
 *
 * 1. A rate at or above its threshold opens it, once the window has `minimumCalls`; looked at after every call.
 * 2. At most `probes` permits are out, or have been used, in one half-open phase. When all have reported they decide.
 * 3. A call that began before it closed last changes nothing; nor does one that ends while it is not closed.
 * 4. An isolated breaker is left by `released` alone.
 *
 * The profile is that of resilience4j (at or above; calls are refused in half-open, never queued; a window of calls or
 * of time), but for the permit that comes back from a probe that never reports, and the cooldown that grows.
 */
import { assertNever, isRecord } from '../json';
import { BREAKER_DEFAULTS, type BreakerSettings, settingsProblems } from './settings';
import { type CallGroup, EMPTY_WINDOW, NO_CALLS, type Tally, type Window, addCalls, plus } from './window';

/** Why it is not closed: what the window had, or what a person noted. */
export type BreakerReason =
  | (Tally & { readonly by: 'failures' | 'slowCalls' })
  | { readonly by: 'hand'; readonly note: string };

/** A probe that is out. */
export interface Permit {
  readonly id: string;
  readonly grantedAt: number;
  /** The worker that has it, and by which of its reports, where it said so. */
  readonly to?: { readonly worker: string; readonly turn: number };
}

/** Times are in ms of the clock that the events bring. */
export type BreakerPhase =
  /** `since`: when it closed last; 0 where it never was open. */
  | { readonly kind: 'closed'; readonly since: number; readonly window: Window }
  /** `failedProbes`: half-open phases in a row that ended in it. */
  | {
      readonly kind: 'open';
      readonly since: number;
      readonly until: number;
      readonly failedProbes: number;
      readonly why: BreakerReason;
    }
  | {
      readonly kind: 'halfOpen';
      readonly since: number;
      readonly failedProbes: number;
      readonly why: BreakerReason;
      readonly permits: readonly Permit[];
      readonly reported: Tally;
    }
  | { readonly kind: 'isolated'; readonly since: number; readonly note: string };

export interface BreakerState {
  readonly version: 1;
  readonly settings: BreakerSettings;
  readonly phase: BreakerPhase;
  /** Calls are to come no earlier, as the agent's provider asked; absent where it did not. */
  readonly pacedUntil?: number;
  /** How often it opened by itself. */
  readonly opened: number;
  /** Calls that were refused. */
  readonly refused: number;
  /** Permits that were ever granted. */
  readonly granted: number;
  /** What the last call that failed failed with. */
  readonly lastError?: string;
}

/** How a probe ended. `ignored`: in a way that says nothing of the agent. */
export type ProbeEnd = { readonly failed: boolean; readonly slow: boolean } | 'ignored';

/** `at`: in ms. `random`: from 0 to 1, for the jitter of a cooldown. */
export type BreakerEvent =
  | { readonly type: 'configured'; readonly settings: BreakerSettings }
  | {
      readonly type: 'callsEnded';
      readonly at: number;
      readonly random: number;
      readonly calls: CallGroup;
      readonly error?: string;
    }
  | { readonly type: 'paced'; readonly at: number; readonly until: number }
  | { readonly type: 'probesAsked'; readonly at: number; readonly wanted: number; readonly by?: Permit['to'] }
  /** Of the permits that `worker` was granted before this report of its it holds these; of others it never heard. */
  | {
      readonly type: 'permitsHeld';
      readonly worker: string;
      readonly turn: number;
      readonly permits: readonly string[];
    }
  | {
      readonly type: 'probeEnded';
      readonly at: number;
      readonly random: number;
      readonly permit: string;
      readonly end: ProbeEnd;
      readonly error?: string;
    }
  | { readonly type: 'callsRefused'; readonly count: number }
  | { readonly type: 'tripped'; readonly at: number; readonly random: number; readonly note: string }
  | { readonly type: 'reset'; readonly at: number }
  | { readonly type: 'isolated'; readonly at: number; readonly note: string }
  | { readonly type: 'released'; readonly at: number };

/** A breaker that has seen nothing yet. */
export function newBreaker(settings: BreakerSettings = BREAKER_DEFAULTS): BreakerState {
  return { version: 1, settings, phase: closedAt(0), opened: 0, refused: 0, granted: 0 };
}

/**
 * A state that was kept as JSON: half-open comes back as open that may be probed at once, since whoever had its permits
 * may be gone. Undefined for anything else.
 */
export function restoreBreaker(value: unknown): BreakerState | undefined {
  if (!isBreakerState(value)) return undefined;
  const { phase } = value;
  if (phase.kind !== 'halfOpen') return value;
  const { since, failedProbes, why } = phase;
  return { ...value, phase: { kind: 'open', since, until: since, failedProbes, why } };
}

const KINDS: readonly unknown[] = ['closed', 'open', 'halfOpen', 'isolated'] satisfies BreakerPhase['kind'][];

function isBreakerState(value: unknown): value is BreakerState {
  return (
    isRecord(value) &&
    value['version'] === 1 &&
    isRecord(value['phase']) &&
    KINDS.includes(value['phase']['kind']) &&
    ['opened', 'refused', 'granted'].every((count) => Number.isSafeInteger(value[count])) &&
    isRecord(value['settings']) &&
    settingsProblems(value['settings'] as unknown as BreakerSettings).length === 0
  );
}

/** The state after `event`. */
export function evolveBreaker(state: BreakerState, event: BreakerEvent): BreakerState {
  switch (event.type) {
    case 'configured':
      return configured(state, event.settings);
    case 'callsEnded':
      return callsEnded(state, event);
    case 'paced':
      return { ...state, pacedUntil: Math.max(event.until, state.pacedUntil ?? event.until) };
    case 'probesAsked':
      return probesAsked(withoutLatePermits(state, event.at), event);
    case 'permitsHeld':
      return permitsHeld(state, event);
    case 'probeEnded':
      return probeEnded(withoutLatePermits(state, event.at), event);
    case 'callsRefused':
      return { ...state, refused: state.refused + event.count };
    case 'tripped':
      return state.phase.kind === 'isolated'
        ? state
        : opened(state, event, 0, { by: 'hand', note: event.note });
    case 'reset':
      return state.phase.kind === 'isolated' ? state : closed(unpaced(state), event.at);
    case 'isolated':
      return isolated(state, event);
    case 'released':
      return state.phase.kind === 'isolated' ? closed(state, event.at) : state;
    default:
      return assertNever(event);
  }
}

/** What failed before is of no interest any more. */
function closed({ lastError: _over, ...state }: BreakerState, at: number): BreakerState {
  return { ...state, phase: closedAt(at) };
}

function closedAt(since: number): BreakerPhase {
  return { kind: 'closed', since, window: EMPTY_WINDOW };
}

/** The settings are in force from now on; a window of another size keeps what of its calls is in it. */
function configured(state: BreakerState, settings: BreakerSettings): BreakerState {
  const { phase } = state;
  if (phase.kind !== 'closed') return { ...state, settings };
  const { groups } = phase.window;
  const now = groups.at(-1)?.endedAt ?? 0;
  const window = groups.reduce((sum, group) => addCalls(sum, group, settings.window, now), EMPTY_WINDOW);
  return { ...state, settings, phase: { ...phase, window } };
}

/** Whoever isolates it again has the last word on why. */
function isolated(state: BreakerState, { at, note }: BreakerEvent & { type: 'isolated' }): BreakerState {
  const { phase } = state;
  if (phase.kind !== 'isolated') return { ...state, phase: { kind: 'isolated', since: at, note } };
  return phase.note === note ? state : { ...state, phase: { ...phase, note } };
}

function callsEnded(state: BreakerState, event: BreakerEvent & { type: 'callsEnded' }): BreakerState {
  const { phase, settings } = state;
  const { at, calls, error } = event;
  if (phase.kind !== 'closed' || calls.beganAt < phase.since) return state;
  const window = addCalls(phase.window, calls, settings.window, at);
  const next: BreakerState = {
    ...state,
    phase: { ...phase, window },
    ...(error === undefined ? {} : { lastError: error }),
  };
  const by = window.calls < settings.minimumCalls ? undefined : tooMany(window, settings);
  if (by === undefined) return next;
  const { calls: count, failures, slow } = window;
  return opened({ ...next, opened: next.opened + 1 }, event, 0, { by, calls: count, failures, slow });
}

/** Which rate is at or above its threshold; undefined where neither is. */
export function tooMany(tally: Tally, settings: BreakerSettings): 'failures' | 'slowCalls' | undefined {
  // Divided, not multiplied: 3 of 30 is a tenth, though 0.1 * 30 is more than 3.
  if (tally.failures / tally.calls >= settings.failureRate) return 'failures';
  return tally.slow / tally.calls >= settings.slowCallRate ? 'slowCalls' : undefined;
}

function opened(
  state: BreakerState,
  { at, random }: { at: number; random: number },
  failedProbes: number,
  why: BreakerReason,
): BreakerState {
  const until = at + cooldownAfter(state.settings, failedProbes, random);
  return { ...state, phase: { kind: 'open', since: at, until, failedProbes, why } };
}

/** By so much of itself a cooldown may be longer. */
const COOLDOWN_JITTER = 0.1;

/** How long it stays open after so many half-open phases in a row that failed, in ms. */
export function cooldownAfter(
  { cooldown, cooldownMax }: BreakerSettings,
  failedProbes: number,
  random: number,
): number {
  return Math.min(cooldownMax, cooldown * 2 ** failedProbes * (1 + COOLDOWN_JITTER * random));
}

function withoutLatePermits(state: BreakerState, at: number): BreakerState {
  const { phase, settings } = state;
  if (phase.kind !== 'halfOpen') return state;
  const permits = phase.permits.filter(({ grantedAt }) => at < grantedAt + settings.maxProbeTime);
  return permits.length === phase.permits.length ? state : { ...state, phase: { ...phase, permits } };
}

/** A permit whose grant was lost goes to another call. */
function permitsHeld(
  state: BreakerState,
  { worker, turn, permits: held }: BreakerEvent & { type: 'permitsHeld' },
): BreakerState {
  const { phase } = state;
  if (phase.kind !== 'halfOpen') return state;
  const isLost = ({ id, to }: Permit): boolean =>
    to?.worker === worker && to.turn < turn && !held.includes(id);
  const permits = phase.permits.filter((permit) => !isLost(permit));
  return permits.length === phase.permits.length ? state : { ...state, phase: { ...phase, permits } };
}

function probesAsked(
  state: BreakerState,
  { at, wanted, by }: BreakerEvent & { type: 'probesAsked' },
): BreakerState {
  const phase = halfOpened(state.phase, at, state.settings.probes);
  if (phase.kind !== 'halfOpen') return state;
  const paced = at < (state.pacedUntil ?? at);
  const free = paced ? 0 : state.settings.probes - phase.permits.length - phase.reported.calls;
  const granting = Math.max(0, Math.min(wanted, free));
  if (granting === 0) return { ...state, phase };
  const permits = Array.from(
    { length: granting },
    (_, index): Permit => ({
      id: String(state.granted + index + 1),
      grantedAt: at,
      ...(by === undefined ? {} : { to: by }),
    }),
  );
  return {
    ...state,
    granted: state.granted + granting,
    phase: { ...phase, permits: [...phase.permits, ...permits] },
  };
}

function halfOpened(phase: BreakerPhase, at: number, probes: number): BreakerPhase {
  const mayBegin = phase.kind === 'open' && at >= phase.until;
  // Settings that came meanwhile ask for no more probes than have reported: no report is left to decide.
  const undecided = phase.kind === 'halfOpen' && phase.permits.length === 0 && phase.reported.calls >= probes;
  if (!mayBegin && !undecided) return phase;
  const { failedProbes, why } = phase;
  return { kind: 'halfOpen', since: at, failedProbes, why, permits: [], reported: NO_CALLS };
}

function probeEnded(state: BreakerState, event: BreakerEvent & { type: 'probeEnded' }): BreakerState {
  const { phase, settings } = state;
  const { at, permit, end, error } = event;
  if (phase.kind !== 'halfOpen' || !phase.permits.some(({ id }) => id === permit)) return state;
  const permits = phase.permits.filter(({ id }) => id !== permit);
  if (end === 'ignored') return { ...state, phase: { ...phase, permits } };
  const reported = plus(phase.reported, {
    calls: 1,
    failures: end.failed ? 1 : 0,
    slow: end.slow ? 1 : 0,
  });
  const next: BreakerState = {
    ...state,
    phase: { ...phase, permits, reported },
    ...(error === undefined ? {} : { lastError: error }),
  };
  if (reported.calls < settings.probes) return next;
  const by = tooMany(reported, settings);
  return by === undefined ? closed(next, at) : opened(next, event, phase.failedProbes + 1, phase.why);
}

function unpaced(state: BreakerState): BreakerState {
  const { pacedUntil: _over, ...rest } = state;
  return rest;
}

/** What whoever asks is told: whether calls go through, and else when to ask again. */
export interface BreakerView {
  readonly kind: BreakerPhase['kind'];
  /** Ask again in so many ms; 0 where it is closed, or may be probed. */
  readonly retryAfter: number;
  /** The provider asked for no calls for so many ms more; 0 where it did not. */
  readonly pacedFor: number;
  /** Why it is not closed; absent where it is. */
  readonly why?: BreakerReason;
}

/** While others probe, whoever is refused asks again after so many ms (or the cooldown, where that is shorter), then after as long as the probes take already. */
const PROBING_MINIMUM = 1000;

/** The state as it is told at the time `at`. */
export function viewOf(state: BreakerState, at: number): BreakerView {
  const { phase, settings, pacedUntil = at } = withoutLatePermits(state, at);
  const view = { kind: phase.kind, retryAfter: 0, pacedFor: Math.max(0, pacedUntil - at) };
  switch (phase.kind) {
    case 'closed':
      return view;
    case 'open':
      return { ...view, retryAfter: Math.max(0, phase.until - at), why: phase.why };
    case 'halfOpen': {
      const first = Math.min(...phase.permits.map(({ grantedAt }) => grantedAt));
      const out = phase.permits.length + phase.reported.calls;
      if (phase.permits.length === 0 || out < settings.probes) return { ...view, why: phase.why };
      const left = first + settings.maxProbeTime - at;
      const retryAfter = Math.min(left, Math.max(Math.min(PROBING_MINIMUM, settings.cooldown), at - first));
      return { ...view, retryAfter, why: phase.why };
    }
    case 'isolated': {
      const { cooldown, cooldownMax } = settings;
      const retryAfter = Math.min(cooldownMax, Math.max(cooldown, at - phase.since));
      return { ...view, retryAfter, why: { by: 'hand', note: phase.note } };
    }
    default:
      return assertNever(phase);
  }
}
