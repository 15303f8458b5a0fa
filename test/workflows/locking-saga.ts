/** Workflows for the tests of locks: a saga that does nothing but hold a key. */
import { condition, continueAsNew, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import { taskRoot } from '../../src/core/task-projection';
import { acquireLock, releaseLock } from '../../src/workflows/locking';

export * from '../../src/workflows';

export interface Holding {
  readonly key: string;
  /** Ends without giving the key back, as nothing of ours does. */
  readonly forgets?: boolean;
  /** What a resumed run goes on with: the root that has the key already. */
  readonly snapshot?: { readonly root: string };
}

/** How a `holding` is to end. */
export const endSignal = defineSignal<['complete' | 'fail' | 'continueAsNew']>('end');

/** Claims the key, and holds it until it is told how to end. */
export async function holding(start: Holding): Promise<string> {
  const { key, forgets = false, snapshot } = start;
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const root = snapshot?.root ?? taskRoot(workflowId, firstExecutionRunId);
  let end: 'complete' | 'fail' | 'continueAsNew' | undefined;
  setHandler(endSignal, (how) => void (end = how));
  await acquireLock({ root, step: 'lock', kind: 'lock', term: 0, version: 1 }, key);
  try {
    await condition(() => end !== undefined);
  } finally {
    if (!forgets && end !== 'continueAsNew') await releaseLock(key, root);
  }
  if (end === 'continueAsNew') return continueAsNew<typeof holding>({ ...start, snapshot: { root } });
  if (end === 'fail') throw ApplicationFailure.nonRetryable('as asked', 'Asked');
  return root;
}
