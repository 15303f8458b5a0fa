/** How a task or saga ends that does not complete. */
import { ApplicationFailure } from '@temporalio/common';
import { isCancellation } from '@temporalio/workflow';
import { crossingFailure, failureDetails, failureInfo } from '../core/failure-info';
import { budgetReached, taskAccount } from '../core/budget/budget';
import { CadreError } from '../core/failures';
import { isRecord } from '../core/json';
import type { TaskState } from '../core/task-state';
import type { TaskRecord } from './task-record';

/** What a task fails with whose time is over: that of its budget, or its own limit. */
export function timeLimitReached({ root, deadline, budget }: TaskState): CadreError {
  if (budget?.until !== undefined && budget.until === deadline) {
    const allowed = Number(budget.given?.wallTime ?? 0);
    const account = taskAccount(root);
    return budgetReached({ account, limit: 'wallTime', allowed, used: allowed, reserved: 0, asked: 0 });
  }
  return new CadreError('TimeLimitReached', 'It took longer than it may; what was done is undone');
}

/**
 * Records the end for `error`, and returns what to throw for it: the same failure, with what became of each compensation.
 * `cancelled`: whether the whole workflow was, without which Temporal takes a cancellation for a failure; default true.
 */
export function endOf(task: TaskRecord, error: unknown, cancelled = true): unknown {
  if (isCancellation(error) && cancelled) {
    task.record({ type: 'taskCancelled' });
    return error;
  }
  const thrown = withCompensations(crossingFailure(error), task.state);
  task.record({ type: 'taskFailed', failure: failureInfo(thrown) });
  return thrown;
}

function withCompensations(thrown: unknown, { compensations }: TaskState): unknown {
  if (compensations === undefined || !(thrown instanceof ApplicationFailure)) return thrown;
  const { type, message, nonRetryable, cause, stack } = thrown;
  const details = failureDetails(thrown);
  const failure = ApplicationFailure.create({
    message,
    ...(type ? { type } : {}),
    ...(nonRetryable ? { nonRetryable } : {}),
    ...(cause ? { cause } : {}),
    details: [{ ...(isRecord(details) ? details : {}), compensations }],
  });
  if (stack !== undefined) failure.stack = stack;
  return crossingFailure(failure);
}
