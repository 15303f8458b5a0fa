import { assertNever } from './json';
import { oneLine } from './one-line';
import { type StepState, type TaskPhase, type TaskState, stepState } from './task-events';

const ROWS_MAXIMUM = 20;

/** A task's goal, progress and plan as short Markdown, for the Web UI's current details. */
export function taskDetails(state: TaskState): string {
  const steps = state.plan?.steps ?? [];
  const done = steps.filter(({ id }) => stepState(state, id).kind === 'completed').length;
  const progress = steps.length === 0 ? '' : ` · ${done} of ${steps.length} steps`;
  const lines = [`**${cell(state.goal)}**`, '', `${phaseWords(state.phase)}${progress}`];
  if (steps.length > 0) lines.push('', '| step | agent | instruction | state |', '|---|---|---|---|');
  for (const { id, agent, instruction } of steps.slice(0, ROWS_MAXIMUM)) {
    lines.push(`| ${id} | ${agent} | ${cell(instruction)} | ${stepWords(stepState(state, id))} |`);
  }
  if (steps.length > ROWS_MAXIMUM) lines.push('', `and ${steps.length - ROWS_MAXIMUM} more steps`);
  // The Web UI (2.42.1) clips what stands last.
  return [...lines, '', '\u00a0'].join('\n');
}

/** A phase in words that fit a table. */
export function phaseWords(phase: TaskPhase): string {
  switch (phase.kind) {
    case 'failed':
      return `failed: ${phase.failure.type}`;
    case 'terminated':
      return phase.how === 'timedOut' ? 'timed out' : 'terminated';
    case 'planning':
    case 'running':
    case 'cancelling':
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
