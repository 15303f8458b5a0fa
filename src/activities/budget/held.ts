/** What an attempt ends with whose call would fit once what is set aside for others is settled. */
import { readShortfall } from '../../core/budget/account';
import type { Refusal } from '../../core/breaker/refusal';
import { CadreError } from '../../core/failures';
import type { HandedBack } from '../../core/task-activities';

/** In how many ms it is tried again: most calls take seconds. */
const FIRST_WAIT = 1000;
const NEXT_WAITS = 5000;

/**
 * The refusal for `reached`, by which the step waits: it holds no worker and spends no attempt. `waited`: whether it was
 * refused before.
 */
export function heldBack(reached: CadreError, kept: HandedBack, waited: boolean): CadreError {
  const breaker = readShortfall(reached.details)?.account ?? '';
  const retryAfter = waited ? NEXT_WAITS : FIRST_WAIT;
  const details: Refusal = { breaker, why: 'setAside', retryAfter, ...kept, began: true };
  const message = `${reached.message}; to ask again in ${retryAfter / 1000} s`;
  return new CadreError('Paced', message, { details, cause: reached });
}
