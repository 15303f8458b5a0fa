import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import { readFacts } from '../../client/history-reader';
import type { ElectionStart, ElectionState } from '../../core/election';
import { ElectionProjection } from '../../core/election-projection';
import { ELECTION_WORKFLOW, electionId, taskQueue } from '../../core/names';

/**
 * Starts the cadre's election where none runs, above the highest term of the last one. Resolves to true where it did.
 * Rejects with the SDK's error where the server cannot be reached.
 */
export async function ensureElection(client: Client, cadre: string): Promise<boolean> {
  const workflowId = electionId(cadre);
  const last = await lastElection(client, workflowId);
  if (last === 'running') return false;
  const start: ElectionStart = last === undefined ? {} : { after: last.term, past: last.past };
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

/** Where the last election ended; undefined where the server knows of none. */
async function lastElection(
  client: Client,
  workflowId: string,
): Promise<ElectionState | 'running' | undefined> {
  try {
    const { status, runId } = await client.workflow.getHandle(workflowId).describe();
    if (status.name === 'RUNNING') return 'running';
    const projection = new ElectionProjection();
    for await (const fact of readFacts(client, workflowId, { firstRunId: runId })) projection.next(fact);
    return projection.state;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
