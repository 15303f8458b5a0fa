/**
 * What keeps a call from an agent whose breaker does not let it through, or whose budget is set aside, and what its workflow
 * makes of it. Both cross as failures of Cadre's own, `BreakerOpen` and `Paced`, whose details are a {@link Refusal}.
 */
import type { FailureInfo, FailureType } from '../failures';
import { isRecord } from '../json';
import { type HandedBack, handedBackOf } from '../task-activities';

/**
 * Why a call was refused. `paced`: its provider asked for no calls for a while. `failing`: the calls before it failed, and
 * those under way decide whether it opens. `setAside`: no breaker, but what is left of a budget is set aside for others.
 */
export type RefusalCause = 'open' | 'halfOpen' | 'isolated' | 'paced' | 'failing' | 'setAside';

/** A call that was not let through, or that its provider sent away. It spends no attempt. */
export interface Refusal extends HandedBack {
  /** The breaker's key; where `why` is `setAside` the budget's account. */
  readonly breaker: string;
  readonly why: RefusalCause;
  /** In how many ms to ask again, jitter included. */
  readonly retryAfter: number;
  /** Present where an attempt of the step had begun, and may have had its effect. */
  readonly began?: true;
}

/** True for a failure that says nothing but: later. */
export function isRefusal({ type }: Pick<FailureInfo, 'type'>): boolean {
  return REFUSALS.some((one) => one === type);
}

/** True where a call is soon made as it is, whatever its agent's `onOpen` says. */
export function isBrief(why: RefusalCause): boolean {
  return why === 'paced' || why === 'failing' || why === 'setAside';
}

const REFUSALS: readonly FailureType[] = ['BreakerOpen', 'Paced'];
const CAUSES: readonly string[] = [
  'open',
  'halfOpen',
  'isolated',
  'paced',
  'failing',
  'setAside',
] satisfies RefusalCause[];

/** What to believe of details that cannot be read. */
const RETRY_DEFAULT = 30_000;
const RETRY_MAXIMUM = 7 * 24 * 60 * 60 * 1000;

/** What stands in the details of a refusal; whatever they are, a call to wait. */
export function readRefusal(details: unknown): Refusal {
  const { breaker, why, retryAfter, attemptsUsed, checkpoint, called, held, began } = isRecord(details)
    ? details
    : {};
  const wait = typeof retryAfter === 'number' && retryAfter >= 0 ? retryAfter : RETRY_DEFAULT;
  const used = typeof attemptsUsed === 'number' && Number.isInteger(attemptsUsed) ? attemptsUsed : 0;
  return {
    breaker: typeof breaker === 'string' ? breaker : '',
    why: CAUSES.some((cause) => cause === why) ? (why as RefusalCause) : 'open',
    retryAfter: Math.min(RETRY_MAXIMUM, Math.ceil(wait)),
    attemptsUsed: Math.max(0, used),
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(called === true ? { called } : {}),
    ...(typeof held === 'number' && held > 0 ? { held } : {}),
    ...(began === true ? { began } : {}),
  };
}

/** What the attempt after a refusal, and the wait for it, begins with. */
export function afterRefusal(refused: HandedBack): HandedBack {
  return { ...handedBackOf(refused), waited: true };
}

/** Why a call waits, in words that go on from those of {@link waitsFor}. */
export const REFUSAL_WORDS = {
  open: 'it is open',
  halfOpen: 'it is being probed',
  isolated: 'it is isolated by hand',
  paced: 'its provider asked to slow down',
  failing: 'its calls fail, and those under way decide',
  setAside: 'what is left of it is set aside for other calls',
} as const satisfies Record<RefusalCause, string>;

/** For what a call waits that was refused so. */
export function waitsFor({ breaker, why }: Pick<Refusal, 'breaker' | 'why'>): string {
  return `the ${why === 'setAside' ? 'budget' : 'breaker'} ${breaker}`;
}

/** The name of the timer by which a step waits. */
export function refusalTimer(step: string, { breaker, why }: Pick<Refusal, 'breaker' | 'why'>): string {
  return `${step}: ${why === 'setAside' ? 'budget' : 'breaker'} ${breaker}`;
}
