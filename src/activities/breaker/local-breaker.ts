/**
 * One worker's view of one breaker. Owns what a call is told before it goes, and what the fleet is told afterwards.
 *
 * 1. While calls go well it asks and tells nobody.
 * 2. It tells of calls that failed or were slow, of probes, and of pacing: one report at a time, what comes meanwhile
 *    goes with the next, and no call waits for it.
 * 3. It decides alone only where the fleet's breaker does not answer, and never against a call that has waited for the
 *    fleet's: that one is let through as a probe.
 * 4. Its clock is its own: what crosses are durations.
 */
import { backoff } from '../../core/backoff';
import {
  type BreakerReason,
  type BreakerState,
  type BreakerView,
  type ProbeEnd,
  evolveBreaker,
  newBreaker,
  tooMany,
  viewOf,
} from '../../core/breaker/breaker';
import type { RefusalCause } from '../../core/breaker/refusal';
import { type BreakerReply, type BreakerReport, reportedError } from '../../core/breaker/report';
import type { BreakerSettings } from '../../core/breaker/settings';
import { EMPTY_WINDOW, type Window, addCalls, currentWindow, sliceOf } from '../../core/breaker/window';
import type { Outcome } from '../../core/outcome';

/** Where the fleet's breaker is asked and told. Rejects where it does not answer in time. */
export type TellBreaker = (report: BreakerReport) => Promise<BreakerReply>;

/** What a local breaker takes from its surroundings. */
export interface Surroundings {
  /** Of this worker alone. */
  readonly id: string;
  /** A clock that only goes forward, in ms. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Calls `work` in `wait` ms; must not keep the process alive. */
  readonly later: (work: () => void, wait: number) => void;
}

/** What a call is told. */
export type Admission =
  | {
      readonly kind: 'admitted';
      readonly beganAt: number;
      /** Present for a probe; `own`: of this worker's breaker, since the fleet's did not answer. */
      readonly probe?: { readonly permit: string; readonly own: boolean };
    }
  | {
      readonly kind: 'refused';
      readonly why: RefusalCause;
      /** In ms, jitter included. */
      readonly retryAfter: number;
      /** Why it is not closed, as far as it was told. */
      readonly because?: BreakerReason;
    };

/** Before the fleet has said how long, a refusal is for so long, in ms, or the cooldown where that is shorter. */
const UNCONFIRMED_MAXIMUM = 1000;
/** A report that did not arrive is sent again after so long, in ms; each time after twice as long. */
const RETRY_MINIMUM = 1000;
const RETRY_MAXIMUM = 30_000;
/** By so much of itself a wait is longer, so that those who wait do not come back at once. At least, and at most, in ms. */
const JITTER = 0.1;
const JITTER_MINIMUM = 100;
const JITTER_MAXIMUM = 5000;

/** By what was heard earlier, in ms, no call is refused for longer than that. */
const HEARD_MAXIMUM = 5000;
/** No window looks further back. */
const CALLS_MAXIMUM = 1000;

type Asker = (admission: Admission) => void;

export class LocalBreaker {
  /** The fleet's state as far as it is known here, and the window of this worker's calls. */
  private state: BreakerState;
  /** True while it is open by this worker's calls alone, and the fleet was not heard yet. */
  private unconfirmed = false;
  /** True where somebody has heard that it is not closed. */
  private suspected = false;
  private unreported: Window = EMPTY_WINDOW;
  /** Calls that went well, of one slice of the window, which are not in the windows yet. */
  private well: { slice: number; calls: number; beganAt: number; endedAt: number } | undefined;
  private ended: { permit: string; end: ProbeEnd }[] = [];
  private error: string | undefined;
  /** Until when the provider asked for no calls, where nobody was told. */
  private pause: number | undefined;
  private refused = 0;
  /** What the fleet's breaker said last. */
  private heard: BreakerView['kind'] = 'closed';
  /** When it answered last, or did not in time. */
  private askedAt = 0;
  /** How often it has told the fleet. */
  private turn = 0;
  /** Permits of the fleet's whose probes have not ended. */
  private readonly held = new Set<string>();
  /** Calls that were admitted and have not ended. */
  private out = 0;
  private urgent = false;
  private askers: { waited: boolean; tell: Asker }[] = [];
  private exchanging: Promise<boolean> | undefined;
  private failures = 0;
  /** Present while what did not arrive waits to be sent again. */
  private resending: symbol | undefined;

