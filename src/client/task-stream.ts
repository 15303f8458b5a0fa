/**
 * What agents stream while they act, read from the heartbeats of a task's running activities. Owns what of it is new to a
 * reader. History has none of it, so what was missed is not to be had again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow';
import { tsToMs } from '@temporalio/common/lib/time';
import { temporal } from '@temporalio/proto';
import { type StreamDetails, streamIn } from '../core/text-stream';

/** What an agent has put out since it was last looked at. */
export interface StreamedText {
  /** Id of the step; `plan` while the plan is made. */
  readonly step: string;
  readonly agent: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** What is new. */
  readonly text: string;
  /** Characters before it that were not seen; absent where there are none. */
  readonly skipped?: number;
  /** When it was heard of, by the server's clock, in ms since 1970. */
  readonly time: number;
}

type PendingActivity = temporal.api.workflow.v1.IPendingActivityInfo;

/** How often, in ms, it looks. */
const LOOK_INTERVAL = 400;

/** What the agents of a task stream from now on, until it ends or `signal` aborts. Throws what the server answers. */
export async function* readStream(
  client: Client,
  workflowId: string,
  signal?: AbortSignal,
): AsyncGenerator<StreamedText> {
  const converter = client.options.loadedDataConverter;
  const reader = new StreamReader();
  for (;;) {
    if (signal?.aborted) return;
    const { raw, status } = await client.workflow.getHandle(workflowId).describe();
    for (const pending of raw.pendingActivities ?? []) {
      if (!reader.isNew(pending)) continue;
      const payloads = pending.heartbeatDetails?.payloads ?? [];
      // What was encrypted by others is not for this reader.
      const [details] = await decodeArrayFromPayloads(converter, payloads).catch(() => []);
      const streamed = reader.next(pending, streamIn(details));
      if (streamed !== undefined) yield streamed;
    }
    if (status.name !== 'RUNNING') return;
    await delay(LOOK_INTERVAL, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}

/** What was seen of an activity last. Times are in ms since 1970. */
interface Seen {
  readonly startedAt: number;
  readonly heardAt: number;
  readonly characters: number;
}

/** Tells what is new from what was seen. */
export class StreamReader {
  private readonly seen = new Map<string, Seen>();

  /** Whether the attempt that runs was heard of since it was seen last. */
  isNew(pending: PendingActivity): boolean {
    const { startedAt, heardAt } = timesOf(pending);
    // Until its first heartbeat an attempt has the details of the one before, and its own start for the time of it.
    return runs(pending) && heardAt > startedAt && heardAt > this.before(pending).heardAt;
  }

  /** What of `stream` is new; undefined where that is nothing. */
  next(pending: PendingActivity, stream: StreamDetails | undefined): StreamedText | undefined {
    const { startedAt, heardAt } = timesOf(pending);
    const { characters: before } = this.before(pending);
    const { characters = before, text = '' } = stream ?? {};
    const news = text === '' ? 0 : Math.max(0, characters - before);
    this.seen.set(stepOf(pending), { startedAt, heardAt, characters: before + news });
    if (news === 0) return undefined;
    const skipped = Math.max(0, news - text.length);
    return {
      step: stepOf(pending),
      agent: pending.activityType?.name ?? '',
      attempt: pending.attempt ?? 1,
      text: text.slice(-news),
      ...(skipped === 0 ? {} : { skipped }),
      time: heardAt,
    };
  }

  /** Of the same attempt. */
  private before(pending: PendingActivity): Seen {
    const { startedAt } = timesOf(pending);
    const seen = this.seen.get(stepOf(pending));
    return seen?.startedAt === startedAt ? seen : { startedAt, heardAt: 0, characters: 0 };
  }
}

const { PENDING_ACTIVITY_STATE_STARTED: STARTED, PENDING_ACTIVITY_STATE_CANCEL_REQUESTED: CANCEL_REQUESTED } =
  temporal.api.enums.v1.PendingActivityState;

function runs({ state }: PendingActivity): boolean {
  return state === STARTED || state === CANCEL_REQUESTED;
}

function stepOf({ activityId }: PendingActivity): string {
  return activityId ?? '';
}

function timesOf({ lastStartedTime, lastHeartbeatTime }: PendingActivity): Omit<Seen, 'characters'> {
  return {
    startedAt: lastStartedTime ? tsToMs(lastStartedTime) : 0,
    heardAt: lastHeartbeatTime ? tsToMs(lastHeartbeatTime) : 0,
  };
}
