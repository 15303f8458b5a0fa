/**
 * A person's approval of a step, before it starts. What is approved is the exact input: the answer carries its hash,
 * and holds for no other.
 */
import { sha256 } from '@noble/hashes/sha2';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils';
import { inputInvalid } from './failures';
import { type FieldProblem, canonicalJson, isRecord } from './json';

/** How a step asks for approval. Times in milliseconds, from 1 second to 365 days. */
export interface Approval {
  /** How long the question stands; then the step is refused. Default: for ever. */
  readonly answerWithin?: number;
  /** How long a yes holds; a step that begins later (again) asks anew. Default 1 day. */
  readonly validFor?: number;
}

const SECOND = 1000;
const DAY = 24 * 60 * 60 * SECOND;
const RANGE = [SECOND, 365 * DAY] as const;
export const APPROVAL_VALID_FOR = DAY;

/** What is wrong with `candidate` as an {@link Approval}. */
export function approvalProblems(candidate: unknown): FieldProblem[] {
  if (!isRecord(candidate))
    return [[[], 'an object such as {} or { "answerWithin": 3600000 } (a file may say true for {})']];
  return Object.entries(candidate).flatMap(([field, value]): FieldProblem[] => {
    if (field !== 'answerWithin' && field !== 'validFor') {
      return [[[field], 'left out (the fields are answerWithin, validFor)']];
    }
    const [least, most] = RANGE;
    return typeof value === 'number' && value >= least && value <= most
      ? []
      : [[[field], `a number from ${least} to ${most}`]];
  });
}

/**
 * SHA-256, in hex, of the input that a step is about to run with, whatever the order of its keys. Values that stand in
 * the artifact store are in it by their own hash.
 */
export function inputHash(input: unknown): string {
  return bytesToHex(sha256(utf8ToBytes(canonicalJson(input))));
}

export const ANSWERS = ['yes', 'no'] as const;

/** What a person says to a step that asks something. */
export interface Answering {
  readonly step: string;
  /** Of an approval one of {@link ANSWERS}; of a question one of its options, where it has some. Up to 10,000 characters. */
  readonly answer: string;
  /** Of what was looked at: see {@link inputHash} for an approval, `questionHash` for a question. */
  readonly hash: string;
  /** Why; stands in the log. Up to 500 characters, empty for none. */
  readonly note: string;
  /** Who says so, by their own word: up to 200 characters. Default: nobody said. */
  readonly by?: string;
}

const ANSWER_MAXIMUM_LENGTH = 10_000;
export const NOTE_MAXIMUM_LENGTH = 500;
export const NAME_MAXIMUM_LENGTH = 200;

/** `candidate` as an answer. Throws InputInvalid, naming the field. */
export function readAnswering(candidate: unknown): Answering {
  const { step, answer, hash, note = '', by } = isRecord(candidate) ? candidate : {};
  if (typeof step !== 'string') throw inputInvalid('`step`', 'the id of a step', step);
  if (!isText(answer, ANSWER_MAXIMUM_LENGTH) || answer === '') {
    throw inputInvalid('`answer`', `a text of 1 to ${ANSWER_MAXIMUM_LENGTH} characters`, answer);
  }
  if (typeof hash !== 'string') throw inputInvalid('`hash`', 'the SHA-256 of the input, in hex', hash);
  if (!isText(note, NOTE_MAXIMUM_LENGTH)) {
    throw inputInvalid('`note`', `a text of at most ${NOTE_MAXIMUM_LENGTH} characters`, note);
  }
  if (by !== undefined && !isText(by, NAME_MAXIMUM_LENGTH)) {
    throw inputInvalid('`by`', `a text of at most ${NAME_MAXIMUM_LENGTH} characters`, by);
  }
  return { step, answer, hash, note, ...(by === undefined ? {} : { by }) };
}

function isText(value: unknown, maximum: number): value is string {
  return typeof value === 'string' && value.length <= maximum;
}
