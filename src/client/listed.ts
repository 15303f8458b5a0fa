/** What the server lists of workflows: about a second behind, and nothing on the test server whose clock skips waits. */
import type { Client, ListOptions, WorkflowExecutionInfo } from '@temporalio/client';
import { GRPC_STATUS, hasStatus } from './grpc-status';

export async function* listed(
  client: Client,
  options: ListOptions & { readonly query: string },
): AsyncGenerator<WorkflowExecutionInfo> {
  try {
    yield* client.workflow.list(options);
  } catch (error) {
    if (!hasStatus(error, GRPC_STATUS.unimplemented)) throw error;
  }
}

/** What `read` makes of the memos of those of a type that run on a queue; without those of which it makes nothing. */
export async function memosOf<Said>(
  client: Client,
  type: string,
  queue: string,
  read: (memo: WorkflowExecutionInfo['memo']) => Said | undefined,
): Promise<Said[]> {
  const found: Said[] = [];
  for await (const { memo } of runningOf(client, type, queue)) {
    const said = read(memo);
    if (said !== undefined) found.push(said);
  }
  return found;
}

/** Those of a type that run on a queue. */
export function runningOf(
  client: Client,
  type: string,
  queue: string,
): AsyncGenerator<WorkflowExecutionInfo> {
  return listed(client, {
    query: `WorkflowType = "${type}" AND TaskQueue = "${queue}" AND ExecutionStatus = "Running"`,
  });
}
