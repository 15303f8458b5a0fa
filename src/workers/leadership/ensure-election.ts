import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { describeElection, readElection } from '../../client/leader';
import type { ElectionStart } from '../../core/election';
import { ELECTION_WORKFLOW, electionId, taskQueue } from '../../core/names';

/**
 * Starts the cadre's election where none runs, above the highest term of the last one. Resolves to true where it did.
 * Rejects with the SDK's error where the server cannot be reached.
 */
export async function ensureElection(client: Client, cadre: string): Promise<boolean> {
  const workflowId = electionId(cadre);
  const last = await describeElection(client, workflowId);
  if (last?.status.name === 'RUNNING') return false;
  const ended = last === undefined ? undefined : await readElection(client, last);
  const start: ElectionStart = ended === undefined ? {} : { after: ended.term, past: ended.past };
  try {
    await client.workflow.start(ELECTION_WORKFLOW, {
      workflowId,
      taskQueue: taskQueue(cadre),
      args: [start],
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      // What a failover waits for where the worker that had the election is gone; Temporal's default is 10 s.
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      staticSummary: `elects the leader of ${cadre}`,
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

const WORKFLOW_TASK_TIMEOUT = 2000;
