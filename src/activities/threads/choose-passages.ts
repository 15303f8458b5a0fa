import { partWeights } from '../text/part-weights';
import type { Question, QuestionPart } from '../text/question';
import { type PassageStatistics, coverage, lengthFactor, rarity, saturated, score } from '../text/rank';
import { contentTerms } from '../text/words';
import { type Candidate, byPlace } from './candidate';

/** A passage chosen for a part of the question. */
export interface ChosenPassage {
  readonly candidate: Candidate;
  /** Relative to the part's best passage: 0.5 to 1. */
  readonly score: number;
}

/** How many passages, the best of a part, can have a say in its answer. */
export const POOL = 16;
const FEEDBACK_PASSAGES = 5;
const FEEDBACK_TERMS = 6;
const FEEDBACK_WEIGHT = 0.25;
const HEADING_ASKS_FACTOR = 1.5;
const ASTRAY_FACTOR = 0.75;
const SCORE_MINIMUM_SHARE = 0.5;
const COVERAGE_MINIMUM = 1 / 3;
const PASSAGES_A_FILE = 3;

/**
 * The passages for one part of the question, best first: ranked with the statistics of all shards, ranked
 * again with the terms that the best ones share, then cut: half of the best score, a third of what is
 * asked, three a file.
 */
export function choosePassages(
  part: QuestionPart,
  question: Question,
  candidates: readonly Candidate[],
  statistics: PassageStatistics,
): ChosenPassage[] {
  const weights = partWeights(part, question, statistics);
  const plain = (one: Candidate): number =>
    score(one, weights, statistics) * (asksElse(part, one) ? ASTRAY_FACTOR : 1);
  const fitting = (value: number, one: Candidate): number => value * headingFactor(part, one);
  const pool = ranked(candidates, (one) => fitting(plain(one), one)).slice(0, POOL);
  const feedback = feedbackTerms(pool, question);
  const scores = new Map(
    pool.map(
      ({ candidate }) =>
        [candidate, plain(candidate) + feedbackScore(candidate, feedback, statistics)] as const,
    ),
  );
  const again = ranked([...scores.keys()], (candidate) => fitting(scores.get(candidate) ?? 0, candidate));
  const best = Math.max(0, ...scores.values());
  const perFile = new Map<string, number>();
  return again
    .filter((one) => one.score >= SCORE_MINIMUM_SHARE * best)
    .filter((one) => coverage(one.candidate.counts, weights) >= COVERAGE_MINIMUM)
    .filter(({ candidate }) => {
      const before = perFile.get(candidate.file) ?? 0;
      perFile.set(candidate.file, before + 1);
      return before < PASSAGES_A_FILE;
    })
    .map((one) => ({ candidate: one.candidate, score: best === 0 ? 1 : Math.min(1, one.score / best) }));
}

/** What a passage's score is multiplied with for what its heading asks: up to {@link HEADING_FACTOR_MAXIMUM}. */
export function fit(part: QuestionPart, headings: readonly string[]): number {
  return headingFactor(part, { headings }) * (asksElse(part, { headings }) ? ASTRAY_FACTOR : 1);
}

export const HEADING_FACTOR_MAXIMUM = HEADING_ASKS_FACTOR;

interface Headed {
  readonly headings: readonly string[];
}

function headingFactor(part: QuestionPart, candidate: Headed): number {
  return headingAsks(part, candidate) ? HEADING_ASKS_FACTOR : 1;
}

/** True for a section titled with the question's own word, such as `When to fail over`. */
export function headingAsks(part: QuestionPart, candidate: Headed): boolean {
  const heading = candidate.headings.at(-1) ?? '';
  return part.asks !== undefined && new RegExp(`\\b${part.asks}\\b`, 'i').test(heading);
}

/** True for a section titled with another question word, such as `Who approves` where it is asked when. */
function asksElse(part: QuestionPart, candidate: Headed): boolean {
  if (part.asks === undefined || headingAsks(part, candidate)) return false;
  return /^(?:when|where|who|why|how)\b/i.test(candidate.headings.at(-1) ?? '');
}

function ranked(
  candidates: readonly Candidate[],
  scoreOf: (candidate: Candidate) => number,
): ChosenPassage[] {
  return candidates
    .map((candidate) => ({ candidate, score: scoreOf(candidate) }))
    .sort((left, right) => right.score - left.score || byPlace(left.candidate, right.candidate));
}

/** Terms that tell the best passages from the rest of the pool, and how much (Rocchio 1971). */
function feedbackTerms(pool: readonly ChosenPassage[], question: Question): Map<string, number> {
  const asked = new Set(question.concepts.flatMap((concept) => concept.terms));
  const texts = pool.map((one) => new Set(termsOf(one.candidate)));
  const weights = new Map<string, number>();
  for (const terms of texts.slice(0, FEEDBACK_PASSAGES)) {
    for (const term of terms) if (!asked.has(term)) weights.set(term, (weights.get(term) ?? 0) + 1);
  }
  const weighted = [...weights]
    .filter(([, passages]) => passages > 1)
    .map(
      ([term, passages]) =>
        [term, passages * rarity(texts.filter((terms) => terms.has(term)).length, pool.length)] as const,
    )
    .sort((left, right) => right[1] - left[1] || (left[0] < right[0] ? -1 : 1));
  return new Map(weighted.slice(0, FEEDBACK_TERMS));
}

function feedbackScore(
  candidate: Candidate,
  feedback: ReadonlyMap<string, number>,
  statistics: PassageStatistics,
): number {
  if (feedback.size === 0) return 0;
  const factor = lengthFactor(candidate.words, statistics);
  const counts = new Map<string, number>();
  for (const term of termsOf(candidate)) counts.set(term, (counts.get(term) ?? 0) + 1);
  let sum = 0;
  for (const [term, weight] of feedback) sum += weight * saturated(counts.get(term) ?? 0, factor);
  return (FEEDBACK_WEIGHT * sum) / FEEDBACK_TERMS;
}

function termsOf(candidate: Candidate): string[] {
  return candidate.sentences.flatMap((sentence) => contentTerms(sentence.text));
}
