/**
 * Ranks passages with BM25+ over weighted fields (Robertson & Zaragoza 2009; Lv & Zhai 2011). The statistics
 * are sums over all shards, so a passage's score does not depend on how the documents were divided.
 */

/** What ranking needs to know of a set of passages. Sums of it are again such statistics. */
export interface PassageStatistics {
  readonly passages: number;
  /** Words in all of them. */
  readonly words: number;
  /** For each concept, the passages that name it. */
  readonly containing: readonly number[];
}

/** What ranking needs to know of one passage. */
export interface RankedText {
  readonly words: number;
  /** For each concept, how often it is named: text once, a heading twice, the path one and a half times. */
  readonly counts: readonly number[];
}

const SATURATION = 1.2;
const LENGTH_EFFECT = 0.5;
const PRESENCE = 0.25;
/** Shorter passages count as this share of the mean: a title with one sentence is no better than a section. */
const SHORTEST = 0.6;

export function sumStatistics(all: readonly PassageStatistics[], concepts: number): PassageStatistics {
  const containing = new Array<number>(concepts).fill(0);
  for (const one of all)
    one.containing.forEach((count, index) => (containing[index] = (containing[index] ?? 0) + count));
  return {
    passages: all.reduce((sum, one) => sum + one.passages, 0),
    words: all.reduce((sum, one) => sum + one.words, 0),
    containing,
  };
}

/** How much each concept tells: high for rare ones, never negative. */
export function conceptWeights(statistics: PassageStatistics): number[] {
  return statistics.containing.map((count) => rarity(count, statistics.passages));
}

/** The inverse document frequency of BM25, shifted so that it is never negative. */
export function rarity(containing: number, total: number): number {
  return Math.log(1 + (total - containing + 0.5) / (containing + 0.5));
}

/** The score of one passage; `weights` has one number a concept. */
export function score(
  passage: RankedText,
  weights: readonly number[],
  statistics: PassageStatistics,
): number {
  const factor = lengthFactor(passage.words, statistics);
  let sum = 0;
  weights.forEach((weight, index) => {
    const count = passage.counts[index] ?? 0;
    if (count > 0) sum += weight * (saturated(count, factor) + PRESENCE);
  });
  return sum;
}

/** From 0 to 2.2: the tenth mention adds less than the second. `factor` is the {@link lengthFactor}. */
export function saturated(count: number, factor: number): number {
  return (count * (SATURATION + 1)) / (count + SATURATION * factor);
}

/** 1 for a passage of mean length, more for longer ones. */
export function lengthFactor(words: number, statistics: PassageStatistics): number {
  const mean = statistics.words / Math.max(1, statistics.passages);
  const length = Math.max(words, mean * SHORTEST) / Math.max(1, mean);
  return 1 - LENGTH_EFFECT + LENGTH_EFFECT * length;
}

/** The share of what is asked that is named, 0 to 1, each concept by its weight. */
export function coverage(counts: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return 0;
  const named = weights.reduce((sum, weight, index) => sum + ((counts[index] ?? 0) > 0 ? weight : 0), 0);
  return named / total;
}
