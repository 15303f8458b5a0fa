import { ConceptCounter } from '../text/concept-counter';
import { NEGATION } from '../text/negation';
import type { AnswerKind, Question, QuestionPart } from '../text/question';
import { coverage, rarity } from '../text/rank';
import { biasedTextRank } from '../text/text-rank';
import { type Vector, vector } from '../text/vectors';
import { contentTerms } from '../text/words';
import { type ChosenPassage, headingAsks } from './choose-passages';
import type { Candidate } from './candidate';

/** A sentence of a chosen passage, weighed for one part of the question. */
export interface WeighedSentence {
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly heading: string;
  readonly vector: Vector;
  /** 0 or more; what it says about the part, alone and together with the sentences like it. */
  readonly relevance: number;
  /** The share of the part's own concepts that the sentence or its headings name, 0 to 1. */
  readonly covers: number;
}

/** Parts of a sentence's relevance that its heading and its passage's rank make up. */
const HEADING_SHARE = 0.45;
/** The rest of the question must at least be touched where a part makes no sense without it. */
const CONTEXT_MINIMUM = 0.2;
/** The share of the question, as the part weighs it, that a sentence has to name in its own words. */
const OWN_MINIMUM = 0.15;

const ANSWERS: Readonly<Record<AnswerKind, RegExp | undefined>> = {
  time: /\b(?:when|once|after|before|if|until|unless|as soon as|within|only|during|at least|while|seconds?|minutes?|hours?|days?|weeks?|\d+:\d\d)\b/i,
  number:
    /\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|daily|weekly|monthly|quarterly|yearly|annually|hourly|once|twice|every|each)\b/i,
  person:
    /\b(?:manager|lead|leader|owner|engineer|officer|team|director|head|commander|administrator|admin|chief|deputy|anyone|nobody|person|people|colleague|staff|desk|by (?:the|a|an)|@\w+)\b/i,
  any: undefined,
};
const ANSWER_FACTOR = 1.35;
const HEADING_ASKS_FACTOR = 1.5;
const ASTRAY_FACTOR = 0.6;
const POINTS_ELSEWHERE =
  /^(?:see|read|refer|click|check out|for (?:more|details|further)|more (?:on|about|details)|learn more)\b/i;
const LEANS_BACK =
  /^(?:this|that|these|those|it|they|he|she|otherwise|however|but|also|then|instead|so|such)\b/i;
