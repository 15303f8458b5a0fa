import { AGENT_WORKFLOW, BREAKER_WORKFLOW, ELECTION_WORKFLOW, LOCK_WORKFLOW } from '../names';
import { TaskProjection } from '../task-projection';

/** Workflows of ours that are no task: their histories fold to states, and have no log of a task's events. */
const WITHOUT_LOG: readonly string[] = [AGENT_WORKFLOW, BREAKER_WORKFLOW, ELECTION_WORKFLOW, LOCK_WORKFLOW];

/** What projects the log of a workflow of that type, which may be a user's own; undefined for one that has no log. */
export function logProjection(workflowType: string): TaskProjection | undefined {
  return WITHOUT_LOG.includes(workflowType) ? undefined : new TaskProjection();
}
