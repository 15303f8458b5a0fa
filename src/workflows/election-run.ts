/**
 * One run of an election. Owns the order of things: a term is offered, held, and ended before the next is offered.
 * What an event means is `core/election.ts`'s; what a leader does is the workers'.
 *
 * 1. No term is offered twice: it is raised before it is offered, and a term's activity is never retried.
 * 2. A run ends only between terms, so a stable leader adds nothing to its history.
 */
import {
  ActivityCancellationType,
  CancellationScope,
  allHandlersFinished,
  condition,
  continueAsNew,
  proxyActivities,
  setCurrentDetails,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import {
  type Announcement,
  type ElectionEvent,
  type ElectionStart,
  type ElectionState,
  LEASE_DURATION,
  type Resignation,
  electionStart,
  evolveElection,
  pauseBeforeTerm,
  readAnnouncement,
} from '../core/election';
import { electionDetails } from '../core/election-details';
import { termEnd } from '../core/election-projection';
import type { Envelope } from '../core/envelope';
import { crossingFailure, failureInfo } from '../core/failure-info';
import { CadreError } from '../core/failures';
import { LEAD_ACTIVITY, candidatesQueue } from '../core/names';
import type { Resume } from '../core/resume';
import { taskRoot } from '../core/task-projection';

/** A replay costs 0.3 to 0.4 s per 1,000 events, and is paid at every failover. */
const HISTORY_MAXIMUM_EVENTS = 1000;

type LeadActivities = { lead(envelope: Envelope): Promise<void> };

export class ElectionRun {
  private current: ElectionState;
  private term: CancellationScope | undefined;
  private asked: 'resign' | 'cancel' | undefined;

  /** `startTime` is the run's, in ms since 1970. */
  constructor(start: unknown, startTime: number) {
    this.current = electionStart(start, startTime);
  }

  get state(): ElectionState {
    return this.current;
  }

  /** Offers terms until the election is cancelled; goes on in a new run before the history grows long. */
  async execute(): Promise<never> {
    CancellationScope.current().cancelRequested.catch(() => (this.asked = 'cancel'));
    for (;;) {
      await this.holdTerm();
      if (this.asked === 'cancel') await CancellationScope.current().cancelRequested;
      this.asked = undefined;
      const pause = pauseBeforeTerm(this.current);
      if (pause > 0) await sleep(pause, { summary: 'a term failed at once' });
      if (workflowInfo().historyLength >= HISTORY_MAXIMUM_EVENTS) await this.continueAsNew();
    }
  }

  /** A late or malformed announcement changes nothing. */
  announce(candidate: unknown): void {
    const announcement = readAnnouncement(candidate);
    if (announcement !== undefined) {
      this.record({ type: 'leaderElected', ...announcement, time: Date.now() });
    }
  }

  /** Throws NoLeader while nobody leads, and for a request that came too late for whom it was meant. */
  requireLeader(resignation?: Resignation): Announcement {
    const { term, leader } = this.current;
    const { term: meant = term, until = Infinity } = resignation ?? {};
    const refusal = (message: string): unknown => crossingFailure(new CadreError('NoLeader', message));
    if (leader === undefined) throw refusal(`Nobody leads: term ${term} is not taken`);
    if (meant !== term) throw refusal(`Term ${meant} is over`);
    if (Date.now() > until) throw refusal('The request came too late');
    return { term, identity: leader.identity };
  }

  resign(resignation?: Resignation): Announcement {
    const asked = this.requireLeader(resignation);
    this.asked ??= 'resign';
    this.term?.cancel();
    return asked;
  }

  /** Offers the next term and waits for its end. */
  private async holdTerm(): Promise<void> {
    const term = this.current.term + 1;
    this.record({ type: 'termOffered', term });
    const { workflowId, firstExecutionRunId, taskQueue } = workflowInfo();
    const { lead } = proxyActivities<LeadActivities>({
      activityId: `term-${term}`,
      taskQueue: candidatesQueue(taskQueue),
      startToCloseTimeout: '3650 days',
      heartbeatTimeout: LEASE_DURATION,
      retry: { maximumAttempts: 1 },
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      summary: `term ${term}`,
    });
    const root = taskRoot(workflowId, firstExecutionRunId);
    const scope = (this.term = new CancellationScope());
    try {
      await scope.run(() => lead({ root, step: LEAD_ACTIVITY, kind: 'lead', term, version: 1 }));
      this.end(term);
    } catch (error) {
      this.end(term, error);
    }
  }

  private end(term: number, error?: unknown): void {
    const failure = error === undefined ? undefined : failureInfo(error);
    this.record({ type: 'termEnded', term, time: Date.now(), ...termEnd(failure, this.asked) });
  }

  private async continueAsNew(): Promise<never> {
    await condition(allHandlersFinished);
    const { workflowId, runId } = workflowInfo();
    const resume: Resume<ElectionState> = {
      snapshot: this.current,
      origin: { kind: 'continuedAsNew', workflowId, runId },
      overrides: {},
    };
    return continueAsNew<(start: ElectionStart) => Promise<never>>(resume);
  }

  private record(event: ElectionEvent): void {
    this.current = evolveElection(this.current, event);
    setCurrentDetails(electionDetails(this.current));
  }
}
