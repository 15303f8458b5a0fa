import { hostname } from 'node:os';
import type { Client } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time';
import { temporal } from '@temporalio/proto';

/** A poller's long poll lasts a minute, so one that has not come back since is gone. */
const POLLER_MAXIMUM_AGE = 70_000;

/** A worker that polls a queue. */
export interface Poller {
  readonly identity: string;
  /** Milliseconds since its last poll. */
  readonly age: number;
}

/** The workers that polled `queue` within the last 70 s, and how many tasks wait. Rejects where the server does not say. */
export async function describeQueue(
  client: Client,
  queue: string,
  kind: 'workflow' | 'activity',
): Promise<{ pollers: Poller[]; backlog?: number }> {
  const { TaskQueueType } = temporal.api.enums.v1;
  const response = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType:
      kind === 'workflow' ? TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW : TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    reportStats: true,
  });
  const now = Date.now();
  const pollers = (response.pollers ?? [])
    .map(({ identity, lastAccessTime }) => ({
      identity: identity ?? '',
      age: Math.max(0, now - tsToMs(lastAccessTime)),
    }))
    .filter(({ age }) => age <= POLLER_MAXIMUM_AGE);
  const backlog = response.stats?.approximateBacklogCount;
  return { pollers, ...(backlog === undefined || backlog === null ? {} : { backlog: Number(backlog) }) };
}

/** Workers that poll `queue` for workflows, without those of this machine whose process is gone. */
export async function livePollers(client: Client, queue: string): Promise<Poller[]> {
  const { pollers } = await describeQueue(client, queue, 'workflow');
  return pollers.filter(({ identity }) => !isGone(identity));
}

/** True for a worker of this machine whose process is gone. */
export function isGone(identity: string): boolean {
  const parsed = parseIdentity(identity);
  return parsed !== undefined && parsed.host === hostname() && !isAlive(parsed.pid);
}

/** The parts of the identity of one of our workers, `pid@host/build`; undefined for that of another. */
export function parseIdentity(identity: string): { pid: number; host: string; build: string } | undefined {
  const match = /^(\d+)@([^/]*)\/(.+)$/.exec(identity);
  if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined) return undefined;
  return { pid: Number(match[1]), host: match[2], build: match[3] };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is such a process, of another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
