import { type Clash, type Statement, findClash, statement } from '../text/clash';
import { byCodeUnit } from '../documents/document';
import type { WeighedSentence } from './weigh-sentences';

/** Where a sentence stands. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** A sentence as it stands in its source. */
export interface Quote extends Place {
  readonly text: string;
}

/** Two sources that seem to say different things about the same. */
export interface Difference {
  readonly kind: Clash['kind'];
  readonly left: Quote & { readonly says: string };
  readonly right: Quote & { readonly says: string };
}

const DIFFERENCES_MAXIMUM = 5;
const SENTENCES_COMPARED = 80;

/** Compares the sentences of different files, the most relevant first. Each sentence is in one difference. */
export function findDifferences(
  sentences: readonly WeighedSentence[],
  rarityOf: (term: string) => number,
): Difference[] {
  const compared = [...sentences].sort(
    (left, right) => right.relevance - left.relevance || inPlace(left, right),
  );
  const prepared = compared.slice(0, SENTENCES_COMPARED).map((sentence) => ({
    sentence,
    statement: statement(sentence.text, sentence.heading, rarityOf),
  }));
  const found = prepared.flatMap((one, index) =>
    prepared.slice(index + 1).flatMap((other) => compare(one, other)),
  );
  found.sort((left, right) => right.weight - left.weight);
  const used = new Set<WeighedSentence>();
  const kept = found.filter(({ pair }) => {
    if (pair.some((sentence) => used.has(sentence))) return false;
    for (const sentence of pair) used.add(sentence);
    return true;
  });
  return kept.slice(0, DIFFERENCES_MAXIMUM).map((one) => one.difference);
}

interface Prepared {
  readonly sentence: WeighedSentence;
  readonly statement: Statement;
}

function compare(
  one: Prepared,
  other: Prepared,
): { pair: WeighedSentence[]; weight: number; difference: Difference }[] {
  if (one.sentence.file === other.sentence.file) return [];
  const clash = findClash(one.statement, other.statement);
  if (clash === undefined) return [];
  const left = { ...quoteOf(one.sentence), says: clash.left };
  const right = { ...quoteOf(other.sentence), says: clash.right };
  const difference: Difference =
    inPlace(left, right) <= 0
      ? { kind: clash.kind, left, right }
      : { kind: clash.kind, left: right, right: left };
  const weight = clash.likeness * Math.sqrt(one.sentence.relevance * other.sentence.relevance);
  return [{ pair: [one.sentence, other.sentence], weight, difference }];
}

export function quoteOf(sentence: Quote): Quote {
  return { text: sentence.text, file: sentence.file, line: sentence.line };
}

/** Orders by file, then by line. */
export function inPlace(left: Place, right: Place): number {
  return byCodeUnit(left.file, right.file) || left.line - right.line;
}