  constructor(
    private readonly settings: BreakerSettings,
    private readonly tell: TellBreaker,
    private readonly around: Surroundings,
    /** Told of what the fleet's breaker says, where that is another kind of state than was known here. */
    private readonly changed: (view: BreakerView) => void = () => undefined,
  ) {
    this.state = newBreaker(settings);
  }

  /** A probe that takes longer, in ms, is given up: its permit goes to another. */
  get maxProbeTime(): number {
    return this.settings.maxProbeTime;
  }

  /** Whether a call may go now. `waited`: it was refused before, and has waited: then the fleet's breaker says. */
  admit(waited: boolean): Admission | Promise<Admission> {
    const at = this.around.now();
    if (waited || this.suspected) return this.ask(waited);
    const { phase, pacedUntil = at } = this.state;
    if (phase.kind === 'closed') {
      if (pacedUntil > at) return this.refuse('paced', pacedUntil - at);
      if (this.isAboutToOpen(phase.window, at)) return this.refuse('failing', this.soonest());
      return this.admitted(at);
    }
    const { kind } = phase;
    const { retryAfter } = viewOf(this.state, at);
    if (this.unconfirmed) return this.refuse(kind, Math.min(retryAfter, this.soonest()));
    // A person may have closed it meanwhile, and would not have this call wait for hours.
    const old = retryAfter > HEARD_MAXIMUM && at - this.askedAt > HEARD_MAXIMUM;
    return retryAfter > 0 && !old ? this.refuse(kind, retryAfter) : this.ask(false);
  }

  /** Whether it would open if those that are out go like those before them: then the next waits for how they go. */
  private isAboutToOpen(window: Window, at: number): boolean {
    if (window.failures === 0 && window.slow === 0) return false;
    const { settings } = this.state;
    const present = currentWindow(window, settings.window, at);
    return present.calls + this.out >= settings.minimumCalls && tooMany(present, settings) !== undefined;
  }

  private admitted(
    beganAt: number,
    probe?: { permit: string; own: boolean },
  ): Admission & { kind: 'admitted' } {
    this.out += 1;
    if (probe?.own === false) this.held.add(probe.permit);
    return { kind: 'admitted', beganAt, ...(probe === undefined ? {} : { probe }) };
  }

  /** Takes note of how a call that was admitted went. */
  record(admission: Admission & { kind: 'admitted' }, outcome: Outcome | 'success', error?: string): void {
    this.out -= 1;
    const at = this.around.now();
    const slow = at - admission.beganAt > this.settings.slowCallDuration;
    const paced = typeof outcome === 'object';
    const counts = outcome === 'success' || outcome === 'failure';
    const failed = outcome === 'failure';
    if (failed && error !== undefined) this.error = reportedError(error);
    if (paced) this.pace(at, outcome.paced);
    if (admission.probe !== undefined) {
      this.endProbe(admission.probe, counts ? { failed, slow } : 'ignored', at);
    } else if (counts) this.count(admission.beganAt, at, failed, slow);
    if (this.urgent && this.resending === undefined) this.send();
  }

  /**
   * What a probe that failed is told: it waits like any other call, and as `failing` where calls may go nevertheless.
   * `hear`: not before the fleet has heard of it, or does not answer.
   */
  async afterProbe(hear = true): Promise<Admission & { kind: 'refused' }> {
    if (hear) {
      // Its report goes with the next one where another was under way.
      await this.exchanging;
      await this.exchanging;
    }
    const { kind, retryAfter } = viewOf(this.state, this.around.now());
    return this.refuse(kind === 'closed' ? 'failing' : kind, Math.max(retryAfter, this.soonest()));
  }

  /** Resolves when what is under way has been answered, or was not in time. */
  async settled(): Promise<void> {
    while (this.exchanging !== undefined) await this.exchanging;
  }

  /** Somebody has heard that the fleet's breaker is not closed: the next call asks. */
  suspect(): void {
    this.suspected ||= this.state.phase.kind === 'closed';
  }

  /** Tells a call to come back after `wait` ms, and a little later than the others. */
  refuse(why: RefusalCause, wait: number): Admission & { kind: 'refused' } {
    this.refused += 1;
    const jitter = Math.min(JITTER_MAXIMUM, Math.max(JITTER_MINIMUM, JITTER * wait));
    const { phase } = this.state;
    const because = phase.kind === 'open' || phase.kind === 'halfOpen' ? { because: phase.why } : {};
    return {
      kind: 'refused',
      why,
      retryAfter: wait + jitter * this.around.random(),
      ...(why === 'paced' ? {} : because),
    };
  }

