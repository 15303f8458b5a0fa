import type { Note } from '../documents/document';
import { byCodeUnit } from '../documents/document';
import { findClash, statement } from '../text/clash';
import { chooseDiverse } from '../text/maximal-marginal-relevance';
import { type Question, type QuestionPart, parseQuestion } from '../text/question';
import { partWeights } from '../text/part-weights';
import { type PassageStatistics, sumStatistics } from '../text/rank';
import { similarity } from '../text/vectors';
import { choosePassages } from './choose-passages';
import { type Difference, type Quote, findDifferences, inPlace, quoteOf } from './find-differences';
import { type Candidate, byPlace } from './candidate';
import { NOTES_MAXIMUM, type ShardFindings } from './find-passages';
import { type WeighedSentence, termRarity, weighSentences } from './weigh-sentences';

/** A sentence that answers a part of the question, and sentences of other files that say much the same. */
export interface Finding extends Quote {
  /** Index of the part of the question. */
  readonly part: number;
  readonly support: Quote[];
}

/** A part of the question that no source answers. */
export interface Gap {
  readonly part: string;
  /** Its words that no source holds; empty where no source brings them together. */
  readonly missing: string[];
}

/** What the sources say on a question. */
export interface Analysis {
  readonly parts: string[];
  /** By part, the most relevant first. */
  readonly findings: Finding[];
  readonly differences: Difference[];
  readonly gaps: Gap[];
  readonly filesRead: number;
  readonly notes: Note[];
  readonly otherFormats: Record<string, number>;
}

const FINDINGS_MAXIMUM = 9;
const FINDINGS_A_PART = 6;
const RELEVANCE_FLOOR = 0.35;
const COVERS_MINIMUM = 0.34;
/** Below it a part of the question is a gap. */
const ANSWERED_MINIMUM = 0.5;
const SUPPORT_LIKENESS = 0.38;
const SUPPORT_MAXIMUM = 2;
const DIFFERENCE_FLOOR = 0.25;

/**
 * Brings the findings of all shards together. `statistics` are those that the shards ranked by; with them the result does
 * not depend on how many shards there are. Default: the sum over the shards.
 */
export function analyse(request: {
  readonly question: string;
  readonly shards: readonly ShardFindings[];
  readonly statistics?: PassageStatistics | undefined;
}): Analysis {
  const question = parseQuestion(request.question);
  const sum = sumStatistics(
    request.shards.map((shard) => shard.statistics),
    question.concepts.length,
  );
  const given = request.statistics;
  const statistics = given?.containing.length === question.concepts.length ? given : sum;
  const candidates = request.shards.flatMap((shard) => shard.candidates);
  const chosen = question.parts.map((part) => choosePassages(part, question, candidates, statistics));
  const rarityOf = termRarity(distinct(chosen.flat().map((one) => one.candidate)));
  const weighed = question.parts.map((part, index) => {
    const weights = partWeights(part, question, statistics);
    return weighSentences({ part, question, weights, rarityOf }, chosen[index] ?? []);
  });
  const answered = question.parts.map((_, index) => isAnswered(weighed[index] ?? []));
  const relevant = weighed.map((sentences, index) => (answered[index] === true ? relevantOf(sentences) : []));
  return {
    parts: question.parts.map((part) => part.text),
    findings: chooseFindings(relevant, rarityOf),
    differences: findDifferences(strongest(relevant.flat()), rarityOf),
    gaps: question.parts.flatMap((part, index) => {
      return answered[index] === true ? [] : [gapOf(part, question, sum.containing)];
    }),
    filesRead: request.shards.reduce((count, shard) => count + shard.filesRead, 0),
    notes: sumNotes(request.shards),
    otherFormats: sumFormats(request.shards),
  };
}

function isAnswered(sentences: readonly WeighedSentence[]): boolean {
  return sentences.some((sentence) => sentence.relevance > 0 && sentence.covers >= ANSWERED_MINIMUM);
}

function relevantOf(sentences: readonly WeighedSentence[]): WeighedSentence[] {
  const best = Math.max(0, ...sentences.map((sentence) => sentence.relevance));
  return sentences
    .filter((sentence) => sentence.covers >= COVERS_MINIMUM && sentence.relevance >= DIFFERENCE_FLOOR * best)
    .map((sentence) => ({ ...sentence, relevance: sentence.relevance / best }));
}

