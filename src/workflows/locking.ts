/** How a saga claims a key and gives it back. */
import { ActivityFailure } from '@temporalio/common';
import {
  ActivityCancellationType,
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { Envelope } from '../core/envelope';
import { crossingFailure, failureInfo } from '../core/failure-info';
import type { FailureType } from '../core/failures';
import { validKey } from '../core/key';
import type { LockRequest } from '../core/lock';
import { lockId } from '../core/names';
import { oneLine } from '../core/one-line';
import { SUMMARY_MAXIMUM_LENGTH } from '../core/task-activities';
import { releaseSignal } from './messages';

type LockActivities = { lock(envelope: Envelope, request: LockRequest): Promise<LockRequest> };

/**
 * Resolves once this saga holds `key`. Fails as LockHeld where another does, as InputInvalid for what is no key; of
 * a server in trouble it asks again, until it is cancelled. `envelope` is of the kind `lock`. Whatever comes of it,
 * {@link releaseLock} when the saga ends.
 */
export async function acquireLock(envelope: Envelope, key: string): Promise<void> {
  const { lock } = proxyActivities<LockActivities>({
    activityId: `lock/${checked(key)}`,
    startToCloseTimeout: '5 seconds',
    retry: { initialInterval: 100, backoffCoefficient: 2, maximumInterval: '5 seconds' },
    // A claim that goes on behind the saga's back would outlive it.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: oneLine(`lock: ${key}`, SUMMARY_MAXIMUM_LENGTH),
  });
  try {
    await lock(envelope, { key });
  } catch (error) {
    // One that was cut off may have the key.
    if (!isRefusal(error)) await releaseLock(key, envelope.root);
    throw error;
  }
}

/**
 * Gives `key` back, whatever is cancelled. Never rejects, and leaves alone what another holds: a lock that it could
 * not reach is taken from its ended holder by the next who claims it.
 */
export async function releaseLock(key: string, root: string): Promise<void> {
  const lock = getExternalWorkflowHandle(lockId(workflowInfo().taskQueue, key));
  await CancellationScope.nonCancellable(() => lock.signal(releaseSignal, { root })).catch(() => undefined);
}

function checked(key: string): string {
  try {
    return validKey('lock', key);
  } catch (error) {
    throw crossingFailure(error);
  }
}

function isRefusal(error: unknown): boolean {
  if (isCancellation(error) || !(error instanceof ActivityFailure)) return false;
  return failureInfo(error).type === ('LockHeld' satisfies FailureType);
}
