/** What a model is shown of the documents: passages and sentences with the ids under which it cites them. Pure. */
import { locatorOf } from '../../activities/documents/locator';
import { parseQuestion } from '../../activities/text/question';
import { type PassageStatistics, conceptWeights, score, sumStatistics } from '../../activities/text/rank';
import type { Candidate } from '../../activities/threads/candidate';
import type { Quote } from '../../activities/threads/find-differences';
import type { ShardFindings } from '../../activities/threads/find-passages';
import { untrusted } from '../untrusted';

/** What a prompt shows, and what its ids stand for. */
export interface Shown<Thing> {
  readonly text: string;
  readonly byId: ReadonlyMap<number, Thing>;
}

/** Passages beyond so many characters are left out of a prompt: about 30,000 tokens. */
const CHARACTERS_MAXIMUM = 120_000;

/** The passages of all shards, those first that name most of what the question asks. */
export function foremost(
  question: string,
  shards: readonly ShardFindings[],
  given?: PassageStatistics,
): Candidate[] {
  const { concepts } = parseQuestion(question);
  const sum = sumStatistics(
    shards.map((shard) => shard.statistics),
    concepts.length,
  );
  const statistics = given?.containing.length === concepts.length ? given : sum;
  const weights = conceptWeights(statistics).map((rarity, index) => rarity * (concepts[index]?.weight ?? 1));
  const scored = shards
    .flatMap((shard) => shard.candidates)
    .map((candidate) => ({ candidate, score: score(candidate, weights, statistics) }));
  return scored.sort((left, right) => right.score - left.score).map(({ candidate }) => candidate);
}

/** Passages, an id each. */
export function showPassages(passages: readonly Candidate[]): Shown<Candidate> {
  const byId = new Map<number, Candidate>();
  const text = fitting(passages, (passage) => {
    byId.set(byId.size + 1, passage);
    const sentences = passage.sentences.map((sentence) => sentence.text).join(' ');
    return untrusted(passage.file, `${headingsOf(passage)}[${byId.size}] ${sentences}`);
  });
  return { text, byId };
}

/** The sentences of passages, an id each. */
export function showSentences(passages: readonly Candidate[]): Shown<Quote> {
  const byId = new Map<number, Quote>();
  const text = fitting(passages, (passage) => {
    const lines = passage.sentences.map((sentence) => {
      byId.set(byId.size + 1, { text: sentence.text, file: passage.file, line: sentence.line });
      return `[${byId.size}] ${sentence.text}`;
    });
    return untrusted(passage.file, `${headingsOf(passage)}${lines.join('\n')}`);
  });
  return { text, byId };
}

/** Quotes, an id each, the same quote once. */
export function showQuotes(quotes: readonly Quote[]): Shown<Quote> {
  const byPlace = new Map(quotes.map((quote) => [`${locatorOf(quote)} ${quote.text}`, quote]));
  const byId = new Map([...byPlace.values()].map((quote, index) => [index + 1, quote]));
  const shown = [...byId].map(([id, quote]) => untrusted(locatorOf(quote), `[${id}] ${quote.text}`));
  return { text: shown.join('\n'), byId };
}

function headingsOf({ headings }: Candidate): string {
  return headings.length === 0 ? '' : `${headings.join(' > ')}\n`;
}

/** As many of the texts, from the first, as a prompt may hold; at least one. */
function fitting(passages: readonly Candidate[], textOf: (passage: Candidate) => string): string {
  const texts: string[] = [];
  let characters = 0;
  for (const passage of passages) {
    const size = passage.sentences.reduce((sum, { text }) => sum + text.length, 0);
    if (texts.length > 0 && characters + size > CHARACTERS_MAXIMUM) break;
    characters += size;
    texts.push(textOf(passage));
  }
  return texts.join('\n');
}
