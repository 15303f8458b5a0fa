import { type NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import {
  type LeaderActivitiesOptions,
  type LeaderTerm,
  createLeaderActivities,
} from '../../activities/leadership';
import { LEASE_RENEWAL_INTERVAL } from '../../core/election';
import { leaderQueue } from '../../core/names';
import { stopWorker } from '../stop-worker';
import { GatedSlots } from './gated-slots';

export interface LeaderWorkerOptions extends Omit<LeaderActivitiesOptions, 'term'> {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly identity: string;
  /** How much of the leader's work at once. */
  readonly concurrency: number;
}

/** Where a leader sits: it asks for the leader's work from {@link lead} until {@link leave}. */
export interface LeaderSeat {
  lead(term: LeaderTerm): void;
  leave(): void;
}

/**
 * The worker that does the leader's work. What its last poll brings after it left, within the minute that a poll may
 * last, it hands back at once.
 */
export class LeaderWorker implements LeaderSeat {
  private constructor(
    private readonly worker: Worker,
    private readonly slots: GatedSlots,
    private readonly present: { term: LeaderTerm | undefined },
  ) {}

  /** Throws ConfigInvalid where two agents share a name, or what Temporal throws. */
  static async create({ concurrency, ...options }: LeaderWorkerOptions): Promise<LeaderWorker> {
    const slots = new GatedSlots(concurrency);
    const present: { term: LeaderTerm | undefined } = { term: undefined };
    const worker = await Worker.create(workerOptions(options, slots, () => present.term));
    return new LeaderWorker(worker, slots, present);
  }

  lead(term: LeaderTerm): void {
    this.present.term = term;
    this.slots.open();
  }

  leave(): void {
    this.slots.close();
    this.present.term = undefined;
  }

  run(): Promise<void> {
    return this.worker.run();
  }

  shutdown(): void {
    this.slots.close();
    stopWorker(this.worker);
  }
}

function workerOptions(
  { connection, namespace, identity, ...work }: Omit<LeaderWorkerOptions, 'concurrency'>,
  slots: GatedSlots,
  term: () => LeaderTerm | undefined,
): WorkerOptions {
  const unused = { type: 'fixed-size', numSlots: 1 } as const;
  return {
    connection,
    namespace,
    identity,
    taskQueue: leaderQueue(work.cadre),
    activities: createLeaderActivities({ ...work, term }),
    tuner: {
      activityTaskSlotSupplier: slots,
      workflowTaskSlotSupplier: { type: 'fixed-size', numSlots: 2 },
      localActivityTaskSlotSupplier: unused,
      nexusTaskSlotSupplier: unused,
    },
    // A frozen leader's polls go on swallowing work until their tasks time out: one outstanding poll loses one task.
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
    maxHeartbeatThrottleInterval: LEASE_RENEWAL_INTERVAL,
    // Stopping is not to wait for a plan: the next leader makes it.
    shutdownGraceTime: 0,
  };
}
