import { SERVICE_WORKFLOWS } from '../names';
import { TaskProjection } from '../task-projection';

/** What projects the log of a workflow of that type, which may be a user's own; undefined for one that has no log. */
export function logProjection(workflowType: string): TaskProjection | undefined {
  return SERVICE_WORKFLOWS.includes(workflowType) ? undefined : new TaskProjection();
}
