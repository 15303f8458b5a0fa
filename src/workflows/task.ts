import { setHandler, workflowInfo } from '@temporalio/workflow';
import type { Resume } from '../core/resume';
import type { TaskResult, TaskState } from '../core/task-events';
import type { TaskInput } from '../core/task-input';
import { resolveUpdate, stateQuery } from './messages';
import { TaskRun } from './task-run';

/**
 * Carries a goal to a result: plans, runs the plan's steps, and returns the outputs of the steps that no
 * other step needs. What was done is undone where it fails or is cancelled. Fails as a typed ApplicationFailure (see the core's FAILURES).
 */
export async function task(start: TaskInput | Resume<TaskState>): Promise<TaskResult> {
  const run = new TaskRun();
  setHandler(stateQuery, () => ({ historyLength: workflowInfo().historyLength, state: run.state }), {
    description:
      'Where the task stands: the fold of its events, and the length of the history it was folded from',
  });
  setHandler(resolveUpdate, (resolving) => run.unwinding.resolve(resolving), {
    validator: (resolving) => run.unwinding.check(resolving),
    description: 'Says what is to become of a compensation that failed: retry or skip',
  });
  return run.execute(start);
}
