import { Context } from '@temporalio/activity';
import type { Envelope } from '../core/envelope';
import { crossingFailure } from '../core/failure-info';
import type { LockRequest, Locks } from '../core/lock';

/** The activity by which a saga claims a key. */
export type LockActivity = (envelope: Envelope, request: LockRequest) => Promise<LockRequest>;

/** Makes the activity `lock`, of which every attempt after one that got the key succeeds too. Fails as LockHeld, InputInvalid. */
export function lockActivity(locks: Locks): LockActivity {
  return async ({ root }, { key }) => {
    const workflowId = Context.current().info.workflowExecution?.workflowId ?? '';
    try {
      await locks.acquire(key, { workflowId, root });
      return { key };
    } catch (error) {
      throw crossingFailure(error);
    }
  };
}
