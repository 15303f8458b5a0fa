import { type NativeConnection, Worker } from '@temporalio/worker';
import { createLeaderActivities, type LeaderTerm } from '../../activities/leadership';
import type { QueueStatus } from '../../activities/leadership/roster';
import type { AnyAgent } from '../../activities/define-agent';
import { LEASE_RENEWAL_INTERVAL } from '../../core/election';
import { leaderQueue } from '../../core/names';
import type { ArtifactStore } from '../../storage/artifact-store';

export interface LeaderWorkerOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly cadre: string;
  readonly identity: string;
  readonly agents: readonly AnyAgent[];
  readonly artifacts: ArtifactStore;
  readonly queueStatus: QueueStatus;
  readonly concurrency: number;
}

/** The worker that does the leader's work, for as long as the term is held. */
export function createLeaderWorker(options: LeaderWorkerOptions, term: LeaderTerm): Promise<Worker> {
  const { connection, namespace, cadre, identity, agents, artifacts, queueStatus } = options;
  return Worker.create({
    connection,
    namespace,
    identity,
    taskQueue: leaderQueue(cadre),
    activities: createLeaderActivities({ ...term, cadre, agents, artifacts, queueStatus }),
    maxConcurrentActivityTaskExecutions: options.concurrency,
    // A frozen leader's polls go on swallowing work until their tasks time out: one outstanding poll loses one task.
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
    maxHeartbeatThrottleInterval: LEASE_RENEWAL_INTERVAL,
    // Handing over is not to wait for a plan: the next leader makes it.
    shutdownGraceTime: 0,
  });
}
