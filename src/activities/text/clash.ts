import { NEGATION } from './negation';
import { type Quantity, quantities } from './quantities';
import { contentTerms } from './words';

/** Why two sentences may not both hold. */
export interface Clash {
  readonly kind: 'number' | 'negation' | 'opposite';
  /** What differs, as each sentence puts it. */
  readonly left: string;
  readonly right: string;
  /** How alike the sentences' subjects are, 0 to 1. */
  readonly likeness: number;
}

/** A sentence prepared for {@link findClash}. */
export interface Statement {
  readonly text: string;
  /** Its terms without its numbers, and how much each tells. */
  readonly subject: ReadonlyMap<string, number>;
  /** The terms of its headings, which often name what a sentence leaves out. */
  readonly around: ReadonlySet<string>;
  readonly quantities: readonly Quantity[];
  readonly negated: boolean;
}

const NUMBER_LIKENESS = 0.42;
/** The other way round a longer sentence may say much more. */
const NUMBER_LIKENESS_BACK = 0.2;
const NUMBER_SHARED = 2;
const STATEMENT_LIKENESS = 0.65;
const OPPOSITE_SHARED = 2;
const DENIAL_SHARED = 3;
const HEADING_SHARE = 0.5;
const OPPOSITES = [
  'allow forbid',
  'allow prohibit',
  'permit forbid',
  'always never',
  'required optional',
  'mandatory optional',
  'enable disable',
  'enabled disabled',
  'increase decrease',
  'automatic manual',
  'automatically manually',
  'accept reject',
  'public private',
  'include exclude',
  'encrypted unencrypted',
  'before after',
  'synchronous asynchronous',
  'internal external',
  'daily weekly',
  'weekly monthly',
  'daily monthly',
  'monthly quarterly',
  'quarterly yearly',
  'monthly yearly',
  'monthly annually',
  'quarterly annually',
].map((pair) => pair.split(' ') as [string, string]);

/** `weightOf` is how much a term tells. */
export function statement(text: string, heading: string, weightOf: (term: string) => number): Statement {
  const found = quantities(text);
  let bare = text;
  for (const one of found)
    bare = bare.slice(0, one.from) + ' '.repeat(one.to - one.from) + bare.slice(one.to);
  return {
    text,
    subject: new Map(contentTerms(bare).map((term) => [term, weightOf(term)])),
    around: new Set(contentTerms(heading)),
    quantities: found,
    negated: NEGATION.test(bare.replace(/\bwithout\b/gi, '')),
  };
}

/**
 * Says where two sentences about the same subject give another number, or one denies what the other says,
 * or they use opposite words. A hint for a reader, not a proof: it knows words, not meaning.
 */
export function findClash(left: Statement, right: Statement): Clash | undefined {
  const shared = [...left.subject.keys()].filter((term) => right.subject.has(term)).length;
  if (shared < NUMBER_SHARED) return undefined;
  const [there, back] = [likeness(left, right, HEADING_SHARE), likeness(right, left, HEADING_SHARE)];
  if (Math.max(there, back) >= NUMBER_LIKENESS && Math.min(there, back) >= NUMBER_LIKENESS_BACK) {
    const numbers = differentNumbers(left.quantities, right.quantities);
    if (numbers !== undefined) return { kind: 'number', ...numbers, likeness: Math.max(there, back) };
  }
  return opposite(left, right, shared) ?? denial(left, right, shared);
}

function opposite(left: Statement, right: Statement, shared: number): Clash | undefined {
  const found = oppositeWords(left.text, right.text);
  if (found === undefined || shared < OPPOSITE_SHARED) return undefined;
  const apart = new Set(contentTerms(`${found.left} ${found.right}`));
  const same = Math.min(likeness(left, right, 0, apart), likeness(right, left, 0, apart));
  return same >= STATEMENT_LIKENESS ? { kind: 'opposite', ...found, likeness: same } : undefined;
}

function denial(left: Statement, right: Statement, shared: number): Clash | undefined {
  if (left.negated === right.negated || shared < DENIAL_SHARED) return undefined;
  const same = Math.min(likeness(left, right, 0), likeness(right, left, 0));
  if (same < STATEMENT_LIKENESS) return undefined;
  return { kind: 'negation', left: negationOf(left), right: negationOf(right), likeness: same };
}

/** The share of what `one` is about that `other` names too; what only its headings name counts in part. */
function likeness(
  one: Statement,
  other: Statement,
  headingShare: number,
  apart?: ReadonlySet<string>,
): number {
  let common = 0;
  let total = 0;
  for (const [term, weight] of one.subject) {
    if (apart?.has(term) === true) continue;
    total += weight;
    if (other.subject.has(term)) common += weight;
    else if (other.around.has(term)) common += weight * headingShare;
  }
  return total === 0 ? 0 : common / total;
}

/** Quantities of the same things with no value in common. */
function differentNumbers(
  left: readonly Quantity[],
  right: readonly Quantity[],
): { left: string; right: string } | undefined {
  for (const one of left) {
    const same = (other: Quantity): boolean => other.of.some((noun) => one.of.includes(noun));
    const here = left.filter(same);
    const there = right.filter(same);
    if (there.length === 0) continue;
    if (here.some((a) => there.some((b) => a.value === b.value))) continue;
    return { left: list(here), right: list(there) };
  }
  return undefined;
}

function list(all: readonly Quantity[]): string {
  return all.map((one) => one.text).join(', ');
}

function oppositeWords(left: string, right: string): { left: string; right: string } | undefined {
  const has = (text: string, word: string): boolean => new RegExp(`\\b${word}\\b`, 'i').test(text);
  for (const [one, other] of OPPOSITES) {
    if (has(left, one) && has(right, other) && !has(left, other) && !has(right, one))
      return { left: one, right: other };
    if (has(left, other) && has(right, one) && !has(left, one) && !has(right, other))
      return { left: other, right: one };
  }
  return undefined;
}

function negationOf(one: Statement): string {
  return one.negated ? (NEGATION.exec(one.text)?.[0].toLowerCase() ?? 'not') : 'without a negation';
}