function chooseFindings(
  parts: readonly (readonly WeighedSentence[])[],
  rarityOf: (term: string) => number,
): Finding[] {
  const answered = parts.filter((sentences) => sentences.length > 0).length;
  const each = Math.min(FINDINGS_A_PART, Math.ceil(FINDINGS_MAXIMUM / Math.max(1, answered)));
  const all = distinctSentences(parts.flat());
  const strongestIn = new Map(all.map((sentence) => [keyOf(sentence), sentence.relevance]));
  const used = new Set<string>();
  return parts.flatMap((sentences, part) => {
    const open = sentences.filter((sentence) => {
      return !used.has(keyOf(sentence)) && sentence.relevance === strongestIn.get(keyOf(sentence));
    });
    return chooseDiverse(open, each, RELEVANCE_FLOOR).flatMap((index) => {
      const sentence = open[index];
      if (sentence === undefined || used.has(keyOf(sentence))) return [];
      const support = supportOf(sentence, all, used, rarityOf);
      for (const one of [sentence, ...support]) used.add(keyOf(one));
      return [{ part, ...quoteOf(sentence), support: support.map(quoteOf) }];
    });
  });
}

/** Sentences of other files that say much the same; one a file, the most alike first. */
function supportOf(
  finding: WeighedSentence,
  all: readonly WeighedSentence[],
  used: ReadonlySet<string>,
  rarityOf: (term: string) => number,
): WeighedSentence[] {
  const own = statement(finding.text, finding.heading, rarityOf);
  const alike = all
    .filter((other) => other.file !== finding.file && !used.has(keyOf(other)))
    .map((other) => ({ other, likeness: similarity(finding.vector, other.vector) }))
    .filter(({ other, likeness }) => {
      if (likeness < SUPPORT_LIKENESS) return false;
      return findClash(own, statement(other.text, other.heading, rarityOf)) === undefined;
    })
    .sort((left, right) => right.likeness - left.likeness || inPlace(left.other, right.other));
  const files = new Set<string>();
  const kept = alike.filter(({ other }) => !files.has(other.file) && files.add(other.file));
  return kept.slice(0, SUPPORT_MAXIMUM).map((one) => one.other);
}

/** Each sentence once, with its highest relevance. */
function strongest(sentences: readonly WeighedSentence[]): WeighedSentence[] {
  const byKey = new Map<string, WeighedSentence>();
  for (const sentence of sentences) {
    const known = byKey.get(keyOf(sentence));
    if (known === undefined || known.relevance < sentence.relevance) byKey.set(keyOf(sentence), sentence);
  }
  return [...byKey.values()];
}

function distinctSentences(sentences: readonly WeighedSentence[]): WeighedSentence[] {
  return strongest(sentences).sort(inPlace);
}

function keyOf(quote: Quote): string {
  return `${quote.file}\n${quote.line}\n${quote.text}`;
}

function gapOf(part: QuestionPart, question: Question, containing: readonly number[]): Gap {
  const missing = part.concepts.filter((concept) => (containing[concept] ?? 0) === 0);
  return { part: part.text, missing: missing.map((concept) => question.concepts[concept]?.label ?? '') };
}

function distinct(candidates: readonly Candidate[]): Candidate[] {
  return [...new Set(candidates)].sort(byPlace);
}

/** The first of them, and how many more there are. */
function sumNotes(shards: readonly ShardFindings[]): Note[] {
  const notes = shards
    .flatMap((shard) => shard.notes)
    .sort((left, right) => byCodeUnit(left.file, right.file));
  const omitted = shards.reduce((count, shard) => count + shard.notesOmitted, 0);
  const more = omitted + Math.max(0, notes.length - NOTES_MAXIMUM);
  const rest = { file: '.', problem: `${more} more files have notes like these` };
  return [...notes.slice(0, NOTES_MAXIMUM), ...(more > 0 ? [rest] : [])];
}

function sumFormats(shards: readonly ShardFindings[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const shard of shards) {
    for (const [format, count] of Object.entries(shard.otherFormats))
      sums.set(format, (sums.get(format) ?? 0) + count);
  }
  return Object.fromEntries([...sums].sort(([left], [right]) => byCodeUnit(left, right)));
}
