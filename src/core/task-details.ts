import { ANSWERS } from './approval';
import type { AskedQuestion } from './asking';
import { waitsFor } from './breaker/refusal';
import { countOf } from './count-of';
import { WEB_UI_END, escaped } from './details-text';
import type { FailureInfo } from './failures';
import { assertNever } from './json';
import { oneLine } from './one-line';
import type { Step } from './plan';
import { RESOLUTIONS, type Resolution } from './saga';
import {
  type StepState,
  type TaskPhase,
  type TaskState,
  actorOf,
  isOpen,
  isUnwinding,
  pivotPassed,
  stepState,
} from './task-state';

const ROWS_MAXIMUM = 20;
/** So much of a question is shown on one line. */
const QUESTION_SHOWN = 200;
/** So many digits of a hash tell inputs apart. */
const HASH_SHOWN = 12;

/**
 * A task's goal, progress and plan as short Markdown, for the Web UI's current details. `id` is the workflow's, for the
 * commands that a person is to type; default: that of the task's first execution.
 */
export function taskDetails(state: TaskState, id: string = idOf(state)): string {
  const steps = state.plan?.steps ?? [];
  const done = steps.filter((step) => stepState(state, step.id).kind === 'completed').length;
  const progress = steps.length === 0 ? '' : ` · ${done} of ${countOf(steps.length, 'step')}`;
  const lines = [`**${cell(state.goal)}**`, '', `${standWords(state)}${leaderWords(state)}${progress}`];
  if (steps.length > 0) lines.push('', '| step | agent | instruction | state |', '|---|---|---|---|');
  for (const step of steps.slice(0, ROWS_MAXIMUM)) {
    const words = `${stepWords(stepState(state, step.id))}${kindWords(step)}`;
    lines.push(`| ${step.id} | ${actorOf(state, step)} | ${cell(step.instruction)} | ${words} |`);
  }
  if (steps.length > ROWS_MAXIMUM) lines.push('', `and ${steps.length - ROWS_MAXIMUM} more steps`);
  lines.push(...compensationLines(state), ...askingLines(state, id));
  return [...lines, WEB_UI_END].join('\n');
}

function compensationLines({ compensations = [] }: TaskState): string[] {
  if (compensations.length === 0) return [];
  const rows = compensations.slice(0, ROWS_MAXIMUM).map((one) => {
    const why =
      one.kind === 'failed' ? cell(one.failure.message) : one.kind === 'skipped' ? cell(one.note) : '';
    return `| ${one.step} | ${one.agent} | ${one.outcome} | ${one.kind}${why === '' ? '' : `: ${why}`} |`;
  });
  return ['', '| undone | agent | the step had | state |', '|---|---|---|---|', ...rows];
}

/** Something that a person is to say of a step. */
export type Question =
  /** Whether it may run on the input of that hash. */
  | { readonly kind: 'approval'; readonly step: string; readonly hash: string }
  /** What its agent asks. */
  | ({ readonly kind: 'question'; readonly step: string; readonly until?: number } & AskedQuestion)
  /** What is to become of it, or of undoing it, since it failed for good. */
  | {
      readonly kind: 'parked';
      readonly step: string;
      readonly failure: FailureInfo;
      readonly undoing: boolean;
      readonly answers: readonly Resolution[];
    };

/** What persons are to say now, in the order of the steps. */
export function openQuestions(state: TaskState): Question[] {
  if (isUnwinding(state)) {
    return (state.compensations ?? []).flatMap((one): Question[] =>
      one.kind === 'failed'
        ? [{ kind: 'parked', step: one.step, failure: one.failure, undoing: true, answers: ONWARD }]
        : [],
    );
  }
  const answers = pivotPassed(state) ? ONWARD : RESOLUTIONS;
  return Object.entries(state.steps).flatMap(([step, now]): Question[] => {
    if (now.kind === 'awaitingApproval') return [{ kind: 'approval', step, hash: now.hash }];
    if (now.kind === 'asking') {
      const { attemptsUsed: _used, checkpoint: _kept, ...asked } = now;
      return [{ ...asked, kind: 'question', step }];
    }
    return now.kind === 'parked'
      ? [{ kind: 'parked', step, failure: now.failure, undoing: false, answers }]
      : [];
  });
}

/** What a question says, and what to type about it; `id` is the task's. */
export function questionWords(id: string, question: Question): { text: string; command: string } {
  const { step } = question;
  if (question.kind === 'approval') {
    return {
      text: `${step} asks for approval of its input ${shortHash(question.hash)}`,
      command: answerCommand(id, question),
    };
  }
  if (question.kind === 'question') {
    const command = answerCommand(id, { ...question, options: question.options ?? [] });
    return { text: `${step} asks: ${oneLine(question.question, QUESTION_SHOWN)}`, command };
  }
  const what = question.undoing ? 'cannot be undone' : 'failed for good';
  return {
    text: `${step} ${what}: ${question.failure.message}`,
    command: resolveCommand(id, step, question.answers),
  };
}

