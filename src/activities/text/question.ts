import { NEGATION } from './negation';
import { stem } from './stem';
import { isStopWord } from './stop-words';
import { termsOfWord, words } from './words';

/** One thing asked: words that mean the same for a search. Any of `terms` counts as this concept. */
export interface Concept {
  /** As the question puts it. */
  readonly label: string;
  readonly terms: readonly string[];
  /** 1, or less for who is to act: `the on-call engineer` in `When should the on-call engineer ...`. */
  readonly weight: number;
}

/** What kind of words an answer holds, where the question word tells. */
export type AnswerKind = 'time' | 'number' | 'person' | 'any';

/** A part of a question that can be answered by itself. */
export interface QuestionPart {
  readonly text: string;
  /** Indexes into the question's concepts. */
  readonly concepts: readonly number[];
  readonly answer: AnswerKind;
  /** Its question word in lower case, where it has one that headings use too, such as `when`. */
  readonly asks: string | undefined;
  /** Asks what is not so. */
  readonly negated: boolean;
  /** Makes sense only with the other parts, as in `and who approves it`. */
  readonly leansOnOthers: boolean;
}

export interface Question {
  readonly text: string;
  readonly concepts: readonly Concept[];
  readonly parts: readonly QuestionPart[];
}

const ASKING =
  'who|whom|whose|what|when|where|which|why|how|is|are|do|does|did|can|could|should|must|may|will|would';
const PART_END = new RegExp(
  `[?;]+\\s*|[,.]?\\s+(?:and|or|but)\\s+(?=(?:(?:at|by|for|from|in|on|to|with)\\s+)?(?:${ASKING})\\b)|,\\s+(?=(?:${ASKING})\\b)`,
  'iu',
);
/** A bare `how` says too little: `How long` is not answered under `How to`. */
const ASKS = /\b(?:when|where|who|why|how (?:long|many|much|often|to))\b/i;
const PRONOUN = /\b(?:it|its|they|them|this|that|these|those|he|she|so|there)\b/i;
/** The one who acts, after the verb that asks: up to three words that end in a role. */
const ACTOR =
  /\b(?:should|must|may|might|can|could|shall|will|would|do|does|did|has|have)\s+(?:(?:the|a|an|any|our|my|your)\s+)?((?:[\p{L}-]+\s+){0,2}?(?:engineers?|developers?|managers?|operators?|administrators?|admins?|teams?|leads?|commanders?|employees?|colleagues?|members?|people|person|users?|owners?|staff))\b/iu;
const ACTOR_WEIGHT = 0.35;
const PARTS_MAXIMUM = 6;
const CONCEPTS_MAXIMUM = 32;

/**
 * Takes a question apart: by its question words into parts, and into concepts, which are its words without
 * stop words. Two neighbouring words written as one count as well (`fail over` finds `failover`).
 */
export function parseQuestion(text: string): Question {
  const concepts: Concept[] = [];
  const pieces = text.replace(/\s+/g, ' ').trim().split(PART_END);
  const texts = pieces
    .map((piece) => piece.replace(/[\s.,:!]+$/, ''))
    .filter((piece) => /[\p{L}\p{N}]/u.test(piece));
  const kept = texts.slice(0, PARTS_MAXIMUM - 1);
  if (texts.length >= PARTS_MAXIMUM) kept.push(texts.slice(PARTS_MAXIMUM - 1).join(', '));
  const drafts = kept.map((part) => ({ text: part, concepts: addConcepts(part, concepts) }));
  const parts = drafts.map((draft, index) => ({
    ...draft,
    answer: answerKind(draft.text),
    asks: ASKS.exec(draft.text)?.[0].toLowerCase(),
    negated: NEGATION.test(draft.text),
    leansOnOthers: index > 0 && (PRONOUN.test(draft.text) || draft.concepts.length <= 1),
  }));
  return { text: text.trim(), concepts, parts: parts.filter((part) => part.concepts.length > 0) };
}

function addConcepts(part: string, concepts: Concept[]): number[] {
  const found = words(part);
  const actor = actorOf(part);
  const indexes = new Set<number>();
  found.forEach((word, at) => {
    if (isStopWord(word.text) || concepts.length >= CONCEPTS_MAXIMUM) return;
    const own = termsOfWord(word.text);
    const known = concepts.findIndex((concept) => concept.terms[0] === own[0]);
    if (known >= 0) {
      indexes.add(known);
      return;
    }
    const joined = [joinedTerm(found, at - 1, part), joinedTerm(found, at, part)];
    const terms = [...own, ...joined.filter((term) => term !== undefined)];
    const weight = word.from >= actor.from && word.to <= actor.to ? ACTOR_WEIGHT : 1;
    indexes.add(
      concepts.push({ label: part.slice(word.from, word.to), terms: [...new Set(terms)], weight }) - 1,
    );
  });
  return [...indexes];
}

/** Where the one who acts stands; an empty place where none is named. */
function actorOf(part: string): { from: number; to: number } {
  const match = ACTOR.exec(part);
  if (match === null) return { from: 0, to: 0 };
  const to = match.index + match[0].length;
  return { from: to - (match[1]?.length ?? 0), to };
}

/** The word at `at` and the next one, written as one. */
function joinedTerm(found: ReturnType<typeof words>, at: number, text: string): string | undefined {
  const left = found[at];
  const right = found[at + 1];
  if (left === undefined || right === undefined || right.from - left.to !== 1) return undefined;
  if (left.text.length < 2 || right.text.length < 2) return undefined;
  return /[ \u2010\u2011-]/.test(text[left.to] ?? '') ? stem(left.text + right.text) : undefined;
}

function answerKind(part: string): AnswerKind {
  if (/\bhow (?:often|long|many|much|old|soon|far|fast|quickly|large|big)\b/i.test(part)) return 'number';
  if (/\b(?:what|which) (?:number|amount|limit|percentage|share|size|port|version)\b/i.test(part))
    return 'number';
  if (/\bwhen\b/i.test(part)) return 'time';
  return /\bwho(?:m|se)?\b/i.test(part) ? 'person' : 'any';
}
