import * as fc from 'fast-check';
import { chooseDiverse } from '../../../src/activities/text/maximal-marginal-relevance';
import { conceptWeights, coverage, score, sumStatistics } from '../../../src/activities/text/rank';
import { biasedTextRank } from '../../../src/activities/text/text-rank';
import { similarity, vector } from '../../../src/activities/text/vectors';
import { contentTerms } from '../../../src/activities/text/words';

const vectorOf = (text: string) => vector(contentTerms(text), () => 1);

describe('score', () => {
  const statistics = { passages: 100, words: 10_000, containing: [50, 2] };
  const weights = conceptWeights(statistics);

  it('ranks a rare concept above a common one', () => {
    expect(score({ words: 100, counts: [0, 1] }, weights, statistics)).toBeGreaterThan(
      score({ words: 100, counts: [3, 0] }, weights, statistics),
    );
  });

  it('gives a passage of a few words no advantage over one of ordinary length', () => {
    const tiny = score({ words: 5, counts: [1, 1] }, weights, statistics);
    expect(tiny).toBe(score({ words: 60, counts: [1, 1] }, weights, statistics));
  });

  it('adds less for each further mention', () => {
    const at = (count: number): number => score({ words: 100, counts: [0, count] }, weights, statistics);
    expect(at(2) - at(1)).toBeGreaterThan(at(3) - at(2));
  });

  it('depends on the sum of all shards, not on how they were divided', () => {
    const parts = [
      { passages: 30, words: 1000, containing: [20, 0] },
      { passages: 70, words: 9000, containing: [30, 2] },
    ];
    expect(sumStatistics(parts, 2)).toEqual(statistics);
    expect(sumStatistics([], 2)).toEqual({ passages: 0, words: 0, containing: [0, 0] });
  });

  it('covers by weight', () => {
    expect(coverage([0, 1], [1, 3])).toBe(0.75);
    expect(coverage([1], [0])).toBe(0);
  });
});

describe('biasedTextRank', () => {
  it('sums to 1 and never goes below 0', () => {
    const sentence = fc.array(fc.constantFrom('probe', 'page', 'backup', 'deploy'), { maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(sentence, fc.integer({ min: 0, max: 5 })), { maxLength: 12 }),
        (drafts) => {
          const ranks = biasedTextRank(
            drafts.map(([terms]) => vector(terms, () => 1)),
            drafts.map(([, value]) => value),
          );
          const total = ranks.reduce((sum, rank) => sum + rank, 0);
          expect(ranks.every((rank) => rank >= 0)).toBe(true);
          expect(total).toBeCloseTo(drafts.some(([, value]) => value > 0) ? 1 : 0, 9);
        },
      ),
    );
  });

  it('prefers, of two equally relevant sentences, the one that others are like', () => {
    const texts = [
      'failover needs approval',
      'lunch needs approval',
      'failover approval comes first',
      'approval of failover',
    ];
    const [central, lonely] = biasedTextRank(texts.map(vectorOf), [1, 1, 0.5, 0.5]);
    expect(central).toBeGreaterThan(lonely ?? 1);
  });
});

describe('chooseDiverse', () => {
  it('passes over what was said already', () => {
    const choices = [
      { relevance: 1, vector: vectorOf('wait thirty seconds between probes') },
      { relevance: 0.95, vector: vectorOf('wait thirty seconds between probes') },
      { relevance: 0.8, vector: vectorOf('commander approves failover') },
    ];
    expect(chooseDiverse(choices, 2, 0.3)).toEqual([0, 2]);
  });

  it('stops at the floor and takes nothing where nothing is relevant', () => {
    const choice = (relevance: number) => ({ relevance, vector: vectorOf(`word${relevance}`) });
    expect(chooseDiverse([choice(1), choice(0.2)], 5, 0.3)).toEqual([0]);
    expect(chooseDiverse([choice(0)], 5, 0.3)).toEqual([]);
    expect(chooseDiverse([], 5, 0.3)).toEqual([]);
  });
});

describe('similarity', () => {
  it('is 1 for the same terms and 0 for none in common', () => {
    expect(similarity(vectorOf('page owner'), vectorOf('owner page'))).toBeCloseTo(1);
    expect(similarity(vectorOf('page owner'), vectorOf('deploy'))).toBe(0);
    expect(similarity(vectorOf(''), vectorOf('deploy'))).toBe(0);
  });
});
