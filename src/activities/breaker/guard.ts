/** Has a call of an agent pass its breaker: before it begins, and with how it went after it. */
import type { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { reasonWords } from '../../core/breaker/details';
import { REFUSAL_WORDS, type Refusal } from '../../core/breaker/refusal';
import { failureInfo } from '../../core/failure-info';
import { CadreError } from '../../core/failures';
import { type Outcome, outcomeOf } from '../../core/outcome';
import type { Attempt } from '../attempt';
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

/** The attempt that makes the call. */
type Calling = Pick<Attempt, 'kept' | 'abort'>;

/**
 * Runs `work` where the breaker lets it through. Throws CadreError BreakerOpen where it does not, Paced where the provider
 * sent the call away until later, what is final as non-retryable, and else what `work` throws. A probe that takes longer
 * than it may is aborted.
 */
export async function guarded<Result>(
  { key, breaker, fails, classify }: Guard,
  activity: Context,
  attempt: Calling,
  waited: boolean,
  work: () => Promise<Result>,
): Promise<Result> {
  const limit = activity.info.startToCloseTimeoutMs;
  const over = performance.now() + (limit > 0 ? limit : Number.POSITIVE_INFINITY);
  const admitted = breaker.admit(waited);
  const admission = admitted instanceof Promise ? await admitted : admitted;
  if (admission.kind === 'refused') throw refused(key, admission, attempt);
  const left = over - performance.now();
  const call = new Call(activity, breaker, admission, left);
  try {
    // It may have been cancelled while it asked: then its permit is for another.
    activity.cancellationSignal.throwIfAborted();
    const result = await (admission.probe === undefined
      ? work()
      : beforeOver(work, withMargin(Math.min(left, breaker.maxProbeTime))));
    call.end('success');
    return result;
  } catch (error) {
    const outcome = call.fail(error, classify);
    if (typeof outcome === 'object') {
      throw refused(key, breaker.refuse('paced', outcome.paced), attempt, error);
    }
    const hung = error instanceof ProbeHung;
    if (hung) attempt.abort(error);
    if (admission.probe !== undefined && outcome === 'failure' && (hung || !fails)) {
      // Made to find out, it spends no attempt: else a long outage would use up the attempts of whoever probes.
      const again = await breaker.afterProbe(!hung);
      if (!fails || again.why !== 'failing') throw refused(key, again, attempt, error);
    }
    throw outcome === 'final' ? final(error) : error;
  } finally {
    call.stop();
  }
}

/** So much of its time, and no more ms, a probe leaves for saying that it hung: the server's time-out spends an attempt. */
const MARGIN = 0.1;
const MARGIN_MAXIMUM = 1000;

function withMargin(limit: number): number {
  return limit - Math.min(MARGIN_MAXIMUM, MARGIN * limit);
}

class ProbeHung extends Error {
  override readonly name = 'ProbeHung';
}

/** What `work` comes to, unless it takes longer than `limit` ms: then it throws ProbeHung, and leaves it running. */
async function beforeOver<Result>(work: () => Promise<Result>, limit: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    const hung = new ProbeHung(`The probe took longer than ${Math.round(limit)} ms`);
    if (limit <= TIMER_MAXIMUM) timer = setTimeout(() => reject(hung), limit);
  });
  const working = work();
  working.catch(() => undefined);
  return Promise.race([working, over]).finally(() => clearTimeout(timer));
}

/** A call that was let through. It is counted once: when it ends, or when its time is over. */
class Call {
  private ended = false;
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly activity: Context,
    private readonly breaker: LocalBreaker,
    private readonly admission: Admission & { kind: 'admitted' },
    /** In ms. */
    limit: number,
  ) {
    // An agent that hangs must count before anybody else hangs on it.
    this.timer =
      limit <= TIMER_MAXIMUM ? setTimeout(() => this.end('failure', 'Timed out'), limit) : undefined;
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
  { why, retryAfter, because }: Admission & { kind: 'refused' },
  attempt: Calling,
  cause?: unknown,
): CadreError {
  const kept = attempt.kept();
  const began = cause !== undefined || kept.attemptsUsed > 0 ? { began: true as const } : {};
  const details: Refusal = { breaker, why, retryAfter: Math.ceil(retryAfter), ...kept, ...began };
  const reason = because === undefined ? '' : ` (${reasonWords(because)})`;
  const message = `The breaker "${breaker}" refuses: ${REFUSAL_WORDS[why]}${reason}; to ask again in ${inWords(retryAfter)}`;
  return new CadreError(why === 'paced' ? 'Paced' : 'BreakerOpen', message, { details, cause });
}

function inWords(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
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
