/** Asks a person, and waits without holding a worker. */
import type { Duration } from '@temporalio/common';
import { NAME_MAXIMUM_LENGTH } from '../core/approval';
import {
  ANSWERS_MAXIMUM_BYTES,
  type Asking,
  type GivenAnswer,
  QUESTIONS_MAXIMUM,
  questionHash,
} from '../core/asking';
import { CadreError } from '../core/failures';
import { isRecord, jsonBytes, shownJson } from '../core/json';
import type { HandedBack } from '../core/task-activities';
import type { ArtifactStore } from '../storage/artifact-store';
import { store } from '../storage/stored-values';
import { durationMs } from './policy-fields';

/** What {@link Ask} takes. */
export interface Question {
  /** One of its own among the step's questions, the same in every attempt; 1 to 100 characters. */
  readonly name: string;
  /** What is asked, up to 2,000 characters. */
  readonly question: string;
  /** What may be answered. 1 to 20 texts of up to 200 characters. Default: any text of up to 10,000 characters. */
  readonly options?: readonly string[];
  /** JSON of up to 1 MiB that the answer is about; shown beside the question. */
  readonly about?: unknown;
  /** How long the question stands. Default: for ever; 1 second to 365 days. */
  readonly answerWithin?: Duration;
  /** Who may answer. 1 to 100 names of up to 200 characters. Default: anybody who reaches the server. */
  readonly from?: readonly string[];
}

/** What a person said. */
export interface Answer {
  readonly answer: string;
  /** Who said so, by their own word: the server's access control decides who can answer at all. Empty where they did not say. */
  readonly by: string;
  /** Why; empty for none. */
  readonly note: string;
  /** ms since 1970. */
  readonly at: number;
}

/**
 * The answer of a person to `question`. Where there is none yet the attempt ends here, the step waits without a worker, and
 * runs again from its start once there is one: whatever is before the call must be safe to run twice (recorded calls and
 * `once` are). An answer is bound by hash to all that was asked but its time limit: asked anything else under the same name,
 * a person is asked anew. A step may ask 50 times, and get answers of 64 KiB in all.
 *
 * Throws QuestionExpired when its time is over, QuestionInvalid for one that is none. Only for the agents of steps.
 */
export type Ask = (question: Question) => Promise<Answer>;

/** What an attempt asks with. */
export interface AskOptions {
  /** What persons answered to earlier attempts of the step. */
  readonly answers: readonly GivenAnswer[];
  readonly artifacts: ArtifactStore;
  /** What the next attempt gets of this one. */
  readonly kept: () => HandedBack;
  /** Has the attempt end with that, whatever its agent makes of it. */
  readonly end: (asked: CadreError) => void;
}

/** Makes what an attempt asks with. */
export function makeAsk({ answers, artifacts, kept, end }: AskOptions): Ask {
  return async (candidate) => {
    const { about, answerWithin, ...question } = readQuestion(candidate);
    const hash = questionHash({ ...question, about });
    const { name } = question;
    const given = answers.find((one) => one.name === name && one.hash === hash);
    if (given?.kind === 'expired') {
      throw new CadreError('QuestionExpired', `Nobody answered the question "${name}" in time`);
    }
    if (given !== undefined) {
      const { answer, by, note, at } = given;
      return { answer, by, note, at };
    }
    checkRoom(answers);
    const details: Asking = {
      ...question,
      ...(about === undefined ? {} : { about: await store(artifacts, about, ABOUT_INLINE_BYTES) }),
      hash,
      ...(answerWithin === undefined ? {} : { answerWithin }),
      ...kept(),
    };
    const asked = new CadreError('QuestionAsked', `A person is asked: ${question.question}`, { details });
    end(asked);
    throw asked;
  };
}

/** For whoever may not ask: leading, voting and undoing wait for nobody. */
export const refuseQuestion: Ask = () =>
  Promise.reject(new CadreError('QuestionInvalid', 'Only an agent that does a step asks persons'));

/** A question that was checked, its time limit in ms. */
export interface CheckedQuestion extends Omit<Question, 'answerWithin'> {
  readonly answerWithin?: number;
}

