/** A task's own time limit: a timer ahead of Temporal's, since no code runs after that. */
import { CancellationScope, sleep, workflowInfo } from '@temporalio/workflow';
import { TIME_LIMIT_TIMER, timerEvents } from '../core/task-resolving';
import type { TaskRecord } from './task-record';

/** Of the time that Temporal gives a workflow so much is kept for undoing, at most {@link RESERVE_MAXIMUM}. */
const RESERVE_SHARE = 0.2;
const RESERVE_MAXIMUM = 10 * 60 * 1000;
/** A limit that is further off is none: test servers give every workflow ten years. */
const HORIZON = 366 * 24 * 60 * 60 * 1000;

/**
 * From when on a time limit counts, in ms since 1970: a run that Temporal was to begin later (a delay, a retry, a cron) has
 * it from then. The SDK (1.24) names how much later after the cron alone.
 */
export function begunAt(): number {
  const { startTime, cronScheduleToScheduleInterval = 0 } = workflowInfo();
  return startTime.getTime() + cronScheduleToScheduleInterval;
}

/** Starts the timer, where there is a limit. `reached` is called at its end, unless the returned function was before. */
export function startTimeLimit(
  task: TaskRecord,
  reached: () => void,
  deadline: number | undefined = task.state.deadline,
): () => void {
  const end = limitOf(deadline);
  if (end === undefined) return () => undefined;
  let timer: CancellationScope | undefined;
  void CancellationScope.nonCancellable(async () => {
    timer = new CancellationScope();
    await timer.run(() => sleep(Math.max(1, end - Date.now()), { summary: TIME_LIMIT_TIMER }));
    for (const event of timerEvents(task.state, TIME_LIMIT_TIMER)) task.record(event);
    reached();
  }).catch(() => undefined);
  return () => timer?.cancel();
}

/** When to begin undoing, in ms since 1970: the task's own limit, or ahead of Temporal's. */
function limitOf(deadline: number | undefined): number | undefined {
  const { executionExpirationTime, executionTimeoutMs, runTimeoutMs, runStartTime } = workflowInfo();
  const ends = [
    deadline,
    executionExpirationTime && ahead(executionExpirationTime.getTime(), executionTimeoutMs),
    runTimeoutMs && ahead(runStartTime.getTime() + runTimeoutMs, runTimeoutMs),
  ].filter((end): end is number => typeof end === 'number' && end > 0 && end < Date.now() + HORIZON);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

function ahead(end: number, timeout = 0): number {
  return end - Math.min(timeout * RESERVE_SHARE, RESERVE_MAXIMUM);
}
