import { CancellationScope, condition, sleep } from '@temporalio/workflow';

/** Resolves after so many ms, or as soon as `over` is true. `summary` names the timer. */
export async function sleepUnless(ms: number, summary: string, over: () => boolean): Promise<void> {
  if (ms <= 0 || over()) return;
  const timer = new CancellationScope();
  const slept = timer.run(() => sleep(ms, { summary })).catch(() => undefined);
  await Promise.race([slept, condition(over)]);
  timer.cancel();
  await slept;
}
