/**
 * One run of a breaker. Owns when it ends and when it goes on in a new run; what a report means is
 * `core/breaker/breaker.ts`'s.
 *
 * 1. It has no timer that decides: whether a cooldown or a probe's time is over is looked at when somebody asks.
 * 2. A run does not end while probes are out, so that no permit is granted twice.
 */
import {
  allHandlersFinished,
  condition,
  makeContinueAsNewFunc,
  setCurrentDetails,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { BreakerEvent, BreakerState } from '../core/breaker/breaker';
import { breakerDetails } from '../core/breaker/details';
import {
  type BreakerReply,
  commandEvents,
  foldBreaker,
  readCommand,
  readReport,
  replyTo,
  reportEvents,
} from '../core/breaker/report';
import {
  type BreakerStart,
  type KeyedBreaker,
  breakerMemo,
  breakerStart,
  readBreakerMemo,
} from '../core/breaker/start';
import { crossing } from '../core/failure-info';
import type { Resume } from '../core/resume';
import { sleepUnless } from './sleep-unless';

/** A replay costs 0.3 to 0.4 s per 1,000 events, and is paid at every cache loss. */
const HISTORY_MAXIMUM_EVENTS = 1000;
/** A run of so many events ends also while probes are out: their permits are lost, and probing begins anew. */
const HISTORY_LIMIT_EVENTS = 5 * HISTORY_MAXIMUM_EVENTS;
/** One that has been closed and heard nothing for so long, in ms, ends. */
const QUIET = 10 * 60 * 1000;

export class BreakerRun {
  private current: KeyedBreaker;
  private heard = Date.now();

  constructor(start: unknown) {
    this.current = crossing(() => breakerStart(start));
    this.show();
  }

  get keyed(): KeyedBreaker {
    return this.current;
  }

  checkReport(candidate: unknown): void {
    crossing(() => readReport(candidate));
  }

  report(candidate: unknown): BreakerReply {
    const report = readReport(candidate);
    const before = this.current.state;
    const now = Date.now();
    const after = this.record(reportEvents(report, before, now, Math.random()));
    return replyTo(before, after, now);
  }

  checkCommand(candidate: unknown): void {
    crossing(() => readCommand(candidate, this.current.state));
  }

  operate(candidate: unknown): BreakerState {
    const command = readCommand(candidate, this.current.state);
    return this.record(commandEvents(command, Date.now(), Math.random()));
  }

  /** Ends when it has been closed and quiet for a while; goes on in a new run before the history grows long. */
  async execute(): Promise<void> {
    for (;;) {
      await condition(() => this.isClosed() || this.isLong());
      await this.quiet();
      await condition(allHandlersFinished);
      if (this.isLong()) await this.continueAsNew();
      if (this.isClosed() && Date.now() >= this.heard + QUIET) return;
    }
  }

  /** Resolves once it may have been quiet for long enough, or its history is long. */
  private async quiet(): Promise<void> {
    const left = this.heard + QUIET - Date.now();
    await sleepUnless(left, 'ends if closed and quiet', () => this.isLong());
  }

  private isClosed(): boolean {
    return this.current.state.phase.kind === 'closed';
  }

  private isLong(): boolean {
    const { historyLength } = workflowInfo();
    const probing = this.current.state.phase.kind === 'halfOpen';
    return historyLength >= (probing ? HISTORY_LIMIT_EVENTS : HISTORY_MAXIMUM_EVENTS);
  }

  private continueAsNew(): Promise<never> {
    const { workflowId, runId } = workflowInfo();
    const resume: Resume<KeyedBreaker> = {
      snapshot: this.current,
      origin: { kind: 'continuedAsNew', workflowId, runId },
      overrides: {},
    };
    const memo = { ...breakerMemo(this.current) };
    return makeContinueAsNewFunc<(start: BreakerStart) => Promise<void>>({ memo })(resume);
  }

  private record(events: readonly BreakerEvent[]): BreakerState {
    const state = foldBreaker(this.current.state, events);
    this.current = { ...this.current, state };
    this.heard = Date.now();
    this.show();
    return state;
  }

  /** The memo costs an event, so it has only what clients look for. */
  private show(): void {
    const { key, state } = this.current;
    setCurrentDetails(breakerDetails(key, state, Date.now()));
    const { memo } = workflowInfo();
    if (readBreakerMemo(memo)?.kind !== state.phase.kind) upsertMemo(breakerMemo(this.current));
  }
}
