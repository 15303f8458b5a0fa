import { type Vector, similarity } from './vectors';

const QUERY_SHARE = 0.65;
const ROUNDS = 20;

/**
 * TextRank (Mihalcea & Tarau 2004) biased to a query (Kazemi et al. 2020): the stationary share of a walk
 * over sentences that goes on to similar ones with probability 0.35 and starts again at the query with 0.65.
 * `relevance` (each 0 or more) says how well each sentence fits the query. The results sum to 1, or are all
 * 0 where nothing is relevant.
 */
export function biasedTextRank(sentences: readonly Vector[], relevance: readonly number[]): number[] {
  const total = relevance.reduce((sum, value) => sum + value, 0);
  if (total === 0) return relevance.map(() => 0);
  const restart = relevance.map((value) => value / total);
  const links = similarityLinks(sentences);
  let rank = restart;
  for (let round = 0; round < ROUNDS; round++) rank = step(rank, restart, links);
  return rank;
}

/** For each sentence the others that are like it, with shares that sum to 1. */
function similarityLinks(sentences: readonly Vector[]): { to: number; share: number }[][] {
  return sentences.map((from, index) => {
    const links = sentences.map((to, at) => ({ to: at, share: at === index ? 0 : similarity(from, to) }));
    const total = links.reduce((sum, link) => sum + link.share, 0);
    return links.filter((link) => link.share > 0).map((link) => ({ to: link.to, share: link.share / total }));
  });
}

function step(
  rank: readonly number[],
  restart: readonly number[],
  links: readonly (readonly { to: number; share: number }[])[],
): number[] {
  const next = restart.map((value) => value * QUERY_SHARE);
  rank.forEach((value, from) => {
    const out = links[from] ?? [];
    const walking = value * (1 - QUERY_SHARE);
    if (out.length === 0) restart.forEach((share, to) => (next[to] = (next[to] ?? 0) + walking * share));
    for (const link of out) next[link.to] = (next[link.to] ?? 0) + walking * link.share;
  });
  return next;
}
