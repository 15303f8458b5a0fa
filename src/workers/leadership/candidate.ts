/**
 * A process's candidacy. Owns which queues it polls as a candidate and as the leader; who leads is the server's to say,
 * by handing out the activity `lead`.
 *
 * 1. It polls the candidates' queue with one slot: while it leads, or is frozen as the leader, no term comes here.
 * 2. It asks for the leader's work only while it holds its lease, and has stopped asking before it gives the term back.
 * 3. After a term it stands aside for a while, so that it does not win its own resignation.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Context, heartbeat } from '@temporalio/activity';
import { type Client, isGrpcServiceError } from '@temporalio/client';
import { type NativeConnection, Worker } from '@temporalio/worker';
import { GRPC_STATUS } from '../../client/grpc-status';
import { LEASE_DURATION, LEASE_RENEWAL_INTERVAL } from '../../core/election';
import type { Envelope } from '../../core/envelope';
import { ANNOUNCE_SIGNAL, LEAD_ACTIVITY, candidatesQueue, electionId } from '../../core/names';
import { ensureElection } from './ensure-election';
import type { LeaderSeat } from './leader-worker';
import { stopWorker } from '../stop-worker';
import { Lease, type Renewal } from './lease';

export interface CandidateOptions {
  readonly connection: NativeConnection;
  readonly client: Client;
  readonly namespace: string;
  readonly cadre: string;
  readonly identity: string;
  /** Where it sits while it leads. */
  readonly seat: LeaderSeat;
  /** Told when it begins and ceases to lead in a term. */
  readonly onTerm?: ((term: number, leads: boolean) => void) | undefined;
}

/** How long, in ms, one that led stands aside. */
const STAND_ASIDE = 1000;
/** How often, in ms, a candidate looks whether the election still runs. */
const LOOK_INTERVAL = 10_000;

export class Candidate {
  private readonly stopping = new AbortController();
  private worker: Worker | undefined;
  private leading = false;

  constructor(private readonly options: CandidateOptions) {}

  /** Stands for leader until {@link shutdown}, then resolves; rejects where its worker broke down. */
  async run(): Promise<void> {
    const { signal } = this.stopping;
    const looking = this.keepElectionRunning();
    try {
      while (!signal.aborted) {
        this.worker = await this.createWorker().catch(() => undefined);
        const running = this.worker?.run();
        if (signal.aborted) this.standAside();
        await running;
        // Where the election was ended with the term, its next one need not wait for the next look.
        if (!signal.aborted) await this.ensureElection();
        await delay(STAND_ASIDE, undefined, { signal }).catch(() => undefined);
        // One that was cancelled closes a moment after its term.
        if (!signal.aborted) void this.ensureElection();
      }
    } finally {
      this.stopping.abort();
      await looking;
    }
  }

  /** Stops polling; hands over where it leads. */
  shutdown(): void {
    this.stopping.abort();
    if (!this.leading) this.standAside();
  }

  /** Takes no further term for now. */
  private standAside(): void {
    if (this.worker !== undefined) stopWorker(this.worker);
  }

  /** Rejects where the server is away. */
  private createWorker(): Promise<Worker> {
    const { connection, namespace, cadre, identity } = this.options;
    return Worker.create({
      connection,
      namespace,
      identity,
      taskQueue: candidatesQueue(cadre),
      activities: { [LEAD_ACTIVITY]: (envelope: Envelope) => this.lead(envelope.term) },
      maxConcurrentActivityTaskExecutions: 1,
      // Long enough for a term to be handed over; what is longer is lost, and the next term begins all the same.
      shutdownGraceTime: LEASE_DURATION,
    });
  }

  /** Leads for one term. Resolves when it was handed over; rejects where it was lost, or cannot be led. */
  private async lead(term: number): Promise<void> {
    const { info, log } = Context.current();
    const lease = new Lease({
      renew: (timeout) => this.renew(info.taskToken, timeout),
      duration: LEASE_DURATION,
      interval: LEASE_RENEWAL_INTERVAL,
    });
    this.leading = true;
    try {
      await lease.begin();
      const end = await (lease.held() ? this.leadWhile(lease, term) : lease.end('lost'));
      if (end === 'lost') throw new Error(`The lease of term ${term} was lost`);
      log.debug('Handed over', { term, end });
    } finally {
      lease.release();
      this.leading = false;
      this.standAside();
    }
  }

  private async leadWhile(lease: Lease, term: number): Promise<'handOver' | 'lost' | 'stopped'> {
    const { seat } = this.options;
    const over = new AbortController();
    try {
      seat.lead({ term, held: () => lease.held(), over: over.signal });
      this.options.onTerm?.(term, true);
      void this.announce(lease, term);
      return await Promise.race([lease.ended, this.stopped(over.signal)]);
    } finally {
      seat.leave();
      over.abort();
      this.options.onTerm?.(term, false);
    }
  }

  /** Resolves when this candidate is told to stop; leaves nothing behind when `over` aborts. */
  private stopped(over: AbortSignal): Promise<'stopped'> {
    const { signal } = this.stopping;
    return new Promise((resolve) => {
      const stop = (): void => resolve('stopped');
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true, signal: over });
    });
  }

  /** Extends the lease. The SDK's own heartbeats say nothing of whether they arrived. */
  private async renew(taskToken: Uint8Array, timeout: number): Promise<Renewal> {
    const { client, namespace, identity } = this.options;
    // The SDK, too, gives up an activity that it has not heard of for long.
    heartbeat();
    try {
      const { cancelRequested } = await client.withDeadline(Date.now() + timeout, () =>
        client.workflowService.recordActivityTaskHeartbeat({ namespace, taskToken, identity }),
      );
      return cancelRequested ? 'handOver' : 'held';
    } catch (error) {
      if (isGrpcServiceError(error) && error.code === GRPC_STATUS.notFound) return 'gone';
      throw error;
    }
  }

  /** Tells the election who leads, until it has heard. The term is held all the same. */
  private async announce(lease: Lease, term: number): Promise<void> {
    const { client, cadre, identity } = this.options;
    while (lease.held()) {
      try {
        await client.workflow.getHandle(electionId(cadre)).signal(ANNOUNCE_SIGNAL, { term, identity });
        return;
      } catch {
        await delay(LEASE_RENEWAL_INTERVAL);
      }
    }
  }

  private async keepElectionRunning(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await this.ensureElection();
      await delay(LOOK_INTERVAL * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Never rejects: a server that is away comes back. */
  private async ensureElection(): Promise<void> {
    const { client, cadre } = this.options;
    await ensureElection(client, cadre).catch(() => false);
  }
}
