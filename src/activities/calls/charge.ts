import type { Asked } from '../../core/budget/account';
import type { Amount } from '../../core/usage';

/** Where the calls of one attempt are charged: the accounts of its task, the task's parents, its agent, and its cadre. */
export interface Charge {
  /**
   * Sets what a call may cost aside in all accounts, durably. `id` is that of one try of the call by one attempt: what
   * comes to nothing is given back, and must be nobody else's. Throws CadreError BudgetReached where it does not fit in one
   * of them, PriceUnknown where one limits money and the price is not known, NoWorker (retryable) where one does not
   * answer, InputInvalid for no whole numbers, and the reason of the attempt's end; then it is not to be made. `name`: what
   * is called, for messages.
   */
  reserve(id: string, asked: Asked, name?: string): Promise<void>;
  /**
   * What the call came to, which replaces what was set aside; what was settled before stays so. Resolves once the accounts
   * have it, at the latest in 2 s: they are told in the background until they have it. Never rejects. What is never settled
   * stays counted in full.
   */
  settle(id: string, used: Amount): Promise<void>;
}
