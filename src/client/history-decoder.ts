/** Decodes an event of Temporal's history to facts for the projection. What cannot be read is a fact, and never throws. */
import { type LoadedDataConverter, type Payload, arrayFromPayloads } from '@temporalio/common';
import {
  decodeArrayFromPayloads,
  decodeOptionalFailureToOptionalError,
} from '@temporalio/common/lib/internal-non-workflow';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { temporal } from '@temporalio/proto';
import { isAsking } from '../core/asking';
import { isRefusal } from '../core/breaker/refusal';
import { failureDetails, failureInfo } from '../core/failure-info';
import type { FailureInfo } from '../core/failures';
import type { HistoryFact } from '../core/history-facts';
import { isRecord } from '../core/json';

export type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
type ProtoFailure = temporal.api.failure.v1.IFailure;
/** `HistoryFact` without its base, distributed over the union. */
type FactBody = HistoryFact extends infer Fact
  ? Fact extends HistoryFact
    ? Omit<Fact, 'eventId' | 'time' | 'runId'>
    : never
  : never;

/** The run that an event is of. */
export interface RunOf {
  readonly workflowId: string;
  readonly runId: string;
}

/**
 * The facts of an event, in order: what it says, where that is of use, and that it, or a part of it, cannot be read.
 * Never throws.
 */
export async function factsOf(
  converter: LoadedDataConverter,
  event: HistoryEvent,
  { workflowId, runId }: RunOf,
): Promise<HistoryFact[]> {
  const base = { eventId: Number(event.eventId ?? 0), time: toMs(event.eventTime), runId };
  const plain = PLAIN[eventTypeName(event.eventType)];
  if (plain !== undefined) return plain.map((body) => ({ ...base, ...body }));
  const decoder = new Decoder(converter);
  const body = await toBody(decoder, event, workflowId);
  if (body === undefined && !isKnown(event.eventType)) return [unknownEvent(base, event.eventType)];
  const facts: HistoryFact[] = body === undefined ? [] : [{ ...base, ...body }];
  if (decoder.failed) {
    facts.push({ ...base, kind: 'unread', eventType: eventTypeName(event.eventType), why: 'payload' });
  }
  return facts;
}

/** {@link factsOf} an event in Temporal's JSON, as its tools and `cadre export` write it. */
export async function factsOfJson(
  converter: LoadedDataConverter,
  json: unknown,
  run: RunOf,
): Promise<HistoryFact[]> {
  const plain = plainFacts(json, run);
  if (plain !== undefined) return plain;
  const event = eventFromJson(json);
  if (event !== undefined && isKnown(event.eventType)) return factsOf(converter, event, run);
  const { eventId, eventTime, eventType } = isRecord(json) ? json : {};
  const time = typeof eventTime === 'string' ? Date.parse(eventTime) : NaN;
  const base = { eventId: Number(eventId) || 0, time: Number.isNaN(time) ? 0 : time, runId: run.runId };
  return [unknownEvent(base, eventType)];
}

/** Half of a history are these, which say no more than their kind. */
const PLAIN: Readonly<Record<string, readonly FactBody[]>> = {
  EVENT_TYPE_WORKFLOW_TASK_SCHEDULED: [],
  EVENT_TYPE_WORKFLOW_TASK_STARTED: [{ kind: 'workflowTaskStarted' }],
  EVENT_TYPE_WORKFLOW_TASK_COMPLETED: [{ kind: 'workflowTaskCompleted' }],
};

/** The facts of an event that needs no decoding; undefined for any other. */
function plainFacts(json: unknown, { runId }: RunOf): HistoryFact[] | undefined {
  if (!isRecord(json)) return undefined;
  const { eventId, eventTime, eventType } = json;
  if (typeof eventType !== 'string' || !Object.hasOwn(PLAIN, eventType)) return undefined;
  const base = { eventId: Number(eventId), time: Date.parse(String(eventTime)), runId };
  if (!Number.isSafeInteger(base.eventId) || Number.isNaN(base.time)) return undefined;
  return PLAIN[eventType]?.map((body) => ({ ...base, ...body }));
}

/** An event of Temporal's JSON; undefined for what this version of Temporal's SDK cannot read. */
export function eventFromJson(json: unknown): HistoryEvent | undefined {
  try {
    return historyFromJSON({ events: [json] }).events?.[0];
  } catch {
    return undefined;
  }
}

