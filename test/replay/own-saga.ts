/** The workflow whose history is recorded as `own-saga`. */
import { ApplicationFailure, continueAsNew } from '@temporalio/workflow';
import type { Resume } from '../../src/core/resume';
import type { TaskState } from '../../src/core/task-state';
import { Saga } from '../../src/workflows';

export * from '../../src/workflows';

export async function own({ saga: before }: { saga?: Resume<TaskState> }): Promise<void> {
  const saga = new Saga({ timeLimit: 3_600_000, lock: 'own' });
  await saga.step('a', { agent: 'undoable', input: 1 });
  await saga.parallel({
    b: { agent: 'echo', input: 2, compensate: { agent: 'releaser', inputOf: ({ output }) => output } },
    c: { agent: 'undoable', input: 3, approval: {} },
  });
  if (before === undefined) await continueAsNew<typeof own>({ saga: saga.snapshot() });
  throw ApplicationFailure.nonRetryable('at the end', 'OwnFailure');
}
