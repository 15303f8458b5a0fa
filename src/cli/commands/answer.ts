import { Argument, type Command } from 'commander';
import type { ApprovalQuestion } from '../../client/task-handle';
import { ANSWERS, type Answering } from '../../core/approval';
import { CadreError, inputInvalid } from '../../core/failures';
import { shortHash } from '../../core/task-details';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import type { Output } from '../output';
import { openSession } from '../session';

interface AnswerFlags extends CommonFlags {
  readonly hash?: string;
  readonly note: string;
}

export function answerCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('answer')
      .description('say whether a step may run on the input that is shown')
      .argument('<id>', "the task's or saga's id")
      .argument('<step>', 'the step that asks')
      .addArgument(new Argument('[answer]', 'left out: only show what is asked').choices(ANSWERS))
      .option('--hash <hash>', 'answer only for the input of this hash: 12 digits or more of it')
      .option('--note <text>', 'why; stands in the log', ''),
  ).action((id: string, step: string, answer: Answering['answer'] | undefined, flags: AnswerFlags) =>
    execute(flags, (output) => tell({ id, step, answer }, flags, output)),
  );
}

async function tell(
  { id, step, answer }: { id: string; step: string; answer: Answering['answer'] | undefined },
  flags: AnswerFlags,
  output: Output,
): Promise<number> {
  checkHash(flags.hash);
  const session = await openSession(flags);
  try {
    const task = session.client.task(id);
    const question = await task.question(step);
    writeQuestion(question, output);
    const { hash } = question;
    if (flags.hash !== undefined && !hash.startsWith(flags.hash.toLowerCase())) {
      throw new CadreError('NotAsked', `The step "${step}" asks about the input ${hash}, not ${flags.hash}`);
    }
    if (answer === undefined) {
      output.line();
      output.line(`  → cadre answer ${id} ${step} yes|no --hash ${shortHash(hash)}`);
      output.value({ task: id, ...question });
      return EXIT.done;
    }
    await task.answer(step, answer, { hash, note: flags.note });
    output.line();
    const said = answer === 'yes' ? 'may run on this input' : 'does not run';
    output.line(`${output.paint('green', '✓')} ${step} ${said}. See cadre saga show ${id}.`);
    output.value({ task: id, ...question, answer, note: flags.note });
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function checkHash(hash: string | undefined): void {
  if (hash === undefined || /^[0-9a-f]{12,64}$/i.test(hash)) return;
  throw inputInvalid('--hash', 'at least 12 hex digits', hash);
}

function writeQuestion({ step, agent, instruction, input, hash }: ApprovalQuestion, output: Output): void {
  output.line(`${output.paint('bold', step)}  asks whether ${agent} may do this:`);
  if (instruction !== '') output.line(`  ${instruction}`);
  output.line();
  for (const line of JSON.stringify(input, null, 2).split('\n')) output.line(`  ${line}`);
  output.line();
  output.line(`  hash  ${hash}`);
}
