import type { Client } from '@temporalio/client';
import { Runtime } from '@temporalio/worker';
import { type SweepReport, sweepExecutions } from '../client/resume';
import { failureInfo } from '../core/failure-info';

/**
 * What a worker does once when it starts: goes on with what was terminated or timed out, and frees stale keys. It logs
 * what it went on with, never rejects, and ends at once when told to stop.
 */
export class StartingSweep {
  private readonly stopping = new AbortController();

  constructor(
    private readonly client: Client,
    private readonly cadre: string,
  ) {}

  async run(): Promise<void> {
    const { signal } = this.stopping;
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve());
    });
    // A call to a server that does not answer must not keep the worker from stopping.
    await Promise.race([this.sweep(signal), stopped]);
  }

  shutdown(): void {
    this.stopping.abort();
  }

  private async sweep(signal: AbortSignal): Promise<void> {
    try {
      this.log(await sweepExecutions(this.client, this.cadre, { signal }));
    } catch (error) {
      if (!signal.aborted) this.warn(`Could not look for what was terminated: ${failureInfo(error).message}`);
    }
  }

  private log({ executions, locks, locksFailure }: SweepReport): void {
    for (const one of executions) {
      if (one.kind === 'resumed') this.warn(`${one.id} was terminated or timed out: goes on in ${one.as}`);
      if (one.kind === 'failed') this.warn(`Could not go on with ${one.id}: ${one.failure.message}`);
    }
    for (const { key, holder } of locks) this.warn(`Freed the key "${key}": ${holder.workflowId} has ended`);
    if (locksFailure !== undefined) this.warn(`Could not look for stale keys: ${locksFailure.message}`);
  }

  private warn(message: string): void {
    Runtime.instance().logger.warn(message, { cadre: this.cadre });
  }
}
