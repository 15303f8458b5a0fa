/** Reads a workflow's history from Temporal, page by page, over the runs of its chain. */
import type { Client } from '@temporalio/client';
import type { HistoryFact } from '../core/history-facts';
import { isNotFound } from './grpc-status';
import { type HistoryEvent, factsOf } from './history-decoder';

/** What Temporal takes for the id of a chain's last run. The facts of that have it for their `runId`, too. */
export const PRESENT_RUN = '';

/** A page holds at most so many batches, each of one to a few events; what is left to the server may be a whole history. */
const PAGE_BATCHES = 250;

export interface ReadOptions {
  /** First run of the chain to read, {@link PRESENT_RUN} for the last; left out, the runs are looked up. */
  readonly firstRunId?: string;
  /** Last run of the chain to read; left out, the present one, and those that follow it while it is read. */
  readonly lastRunId?: string;
  /** Wait for further events until the task ends. Default false. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** An event of a run. */
export interface RunEvent {
  readonly runId: string;
  readonly event: HistoryEvent;
}

/**
 * The facts of a task in order, over all runs of its chain that the server still has. Of a workflow that was reset, the
 * runs are those of the present chain, and not those that it replaced.
 * Rejects with the SDK's error where there is no such task or no server.
 */
export async function* readFacts(
  client: Client,
  workflowId: string,
  options: ReadOptions = {},
): AsyncGenerator<HistoryFact> {
  const converter = client.options.loadedDataConverter;
  for await (const { runId, event } of readHistory(client, workflowId, options)) {
    for (const fact of await factsOf(converter, event, { workflowId, runId })) yield fact;
  }
}

/** The events of a workflow as Temporal has them; see {@link readFacts}. */
export async function* readHistory(
  client: Client,
  workflowId: string,
  options: ReadOptions = {},
): AsyncGenerator<RunEvent> {
  const { firstRunId, lastRunId } = options;
  const runs = firstRunId === undefined ? await findRuns(client, workflowId, lastRunId) : [firstRunId];
  for (let runId = runs.shift(); runId !== undefined; runId = runs.shift()) {
    let next: string | undefined;
    for await (const event of readRun(client, { workflowId, runId }, options)) {
      next = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? next;
      yield { runId, event };
    }
    if (runs.length === 0 && lastRunId === undefined && next !== undefined && next !== '') runs.push(next);
  }
}

/**
 * The runs of the present chain, or of that of `lastRunId`, the oldest that the server still has first. Looked up from the last backwards, since
 * the first run of a chain does not know of a reset. One call a run.
 */
export async function findRuns(client: Client, workflowId: string, lastRunId?: string): Promise<string[]> {
  const runs: string[] = [];
  let runId = lastRunId ?? (await client.workflow.getHandle(workflowId).describe()).runId;
  while (runId !== '' && !runs.includes(runId)) {
    let before: string;
    try {
      before = await runBefore(client, { workflowId, runId });
    } catch (error) {
      // Past its retention.
      if (runs.length > 0 && isNotFound(error)) break;
      throw error;
    }
    runs.unshift(runId);
    runId = before;
  }
  return runs;
}

/** The run that a run went on from; empty for the first of a chain. */
async function runBefore(client: Client, execution: { workflowId: string; runId: string }): Promise<string> {
  const { history } = await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace,
    execution,
    maximumPageSize: 1,
  });
  return history?.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? '';
}

/** The events of one run. */
export async function* readRun(
  client: Client,
  execution: { workflowId: string; runId: string },
  { follow = false, signal }: ReadOptions = {},
): AsyncGenerator<HistoryEvent> {
  let nextPageToken: Uint8Array = new Uint8Array();
  // The SDK leaves a listener on the signal with each call, so each call gets a signal of its own.
  let call = new AbortController();
  const abort = (): void => call.abort();
  signal?.addEventListener('abort', abort);
  try {
    do {
      signal?.throwIfAborted();
      call = new AbortController();
      const request = {
        namespace: client.options.namespace,
        execution,
        nextPageToken,
        maximumPageSize: PAGE_BATCHES,
        waitNewEvent: follow,
      };
      const page = await client.withAbortSignal(call.signal, () =>
        client.workflowService.getWorkflowExecutionHistory(request),
      );
      yield* page.history?.events ?? [];
      nextPageToken = page.nextPageToken ?? new Uint8Array();
    } while (nextPageToken.length > 0);
  } catch (error) {
    // The caller's reason, and not what became of the call.
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
