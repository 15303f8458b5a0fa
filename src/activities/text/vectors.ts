/** A text as its terms and their weights, of length 1. */
export type Vector = ReadonlyMap<string, number>;

/** `weightOf` is how much a term tells, such as its rarity. */
export function vector(terms: readonly string[], weightOf: (term: string) => number): Vector {
  const counts = new Map<string, number>();
  for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
  const weighted = [...counts].map(
    ([term, count]) => [term, (1 + Math.log(count)) * weightOf(term)] as const,
  );
  const length = Math.sqrt(weighted.reduce((sum, [, weight]) => sum + weight * weight, 0));
  return new Map(length === 0 ? [] : weighted.map(([term, weight]) => [term, weight / length]));
}

/** The cosine of two vectors, 0 to 1. */
export function similarity(left: Vector, right: Vector): number {
  const [small, large] = left.size <= right.size ? [left, right] : [right, left];
  let sum = 0;
  for (const [term, weight] of small) sum += weight * (large.get(term) ?? 0);
  return Math.min(1, sum);
}
