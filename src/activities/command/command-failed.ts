import { ApplicationFailure } from '@temporalio/common';
import type { FailureType } from '../../core/failures';

/** What is known of a failure beside its message. */
export interface CommandFailure {
  /** No retry can mend it. */
  readonly final: boolean;
  /** JSON. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** A CommandFailed. */
export function commandFailed(
  message: string,
  { final, details, cause }: CommandFailure,
): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'CommandFailed' satisfies FailureType,
    message,
    nonRetryable: final,
    ...(details === undefined ? {} : { details: [details] }),
    ...(cause instanceof Error ? { cause } : {}),
  });
}