  private pace(at: number, wait: number): void {
    this.state = evolveBreaker(this.state, { type: 'paced', at, until: at + wait });
    this.pause = Math.max(at + wait, this.pause ?? 0);
    this.urgent = true;
  }

  private endProbe({ permit, own }: { permit: string; own: boolean }, end: ProbeEnd, at: number): void {
    if (own) {
      const random = this.around.random();
      this.state = evolveBreaker(this.state, { type: 'probeEnded', at, random, permit, end });
    } else {
      this.held.delete(permit);
      this.ended.push({ permit, end });
      this.urgent = true;
    }
  }

  private count(beganAt: number, at: number, failed: boolean, slow: boolean): void {
    const { phase, settings } = this.state;
    if (phase.kind !== 'closed' || beganAt < phase.since) return;
    if (!failed && !slow && phase.window.failures === 0 && phase.window.slow === 0) {
      return this.countWell(beganAt, at);
    }
    this.settle();
    const calls = { calls: 1, failures: failed ? 1 : 0, slow: slow ? 1 : 0, beganAt, endedAt: at };
    const random = this.around.random();
    this.state = evolveBreaker(this.state, { type: 'callsEnded', at, random, calls });
    this.unreported = addCalls(this.unreported, calls, settings.window, at);
    this.unconfirmed = this.state.phase.kind === 'open';
    // A call that goes well may open it, too: as the last of `minimumCalls`.
    this.urgent ||= failed || slow || this.unconfirmed;
  }

  /** Where all goes well no rate can rise: such calls are added up, and put into the windows together. */
  private countWell(beganAt: number, at: number): void {
    const { well } = this;
    const slice = this.sliceOf(at);
    if (well === undefined || well.slice !== slice || well.calls === CALLS_MAXIMUM) {
      this.settle();
      this.well = { slice, calls: 1, beganAt, endedAt: at };
    } else {
      well.calls += 1;
      well.beganAt = Math.min(well.beganAt, beganAt);
      well.endedAt = at;
    }
  }

  private sliceOf(at: number): number {
    const { window } = this.settings;
    return 'seconds' in window ? sliceOf(at, window.seconds) : 0;
  }

  /** Puts the calls that went well into the windows. */
  private settle(): void {
    const { well } = this;
    if (well === undefined) return;
    this.well = undefined;
    const at = this.around.now();
    const { slice: _slice, ...times } = well;
    const calls = { ...times, failures: 0, slow: 0 };
    this.state = evolveBreaker(this.state, { type: 'callsEnded', at, random: 0, calls });
    this.unreported = addCalls(this.unreported, calls, this.settings.window, at);
  }

  /** Nobody is told to come back earlier. */
  private soonest(): number {
    return Math.min(UNCONFIRMED_MAXIMUM, this.settings.cooldown);
  }

  private ask(waited: boolean): Promise<Admission> {
    return new Promise((tell) => {
      this.askers.push({ waited, tell });
      this.send();
    });
  }

  /** Tells the fleet what it does not know yet, unless that is under way. */
  private send(): void {
    if (this.exchanging !== undefined) return;
    this.exchanging = this.exchange();
    void this.exchanging.then((answered) => {
      this.exchanging = undefined;
      if (this.askers.length > 0) return this.send();
      // What came meanwhile goes at once; what did not arrive waits.
      if (!answered) this.resend();
      else if (this.urgent) this.send();
    });
  }

  private resend(): void {
    const turn = Symbol('resend');
    this.resending = turn;
    this.around.later(
      () => {
        // Not where a call that asked has sent it meanwhile.
        if (this.resending === turn) this.send();
      },
      backoff(this.failures, RETRY_MINIMUM, RETRY_MAXIMUM),
    );
  }

  /** One report and its answer. Resolves to whether there was one; never rejects. */
  private async exchange(): Promise<boolean> {
    this.settle();
    this.turn += 1;
    const { askers, ended, refused, pause } = this;
    const sent = currentWindow(this.unreported, this.settings.window, this.around.now());
    const report = this.report(sent, askers.length);
    this.askers = [];
    this.ended = [];
    this.refused = 0;
    this.pause = undefined;
    this.resending = undefined;
    this.unreported = EMPTY_WINDOW;
    this.urgent = false;
    try {
      const reply = await this.tell(report).finally(() => (this.askedAt = this.around.now()));
      this.failures = 0;
      this.hear(reply.view);
      this.answer(askers, reply);
      return true;
    } catch {
      // Counts twice where only the answer was lost, which errs on the side of opening.
      this.unreported = this.joined(sent);
      this.ended.unshift(...ended);
      this.refused += refused;
      if (pause !== undefined) this.pause = Math.max(pause, this.pause ?? 0);
      this.urgent = true;
      this.failures += 1;
      this.unconfirmed = false;
      this.answerAlone(askers);
      return false;
    }
  }

