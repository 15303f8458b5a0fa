/** Has a call of an agent pass its breaker: before it begins, and with how it went after it. */
import type { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { REFUSAL_WORDS, type Refusal, type RefusalCause } from '../../core/breaker/refusal';
import { failureInfo } from '../../core/failure-info';
import { CadreError } from '../../core/failures';
import { type Outcome, outcomeOf } from '../../core/outcome';
import type { HandedBack } from '../../core/task-activities';
import type { Admission, LocalBreaker } from './local-breaker';

/** One agent's breaker, on one worker. */
export interface Guard {
  readonly key: string;
  readonly breaker: LocalBreaker;
  /** Whether what is refused fails. */
  readonly fails: boolean;
  /** What the agent says of its failures; undefined where it leaves that to the table. */
  readonly classify: ((error: unknown) => Outcome | undefined) | undefined;
}

/** Of an attempt: what a refusal gives back with it. */
export type Kept = () => Omit<HandedBack, 'waited'>;

/**
 * Runs `work` where the breaker lets it through. Throws CadreError BreakerOpen where it does not, Paced where the provider
 * sent the call away until later, what is final as non-retryable, and else what `work` throws.
 */
export async function guarded<Result>(
  { key, breaker, fails, classify }: Guard,
  activity: Context,
  waited: boolean,
  kept: Kept,
  work: () => Promise<Result>,
): Promise<Result> {
  const admitted = breaker.admit(waited);
  const admission = admitted instanceof Promise ? await admitted : admitted;
  if (admission.kind === 'refused') throw refused(key, admission.why, admission.retryAfter, kept());
  const call = new Call(activity, breaker, admission);
  try {
    const result = await work();
    call.end('success');
    return result;
  } catch (error) {
    const outcome = call.fail(error, classify);
    if (typeof outcome === 'object') throw refused(key, 'paced', outcome.paced, kept(), error);
    if (admission.probe !== undefined && outcome === 'failure' && !fails) {
      // Made to find out, it spends no attempt: else a long outage would use up the attempts of whoever probes.
      const again = await breaker.afterProbe();
      if (again !== undefined) throw refused(key, again.why, again.retryAfter, kept(), error);
    }
    throw outcome === 'final' ? final(error) : error;
  } finally {
    call.stop();
  }
}

/** A call that was let through. It is counted once: when it ends, or when its time is over. */
class Call {
  private ended = false;
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly activity: Context,
    private readonly breaker: LocalBreaker,
    private readonly admission: Admission & { kind: 'admitted' },
  ) {
    const { startToCloseTimeoutMs } = activity.info;
    // An agent that hangs must count before anybody else hangs on it.
    this.timer =
      startToCloseTimeoutMs > 0 && startToCloseTimeoutMs < TIMER_MAXIMUM
        ? setTimeout(() => this.end('failure', 'Timed out'), startToCloseTimeoutMs)
        : undefined;
  }

  end(outcome: Outcome | 'success', error?: string): void {
    if (this.ended) return;
    this.ended = true;
    this.breaker.record(this.admission, outcome, error);
  }

  fail(error: unknown, classify: Guard['classify']): Outcome {
    const { aborted } = this.activity.cancellationSignal;
    const timedOut = this.activity.cancellationDetails?.timedOut === true;
    const outcome = aborted ? (timedOut ? 'failure' : 'ignored') : saidOf(error, classify);
    this.end(outcome, timedOut ? 'Timed out' : failureInfo(error).message);
    return outcome;
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

/** Node's timers take no longer. */
const TIMER_MAXIMUM = 2 ** 31 - 1;

/** A mistake in the agent's own table must not hide what the agent failed with. */
function saidOf(error: unknown, classify: Guard['classify']): Outcome {
  try {
    return classify?.(error) ?? outcomeOf(error, Date.now());
  } catch {
    return outcomeOf(error, Date.now());
  }
}

function refused(
  breaker: string,
  why: RefusalCause,
  retryAfter: number,
  kept: ReturnType<Kept>,
  cause?: unknown,
): CadreError {
  const began = cause !== undefined || kept.attemptsUsed > 0 ? { began: true as const } : {};
  const details: Refusal = { breaker, why, retryAfter: Math.ceil(retryAfter), ...kept, ...began };
  const seconds = Math.ceil(retryAfter / 1000);
  const message = `The breaker "${breaker}" refuses: ${REFUSAL_WORDS[why]}; to ask again in ${seconds} s`;
  return new CadreError(why === 'paced' ? 'Paced' : 'BreakerOpen', message, { details, cause });
}

/** The same failure, which no attempt can mend. */
function final(error: unknown): unknown {
  if (error instanceof ApplicationFailure && error.nonRetryable === true) return error;
  const { type, message } = failureInfo(error);
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: true,
    ...(error instanceof Error ? { cause: error } : {}),
  });
}
