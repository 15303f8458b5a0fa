import { type Vector, similarity } from './vectors';

const RELEVANCE_SHARE = 0.7;

/** What {@link chooseDiverse} chooses from. */
export interface Choice {
  /** 0 or more; larger is better. */
  readonly relevance: number;
  readonly vector: Vector;
}

/**
 * Maximal marginal relevance (Carbonell & Goldstein 1998): takes the best choice, then again and again the
 * one that is relevant and unlike those taken. Stops at `maximum`, or where the next one has less than
 * `floor` (0 to 1) of the best one's relevance. Returns indexes in the order taken; ties go to the first.
 */
export function chooseDiverse(choices: readonly Choice[], maximum: number, floor: number): number[] {
  const best = Math.max(0, ...choices.map((choice) => choice.relevance));
  if (best === 0) return [];
  const open = new Set(choices.keys());
  for (const index of open) if ((choices[index]?.relevance ?? 0) < floor * best) open.delete(index);
  const nearest = choices.map(() => 0);
  const taken: number[] = [];
  while (taken.length < maximum && open.size > 0) {
    const next = argMax(open, (index) => {
      const relevance = (choices[index]?.relevance ?? 0) / best;
      return RELEVANCE_SHARE * relevance - (1 - RELEVANCE_SHARE) * (nearest[index] ?? 0);
    });
    taken.push(next);
    open.delete(next);
    const chosen = choices[next]?.vector ?? new Map<string, number>();
    for (const index of open) {
      nearest[index] = Math.max(nearest[index] ?? 0, similarity(chosen, choices[index]?.vector ?? new Map()));
    }
  }
  return taken;
}

function argMax(indexes: Iterable<number>, valueOf: (index: number) => number): number {
  let best = -1;
  let highest = Number.NEGATIVE_INFINITY;
  for (const index of indexes) {
    const value = valueOf(index);
    if (value > highest) [best, highest] = [index, value];
  }
  return best;
}
