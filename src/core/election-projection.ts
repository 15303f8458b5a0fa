import {
  type ElectionEvent,
  type ElectionState,
  type TermEnd,
  electionStart,
  evolveElection,
  readAnnouncement,
} from './election';
import { isEnvelope } from './envelope';
import type { FailureInfo } from './failures';
import type { HistoryFact } from './history-facts';
import { ANNOUNCE_SIGNAL, LEAD_ACTIVITY, RESIGN_UPDATE } from './names';

/** How a term ended whose activity ended with `failure`, or without one. */
export function termEnd(
  failure: FailureInfo | undefined,
  asked: 'resign' | 'cancel' | undefined,
): { how: TermEnd; reason?: string } {
  if (failure?.type === 'TimedOut') return { how: 'lostHeartbeat' };
  if (failure !== undefined && failure.type !== 'Cancelled') {
    return { how: 'failed', reason: failure.message.slice(0, REASON_MAXIMUM_LENGTH) };
  }
  if (asked === 'resign') return { how: 'resigned' };
  return { how: asked === 'cancel' || failure !== undefined ? 'cancelled' : 'steppedDown' };
}

const REASON_MAXIMUM_LENGTH = 200;

/** Reads an election's facts in order; the fold of what it returns is the election's state. */
export class ElectionProjection {
  private current: ElectionState = electionStart(undefined, 0);
  private asked: 'resign' | 'cancel' | undefined;

  get state(): ElectionState {
    return this.current;
  }

  /** The event that `fact` adds, if any. */
  next(fact: HistoryFact): ElectionEvent | undefined {
    const event = this.read(fact);
    if (event !== undefined) this.current = evolveElection(this.current, event);
    return event;
  }

  private read(fact: HistoryFact): ElectionEvent | undefined {
    const { time } = fact;
    const { term } = this.current;
    const end = (failure?: FailureInfo): ElectionEvent => ({
      type: 'termEnded',
      term,
      time,
      ...termEnd(failure, this.asked),
    });
    switch (fact.kind) {
      case 'workflowStarted':
        this.asked = undefined;
        return { type: 'electionStarted', state: electionStart(fact.input, time) };
      case 'activityScheduled':
        if (fact.activityType !== LEAD_ACTIVITY || !isEnvelope(fact.input[0])) return undefined;
        if (this.asked === 'resign') this.asked = undefined;
        return { type: 'termOffered', term: fact.input[0].term };
      case 'signalled': {
        const announcement = fact.name === ANNOUNCE_SIGNAL ? readAnnouncement(fact.input[0]) : undefined;
        return announcement && { type: 'leaderElected', ...announcement, time };
      }
      case 'updateAccepted':
        if (fact.name === RESIGN_UPDATE) this.asked ??= 'resign';
        return undefined;
      case 'cancelRequested':
        this.asked = 'cancel';
        return undefined;
      case 'activityCompleted':
        return end();
      case 'activityFailed':
        return end(fact.failure);
      case 'activityCancelled':
        return end({ type: 'Cancelled', message: 'Cancelled' });
      default:
        return undefined;
    }
  }
}
