import { assertNever } from './json';
import { oneLine } from './one-line';
import { type StepState, type TaskPhase, type TaskState, actorOf, stepState } from './task-events';

const ROWS_MAXIMUM = 20;

/** A task's goal, progress and plan as short Markdown, for the Web UI's current details. */
export function taskDetails(state: TaskState): string {
  const steps = state.plan?.steps ?? [];
  const done = steps.filter(({ id }) => stepState(state, id).kind === 'completed').length;
  const progress = steps.length === 0 ? '' : ` · ${done} of ${steps.length} steps`;
  const lines = [`**${cell(state.goal)}**`, '', `${phaseWords(state.phase)}${leaderWords(state)}${progress}`];
  if (steps.length > 0) lines.push('', '| step | agent | instruction | state |', '|---|---|---|---|');
  for (const step of steps.slice(0, ROWS_MAXIMUM)) {
    const { id, instruction } = step;
    lines.push(
      `| ${id} | ${actorOf(state, step)} | ${cell(instruction)} | ${stepWords(stepState(state, id))} |`,
    );
  }
  if (steps.length > ROWS_MAXIMUM) lines.push('', `and ${steps.length - ROWS_MAXIMUM} more steps`);
  for (const line of compensationLines(state)) lines.push(line);
  // The Web UI (2.42.1) clips what stands last.
  return [...lines, '', '\u00a0'].join('\n');
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

/** Which part of the work is the leader's, and by which leader the task goes. */
function leaderWords({ phase, term }: TaskState): string {
  if (phase.kind === 'planning' || phase.kind === 'aggregating') return ' · with the leader';
  return term === 0 ? '' : ` · term ${term}`;
}

/** A phase in words that fit a table. */
export function phaseWords(phase: TaskPhase): string {
  switch (phase.kind) {
    case 'failed':
      return `failed: ${phase.failure.type}`;
    case 'compensated':
      return `failed and undone: ${phase.failure.type}`;
    case 'needsAttention':
      return `needs attention: cannot undo ${phase.step}`;
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

function stepWords(step: StepState): string {
  switch (step.kind) {
    case 'failed':
      return `failed: ${step.failure.type}`;
    case 'scheduled':
      return 'running';
    case 'voting':
      return `${step.ballots.length} ${step.ballots.length === 1 ? 'ballot' : 'ballots'} cast`;
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
  return oneLine(text, 120).replace(/[|*_`<>[\]]/g, (mark) => `\\${mark}`);
}
