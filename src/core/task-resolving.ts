/**
 * What persons and timers say to a task: the messages, and the events that they leave. The workflow and the log share
 * them.
 */
import { type Answering, ANSWERS, NOTE_MAXIMUM_LENGTH, readAnswering } from './approval';
import { type Asking, TASK_ANSWERS_MAXIMUM_BYTES } from './asking';
import { CadreError, type FailureInfo, inputInvalid } from './failures';
import { isRecord, jsonBytes } from './json';
import type { AgentStep } from './plan';
import { RESOLUTIONS, type Resolution } from './saga';
import type { TaskEvent } from './task-events';
import { failureEvent } from './task-fold';
import { type TaskState, isUnwinding, planStep, stepState } from './task-state';
import type { ModelUsage } from './usage';
import { voteOfTimer } from './vote';

/** What a person says of a compensation, or of a step that is not undone, that failed for good. */
export interface Resolving {
  readonly step: string;
  readonly how: Resolution;
  /** Why; stands in the log. Up to 500 characters, empty for none. */
  readonly note: string;
}

/** `candidate` as a resolution. Throws InputInvalid, naming the field. */
export function readResolving(candidate: unknown): Resolving {
  const { step, how, note = '' } = isRecord(candidate) ? candidate : {};
  const known = RESOLUTIONS.find((one) => one === how);
  if (typeof step !== 'string') throw inputInvalid('`step`', 'the id of a step', step);
  if (known === undefined) throw inputInvalid('`how`', RESOLUTIONS.join(' or '), how);
  if (typeof note !== 'string' || note.length > NOTE_MAXIMUM_LENGTH) {
    throw inputInvalid('`note`', `a text of at most ${NOTE_MAXIMUM_LENGTH} characters`, note);
  }
  return { step, how: known, note };
}

/** `candidate` as a resolution; undefined where it is none. */
export function resolvingOf(candidate: unknown): Resolving | undefined {
  return readOr(readResolving, candidate);
}

/** `candidate` as an answer; undefined where it is none. */
export function answeringOf(candidate: unknown): Answering | undefined {
  return readOr(readAnswering, candidate);
}

function readOr<Value>(read: (candidate: unknown) => Value, candidate: unknown): Value | undefined {
  try {
    return read(candidate);
  } catch {
    return undefined;
  }
}

/** Whether a person is to say what becomes of `step`, or of undoing it. */
export function isParked(state: TaskState, step: string): boolean {
  return isUnwinding(state)
    ? (state.compensations ?? []).some((one) => one.step === step && one.kind === 'failed')
    : stepState(state, step).kind === 'parked';
}

/** The event of a person's saying what is to become of what is parked. */
export function resolvedEvent(state: TaskState, resolving: Resolving): TaskEvent {
  return { type: isUnwinding(state) ? 'compensationResolved' : 'stepResolved', ...resolving };
}

/**
 * Throws NotAsked unless `answering` is about what its step asks now, InputInvalid for an answer that is none to that, of
 * somebody else, or too much for the task.
 */
export function checkAnswer(state: TaskState, answering: Answering): void {
  const { step, answer, hash, by = '' } = answering;
  const asked = stepState(state, step);
  if (asked.kind !== 'awaitingApproval' && asked.kind !== 'asking') {
    throw new CadreError('NotAsked', `The step "${step}" asks nothing: ${asked.kind}`);
  }
  if (hash !== asked.hash) {
    const message =
      asked.kind === 'asking'
        ? `The step "${step}" asks about ${asked.hash}, not about ${hash}: look at it again`
        : `The step "${step}" would run on the input ${asked.hash}, not on ${hash}: look at it again`;
    throw new CadreError('NotAsked', message);
  }
  const options = asked.kind === 'asking' ? asked.options : ANSWERS;
  if (options?.includes(answer) === false) throw inputInvalid('`answer`', options.join(' or '), answer);
  const from = asked.kind === 'asking' ? asked.from : undefined;
  if (from?.includes(by) === false) throw inputInvalid('`by`', from.join(' or '), by);
  if (asked.kind === 'asking') checkRoom(state, answering);
}

/** Throws InputInvalid where the answers of all steps that are not done would be more than a state may hold. */
function checkRoom({ answers = {} }: TaskState, answering: Answering): void {
  const bytes = jsonBytes(answers) + jsonBytes(answering);
  if (bytes <= TASK_ANSWERS_MAXIMUM_BYTES) return;
  throw new CadreError(
    'InputInvalid',
    `Expected the answers to steps that are not done to be at most ${TASK_ANSWERS_MAXIMUM_BYTES} bytes together, got ${bytes}: answer shorter, or once steps beside it are done`,
  );
}

