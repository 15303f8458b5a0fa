/**
 * Reads a breaker's history as its state: the fold of what workers reported and persons commanded, from the first run on,
 * and from what any later run began with.
 *
 * 1. An update counts once it is answered: workers are told by the answer. Of what was accepted and has no answer yet the
 *    state has what is sure.
 * 2. How long it stays open is drawn in the workflow, so it is read from the answer; before that it is the least it may be.
 */
import { type HistoryFact, isEnd } from '../history-facts';
import { isRecord } from '../json';
import { OPERATE_UPDATE, REPORT_UPDATE } from '../names';
import type { BreakerEvent, BreakerState } from './breaker';
import { commandEvents, foldBreaker, readCommand, readReport, reportEvents } from './report';
import { type KeyedBreaker, breakerStart } from './start';

/** An update that was accepted, and has no answer yet. */
interface Accepted {
  readonly eventId: number;
  /** The workflow's time, in ms since 1970. */
  readonly at: number;
  readonly name: string;
  readonly message: unknown;
}

/** The least: a cooldown is longer by so much of its jitter. */
const NO_JITTER = 0;

export class BreakerProjection {
  private current: KeyedBreaker | undefined;
  private accepted: Accepted[] = [];
  private taskBegan = 0;
  private over = false;

  /** Its key and state after the last fact; undefined before the first. */
  get keyed(): KeyedBreaker | undefined {
    if (this.current === undefined) return undefined;
    const state = this.accepted.reduce((before, update) => afterUpdate(before, update), this.current.state);
    return { ...this.current, state };
  }

  get hasEnded(): boolean {
    return this.over;
  }

  /** Throws InputInvalid for a history that is no breaker's. */
  next(fact: HistoryFact): void {
    this.over = isEnd(fact);
    switch (fact.kind) {
      case 'workflowStarted':
        this.accepted = [];
        this.current = breakerStart(fact.input);
        return;
      case 'workflowTaskStarted':
        this.taskBegan = fact.time;
        return;
      case 'updateAccepted': {
        const { eventId, name, input } = fact;
        this.accepted.push({ eventId, at: this.taskBegan, name, message: input[0] });
        return;
      }
      case 'updateCompleted':
        this.answer(fact.acceptedEventId, fact.result);
        return;
      default:
        return;
    }
  }

  /** Updates are answered in the order in which they were accepted, since no handler waits for anything. */
  private answer(acceptedEventId: number, answer: unknown): void {
    const index = this.accepted.findIndex(({ eventId }) => eventId === acceptedEventId);
    if (index < 0 || this.current === undefined) return;
    const answered = this.accepted.splice(0, index + 1);
    for (const [place, update] of answered.entries()) {
      const state = afterUpdate(this.current.state, update, place === index ? answer : undefined);
      this.current = { ...this.current, state };
    }
  }
}

/** The state after an update; what cannot be read changes nothing. */
function afterUpdate(state: BreakerState, update: Accepted, answer?: unknown): BreakerState {
  const next = foldBreaker(state, eventsOf(state, update));
  const { phase } = next;
  if (phase.kind !== 'open' || phase.since !== update.at) return next;
  return { ...next, phase: { ...phase, until: answeredUntil(update, answer) ?? phase.until } };
}

function eventsOf(state: BreakerState, { name, message, at }: Accepted): BreakerEvent[] {
  try {
    if (name === REPORT_UPDATE) return reportEvents(readReport(message), state, at, NO_JITTER);
    if (name === OPERATE_UPDATE) return commandEvents(readCommand(message, state), at, NO_JITTER);
    return [];
  } catch {
    return [];
  }
}

/** Until when the breaker is open, as whoever sent the update was told; undefined where the answer does not say. */
function answeredUntil({ name, at }: Accepted, answer: unknown): number | undefined {
  if (!isRecord(answer)) return undefined;
  if (name === OPERATE_UPDATE) return numberIn(answer['phase'], 'until');
  const { view } = answer;
  if (!isRecord(view) || view['kind'] !== 'open') return undefined;
  const left = numberIn(view, 'retryAfter');
  return left === undefined ? undefined : at + left;
}

function numberIn(record: unknown, field: string): number | undefined {
  const value = isRecord(record) ? record[field] : undefined;
  return typeof value === 'number' ? value : undefined;
}
