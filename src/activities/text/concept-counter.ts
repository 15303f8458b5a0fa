import type { Concept } from './question';
import { stem } from './stem';
import { type Word, termsOfWord, words } from './words';

/** Counts how often a text names each concept of a question. */
export class ConceptCounter {
  private readonly byTerm = new Map<string, number[]>();
  /** Beginnings of terms: two words are tried as one only where the first is one of these. */
  private readonly beginnings = new Set<string>();

  constructor(private readonly concepts: readonly Concept[]) {
    concepts.forEach((concept, index) => {
      for (const term of concept.terms) {
        this.byTerm.set(term, [...(this.byTerm.get(term) ?? []), index]);
        for (let length = 2; length < term.length; length++) this.beginnings.add(term.slice(0, length));
      }
    });
  }

  /** One count for each concept, and the number of words. */
  count(text: string): { counts: number[]; words: number } {
    const counts = new Array<number>(this.concepts.length).fill(0);
    const found = words(text);
    found.forEach((word, at) => {
      for (const index of this.named(word, found[at - 1])) counts[index] = (counts[index] ?? 0) + 1;
    });
    return { counts, words: found.length };
  }

  /** The concepts that a word names, by itself or written as one with the word before it. */
  private named(word: Word, previous: Word | undefined): ReadonlySet<number> {
    const terms = termsOfWord(word.text);
    if (previous !== undefined && word.from - previous.to === 1 && this.beginnings.has(previous.text)) {
      terms.push(stem(previous.text + word.text));
    }
    return new Set(terms.flatMap((term) => this.byTerm.get(term) ?? []));
  }
}