/** The events of a person's answer at `at`, in ms since 1970, in order: a no to an approval fails the step. */
export function answerEvents(state: TaskState, answering: Answering, at: number): TaskEvent[] {
  const { step, answer, hash, note, by = '' } = answering;
  const asked = stepState(state, step);
  if (asked.kind === 'asking') {
    return [{ type: 'questionAnswered', step, name: asked.name, hash, answer, by, note, at }];
  }
  const answered: TaskEvent = { type: 'approvalAnswered', ...answering };
  if (answer === 'yes') return [answered];
  const message = `A person said no${note === '' ? '' : `: ${note}`}`;
  return [answered, failureEvent(state, step, { type: 'ApprovalRefused', message })];
}

/** The memo that says which steps wait for an answer, by step id. */
export const ASKED = 'asked';

/** One question of the memo {@link ASKED}. */
export interface Asked {
  /** Of the input that would run, or of what its agent asks. */
  readonly hash: string;
  /** Of an agent's question: its name. */
  readonly question?: string;
  /** Of one that has a time limit: when that is over, in ms since 1970. */
  readonly until?: number;
  /** Of a saga in workflow code: the step itself, which no plan has. */
  readonly step?: AgentStep;
}

/** What the memo {@link ASKED} has to say in `state`; `own`: of a saga in workflow code. */
export function askedOf(state: TaskState, { own = false }: { own?: boolean } = {}): Record<string, Asked> {
  const asked: Record<string, Asked> = {};
  for (const [id, now] of Object.entries(state.steps)) {
    if (now.kind === 'asking') {
      const { hash, name, until } = now;
      asked[id] = { hash, question: name, ...(until === undefined ? {} : { until }) };
    }
    if (now.kind !== 'awaitingApproval') continue;
    const step = own ? planStep(state, id) : undefined;
    asked[id] = { hash: now.hash, ...(step?.agent === undefined ? {} : { step }) };
  }
  return asked;
}

/** What history has of an attempt that ended with a question. */
export interface EndedAsking {
  readonly agent: string;
  readonly asked: Asking;
  /** What the calls of the step came to so far. */
  readonly usage?: readonly ModelUsage[];
}

/** The event of an agent's asking, whose time is over at `until`, in ms since 1970. */
export function questionAskedEvent(
  step: string,
  { agent, asked: { answerWithin: _within, ...asked }, usage }: EndedAsking,
  until: number | undefined,
): TaskEvent & { type: 'questionAsked' } {
  return {
    type: 'questionAsked',
    step,
    agent,
    ...asked,
    ...(until === undefined ? {} : { until }),
    ...(usage === undefined ? {} : { usage }),
  };
}

/**
 * The events that a change of the memo {@link ASKED} stands for. `asking`: of an attempt of the step that ended with a
 * question, what history has of that.
 */
export function askedEvents(
  state: TaskState,
  memo: unknown,
  asking: (step: string) => EndedAsking | undefined,
): TaskEvent[] {
  const now = isRecord(memo) ? memo : {};
  const before = askedOf(state);
  const requested = Object.entries(now).flatMap(([id, asked]): TaskEvent[] => {
    if (!isRecord(asked) || typeof asked['hash'] !== 'string' || before[id]?.hash === asked['hash'])
      return [];
    const { hash, step, question, until } = asked as unknown as Asked;
    if (question !== undefined) {
      const ended = asking(id);
      return ended === undefined ? [] : [questionAskedEvent(id, ended, until)];
    }
    const added: TaskEvent[] =
      step === undefined || planStep(state, id) !== undefined ? [] : [{ type: 'stepAdded', step }];
    return [...added, { type: 'approvalRequested', step: id, hash }];
  });
  const withdrawn = Object.keys(before).flatMap((step): TaskEvent[] =>
    Object.hasOwn(now, step) ? [] : [withdrawnEvent(state, step)],
  );
  return [...requested, ...withdrawn];
}

/** The event of nobody's having to answer any more what `step` asks. */
export function withdrawnEvent(state: TaskState, step: string): TaskEvent {
  const asks = stepState(state, step).kind === 'asking';
  return { type: asks ? 'questionWithdrawn' : 'approvalWithdrawn', step };
}

/** The summary of the timer of a task's own time limit. */
export const TIME_LIMIT_TIMER = 'time limit';

/** The summary of the timer of what a step asks. */
export function answerTimer(step: string): string {
  return `answer to ${step}`;
}

/** The events of a timer's end, by its summary; none for a timer that is over. */
export function timerEvents(state: TaskState, summary: string): TaskEvent[] {
  if (summary === TIME_LIMIT_TIMER) return [{ type: 'timeLimitReached' }];
  const vote = voteOfTimer(summary);
  if (vote !== undefined) {
    return stepState(state, vote).kind === 'voting' ? [{ type: 'voteTimedOut', step: vote }] : [];
  }
  const step = /^answer to (.+)$/.exec(summary)?.[1];
  if (step === undefined) return [];
  const { kind } = stepState(state, step);
  if (kind === 'asking') return [{ type: 'questionExpired', step }];
  if (kind !== 'awaitingApproval') return [];
  return [{ type: 'approvalTimedOut', step }, failureEvent(state, step, NO_ANSWER)];
}

const NO_ANSWER: FailureInfo = { type: 'ApprovalTimedOut', message: 'Nobody answered in time' };
