import { Argument, type Command } from 'commander';
import type { TaskDescription } from '../../client/task-handle';
import { CadreError } from '../../core/failures';
import { oneLine } from '../../core/one-line';
import { idempotencyKey } from '../../core/envelope';
import { type Compensation, RESOLUTIONS, type Resolution } from '../../core/saga';
import { phaseWords } from '../../core/task-details';
import { actorOf, stepState } from '../../core/task-events';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { webUiLink } from '../links';
import type { Output } from '../output';
import { openSession } from '../session';

const CELL_MAXIMUM_LENGTH = 60;

export function sagaCommand(program: Command, execute: Execute): void {
  const saga = program.command('saga').description('what a failed task did, and what became of undoing it');
  const show = saga
    .command('show')
    .description('each step as it was done, and as it was undone')
    .argument('<id>', "the task's id");
  withCommonOptions(show).action((id: string, flags: CommonFlags) =>
    execute(flags, (output) => showSaga(id, flags, output)),
  );
  const resolve = saga
    .command('resolve')
    .description('say what is to become of a compensation that failed for good')
    .argument('<id>', "the task's id")
    .argument('<step>', 'the step that could not be undone')
    .addArgument(new Argument('<how>', 'try it again, or go on without it').choices(RESOLUTIONS))
    .option('--note <text>', 'why; stands in the log', '');
  withCommonOptions(resolve).action(
    (id: string, step: string, how: Resolution, flags: CommonFlags & { note: string }) =>
      execute(flags, (output) => resolveStep({ id, step, how }, flags, output)),
  );
}

async function showSaga(id: string, flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const description = await session.client.task(id).describe();
    const { state } = description;
    const link = webUiLink(session.at, id);
    const { phase, compensations = [], stack = [] } = state;
    output.value({ task: id, phase, stack, compensations, ...(link === undefined ? {} : { webUi: link }) });
    output.line(`${output.paint('bold', id)}  ${phaseWords(phase)}`);
    output.table([['DONE', 'AGENT', 'STATE', 'KEY'], ...upward(description)]);
    if (compensations.length > 0) {
      output.table([['UNDONE', 'AGENT', 'STATE', 'KEY'], ...downward(description)]);
    }
    if (phase.kind === 'needsAttention') {
      output.line();
      output.line(`${output.paint('yellow', '!')} ${phase.step} cannot be undone: ${phase.failure.message}`);
      output.line(`  → cadre saga resolve ${id} ${phase.step} retry|skip --note "..."`);
    }
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function upward({ state }: TaskDescription): string[][] {
  return (state.plan?.steps ?? [])
    .filter(({ id }) => stepState(state, id).kind !== 'waiting')
    .map((step) => {
      const { id } = step;
      const key = idempotencyKey({ root: state.root, step: id, kind: 'act' });
      return [`↑ ${id}`, actorOf(state, step), stepState(state, id).kind, key];
    });
}

function downward({ state }: TaskDescription): string[][] {
  return (state.compensations ?? []).map((one) => {
    const key = idempotencyKey({ root: state.root, step: one.step, kind: 'undo' });
    return [`↓ ${one.step}`, one.agent, compensationWords(one), key];
  });
}

/** What became of undoing a step, in words that fit a table. */
function compensationWords(one: Compensation): string {
  const known = one.outcome === 'completed' ? '' : ', whether or not it happened';
  if (one.kind === 'failed') return `failed: ${oneLine(one.failure.message, CELL_MAXIMUM_LENGTH)}`;
  if (one.kind === 'skipped') return `skipped: ${oneLine(one.note, CELL_MAXIMUM_LENGTH)}`;
  return `${one.kind}${known}`;
}

async function resolveStep(
  { id, step, how }: { id: string; step: string; how: Resolution },
  flags: CommonFlags & { note: string },
  output: Output,
): Promise<number> {
  const session = await openSession(flags);
  try {
    if (flags.note.trim() === '' && how === 'skip') {
      throw new CadreError('InputInvalid', 'Expected --note to say why the step stays as it is');
    }
    await session.client.task(id).resolve(step, how, flags.note);
    output.value({ task: id, step, how, note: flags.note });
    const what = how === 'retry' ? 'is tried again' : 'is left as it is; the rest is undone';
    output.line(`${output.paint('green', '✓')} Undoing ${step} ${what}. See cadre saga show ${id}.`);
    return EXIT.done;
  } finally {
    await session.close();
  }
}
