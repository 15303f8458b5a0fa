import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common';
import { type FailureInfo, isCadreError } from './failures';

/**
 * What an error says, as it stands in events. Gives the same for an error caught in a workflow and for the
 * same failure read back from history: Temporal's failures keep their `instanceof` in both.
 */
export function failureInfo(error: unknown): FailureInfo {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return { type: cause.type ?? 'Error', message: cause.message };
  if (cause instanceof TimeoutFailure)
    return { type: 'TimedOut', message: `Timed out: ${cause.timeoutType}` };
  if (cause instanceof CancelledFailure) return { type: 'Cancelled', message: 'Cancelled' };
  if (isCadreError(cause)) return { type: cause.type, message: cause.message };
  return cause instanceof Error
    ? { type: cause.name, message: cause.message }
    : { type: 'Error', message: String(cause) };
}

/** Our error as the one that crosses processes and ends a workflow or an activity. */
export function applicationFailure(error: unknown): unknown {
  if (!isCadreError(error)) return error;
  return ApplicationFailure.create({
    type: error.type,
    message: error.message,
    nonRetryable: !error.retryable,
    ...(error.details === undefined ? {} : { details: [error.details] }),
  });
}
