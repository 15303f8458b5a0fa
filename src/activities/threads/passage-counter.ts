import type { IndexedDocument } from '../documents/indexed-document';
import { ConceptCounter } from '../text/concept-counter';
import type { Question } from '../text/question';
import type { PassageStatistics, RankedText } from '../text/rank';

const HEADING_WEIGHT = 2;
const TITLE_WEIGHT = 1;
const PATH_WEIGHT = 1.5;

/** A counter remembers which words name what: the shards that a thread reads for one question share it. */
let last: { readonly text: string; readonly counter: ConceptCounter } | undefined;

/** Counts how often passages name each concept of a question. */
export class PassageCounter {
  private readonly counter: ConceptCounter;

  constructor(question: Question) {
    if (last?.text !== question.text)
      last = { text: question.text, counter: new ConceptCounter(question.concepts) };
    this.counter = last.counter;
  }

  /** For each passage of a document, in its order. */
  count(file: string, { vocabulary, tokens, spans }: IndexedDocument): RankedText[] {
    const inPath = this.counter.count(file.replace(/[/_.-]+/g, ' ')).counts;
    const countIn = this.counter.countTokens(vocabulary, tokens);
    return spans.map((span) => {
      const heading = countIn(span.heading, span.title);
      const title = countIn(span.title, span.end);
      const counts = countIn(span.from, span.heading).map((count, index) => {
        const around = HEADING_WEIGHT * (heading[index] ?? 0) + TITLE_WEIGHT * (title[index] ?? 0);
        return count + around + PATH_WEIGHT * (inPath[index] ?? 0);
      });
      return { counts, words: span.heading - span.from };
    });
  }
}

/** Sums up what ranking needs to know of passages. */
export class StatisticsCounter {
  private passages = 0;
  private words = 0;
  private readonly containing: number[];

  constructor(question: Question) {
    this.containing = question.concepts.map(() => 0);
  }

  add({ counts, words }: RankedText): void {
    this.passages++;
    this.words += words;
    counts.forEach((count, concept) => {
      if (count > 0) this.containing[concept] = (this.containing[concept] ?? 0) + 1;
    });
  }

  sum(): PassageStatistics & { readonly containing: number[] } {
    return { passages: this.passages, words: this.words, containing: [...this.containing] };
  }
}
