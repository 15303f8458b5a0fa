/**
 * Has the leader do something. Temporal runs each attempt once: what a lost leader leaves undone is asked for again, as
 * often as it takes, and only the work's own failures count.
 */
import {
  ActivityCancellationType,
  isCancellation,
  proxyActivities,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { backoff } from '../core/backoff';
import { readRefusal } from '../core/breaker/refusal';
import { LEASE_DURATION } from '../core/election';
import type { Envelope } from '../core/envelope';
import { failureDetails, failureInfo } from '../core/failure-info';
import type { FailureInfo } from '../core/failures';
import { type LeaderRequest, returnReason, returnedEvent } from '../core/leader-work';
import { type LeaderWork, leaderQueue } from '../core/names';
import { oneLine } from '../core/one-line';
import { SUMMARY_MAXIMUM_LENGTH } from '../core/task-activities';
import type { TaskEvent } from '../core/task-events';
import type { TaskState } from '../core/task-state';
import type { TaskRecord } from './task-record';

export interface LeaderCall<Request, Outcome> {
  readonly work: LeaderWork;
  /** The envelope's step. */
  readonly step: string;
  /** Unique among what the task has under way. */
  readonly activityId: string;
  readonly summary: string;
  readonly request: Request;
  readonly requested: (term: number) => TaskEvent;
  readonly succeeded: (outcome: Outcome, state: TaskState) => TaskEvent[];
  readonly failed: (failure: FailureInfo) => TaskEvent;
  /** Recorded where it is cancelled after Temporal heard of it. */
  readonly cancelled?: TaskEvent;
}

const FAILURES_MAXIMUM = 5;
const FAILURE_PAUSE = 1000;
const FAILURE_PAUSE_MAXIMUM = 30_000;
/** The first return is asked for again at once; the more in a row, the longer the pause, in ms. */
const RETURN_PAUSE = 50;
const RETURN_PAUSE_MAXIMUM = 5000;

/** Records what comes of `call`. Throws its last failure, or the cancellation. */
export async function onLeader<Request, Outcome>(
  task: TaskRecord,
  call: LeaderCall<Request, Outcome>,
): Promise<void> {
  let failures = 0;
  let returns = 0;
  let refusedFor: number | undefined;
  let held: number | undefined;
  for (;;) {
    const before = task.state;
    task.record(call.requested(task.state.term));
    const { historyLength } = workflowInfo();
    let returned: boolean;
    try {
      const events = call.succeeded(
        await schedule(task, call, moreOf(refusedFor, held, failures)),
        task.state,
      );
      for (const event of events) task.record(event);
      if (events[0]?.type !== 'leaderWorkReturned') return;
      returned = true;
      refusedFor = undefined;
    } catch (error) {
      if (isCancellation(error)) {
        if (workflowInfo().historyLength === historyLength) task.restore(call.step, before);
        else if (call.cancelled !== undefined) task.record(call.cancelled);
        throw error;
      }
      const failure = failureInfo(error);
      const why = returnReason(failure);
      returned = why !== undefined;
      const event =
        why === undefined ? call.failed(failure) : returnedEvent(call.work, why, failureDetails(error));
      task.record(event);
      refusedFor = event.type === 'leaderWorkReturned' ? event.retryAfter : undefined;
      if (why === 'refused') held = readRefusal(failureDetails(error)).held ?? held;
      if (!returned && (++failures >= FAILURES_MAXIMUM || isFinal(error))) throw error;
    }
    returns = returned ? returns + 1 : 0;
    const pause = returned
      ? backoff(returns - 1, RETURN_PAUSE, RETURN_PAUSE_MAXIMUM)
      : backoff(failures, FAILURE_PAUSE, FAILURE_PAUSE_MAXIMUM);
    const wait = refusedFor ?? pause;
    if (wait > 0) await sleep(wait, { summary: `${call.work} again` });
  }
}

function schedule<Request, Outcome>(
  task: TaskRecord,
  call: LeaderCall<Request, Outcome>,
  more: LeaderRequest,
): Promise<Outcome> {
  const { work, step, activityId, summary, request } = call;
  const leader = proxyActivities<
    Record<LeaderWork, (envelope: Envelope, request: Request) => Promise<Outcome>>
  >({
    taskQueue: leaderQueue(workflowInfo().taskQueue),
    activityId,
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: LEASE_DURATION,
    retry: { maximumAttempts: 1 },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: oneLine(summary, SUMMARY_MAXIMUM_LENGTH),
  });
  return leader[work](task.envelope(step, work), { ...request, ...more });
}

/** What the request says besides, after so many failures and the refusals that were waited for. */
function moreOf(refusedFor: number | undefined, held: number | undefined, failures: number): LeaderRequest {
  return {
    ...(refusedFor === undefined ? {} : { waited: true }),
    ...(held === undefined ? {} : { held }),
    ...(failures < FAILURES_MAXIMUM - 1 ? {} : { last: true }),
  };
}

/** True for what no attempt can mend. */
function isFinal(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure && cause.nonRetryable === true;
}