/** A time, or a duration, in ms. Not the SDK's function: what it reads of JSON, that does not take. */
function toMs(time: { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return Number(time?.seconds ?? 0) * 1000 + Math.floor((time?.nanos ?? 0) / 1e6);
}

function unknownEvent(base: Omit<HistoryFact, 'kind'>, eventType: unknown): HistoryFact {
  return { ...base, kind: 'unread', eventType: eventTypeName(eventType), why: 'unknownEvent' };
}

function isKnown(eventType: unknown): boolean {
  return typeof eventType === 'number' && eventType !== 0 && eventType in temporal.api.enums.v1.EventType;
}

/** As Temporal's JSON names it, such as `EVENT_TYPE_TIMER_FIRED`; the number of one that this version does not know. */
function eventTypeName(eventType: unknown): string {
  if (typeof eventType === 'string') return eventType;
  if (typeof eventType !== 'number') return 'none';
  return temporal.api.enums.v1.EventType[eventType] ?? String(eventType);
}

async function toBody(
  decoder: Decoder,
  event: HistoryEvent,
  workflowId: string,
): Promise<FactBody | undefined> {
  const started = event.workflowExecutionStartedEventAttributes;
  if (started) {
    const { firstWorkflowTaskBackoff } = started;
    const delay = toMs(firstWorkflowTaskBackoff);
    return {
      kind: 'workflowStarted',
      workflowId,
      ...(started.workflowType?.name ? { workflowType: started.workflowType.name } : {}),
      firstRunId: started.firstExecutionRunId ?? '',
      ...(started.continuedExecutionRunId ? { continuedFrom: started.continuedExecutionRunId } : {}),
      input: await decoder.first(started.input?.payloads),
      ...(delay === 0 ? {} : { delay }),
    };
  }
  if (event.workflowTaskStartedEventAttributes) return { kind: 'workflowTaskStarted' };
  if (event.workflowTaskCompletedEventAttributes) return { kind: 'workflowTaskCompleted' };
  if (event.workflowTaskFailedEventAttributes ?? event.workflowTaskTimedOutEventAttributes)
    return { kind: 'workflowTaskFailed' };
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
  const answered = event.workflowExecutionUpdateCompletedEventAttributes;
  if (answered) {
    const result = await decoder.first(answered.outcome?.success?.payloads);
    return { kind: 'updateCompleted', acceptedEventId: Number(answered.acceptedEventId ?? 0), result };
  }
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

/** Decodes the payloads of one event; what cannot be decoded (encrypted by others, foreign) is undefined and never throws. */
class Decoder {
  private undecoded = false;

  constructor(private readonly converter: LoadedDataConverter) {}

  /** True once something could not be decoded. */
  get failed(): boolean {
    return this.undecoded;
  }

  async all(payloads: Payload[] | null | undefined): Promise<unknown[]> {
    try {
      const { payloadConverter, payloadCodecs } = this.converter;
      // Most have no codec, and then nothing to wait for.
      if (payloadCodecs.length === 0) return arrayFromPayloads(payloadConverter, payloads);
      return await decodeArrayFromPayloads(this.converter, payloads ?? []);
    } catch {
      this.undecoded = true;
      return [];
    }
  }

  async first(payloads: Payload[] | null | undefined): Promise<unknown> {
    return (await this.all(payloads?.slice(0, 1)))[0];
  }

  async failure(failure: ProtoFailure | null | undefined): Promise<FailureInfo> {
    return (await this.refusal(failure)).failure;
  }

  /** A failure, and the details of one that is a refusal or a question. */
  async refusal(
    failure: ProtoFailure | null | undefined,
  ): Promise<{ failure: FailureInfo; details?: unknown }> {
    try {
      const error = await decodeOptionalFailureToOptionalError(this.converter, failure);
      const read = failureInfo(error);
      return {
        failure: read,
        ...(isRefusal(read) || isAsking(read) ? { details: failureDetails(error) } : {}),
      };
    } catch {
      this.undecoded = true;
      return { failure: { type: 'Error', message: failure?.message ?? 'A failure that cannot be read' } };
    }
  }
}
