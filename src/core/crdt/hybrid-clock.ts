/**
 * Hybrid logical clock (Kulkarni et al., 2014): physical time that never runs backwards, and never behind what it has
 * heard of. A later operation that has seen an earlier one has a later time, whatever the clocks say.
 */

/** Milliseconds since 1970, and a count that tells apart what falls into the same one. */
export type HybridTime = readonly [ms: number, logical: number];

export const CLOCK_START: HybridTime = [0, 0];

/** The time of what happens at `now` after everything up to `last`. */
export function tick(last: HybridTime, now: number): HybridTime {
  const ms = Math.floor(now);
  return ms > last[0] ? [ms, 0] : [last[0], last[1] + 1];
}

export function later(a: HybridTime, b: HybridTime): HybridTime {
  return a[0] > b[0] || (a[0] === b[0] && a[1] >= b[1]) ? a : b;
}
