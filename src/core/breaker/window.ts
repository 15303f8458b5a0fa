/**
 * The calls that a breaker looks at: the last so many, or those of the last so many seconds.
 *
 * 1. A window of calls has exactly the last `calls` of those added one by one.
 * 2. A window of seconds is made of {@link SLICES} slices of equal width; a slice leaves it as a whole, so that it
 *    reaches back between nine and ten tenths of its length. It is empty after that long without a call.
 * 3. Calls that are added together count one by one, those that went well before those that did not.
 */
import type { BreakerSettings } from './settings';

/** How calls went. */
export interface Tally {
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
}

/** Calls that are counted together. Times are in ms, of one clock. */
export interface CallGroup extends Tally {
  /** When the first of them began. */
  readonly beganAt: number;
  /** When the last of them ended. */
  readonly endedAt: number;
}

/** Sums, and the groups they are sums of, the oldest first. */
export interface Window extends Tally {
  readonly groups: readonly CallGroup[];
}

export const NO_CALLS: Tally = { calls: 0, failures: 0, slow: 0 };
export const EMPTY_WINDOW: Window = { ...NO_CALLS, groups: [] };

type Size = BreakerSettings['window'];

/** Into how many slices a window of seconds is divided. */
const SLICES = 10;

/** The window with `group` in it, at the time `now`. */
export function addCalls(window: Window, group: CallGroup, size: Size, now: number): Window {
  return 'calls' in size
    ? addToCount(window, group, size.calls)
    : addToTime(window, group, size.seconds, now);
}

/** The window without what has grown too old at the time `now`. */
export function currentWindow(window: Window, size: Size, now: number): Window {
  if ('calls' in size) return window;
  const fresh = ({ endedAt }: CallGroup): boolean =>
    sliceOf(endedAt, size.seconds) > sliceOf(now, size.seconds) - SLICES;
  const [oldest] = window.groups;
  return oldest === undefined || fresh(oldest) ? window : windowOf(window.groups.filter(fresh));
}

function addToTime(window: Window, group: CallGroup, seconds: number, now: number): Window {
  const slice = sliceOf(group.endedAt, seconds);
  const { groups, ...sums } = currentWindow(window, { seconds }, now);
  if (slice <= sliceOf(now, seconds) - SLICES) return { ...sums, groups };
  const index = groups.findLastIndex(({ endedAt }) => sliceOf(endedAt, seconds) <= slice);
  const before = groups[index];
  const same = before !== undefined && sliceOf(before.endedAt, seconds) === slice;
  return {
    ...plus(sums, group),
    groups: same
      ? groups.with(index, merged(before, group))
      : [...groups.slice(0, index + 1), group, ...groups.slice(index + 1)],
  };
}

function addToCount(window: Window, group: CallGroup, calls: number): Window {
  const last = window.groups.at(-1);
  const groups =
    last !== undefined && isUniform(last) && isUniform(group) && sameKind(last, group)
      ? window.groups.with(window.groups.length - 1, merged(last, group))
      : [...window.groups, group];
  const sums = plus(window, group);
  return sums.calls <= calls ? { ...sums, groups } : without(groups, sums, sums.calls - calls);
}

/** Without the `count` oldest calls. */
function without(groups: readonly CallGroup[], sums: Tally, count: number): Window {
  let left = count;
  let { calls, failures, slow } = sums;
  for (const [index, group] of groups.entries()) {
    const kept = Math.max(0, group.calls - left);
    const rest = {
      ...group,
      calls: kept,
      failures: Math.min(group.failures, kept),
      slow: Math.min(group.slow, kept),
    };
    calls -= group.calls - rest.calls;
    failures -= group.failures - rest.failures;
    slow -= group.slow - rest.slow;
    left -= group.calls - kept;
    if (kept > 0) return { calls, failures, slow, groups: [rest, ...groups.slice(index + 1)] };
  }
  return EMPTY_WINDOW;
}

function windowOf(groups: readonly CallGroup[]): Window {
  return { ...groups.reduce<Tally>(plus, NO_CALLS), groups };
}

/** The two counted together. */
export function plus(a: Tally, b: Tally): Tally {
  return { calls: a.calls + b.calls, failures: a.failures + b.failures, slow: a.slow + b.slow };
}

function merged(a: CallGroup, b: CallGroup): CallGroup {
  return {
    ...plus(a, b),
    beganAt: Math.min(a.beganAt, b.beganAt),
    endedAt: Math.max(a.endedAt, b.endedAt),
  };
}

/** Whether all went the same way, so that it does not matter which of them is the oldest. */
function isUniform({ calls, failures, slow }: Tally): boolean {
  return (failures === 0 || failures === calls) && (slow === 0 || slow === calls);
}

function sameKind(a: Tally, b: Tally): boolean {
  return a.failures > 0 === b.failures > 0 && a.slow > 0 === b.slow > 0;
}

/** The number of the slice that `time`, in ms, is in, of a window of so many seconds. */
export function sliceOf(time: number, seconds: number): number {
  return Math.floor((time * SLICES) / (seconds * 1000));
}
