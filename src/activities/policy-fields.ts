import type { Duration } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import { CadreError } from '../core/failures';

/** A duration of an agent's policy in ms. Throws PolicyInvalid, naming the field. */
export function milliseconds(agent: string, field: string, value: Duration): number {
  const result = durationMs(value);
  if (Number.isFinite(result)) return result;
  throw new CadreError(
    'PolicyInvalid',
    `Expected \`policy.${field}\` of agent "${agent}" to be milliseconds or a duration such as '30s', got ${JSON.stringify(value)}`,
  );
}

/** A duration in ms; NaN for what is none. */
export function durationMs(value: Duration): number {
  try {
    return typeof value === 'number' ? value : msToNumber(value);
  } catch {
    return Number.NaN;
  }
}

/** Throws PolicyInvalid: a misspelt field would be a policy that is not in force. */
export function refuseUnknown(agent: string, of: string, given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find((field) => !known.includes(field));
  if (unknown === undefined) return;
  throw new CadreError(
    'PolicyInvalid',
    `Expected \`${of}\` of agent "${agent}" to have only ${known.join(', ')}, got \`${unknown}\``,
  );
}
