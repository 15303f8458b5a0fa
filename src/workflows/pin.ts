import { proxyLocalActivities } from '@temporalio/workflow';
import { PIN_ACTIVITY } from '../core/names';
import type { PinOutcome, PinRequest } from '../core/task-activities';
import type { TaskRecord } from './task-record';

type PinActivities = { [PIN_ACTIVITY](request: PinRequest): Promise<PinOutcome> };

/**
 * Has the state know the policies of the agents that are asked for, or of all there are: by one local activity, so that
 * they stand in history and hold for the whole saga. Fails as AgentUnknown.
 */
export async function pinPolicies(task: TaskRecord, request: PinRequest): Promise<void> {
  const { [PIN_ACTIVITY]: pin } = proxyLocalActivities<PinActivities>({
    startToCloseTimeout: '10 seconds',
    retry: { initialInterval: 100, maximumInterval: '5 seconds' },
    summary: 'policies of the agents',
  });
  task.record({ type: 'pinned', ...(await pin(request)) });
}
