/**
 * What an agent asks of a person in the middle of its step. An answer is bound by hash to what was asked, and holds for
 * nothing else.
 */
import { inputHash } from './approval';
import type { FailureInfo, FailureType } from './failures';
import { isRecord } from './json';
import type { Stored } from './stored';
import type { HandedBack } from './task-activities';

/** What is asked, as it stands in events and states. */
export interface AskedQuestion {
  /** One of its own among the step's questions. */
  readonly name: string;
  readonly question: string;
  /** What may be answered; any text where there are none. */
  readonly options?: readonly string[];
  /** What it is about. */
  readonly about?: Stored;
  /** Who may answer; anybody where nobody is named. */
  readonly from?: readonly string[];
  /** See {@link questionHash}. */
  readonly hash: string;
}

/** What an attempt that asks ends with: the details of its failure, of type `QuestionAsked`. It spends no attempt. */
export interface Asking extends AskedQuestion, HandedBack {
  /** How long the question stands, in ms; for ever where it says nothing. */
  readonly answerWithin?: number;
}

/** What became of a question, for the attempts that come after it. */
export type GivenAnswer = { readonly name: string; readonly hash: string } & (
  | {
      readonly kind: 'answered';
      readonly answer: string;
      /** Who said so, by their own word; empty where they did not say. */
      readonly by: string;
      /** Why; empty for none. */
      readonly note: string;
      /** ms since 1970. */
      readonly at: number;
    }
  | { readonly kind: 'expired' }
);

/** How much a step may ask, since the answers stand in its task's state. */
export const QUESTIONS_MAXIMUM = 50;
export const ANSWERS_MAXIMUM_BYTES = 64 * 1024;
/** Of all steps together: a state of more than 2 MB is carried into no new run. */
export const TASK_ANSWERS_MAXIMUM_BYTES = 512 * 1024;

/** SHA-256, in hex, of all that an answer depends on; `about` is the value itself. */
export function questionHash({
  name,
  question,
  options,
  from,
  about,
}: Omit<AskedQuestion, 'about' | 'hash'> & { readonly about?: unknown }): string {
  return inputHash({ name, question, options, from, about });
}

/** True for a failure that only says that a person is asked. */
export function isAsking({ type }: Pick<FailureInfo, 'type'>): boolean {
  return type === ('QuestionAsked' satisfies FailureType);
}

/** What stands in the details of such a failure; undefined where that cannot be read. */
export function readAsking(details: unknown): Asking | undefined {
  if (!isRecord(details)) return undefined;
  const { name, question, hash, attemptsUsed } = details;
  const read = [name, question, hash].every((text) => typeof text === 'string');
  return read && typeof attemptsUsed === 'number' ? (details as unknown as Asking) : undefined;
}
