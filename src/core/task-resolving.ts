/**
 * What persons and timers say to a task: the messages, and the events that they leave. The workflow and the log share
 * them.
 */
import { type Answering, NOTE_MAXIMUM_LENGTH, readAnswering } from './approval';
import { type FailureInfo, inputInvalid } from './failures';
import { isRecord } from './json';
import type { AgentStep } from './plan';
import { RESOLUTIONS, type Resolution } from './saga';
import type { TaskEvent } from './task-events';
import { failureEvent } from './task-fold';
import { type TaskState, isUnwinding, planStep, stepState } from './task-state';
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

/** The events of a person's answer, in order: a no fails the step. */
export function answerEvents(state: TaskState, answering: Answering): TaskEvent[] {
  const answered: TaskEvent = { type: 'approvalAnswered', ...answering };
  if (answering.answer === 'yes') return [answered];
  const { step, note } = answering;
  const message = `A person said no${note === '' ? '' : `: ${note}`}`;
  return [answered, failureEvent(state, step, { type: 'ApprovalRefused', message })];
}

/** The memo that says which steps wait for an answer, by step id. */
export const ASKED = 'asked';

/** One question of the memo {@link ASKED}. */
export interface Asked {
  /** Of the input that would run. */
  readonly hash: string;
  /** Of a saga in workflow code: the step itself, which no plan has. */
  readonly step?: AgentStep;
}

/** What the memo {@link ASKED} has to say in `state`; `own`: of a saga in workflow code. */
export function askedOf(state: TaskState, { own = false }: { own?: boolean } = {}): Record<string, Asked> {
  const asked: Record<string, Asked> = {};
  for (const [id, { kind, ...rest }] of Object.entries(state.steps)) {
    if (kind !== 'awaitingApproval' || !('hash' in rest)) continue;
    const step = own ? planStep(state, id) : undefined;
    asked[id] = { hash: rest.hash, ...(step?.agent === undefined ? {} : { step }) };
  }
  return asked;
}

/** The events that a change of the memo {@link ASKED} stands for. */
export function askedEvents(state: TaskState, memo: unknown): TaskEvent[] {
  const now = isRecord(memo) ? memo : {};
  const before = askedOf(state);
  const requested = Object.entries(now).flatMap(([id, asked]): TaskEvent[] => {
    if (!isRecord(asked) || typeof asked['hash'] !== 'string' || before[id]?.hash === asked['hash'])
      return [];
    const { hash, step } = asked as unknown as Asked;
    const added: TaskEvent[] =
      step === undefined || planStep(state, id) !== undefined ? [] : [{ type: 'stepAdded', step }];
    return [...added, { type: 'approvalRequested', step: id, hash }];
  });
  const withdrawn = Object.keys(before).flatMap((step): TaskEvent[] =>
    Object.hasOwn(now, step) ? [] : [{ type: 'approvalWithdrawn', step }],
  );
  return [...requested, ...withdrawn];
}

/** The summary of the timer of a task's own time limit. */
export const TIME_LIMIT_TIMER = 'time limit';

/** The summary of the timer of a step's approval. */
export function approvalTimer(step: string): string {
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
  if (step === undefined || stepState(state, step).kind !== 'awaitingApproval') return [];
  return [{ type: 'approvalTimedOut', step }, failureEvent(state, step, NO_ANSWER)];
}

const NO_ANSWER: FailureInfo = { type: 'ApprovalTimedOut', message: 'Nobody answered in time' };
