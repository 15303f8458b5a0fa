import {
  type Client,
  InternalConnectionLikeSymbol,
  type WorkflowHandleWithFirstExecutionRunId,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { HAS_ATTRIBUTE, NEEDS_ATTENTION_ATTRIBUTE } from '../core/names';
import { GRPC_STATUS } from './grpc-status';

/** How long, in ms, a server may take to say which search attributes it has. */
const PATIENCE = 2000;

/** What each client was told, or is being told. */
const answers = new WeakMap<Client, Promise<boolean>>();

/**
 * Whether the namespace has the search attribute of what waits for a person, as a Keyword. Asked once a client, so that
 * later calls cost nothing. False also where the server does not say, within 2 s or at all. Never rejects.
 */
export function hasAttentionAttribute(client: Client): Promise<boolean> {
  const known = answers.get(client) ?? ask(client);
  answers.set(client, known);
  return known;
}

async function ask({ connection, options }: Client): Promise<boolean> {
  try {
    const { customAttributes } = await connection.withDeadline(Date.now() + PATIENCE, () =>
      connection.operatorService.listSearchAttributes({ namespace: options.namespace }),
    );
    const { name } = NEEDS_ATTENTION_ATTRIBUTE;
    return customAttributes[name] === temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
  } catch {
    return false;
  }
}

/** Of a task or saga, each of which has its id for ever. */
const TASK_OPTIONS = {
  workflowIdReusePolicy: 'REJECT_DUPLICATE',
  workflowIdConflictPolicy: 'FAIL',
  // After a worker's death the task waits so long for the workflow task that the worker had; Temporal's default is 10 s.
  workflowTaskTimeout: '3s',
} as const;

/** True for a client over the connection of a worker in this process, which may then begin at once what is started. */
function startsEagerly({ connection }: Client): boolean {
  type Internal = { readonly [InternalConnectionLikeSymbol]?: { readonly supportsEagerStart?: boolean } };
  return (connection as Internal)[InternalConnectionLikeSymbol]?.supportsEagerStart === true;
}

/**
 * Starts a task or saga, with the search attribute at `no` where the namespace has it; without where it is refused
 * for it (just removed, or not known yet to all of a cluster). Throws what the start throws.
 */
export async function startFindable(
  client: Client,
  type: string,
  given: Omit<WorkflowStartOptions, keyof typeof TASK_OPTIONS>,
): Promise<WorkflowHandleWithFirstExecutionRunId> {
  const options: WorkflowStartOptions = {
    ...given,
    ...TASK_OPTIONS,
    ...(startsEagerly(client) ? { requestEagerStart: true } : {}),
  };
  if (!(await hasAttentionAttribute(client))) return client.workflow.start(type, options);
  try {
    return await client.workflow.start(type, {
      ...options,
      memo: { ...options.memo, [HAS_ATTRIBUTE]: true },
      typedSearchAttributes: [{ key: NEEDS_ATTENTION_ATTRIBUTE, value: 'no' }],
    });
  } catch (error) {
    if (!isInvalidArgument(error)) throw error;
    const handle = await client.workflow.start(type, options);
    answers.set(client, Promise.resolve(false));
    return handle;
  }
}

/** The SDK wraps what the server says. */
function isInvalidArgument(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ((error.cause ?? error) as { code?: unknown }).code === GRPC_STATUS.invalidArgument;
}
