/**
 * For how long a call waits that would fit once what is set aside for others is settled: at first within its attempt, which
 * keeps what the agent has under way; then its step waits, without a worker, and runs again from its start.
 */
import { readShortfall } from '../../core/budget/account';
import type { Refusal } from '../../core/breaker/refusal';
import { CadreError } from '../../core/failures';
import type { HandedBack } from '../../core/task-activities';

/** In ms, like all here. Each time by as much longer: most calls take seconds. */
const ASK_AGAIN = 1000;
const ASK_AGAIN_MAXIMUM = 5000;
/** Of all waits of one call within its attempt. */
const WITHIN_ATTEMPT = 30_000;
/** Of what the attempt has left: the rest is for its work. */
const SHARE_OF_ATTEMPT = 0.25;
/** Of the step, after its first attempt and after the others. */
const FIRST_WAIT = 30_000;
const NEXT_WAITS = 60_000;
/** Of all waits of the step. */
const WAITING_MAXIMUM = 10 * 60_000;

/**
 * In how many ms a call asks again that has waited for `waited` ms within its attempt; undefined where it waits there no
 * longer. `left`: until the attempt times out. `held`: for how long the step had waited before.
 */
export function nextAsk(waited: number, left: number, held = 0): number | undefined {
  const wait = Math.min(ASK_AGAIN_MAXIMUM, waited + ASK_AGAIN);
  const most = Math.min(WITHIN_ATTEMPT, (left + waited) * SHARE_OF_ATTEMPT, WAITING_MAXIMUM - held);
  return waited + wait <= most ? wait : undefined;
}

/**
 * The refusal for `reached`, by which the step waits: it holds no worker and spends no attempt. Undefined where it has
 * waited for as long as it may. `waited`: for how many ms the call has waited within the attempt.
 */
export function heldBack(reached: CadreError, kept: HandedBack, waited: number): CadreError | undefined {
  const before = kept.held ?? 0;
  if (before + waited >= WAITING_MAXIMUM) return undefined;
  const breaker = readShortfall(reached.details)?.account ?? '';
  const retryAfter = before === 0 ? FIRST_WAIT : NEXT_WAITS;
  const held = before + waited + retryAfter;
  const details: Refusal = { breaker, why: 'setAside', retryAfter, ...kept, held, began: true };
  const message = `${reached.message}; to ask again in ${retryAfter / 1000} s`;
  return new CadreError('Paced', message, { details, cause: reached });
}
