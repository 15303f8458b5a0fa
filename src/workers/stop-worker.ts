import type { Worker } from '@temporalio/worker';

/** Tells a worker to stop; nothing where it does not run, of which the SDK would complain. */
export function stopWorker(worker: Worker): void {
  if (worker.getState() === 'RUNNING') worker.shutdown();
}
