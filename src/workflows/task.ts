import { setHandler, workflowInfo } from '@temporalio/workflow';
import type { Resume } from '../core/resume';
import type { TaskResult, TaskState } from '../core/task-events';
import type { TaskInput } from '../core/task-input';
import { stateQuery } from './messages';
import { TaskRun } from './task-run';

/**
 * Carries a goal to a result: plans, runs the plan's steps, and returns the outputs of the steps that no
 * other step needs. Fails as a typed ApplicationFailure (see the core's FAILURES).
 */
export async function task(start: TaskInput | Resume<TaskState>): Promise<TaskResult> {
  const run = new TaskRun();
  setHandler(stateQuery, () => ({ historyLength: workflowInfo().historyLength, state: run.state }), {
    description:
      'Where the task stands: the fold of its events, and the length of the history it was folded from',
  });
  return run.execute(start);
}