  private report({ groups }: Window, wanted: number): BreakerReport {
    const at = this.around.now();
    const { settings, error, ended, pause, refused } = this;
    return {
      settings,
      calls: groups.map(({ beganAt, endedAt, ...tally }) => ({
        ...tally,
        began: at - beganAt,
        ended: at - endedAt,
      })),
      ...(error === undefined ? {} : { error }),
      probes: ended,
      holds: { worker: this.around.id, turn: this.turn, permits: [...this.held] },
      ...(pause === undefined ? {} : { pacedFor: Math.max(0, pause - at) }),
      refused,
      wanted,
    };
  }

  /** What was not reported before, and what came meanwhile. */
  private joined(before: Window): Window {
    const at = this.around.now();
    let window = before;
    for (const group of this.unreported.groups) window = addCalls(window, group, this.settings.window, at);
    return window;
  }

  private hear(view: BreakerView): void {
    this.adopt(view);
    if (view.kind === this.heard) return;
    this.heard = view.kind;
    this.changed(view);
  }

  /** Takes over what the fleet's breaker said. */
  private adopt({ kind, retryAfter, pacedFor, why }: BreakerView): void {
    this.settle();
    const at = this.around.now();
    const { phase } = this.state;
    this.suspected = false;
    const { pacedUntil: _before, ...state } = this.state;
    // What was answered does not know of a pause that came while the report was under way.
    const pacedUntil = Math.max(at + pacedFor, this.pause ?? at);
    const paced = pacedUntil > at ? { pacedUntil } : {};
    if (kind === 'closed') {
      const closed = { kind, since: at, window: EMPTY_WINDOW };
      // Nor does it know of the calls by which it opened here meanwhile.
      const early = this.unconfirmed && this.unreported.calls > 0;
      this.state = { ...state, ...paced, phase: phase.kind === 'closed' || early ? phase : closed };
      if (early) return;
    } else if (kind === 'isolated') {
      const note = why?.by === 'hand' ? why.note : '';
      this.state = { ...state, ...paced, phase: { kind, since: at, note } };
    } else {
      const reason = why ?? { by: 'hand', note: '' };
      const until = at + retryAfter;
      this.state = {
        ...state,
        ...paced,
        phase: { kind: 'open', since: at, until, failedProbes: 0, why: reason },
      };
    }
    this.unconfirmed = false;
  }

  private answer(askers: readonly { tell: Asker }[], { view, permits }: BreakerReply): void {
    const beganAt = this.around.now();
    const { kind, retryAfter, pacedFor } = view;
    for (const [index, { tell }] of askers.entries()) {
      const permit = permits[index];
      if (permit !== undefined) tell(this.admitted(beganAt, { permit, own: false }));
      else if (kind !== 'closed') tell(this.refuse(kind, Math.max(retryAfter, pacedFor, this.soonest())));
      else if (pacedFor > 0) tell(this.refuse('paced', pacedFor));
      else tell(this.admitted(beganAt));
    }
  }

  /** The fleet's breaker does not answer: this worker's own says. For a call that has waited the cooldown is over. */
  private answerAlone(askers: readonly { waited: boolean; tell: Asker }[]): void {
    const now = this.around.now();
    this.suspected = false;
    for (const { waited, tell } of askers) {
      const { phase, granted } = this.state;
      const at = waited && phase.kind === 'open' ? Math.max(now, phase.until) : now;
      this.state = evolveBreaker(this.state, { type: 'probesAsked', at, wanted: 1 });
      const { kind, retryAfter, pacedFor } = viewOf(this.state, at);
      if (this.state.granted > granted) {
        const probe = { permit: String(this.state.granted), own: true };
        tell(this.admitted(now, probe));
      } else if (kind !== 'closed') tell(this.refuse(kind, Math.max(retryAfter, pacedFor, this.soonest())));
      else if (pacedFor > 0 && !waited) tell(this.refuse('paced', pacedFor));
      else tell(this.admitted(now));
    }
  }
}