const EXCEPTION = /^(?:if|unless|except|in case|only if|should)\b/i;
const UNFINISHED_FACTORS = { paragraph: 0.6, item: 0.75, row: 0.5 } as const;
const FINISHED = /[.!。！｡…]["'”’)\]`*]*$/u;

/** Weighs terms by how few of the passages hold them. */
export function termRarity(passages: readonly Candidate[]): (term: string) => number {
  const containing = new Map<string, number>();
  for (const passage of passages) {
    const terms = new Set(passage.sentences.flatMap((sentence) => contentTerms(sentence.text)));
    for (const term of terms) containing.set(term, (containing.get(term) ?? 0) + 1);
  }
  return (term) => rarity(containing.get(term) ?? 0, passages.length) + 0.2;
}

/** What sentences are weighed by; `weights` and `part` belong together. */
export interface Weighing {
  readonly part: QuestionPart;
  readonly question: Question;
  /** One for each concept; see `partWeights`. */
  readonly weights: readonly number[];
  /** How much a term tells; see {@link termRarity}. */
  readonly rarityOf: (term: string) => number;
}

/** The sentences of the passages chosen for a part, passage by passage. */
export function weighSentences(weighing: Weighing, passages: readonly ChosenPassage[]): WeighedSentence[] {
  const counter = new ConceptCounter(weighing.question.concepts);
  const drafts = passages.flatMap((passage) => draftsOf(passage, weighing, counter));
  const vectors = drafts.map((draft) => vector(contentTerms(draft.sentence.text), weighing.rarityOf));
  const ranks = biasedTextRank(
    vectors,
    drafts.map((draft) => draft.says),
  );
  return drafts.map(({ sentence, candidate, covers }, index) => ({
    text: sentence.text,
    file: candidate.file,
    line: sentence.line,
    heading: candidate.headings.join(' '),
    vector: vectors[index] ?? new Map(),
    relevance: ranks[index] ?? 0,
    covers,
  }));
}

interface Draft {
  readonly sentence: Candidate['sentences'][number];
  readonly candidate: Candidate;
  /** What it says about the part by itself. */
  readonly says: number;
  readonly covers: number;
}

function draftsOf({ candidate, score }: ChosenPassage, weighing: Weighing, counter: ConceptCounter): Draft[] {
  const { part, question, weights } = weighing;
  const others = conceptsAstray(part, question);
  const headings = candidate.headings.join('\n');
  const heading = counter.count(headings).counts;
  const around = counter.count(`${headings}\n${candidate.file.replace(/[/_.-]+/g, ' ')}`).counts;
  return candidate.sentences.map((sentence) => {
    const own = counter.count(sentence.text).counts;
    const named = weights.reduce((sum, weight, index) => {
      if ((own[index] ?? 0) > 0) return sum + weight;
      return sum + ((heading[index] ?? 0) > 0 ? weight * HEADING_SHARE : 0);
    }, 0);
    const astray = others.some((concept) => (own[concept] ?? 0) > 0) ? ASTRAY_FACTOR : 1;
    const fits = form(sentence, part.answer, own) * fit(part, candidate, sentence.text) * astray;
    const covers = coversPart(part, weights, { own, around });
    return { sentence, candidate, says: named * Math.sqrt(score) * fits, covers };
  });
}

/** How well a sentence stands by itself and answers this kind of question: about 0.05 to 1.35. */
function form(
  sentence: Candidate['sentences'][number],
  answer: AnswerKind,
  named: readonly number[],
): number {
  const { text, kind } = sentence;
  let factor = ANSWERS[answer]?.test(text) === true ? ANSWER_FACTOR : 1;
  if (POINTS_ELSEWHERE.test(text)) factor *= 0.3;
  if (LEANS_BACK.test(text)) factor *= 0.75;
  if (/^\p{Ll}/u.test(text)) factor *= 0.7;
  if (answer !== 'time' && EXCEPTION.test(text)) factor *= 0.8;
  if (!FINISHED.test(text)) factor *= UNFINISHED_FACTORS[kind];
  const terms = contentTerms(text).length;
  const about = named.filter((count) => count > 0).length;
  if (terms - about < 3) factor *= 0.6;
  return factor;
}

/** Concepts that belong to another part: what names them rather answers that one. */
function conceptsAstray(part: QuestionPart, question: Question): number[] {
  return question.parts
    .filter((other) => other !== part && (other.leansOnOthers || !part.leansOnOthers))
    .flatMap((other) => other.concepts)
    .filter((concept) => !part.concepts.includes(concept));
}

/** Whether the section answers this kind of question, and says yes or no as the question does. */
function fit(part: QuestionPart, candidate: Candidate, text: string): number {
  const headingNegated = NEGATION.test(candidate.headings.at(-1) ?? '');
  const opposite = part.negated ? !headingNegated && !NEGATION.test(text) : headingNegated;
  return (headingAsks(part, candidate) ? HEADING_ASKS_FACTOR : 1) * (opposite ? ASTRAY_FACTOR : 1);
}

/** 0 where the sentence itself names next to nothing of the part, however well its headings fit. */
function coversPart(
  part: QuestionPart,
  weights: readonly number[],
  named: { readonly own: readonly number[]; readonly around: readonly number[] },
): number {
  const asked = weights.map((weight, index) => (part.concepts.includes(index) ? weight : 0));
  const others = weights.map((weight, index) => (part.concepts.includes(index) ? 0 : weight));
  const all = named.own.map((count, index) => count + (named.around[index] ?? 0));
  if (coverage(named.own, weights) < OWN_MINIMUM) return 0;
  return part.leansOnOthers && coverage(all, others) < CONTEXT_MINIMUM ? 0 : coverage(all, asked);
}
