import { CancellationScope, proxyLocalActivities } from '@temporalio/workflow';
import { failureInfo } from '../core/failure-info';
import { REMEMBER_ACTIVITY } from '../core/names';
import { type RememberOutcome, type RememberRequest, rememberRequest } from '../core/task-remember';
import type { TaskRecord } from './task-record';

type RememberActivities = { [REMEMBER_ACTIVITY](request: RememberRequest): Promise<RememberOutcome> };

/**
 * Tells the task's agents what they decided and learnt in it; undefined where that is nothing, so that a workflow awaits
 * nothing. Where it fails for good, the task goes on, and says so.
 */
export function remember(task: TaskRecord): Promise<void> | undefined {
  const request = rememberRequest(task.state);
  return request === undefined ? undefined : tellAgents(task, request);
}

async function tellAgents(task: TaskRecord, request: RememberRequest): Promise<void> {
  const { [REMEMBER_ACTIVITY]: tell } = proxyLocalActivities<RememberActivities>({
    startToCloseTimeout: '30 seconds',
    retry: { maximumAttempts: 10, initialInterval: 100, maximumInterval: '1 second' },
    summary: `tell ${request.agents.map(({ agent }) => agent).join(', ')}`.slice(0, SUMMARY_MAXIMUM_LENGTH),
  });
  try {
    const { agents } = await CancellationScope.nonCancellable(() => tell(request));
    task.record({ type: 'remembered', agents });
  } catch (error) {
    task.record({ type: 'rememberFailed', failure: failureInfo(error) });
  }
}

/** The Web UI cuts summaries at 200 bytes. */
const SUMMARY_MAXIMUM_LENGTH = 180;
