import { hostname } from 'node:os';
import type { Client } from '@temporalio/client';
import { parseIdentity } from './build-id';
import { type Poller, describeQueue } from '../client/queue';

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

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is such a process, of another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
