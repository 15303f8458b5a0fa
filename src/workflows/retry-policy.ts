import type { RetryPolicy } from '@temporalio/common';
import type { ResolvedRetry } from '../core/policy';

/** A resolved retry as Temporal has it. Of its attempts, `used` were made already; one is always left. */
export function retryPolicy({ maximumAttempts, ...intervals }: ResolvedRetry, used = 0): RetryPolicy {
  // Without a maximum Temporal retries without end.
  if (maximumAttempts === 0) return intervals;
  return { ...intervals, maximumAttempts: Math.max(1, maximumAttempts - used) };
}
