/** What the server said of a renewal: still held, to be handed over, or granted to nobody any more. */
export type Renewal = 'held' | 'handOver' | 'gone';

/** How a lease ended: `handOver` was asked for; `lost`: not renewed in time, or gone. */
export type LeaseEnd = 'handOver' | 'lost';

export interface LeaseOptions {
  /** Asks the server to extend the lease; rejects where it cannot be reached within `timeout` ms. */
  readonly renew: (timeout: number) => Promise<Renewal>;
  /** How long a renewal lasts, in ms, from when it was sent. */
  readonly duration: number;
  /** Milliseconds between renewals. */
  readonly interval: number;
  /** A clock in ms that never goes back. */
  readonly now?: () => number;
}

/**
 * The right to lead, as its holder sees it; not held before the first renewal. Counts from when a renewal was sent, so
 * it is over here before it is over for the server; and it is over for a process that was paused as soon as anyone asks.
 */
export class Lease {
  /** Resolves when the lease is over; never rejects. */
  readonly ended: Promise<LeaseEnd>;
  /** Ends the lease `how`, unless it has ended already; returns how it ended. */
  readonly end: (how: LeaseEnd) => Promise<LeaseEnd>;
  private readonly now: () => number;
  private timer: NodeJS.Timeout | undefined;
  /** When the last renewal that was answered was sent. */
  private renewedAt = Number.NEGATIVE_INFINITY;
  private over = false;
  private renewing = false;

  constructor(private readonly options: LeaseOptions) {
    this.now = options.now ?? (() => performance.now());
    let settle: (how: LeaseEnd) => void = () => undefined;
    this.ended = new Promise((resolve) => (settle = resolve));
    this.end = (how) => {
      this.release();
      settle(how);
      return this.ended;
    };
  }

  /**
   * Renews for the first time, and from then on until the lease is over. The server counts from when it granted it,
   * which may be long ago for a process that was paused: until it has said so, nothing is held.
   */
  async begin(): Promise<void> {
    const { duration, interval } = this.options;
    await this.renewWithin(duration);
    if (!this.over) this.timer = setInterval(() => void this.renew(), interval);
  }

  /** True while the last renewal lasts. */
  held(): boolean {
    return !this.over && this.now() - this.renewedAt < this.options.duration;
  }

  /** Renews no more; the server's lease runs out by itself. */
  release(): void {
    this.over = true;
    clearInterval(this.timer);
  }

  private async renew(): Promise<void> {
    if (this.over) return;
    if (!this.held()) {
      void this.end('lost');
      return;
    }
    if (this.renewing) return;
    this.renewing = true;
    await this.renewWithin(this.renewedAt + this.options.duration - this.now());
    this.renewing = false;
  }

  private async renewWithin(timeout: number): Promise<void> {
    const sentAt = this.now();
    try {
      const renewal = await this.options.renew(timeout);
      if (renewal === 'held') this.renewedAt = sentAt;
      else void this.end(renewal === 'gone' ? 'lost' : 'handOver');
    } catch {
      // The next renewal tries again, while the lease lasts.
    }
  }
}
