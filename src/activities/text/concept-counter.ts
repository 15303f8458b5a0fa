import type { Concept } from './question';
import { stem } from './stem';
import { type Word, termsOfWord, words } from './words';

/** Counts how often a text names each concept of a question. */
export class ConceptCounter {
  private readonly byTerm = new Map<string, number[]>();
  /** Beginnings of terms: two words are tried as one only where the first is one of these. */
  private readonly beginnings = new Set<string>();
  private readonly words = new Map<string, KnownWord>();

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

  /**
   * The same for a document's tokens, which are positions in its vocabulary; see `IndexedDocument`. The result counts the
   * tokens from one position up to but not including another.
   */
  countTokens(
    vocabulary: readonly string[],
    tokens: Uint16Array | Uint32Array,
  ): (from: number, to: number) => number[] {
    const known = vocabulary.map((word) => this.knownWord(word));
    const none = new Array<number>(this.concepts.length).fill(0);
    if (known.every((word) => word === UNNAMED)) return () => none;
    return (from, to) => {
      const counts = [...none];
      for (let at = from; at < to; at++) {
        const token = tokens[at] ?? 0;
        const word = known[token >> 1] ?? UNNAMED;
        const previous = at > from ? (tokens[at - 1] ?? 0) >> 1 : -1;
        const joins = (token & 1) === 1 && known[previous]?.begins === true;
        if (!joins && word.names.length === 0) continue;
        const joined = joins ? this.joined(vocabulary[previous] ?? '', vocabulary[token >> 1] ?? '') : [];
        for (const index of new Set([...word.names, ...joined])) counts[index] = (counts[index] ?? 0) + 1;
      }
      return counts;
    };
  }

  /** The concepts that a word names, by itself or written as one with the word before it. */
  private named(word: Word, previous: Word | undefined): ReadonlySet<number> {
    const { names } = this.knownWord(word.text);
    if (previous === undefined || word.from - previous.to !== 1 || !this.beginnings.has(previous.text))
      return new Set(names);
    return new Set([...names, ...this.joined(previous.text, word.text)]);
  }

  private joined(left: string, right: string): readonly number[] {
    return this.byTerm.get(stem(left + right)) ?? [];
  }

  private knownWord(word: string): KnownWord {
    let known = this.words.get(word);
    if (known === undefined) {
      const names = termsOfWord(word).flatMap((term) => this.byTerm.get(term) ?? []);
      const begins = this.beginnings.has(word);
      known = names.length === 0 && !begins ? UNNAMED : { names, begins };
      if (this.words.size >= WORDS_REMEMBERED) this.words.clear();
      this.words.set(word, known);
    }
    return known;
  }
}

interface KnownWord {
  /** Indexes of the concepts that it names by itself. */
  readonly names: readonly number[];
  /** Whether a concept may be this word and the next one, written as one. */
  readonly begins: boolean;
}

const UNNAMED: KnownWord = { names: [], begins: false };
const WORDS_REMEMBERED = 200_000;
