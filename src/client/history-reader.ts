/** Reads a task's history from Temporal, page by page, as facts for the projection. */
import type { Client } from '@temporalio/client';
import type { LoadedDataConverter, Payload } from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time';
import {
  decodeArrayFromPayloads,
  decodeOptionalFailureToOptionalError,
} from '@temporalio/common/lib/internal-non-workflow';
import { temporal } from '@temporalio/proto';
import { isRefusal } from '../core/breaker/refusal';
import { failureDetails, failureInfo } from '../core/failure-info';
import type { FailureInfo } from '../core/failures';
import type { HistoryFact } from '../core/history-facts';
import { isRecord } from '../core/json';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
type ProtoFailure = temporal.api.failure.v1.IFailure;
/** `HistoryFact` without its base, distributed over the union. */
type FactBody = HistoryFact extends infer Fact
  ? Fact extends HistoryFact
    ? Omit<Fact, 'eventId' | 'time' | 'runId'>
    : never
  : never;

/** What Temporal takes for the id of a chain's last run. The facts of that have it for their `runId`, too. */
export const PRESENT_RUN = '';

export interface ReadOptions {
  /** First run of the chain to read, {@link PRESENT_RUN} for the last; left out, it is looked up. */
  readonly firstRunId?: string;
  /** Wait for further events until the task ends. Default false. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The facts of a task in order, over all runs of its continue-as-new chain that the server still has.
 * Rejects with the SDK's error where there is no such task or no server.
 */
export async function* readFacts(
  client: Client,
  workflowId: string,
  options: ReadOptions = {},
): AsyncGenerator<HistoryFact> {
  let runId: string | undefined = options.firstRunId ?? (await findFirstRun(client, workflowId));
  while (runId !== undefined) {
    let next: string | undefined;
    for await (const event of readEvents(client, { workflowId, runId }, options)) {
      const fact = await toFact(client.options.loadedDataConverter, event, { workflowId, runId });
      if (fact?.kind === 'continuedAsNew') next = fact.newRunId;
      if (fact !== undefined) yield fact;
    }
    runId = next;
  }
}

async function* readEvents(
  client: Client,
  execution: { workflowId: string; runId: string },
  { follow = false, signal }: ReadOptions,
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
      const request = { namespace: client.options.namespace, execution, nextPageToken, waitNewEvent: follow };
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

/** The chain's first run, or the present one where the first is past its retention. */
async function findFirstRun(client: Client, workflowId: string): Promise<string> {
  const { namespace } = client.options;
  const present = await client.workflowService.describeWorkflowExecution({
    namespace,
    execution: { workflowId },
  });
  const runId = present.workflowExecutionInfo?.execution?.runId ?? '';
  const firstRunId = present.workflowExecutionInfo?.firstRunId ?? '';
  if (firstRunId === '' || firstRunId === runId) return runId;
  try {
    await client.workflowService.describeWorkflowExecution({
      namespace,
      execution: { workflowId, runId: firstRunId },
    });
    return firstRunId;
  } catch {
    return runId;
  }
}

async function toFact(
  converter: LoadedDataConverter,
  event: HistoryEvent,
  { workflowId, runId }: { workflowId: string; runId: string },
): Promise<HistoryFact | undefined> {
  const body = await toBody(new Decoder(converter), event, workflowId);
  if (body === undefined) return undefined;
  return { eventId: Number(event.eventId ?? 0), time: tsToMs(event.eventTime), runId, ...body };
}

async function toBody(
  decoder: Decoder,
  event: HistoryEvent,
  workflowId: string,
): Promise<FactBody | undefined> {
  const started = event.workflowExecutionStartedEventAttributes;
  if (started) {
    const { firstWorkflowTaskBackoff } = started;
    const delay = firstWorkflowTaskBackoff ? tsToMs(firstWorkflowTaskBackoff) : 0;
    return {
      kind: 'workflowStarted',
      workflowId,
      firstRunId: started.firstExecutionRunId ?? '',
      ...(started.continuedExecutionRunId ? { continuedFrom: started.continuedExecutionRunId } : {}),
      input: await decoder.first(started.input?.payloads),
      ...(delay === 0 ? {} : { delay }),
    };
  }
  if (event.workflowTaskStartedEventAttributes) return { kind: 'workflowTaskStarted' };
  if (event.workflowTaskCompletedEventAttributes) return { kind: 'workflowTaskCompleted' };
  if (event.workflowExecutionCancelRequestedEventAttributes) return { kind: 'cancelRequested' };
  return (
    (await activityBody(decoder, event)) ??
    (await localActivityBody(decoder, event)) ??
    (await timerBody(decoder, event)) ??
    (await messageBody(decoder, event)) ??
    endBody(decoder, event)
  );
}

async function activityBody(decoder: Decoder, event: HistoryEvent): Promise<FactBody | undefined> {
  const scheduled = event.activityTaskScheduledEventAttributes;
  if (scheduled) {
    const input = await decoder.all(scheduled.input?.payloads);
    return { kind: 'activityScheduled', activityType: scheduled.activityType?.name ?? '', input };
  }
  const started = event.activityTaskStartedEventAttributes;
  if (started) {
    const { attempt, identity, lastFailure } = started;
    const failure = lastFailure ? { lastFailure: await decoder.failure(lastFailure) } : {};
    const scheduledEventId = Number(started.scheduledEventId ?? 0);
    return {
      kind: 'activityStarted',
      scheduledEventId,
      attempt: attempt ?? 1,
      identity: identity ?? '',
      ...failure,
    };
  }
  const completed = event.activityTaskCompletedEventAttributes;
  if (completed) {
    const scheduledEventId = Number(completed.scheduledEventId ?? 0);
    return {
      kind: 'activityCompleted',
      scheduledEventId,
      result: await decoder.first(completed.result?.payloads),
    };
  }
  const failed = event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes;
  if (failed) {
    const scheduledEventId = Number(failed.scheduledEventId ?? 0);
    return { kind: 'activityFailed', scheduledEventId, ...(await decoder.refusal(failed.failure)) };
  }
  const cancelled = event.activityTaskCanceledEventAttributes;
  return cancelled
    ? { kind: 'activityCancelled', scheduledEventId: Number(cancelled.scheduledEventId ?? 0) }
    : undefined;
}

async function localActivityBody(decoder: Decoder, event: HistoryEvent): Promise<FactBody | undefined> {
  const marker = event.markerRecordedEventAttributes;
  if (marker?.markerName !== 'core_local_activity') return undefined;
  const summary = await decoder.first(event.userMetadata?.summary ? [event.userMetadata.summary] : []);
  const data = await decoder.first(marker.details?.['data']?.payloads);
  const activityType =
    isRecord(data) && typeof data['activity_type'] === 'string' ? data['activity_type'] : '';
  const of = { activityType, summary: typeof summary === 'string' ? summary : '' };
  if (marker.failure)
    return { kind: 'localActivityFailed', ...of, ...(await decoder.refusal(marker.failure)) };
  return {
    kind: 'localActivityCompleted',
    ...of,
    result: await decoder.first(marker.details?.['result']?.payloads),
  };
}

async function timerBody(decoder: Decoder, event: HistoryEvent): Promise<FactBody | undefined> {
  if (event.timerStartedEventAttributes) {
    const summary = await decoder.first(event.userMetadata?.summary ? [event.userMetadata.summary] : []);
    return { kind: 'timerStarted', summary: typeof summary === 'string' ? summary : '' };
  }
  const fired = event.timerFiredEventAttributes;
  return fired ? { kind: 'timerFired', startedEventId: Number(fired.startedEventId ?? 0) } : undefined;
}

async function messageBody(decoder: Decoder, event: HistoryEvent): Promise<FactBody | undefined> {
  const signal = event.workflowExecutionSignaledEventAttributes;
  if (signal) {
    const input = await decoder.all(signal.input?.payloads);
    const from = signal.externalWorkflowExecution?.workflowId;
    return { kind: 'signalled', name: signal.signalName ?? '', input, ...(from ? { from } : {}) };
  }
  const sent = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
  if (sent)
    return { kind: 'signalSent', to: sent.workflowExecution?.workflowId ?? '', name: sent.signalName ?? '' };
  const delivered = event.externalWorkflowExecutionSignaledEventAttributes;
  if (delivered) return { kind: 'signalDelivered', to: delivered.workflowExecution?.workflowId ?? '' };
  const undelivered = event.signalExternalWorkflowExecutionFailedEventAttributes;
  if (undelivered) return { kind: 'signalFailed', to: undelivered.workflowExecution?.workflowId ?? '' };
  const update = event.workflowExecutionUpdateAcceptedEventAttributes;
  if (!update) return memoBody(decoder, event);
  const request = update.acceptedRequest?.input;
  const input = await decoder.all(request?.args?.payloads);
  return { kind: 'updateAccepted', name: request?.name ?? '', input };
}

async function memoBody(decoder: Decoder, event: HistoryEvent): Promise<FactBody | undefined> {
  const fields = event.workflowPropertiesModifiedEventAttributes?.upsertedMemo?.fields;
  if (!fields) return undefined;
  const memo: Record<string, unknown> = {};
  for (const [name, payload] of Object.entries(fields)) memo[name] = await decoder.first([payload]);
  return { kind: 'memoUpserted', memo };
}

async function endBody(decoder: Decoder, event: HistoryEvent): Promise<FactBody | undefined> {
  const { EventType } = temporal.api.enums.v1;
  switch (event.eventType) {
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
      return { kind: 'workflowCompleted' };
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
      return {
        kind: 'workflowFailed',
        failure: await decoder.failure(event.workflowExecutionFailedEventAttributes?.failure),
      };
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
      return { kind: 'workflowCancelled' };
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
      return { kind: 'workflowTerminated', how: 'terminated' };
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
      return { kind: 'workflowTerminated', how: 'timedOut' };
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: {
      const attributes = event.workflowExecutionContinuedAsNewEventAttributes;
      return { kind: 'continuedAsNew', newRunId: attributes?.newExecutionRunId ?? '' };
    }
    default:
      return undefined;
  }
}

/** Decodes payloads; what cannot be decoded (encrypted by others, foreign) is undefined and never throws. */
class Decoder {
  constructor(private readonly converter: LoadedDataConverter) {}

  async all(payloads: Payload[] | null | undefined): Promise<unknown[]> {
    try {
      return await decodeArrayFromPayloads(this.converter, payloads ?? []);
    } catch {
      return [];
    }
  }

  async first(payloads: Payload[] | null | undefined): Promise<unknown> {
    return (await this.all(payloads?.slice(0, 1)))[0];
  }

  async failure(failure: ProtoFailure | null | undefined): Promise<FailureInfo> {
    return (await this.refusal(failure)).failure;
  }

  /** A failure, and the details of one that is a refusal. */
  async refusal(
    failure: ProtoFailure | null | undefined,
  ): Promise<{ failure: FailureInfo; details?: unknown }> {
    try {
      const error = await decodeOptionalFailureToOptionalError(this.converter, failure);
      const read = failureInfo(error);
      return { failure: read, ...(isRefusal(read) ? { details: failureDetails(error) } : {}) };
    } catch {
      return { failure: { type: 'Error', message: failure?.message ?? 'A failure that cannot be read' } };
    }
  }
}