/** `candidate` as a question. Throws QuestionInvalid, naming the field. */
export function readQuestion(candidate: unknown): CheckedQuestion {
  const given = isRecord(candidate) ? candidate : {};
  const unknown = Object.keys(given).find((field) => !FIELDS.some((one) => one === field));
  if (unknown !== undefined) throw invalid(unknown, `left out (the fields are ${FIELDS.join(', ')})`, given);
  const { name, question, options, from } = given;
  if (!isText(name, NAME_LENGTH)) throw invalid('name', `1 to ${NAME_LENGTH} characters`, given);
  if (!isText(question, QUESTION_LENGTH))
    throw invalid('question', `1 to ${QUESTION_LENGTH} characters`, given);
  if (options !== undefined && !areTexts(options, OPTIONS_MAXIMUM)) {
    throw invalid(
      'options',
      `1 to ${OPTIONS_MAXIMUM} different texts of 1 to ${TEXT_LENGTH} characters`,
      given,
    );
  }
  if (from !== undefined && !areTexts(from, FROM_MAXIMUM)) {
    throw invalid('from', `1 to ${FROM_MAXIMUM} different names of 1 to ${TEXT_LENGTH} characters`, given);
  }
  const within = limitOf(given);
  const about = aboutOf(given);
  const checked: CheckedQuestion = {
    name,
    question,
    ...(options === undefined ? {} : { options }),
    ...(from === undefined ? {} : { from }),
  };
  const bytes = jsonBytes(checked);
  if (bytes > QUESTION_MAXIMUM_BYTES) {
    const message = `Expected a question with its options and names to be at most ${QUESTION_MAXIMUM_BYTES} bytes, got ${bytes}: put what it is about into \`about\``;
    throw new CadreError('QuestionInvalid', message);
  }
  return {
    ...checked,
    ...(about === undefined ? {} : { about }),
    ...(within === undefined ? {} : { answerWithin: within }),
  };
}

const FIELDS = ['name', 'question', 'options', 'about', 'answerWithin', 'from'] satisfies (keyof Question)[];
const NAME_LENGTH = 100;
const QUESTION_LENGTH = 2000;
const OPTIONS_MAXIMUM = 20;
const FROM_MAXIMUM = 100;
const TEXT_LENGTH = NAME_MAXIMUM_LENGTH;
/** As many as a hundred steps may ask at once, and their questions stand in the task's state. */
const QUESTION_MAXIMUM_BYTES = 8 * 1024;
const ABOUT_INLINE_BYTES = 1024;
const ABOUT_MAXIMUM_BYTES = 1024 * 1024;
const WITHIN_RANGE = [1000, 365 * 24 * 60 * 60 * 1000] as const;

function isText(value: unknown, maximum: number): value is string {
  return typeof value === 'string' && value.trim() !== '' && value.length <= maximum;
}

function areTexts(value: unknown, maximum: number): value is readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > maximum) return false;
  return value.every((one) => isText(one, TEXT_LENGTH)) && new Set(value).size === value.length;
}

function limitOf(given: Record<string, unknown>): number | undefined {
  if (given['answerWithin'] === undefined) return undefined;
  const within = durationMs(given['answerWithin'] as Duration);
  const [least, most] = WITHIN_RANGE;
  if (within >= least && within <= most) return within;
  throw invalid(
    'answerWithin',
    `milliseconds or a duration such as '2 hours', from 1 second to 365 days`,
    given,
  );
}

/** A copy, as JSON has it: the same wherever its hash is taken. */
function aboutOf(given: Record<string, unknown>): unknown {
  const { about } = given;
  if (about === undefined) return undefined;
  let json: string | undefined;
  try {
    json = JSON.stringify(about);
  } catch {
    json = undefined;
  }
  if (json === undefined) throw invalid('about', 'JSON', given);
  if (Buffer.byteLength(json) > ABOUT_MAXIMUM_BYTES) throw invalid('about', 'JSON of at most 1 MiB', given);
  return JSON.parse(json) as unknown;
}

function checkRoom(answers: readonly GivenAnswer[]): void {
  if (answers.length < QUESTIONS_MAXIMUM && jsonBytes(answers) < ANSWERS_MAXIMUM_BYTES) return;
  throw new CadreError(
    'QuestionInvalid',
    `The step has asked as much as it may: ${QUESTIONS_MAXIMUM} questions, with answers of ${ANSWERS_MAXIMUM_BYTES} bytes in all`,
  );
}

function invalid(field: string, expected: string, given: Record<string, unknown>): CadreError {
  const got = shownJson(given[field]);
  return new CadreError(
    'QuestionInvalid',
    `Expected \`${field}\` of a question to be ${expected}, got ${got}`,
  );
}
