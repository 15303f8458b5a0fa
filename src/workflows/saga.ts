import type { Resume } from '../core/resume';
import type { SagaInput } from '../core/saga-input';
import type { TaskResult, TaskState } from '../core/task-state';
import { runTask } from './task';

/**
 * Carries out the steps that its input declares, without a leader, and returns the outputs of those that no other step
 * needs. What was done is undone where it fails or is cancelled. Fails as a typed ApplicationFailure (see the core's
 * FAILURES).
 */
export function saga(start: SagaInput | Resume<TaskState>): Promise<TaskResult> {
  return runTask(start, false);
}
