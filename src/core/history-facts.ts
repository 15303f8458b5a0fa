import type { FailureInfo } from './failures';

/**
 * What the projection reads of Temporal's history: its events, decoded, without what the log has no use for.
 * The client's history reader makes them; `input` and `result` are decoded payloads.
 */
export type HistoryFact = FactBase &
  (
    | {
        readonly kind: 'workflowStarted';
        readonly workflowId: string;
        readonly workflowType?: string;
        readonly firstRunId: string;
        /** The run that this one follows: by continue-as-new, by Temporal's retry, or as the next of a cron. */
        readonly continuedFrom?: string;
        readonly input: unknown;
        /** How long, in ms, its first workflow task was to wait: a delay, a retry's pause, or a cron's. */
        readonly delay?: number;
      }
    | {
        readonly kind: 'activityScheduled';
        readonly activityType: string;
        readonly input: readonly unknown[];
      }
    | {
        readonly kind: 'activityStarted';
        readonly scheduledEventId: number;
        readonly attempt: number;
        readonly identity: string;
        /** Why the attempt before the last one failed, where there was one. */
        readonly lastFailure?: FailureInfo;
      }
    | { readonly kind: 'activityCompleted'; readonly scheduledEventId: number; readonly result: unknown }
    | {
        readonly kind: 'activityFailed';
        readonly scheduledEventId: number;
        readonly failure: FailureInfo;
        /** What whoever threw it gave with it; read only of refusals. */
        readonly details?: unknown;
      }
    | { readonly kind: 'activityCancelled'; readonly scheduledEventId: number }
    | {
        readonly kind: 'localActivityCompleted';
        readonly activityType: string;
        readonly summary: string;
        readonly result: unknown;
      }
    | {
        readonly kind: 'localActivityFailed';
        readonly activityType: string;
        readonly summary: string;
        readonly failure: FailureInfo;
        readonly details?: unknown;
      }
    /** `summary` names what the timer is for. */
    | { readonly kind: 'timerStarted'; readonly summary: string }
    | { readonly kind: 'timerFired'; readonly startedEventId: number }
    | {
        readonly kind: 'signalled';
        readonly name: string;
        readonly input: readonly unknown[];
        /** Id of the workflow that sent it; absent where a client did. */
        readonly from?: string;
      }
    /** A signal to the workflow `to` is on its way; then it has arrived, or did not. */
    | { readonly kind: 'signalSent'; readonly to: string; readonly name: string }
    | { readonly kind: 'signalDelivered'; readonly to: string }
    | { readonly kind: 'signalFailed'; readonly to: string }
    | { readonly kind: 'updateAccepted'; readonly name: string; readonly input: readonly unknown[] }
    /** What the workflow answered to the update that was accepted by that event; undefined where it refused. */
    | { readonly kind: 'updateCompleted'; readonly acceptedEventId: number; readonly result: unknown }
    /** What the workflow changed of its memo. */
    | { readonly kind: 'memoUpserted'; readonly memo: Readonly<Record<string, unknown>> }
    /** A workflow's time is that of the start of its task; only one that completed has had any effect. */
    | { readonly kind: 'workflowTaskStarted' }
    | { readonly kind: 'workflowTaskCompleted' }
    /** It failed, or its worker was too late: what it was to bring comes with the next. */
    | { readonly kind: 'workflowTaskFailed' }
    | { readonly kind: 'cancelRequested' }
    | { readonly kind: 'workflowCompleted' }
    | { readonly kind: 'workflowFailed'; readonly failure: FailureInfo }
    | { readonly kind: 'workflowCancelled' }
    | { readonly kind: 'workflowTerminated'; readonly how: 'terminated' | 'timedOut' }
    | { readonly kind: 'continuedAsNew'; readonly newRunId: string }
    /** An event that cannot be read: of a kind that this version does not know, or with a payload that is not ours to decode. */
    | { readonly kind: 'unread'; readonly eventType: string; readonly why: 'unknownEvent' | 'payload' }
  );

const ENDS: ReadonlySet<HistoryFact['kind']> = new Set([
  'workflowCompleted',
  'workflowFailed',
  'workflowCancelled',
  'workflowTerminated',
] as const);

/** Whether a workflow ended by it: going on in a new run is no end. */
export function isEnd({ kind }: HistoryFact): boolean {
  return ENDS.has(kind);
}

interface FactBase {
  /** Temporal's event id, from 1 in each run. */
  readonly eventId: number;
  /** Server time in milliseconds since 1970. */
  readonly time: number;
  readonly runId: string;
}