function askingLines(state: TaskState, id: string): string[] {
  const asked = isOpen(state.phase) ? openQuestions(state) : [];
  if (asked.length === 0) return [];
  const more = asked.length - ROWS_MAXIMUM;
  const lines = asked.slice(0, ROWS_MAXIMUM).map((question) => {
    const { text, command } = questionWords(id, question);
    return `- ${cell(text)}: \`${command}\``;
  });
  return ['', ...lines, ...(more > 0 ? [`- and ${more} more`] : [])];
}

/** As much of a hash as a person reads. */
export function shortHash(hash: string): string {
  return hash.slice(0, HASH_SHOWN);
}

/** What a step asks, as far as it says how to answer; `options`: what may be said, by default to an approval. */
interface Answerable extends Pick<AskedQuestion, 'hash' | 'options' | 'from'> {
  readonly step: string;
}

/** What to type to answer what a step asks. */
export function answerCommand(id: string, { step, hash, options = ANSWERS, from }: Answerable): string {
  const words = options.length > 0 && options.every((option) => /^[\w.-]+$/.test(option));
  const who = from === undefined ? '' : ' --as NAME';
  return `cadre answer ${id} ${step} ${words ? options.join('|') : 'ANSWER'} --hash ${shortHash(hash)}${who}`;
}

/** What to type about a step, or the undoing of one, that failed for good. */
export function resolveCommand(id: string, step: string, answers: readonly Resolution[] = ONWARD): string {
  return `cadre saga resolve ${id} ${step} ${answers.join('|')} --note "..."`;
}

/** What may be said where nothing can fail any more. */
const ONWARD: readonly Resolution[] = ['retry', 'skip'];

/** The id of the execution that a state began in: what stands before the run in its root. */
function idOf({ root }: TaskState): string {
  return root.slice(0, Math.max(0, root.lastIndexOf('/')));
}

/** Which part of the work is the leader's, and by which leader the task goes. */
function leaderWords({ phase, term }: TaskState): string {
  if (phase.kind === 'planning' || phase.kind === 'aggregating') return ' · with the leader';
  return term === 0 ? '' : ` · term ${term}`;
}

/** Where a task stands, in words that fit a table. */
export function standWords(state: TaskState): string {
  const { phase } = state;
  if (phase.kind !== 'needsAttention') return phaseWords(phase);
  return `needs attention: ${isUnwinding(state) ? `cannot undo ${phase.step}` : `${phase.step} failed for good`}`;
}

/** A phase in words that fit a table. */
export function phaseWords(phase: TaskPhase): string {
  switch (phase.kind) {
    case 'failed':
      return `failed: ${phase.failure.type}`;
    case 'compensated':
      return `failed and undone: ${phase.failure.type}`;
    case 'needsAttention':
      return `needs attention: ${phase.step}`;
    case 'awaitingApproval':
      return `awaits approval of ${phase.step}`;
    case 'awaitingAnswer':
      return `awaits an answer to ${phase.step}`;
    case 'terminated':
      return phase.how === 'timedOut' ? 'timed out' : 'terminated';
    case 'planning':
    case 'running':
    case 'aggregating':
    case 'cancelling':
    case 'compensating':
    case 'completed':
    case 'cancelled':
      return phase.kind;
    default:
      return assertNever(phase);
  }
}

function kindWords({ kind }: Step): string {
  return kind === undefined ? '' : ` (${kind})`;
}

function stepWords(step: StepState): string {
  switch (step.kind) {
    case 'failed':
    case 'parked':
      return `${step.kind}: ${step.failure.type}`;
    case 'awaitingApproval':
      return 'waits for approval';
    case 'asking':
      return `asks: ${cell(step.question)}`;
    case 'refused':
      return `waits ${Math.ceil(step.retryAfter / 1000)} s for ${cell(waitsFor(step))}`;
    case 'scheduled':
      return 'running';
    case 'voting':
      return `${countOf(step.ballots.length, 'ballot')} cast`;
    case 'arbitrating':
      return step.failure === undefined ? 'undecided, with the leader' : `failed: ${step.failure.type}`;
    case 'waiting':
    case 'completed':
    case 'cancelled':
      return step.kind;
    default:
      return assertNever(step);
  }
}

/** `text` on one line, short, and without what would break a Markdown table. */
function cell(text: string): string {
  return escaped(oneLine(text, 120));
}
