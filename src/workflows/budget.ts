import { setHandler } from '@temporalio/workflow';
import type { AccountStart } from '../core/budget/start';
import { BudgetRun } from './budget-run';
import { accountQuery, exchangeUpdate } from './messages';

/**
 * An account of a budget, which all workers of a cadre share: they ask it before something is used, and tell it what it
 * came to. Ends once nothing of it has to be known any more; whoever needs it starts it anew. Fails as InputInvalid where
 * its input is no account's.
 */
export async function budget(start: AccountStart): Promise<void> {
  const run = new BudgetRun(start);
  setHandler(exchangeUpdate, (message) => run.exchange(message), {
    validator: (message) => run.check(message),
    description: 'Sets aside what is about to be used, and settles what was',
  });
  setHandler(accountQuery, () => run.state, {
    description: 'What may be used, what was, and what is set aside',
  });
  await run.execute();
}
