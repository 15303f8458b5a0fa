import { Argument, type Command } from 'commander';
import { CadreError } from '../../../core/failures';
import { RESOLUTIONS, type Resolution } from '../../../core/saga';
import { type CommonFlags, withCommonOptions } from '../../connection-options';
import type { Execute } from '../../execute';
import { EXIT } from '../../exit';
import type { Output } from '../../output';
import { openSession } from '../../session';

interface ResolveFlags extends CommonFlags {
  readonly note: string;
}

export function sagaResolveCommand(saga: Command, execute: Execute): void {
  withCommonOptions(
    saga
      .command('resolve')
      .description('say what is to become of a step, or of undoing it, that failed for good')
      .argument('<id>', "the task's or saga's id")
      .argument('<step>', 'the step that failed, or could not be undone')
      .addArgument(
        new Argument('<how>', 'try it again, go on without it, or undo what came before it').choices(
          RESOLUTIONS,
        ),
      )
      .option('--note <text>', 'why; stands in the log', ''),
  ).action((id: string, step: string, how: Resolution, flags: ResolveFlags) =>
    execute(flags, (output) => resolve({ id, step, how }, flags, output)),
  );
}

async function resolve(
  { id, step, how }: { id: string; step: string; how: Resolution },
  flags: ResolveFlags,
  output: Output,
): Promise<number> {
  const session = await openSession(flags);
  try {
    if (flags.note.trim() === '' && how !== 'retry') {
      throw new CadreError('InputInvalid', `Expected --note to say why ${WHY[how]}`);
    }
    await session.client.task(id).resolve(step, how, flags.note);
    output.value({ task: id, step, how, note: flags.note });
    output.line(`${output.paint('green', '✓')} ${step} ${THEN[how]}. See cadre saga show ${id}.`);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

const WHY = {
  skip: 'the step stays as it is',
  fail: 'the step surely had no effect',
} as const satisfies Record<Exclude<Resolution, 'retry'>, string>;

const THEN = {
  retry: 'is tried again',
  skip: 'is left as it is; the rest goes on',
  fail: 'fails; what came before it is undone',
} as const satisfies Record<Resolution, string>;
