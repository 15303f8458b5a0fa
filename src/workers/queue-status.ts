import type { Client } from '@temporalio/client';
import type { QueueStatus } from '../activities/leadership/roster';
import { describeQueue } from '../client/queue';

/** Asks the server for a queue's pollers and backlog; a server that does not say leaves them out. */
export function queueStatus(client: Client): QueueStatus {
  return async (queue) => {
    try {
      const { pollers, backlog } = await describeQueue(client, queue, 'activity');
      return { pollers: pollers.length, ...(backlog === undefined ? {} : { backlog }) };
    } catch {
      return {};
    }
  };
}
