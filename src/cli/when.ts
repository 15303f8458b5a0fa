import { msToNumber } from '@temporalio/common/lib/time';
import { inputInvalid } from '../core/failures';

const EXPECTED =
  'a time in UTC such as 2026-11-21 or 2026-11-21T15:00, or how long ago, such as 30m, 2h or 7d';
const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?$/i;
/** A number and a unit: without one it would be milliseconds, which nobody means. */
const AGO = /^\d+(?:\.\d+)? ?[a-z]+$/i;

/**
 * A time that a person gave, in ms since 1970: a date or a time of ISO 8601, in UTC unless it says otherwise, or how long
 * before `now`. Throws InputInvalid, naming `option`.
 */
export function parseWhen(option: string, text: string, now: number): number {
  const time = AGO.test(text) ? now - durationOf(text) : timeOf(text);
  // Beyond what a Date has there is no time to show.
  if (!Number.isNaN(new Date(time).getTime())) return time;
  throw inputInvalid(option, EXPECTED, text);
}

function durationOf(text: string): number {
  try {
    return msToNumber(text as Parameters<typeof msToNumber>[0]);
  } catch {
    return Number.NaN;
  }
}

function timeOf(text: string): number {
  const [, date = text, time = '00:00', zone = 'Z'] = TIME.exec(text) ?? [];
  // A day such as 30 February would otherwise be one of the next month.
  const midnight = DATE.test(date) ? Date.parse(`${date}T00:00Z`) : Number.NaN;
  if (Number.isNaN(midnight) || !new Date(midnight).toISOString().startsWith(date)) return Number.NaN;
  return Date.parse(`${date}T${time}${zone.toUpperCase()}`);
}
