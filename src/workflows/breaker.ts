import { setHandler } from '@temporalio/workflow';
import type { BreakerStart } from '../core/breaker/start';
import { BreakerRun } from './breaker-run';
import { breakerQuery, operateUpdate, reportUpdate } from './messages';

/**
 * The circuit breaker that all workers of a cadre share for one key. It is told how calls went by those of which some
 * failed, and says who may call. Ends once it has been closed and quiet for a while; whoever needs it starts it anew.
 * Fails as InputInvalid where its input is no breaker's.
 */
export async function breaker(start: BreakerStart): Promise<void> {
  const run = new BreakerRun(start);
  setHandler(reportUpdate, (report) => run.report(report), {
    validator: (report) => run.checkReport(report),
    description: 'How the calls of a worker went, and how many of its calls ask whether they may go',
  });
  setHandler(operateUpdate, (command) => run.operate(command), {
    validator: (command) => run.checkCommand(command),
    description: 'Trips, resets, isolates or releases it, with a note',
  });
  setHandler(breakerQuery, () => run.keyed, { description: 'Its key, and where it stands' });
  await run.execute();
}
