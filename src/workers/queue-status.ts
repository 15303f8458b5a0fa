import type { Client } from '@temporalio/client';
import type { QueueStatus } from '../activities/leadership/roster';
import { describeQueue } from '../client/queue';

/** For how long, in ms, what a server said of a queue is good enough to plan by. */
const FRESH = 1000;

/**
 * Asks the server for a queue's pollers and backlog; a server that does not say leaves them out. What it said holds for
 * {@link FRESH} ms, so that many plans ask once.
 */
export function queueStatus(client: Client): QueueStatus {
  const asked = new Map<string, { at: number; status: ReturnType<QueueStatus> }>();
  return (queue) => {
    const now = performance.now();
    const last = asked.get(queue);
    if (last !== undefined && now - last.at < FRESH) return last.status;
    const status = ask(client, queue);
    asked.set(queue, { at: now, status });
    return status;
  };
}

async function ask(client: Client, queue: string): ReturnType<QueueStatus> {
  try {
    const { pollers, backlog } = await describeQueue(client, queue, 'activity');
    return { pollers: pollers.length, ...(backlog === undefined ? {} : { backlog }) };
  } catch {
    return {};
  }
}
