import {
  ActivityFailure,
  ApplicationFailure,
  ApplicationFailureCategory,
  type ApplicationFailureOptions,
  CancelledFailure,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { isAsking } from './asking';
import { isRefusal } from './breaker/refusal';
import { readShortfall } from './budget/account';
import type { Decision } from './decision';
import { EARLIER_ATTEMPT, type FailureInfo, isCadreError, isHandedBack } from './failures';
import { isRecord, jsonBytes } from './json';
import { cut } from './one-line';
import { type ModelUsage, usageField } from './usage';

/**
 * What an error says, as it stands in events. Gives the same for an error caught in a workflow and for the
 * same failure read back from history: Temporal's failures keep their `instanceof` in both.
 */
export function failureInfo(error: unknown): FailureInfo {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const { type, message, nonRetryable } = cause;
    const began = cause.cause instanceof ApplicationFailure && cause.cause.type === EARLIER_ATTEMPT;
    return {
      type: type ?? 'Error',
      message,
      ...(nonRetryable ? { final: true } : {}),
      ...(began ? { began } : {}),
      ...shortField(type, cause.details?.[0]),
      ...usageField(cause.details?.at(-1)),
      ...repeatedField(cause.details?.at(-1)),
    };
  }
  if (cause instanceof TimeoutFailure) {
    // Its cause is what the attempt before it failed with.
    const began = cause.cause === undefined ? {} : { began: true as const };
    const heard = cause.lastHeartbeatDetails;
    const usage = usageField(isRecord(heard) ? heard['lastCall'] : undefined);
    return { type: 'TimedOut', message: `Timed out: ${cause.timeoutType}`, ...began, ...usage };
  }
  if (cause instanceof CancelledFailure) return { type: 'Cancelled', message: 'Cancelled' };
  if (isCadreError(cause)) {
    const { type, message, retryable, details } = cause;
    return { type, message, ...(retryable ? {} : { final: true }), ...shortField(type, details) };
  }
  if (cause instanceof Error) return { type: cause.name, message: messageOf(cause) };
  return { type: 'Error', message: textOf(cause) };
}

/** What did not fit, where a budget was reached. */
function shortField(type: string | null | undefined, details: unknown): Pick<FailureInfo, 'short'> {
  const short = type === 'BudgetReached' ? readShortfall(details) : undefined;
  return short === undefined ? {} : { short };
}

/** What is said of calls that were paid again, or may have been. */
function repeatedField(calls: unknown): Pick<FailureInfo, 'repeated'> {
  const repeated = isRecord(calls) ? calls['repeated'] : undefined;
  if (!Array.isArray(repeated) || repeated.length === 0 || !repeated.every(isDecision)) return {};
  return { repeated };
}

function isDecision(value: unknown): value is Decision {
  return isRecord(value) && typeof value['type'] === 'string' && typeof value['rationale'] === 'string';
}

/** With the cause where it says more: `fetch failed` alone helps nobody. */
function messageOf({ message, cause }: Error): string {
  if (!(cause instanceof Error)) return message;
  const { code } = cause as Error & { code?: unknown };
  const reason = cause.message !== '' ? cause.message : typeof code === 'string' ? code : '';
  return reason === '' || message.includes(reason) ? message : `${message}: ${reason}`;
}

function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'Something without a text was thrown';
  }
}

/** The first of the details that whoever threw the failure gave with it. */
export function failureDetails(error: unknown): unknown {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? cause.details?.[0] : undefined;
}

const MESSAGE_MAXIMUM_LENGTH = 2000;
const STACK_MAXIMUM_LENGTH = 4000;
const DETAILS_MAXIMUM_BYTES = 64 * 1024;
const CAUSES_MAXIMUM = 3;
const REPEATED_MAXIMUM = 20;

/** What the calls of an activity came to. */
interface CallsMade {
  readonly usage: readonly ModelUsage[];
  /** Which were paid again, or may have been. */
  readonly decisions: readonly Decision[];
}

const NO_CALLS: CallsMade = { usage: [], decisions: [] };

/**
 * What ends an activity or a workflow for `error`: the same failure, small enough to cross. Whoever threw it chose
 * its size, and Temporal terminates a workflow over a failure of a megabyte. Cancellations and the like stay as they are.
 * `calls`: what those of an activity came to, which stands behind its details.
 */
export function crossingFailure(
  error: unknown,
  calls: CallsMade = NO_CALLS,
  causes = CAUSES_MAXIMUM,
): unknown {
  if (error instanceof TemporalFailure && !(error instanceof ApplicationFailure)) return error;
  const { type, message } = failureInfo(error);
  const failure = ApplicationFailure.create({
    type: cut(type, MESSAGE_MAXIMUM_LENGTH),
    message: cut(message, MESSAGE_MAXIMUM_LENGTH),
    ...withCalls(optionsOf(error), calls),
    ...causeOf(error, causes),
  });
  if (error instanceof Error && error.stack !== undefined) {
    // The stack begins with the whole message.
    const frames = error.stack.slice(error.stack.indexOf('\n    at ') + 1);
    failure.stack = cut(`${type}: ${failure.message}\n${frames}`, STACK_MAXIMUM_LENGTH);
  }
  return failure;
}

/** What `work` returns, or throws as a failure that may cross. */
export function crossing<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw crossingFailure(error);
  }
}

function optionsOf(error: unknown): ApplicationFailureOptions {
  if (error instanceof ApplicationFailure) {
    const { nonRetryable, nextRetryDelay, category, details } = error;
    return {
      nonRetryable: nonRetryable ?? false,
      ...(nextRetryDelay ? { nextRetryDelay } : {}),
      ...(category ? { category } : {}),
      ...(details ? { details: bounded(details) } : {}),
    };
  }
  if (!isCadreError(error)) return {};
  const { retryable, details } = error;
  return {
    nonRetryable: !retryable,
    // Nothing is wrong with what comes back later: the SDK would log it as a warning.
    ...(isRefusal(error) || isHandedBack(error) || isAsking(error)
      ? { category: ApplicationFailureCategory.BENIGN }
      : {}),
    ...(details === undefined ? {} : { details: bounded([details]) }),
  };
}

function withCalls(
  options: ApplicationFailureOptions,
  { usage, decisions }: CallsMade,
): ApplicationFailureOptions {
  const repeated = decisions.slice(0, REPEATED_MAXIMUM);
  const made = {
    ...(usage.length === 0 ? {} : { usage }),
    ...(repeated.length === 0 ? {} : { repeated }),
  };
  if (Object.keys(made).length === 0) return options;
  return { ...options, details: [...(options.details ?? [null]), made] };
}

function causeOf(error: unknown, causes: number): ApplicationFailureOptions {
  if (!(error instanceof Error) || error.cause === undefined || causes === 0) return {};
  const cause = crossingFailure(error.cause, NO_CALLS, causes - 1);
  return cause instanceof Error ? { cause } : {};
}

function bounded(details: unknown[]): unknown[] {
  try {
    const bytes = jsonBytes(details);
    return bytes <= DETAILS_MAXIMUM_BYTES ? details : [{ leftOut: `${bytes} bytes of details` }];
  } catch {
    return [{ leftOut: 'details that are not JSON' }];
  }
}
