import { type Client, WorkflowNotFoundError } from '@temporalio/client';

/** The gRPC status codes that we tell apart (https://grpc.io/docs/guides/status-codes); the SDK does not export them. */
export const GRPC_STATUS = {
  invalidArgument: 3,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
} as const;

/** Whether the server said so; the SDK wraps some of gRPC's errors. */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof Error && ((error.cause ?? error) as { code?: unknown }).code === status;
}

/** Also of an id that no workflow can have, such as an empty one: that the server calls invalid. */
export function isNotFound(error: unknown): boolean {
  if (error instanceof WorkflowNotFoundError) return true;
  return [GRPC_STATUS.notFound, GRPC_STATUS.invalidArgument].some((status) => hasStatus(error, status));
}

/** How long a server may take to show that it is there, in ms. */
const ANSWER_TIME_LIMIT = 2000;

/** Whether the server answers at all. */
export async function answers(client: Client): Promise<boolean> {
  try {
    await client.withDeadline(Date.now() + ANSWER_TIME_LIMIT, () => client.workflowService.getSystemInfo({}));
    return true;
  } catch {
    return false;
  }
}
