import { isCancellation } from '@temporalio/workflow';
import { failureInfo } from '../core/failure-info';
import { acquireLock, releaseLock } from './locking';
import type { TaskRecord } from './task-record';

/** Takes the lock that the task's options name, unless it has it. Fails as LockHeld where another has it. */
export async function claimLock(task: TaskRecord): Promise<void> {
  const { options, locked } = task.state;
  const key = options?.lock;
  if (key === undefined || locked) return;
  task.record({ type: 'lockRequested', key });
  try {
    await acquireLock(task.envelope('lock', 'lock'), key);
    task.record({ type: 'lockAcquired', key });
  } catch (error) {
    if (!isCancellation(error)) task.record({ type: 'lockRefused', key, failure: failureInfo(error) });
    throw error;
  }
}

/** Gives back the lock that the task has, if any. */
export async function giveLockBack({ state }: TaskRecord): Promise<void> {
  const { options, locked, root } = state;
  if (options?.lock !== undefined && locked) await releaseLock(options.lock, root);
}
