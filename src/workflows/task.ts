import { setHandler, workflowInfo } from '@temporalio/workflow';
import type { Resume } from '../core/resume';
import type { TaskResult, TaskState } from '../core/task-state';
import type { TaskInput } from '../core/task-input';
import type { Attendance } from './attendance';
import { answerUpdate, resolveUpdate, stateQuery } from './messages';
import { TaskRun } from './task-run';

/**
 * Carries a goal to a result: plans, runs the plan's steps, and returns the outputs of the steps that no
 * other step needs. What was done is undone where it fails or is cancelled. Fails as a typed ApplicationFailure (see
 * the core's FAILURES).
 */
export function task(start: TaskInput | Resume<TaskState>): Promise<TaskResult> {
  return runTask(start, true);
}

/** One run of a task, or of a saga, which is not `led`. */
export function runTask(start: unknown, led: boolean): Promise<TaskResult> {
  const run = new TaskRun(led);
  handleMessages(() => run.state, run.attendance);
  return run.execute(start);
}

/** Answers the query `state` and the updates of persons. */
export function handleMessages(state: () => TaskState, attendance: Attendance): void {
  setHandler(stateQuery, () => ({ historyLength: workflowInfo().historyLength, state: state() }), {
    description: 'Where it stands: the fold of its events, and the length of the history it was folded from',
  });
  setHandler(resolveUpdate, (resolving) => attendance.resolve(resolving), {
    validator: (resolving) => void attendance.checkResolving(resolving),
    description: 'Says what is to become of what failed for good: retry, skip or fail',
  });
  setHandler(answerUpdate, (answering) => attendance.answer(answering), {
    validator: (answering) => void attendance.checkAnswering(answering),
    description: 'Answers what a step asks, by the hash of what was looked at: yes or no to an approval',
  });
}
