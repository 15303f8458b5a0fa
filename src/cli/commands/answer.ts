import type { Command } from 'commander';
import type { AgentQuestion, ApprovalQuestion, StepQuestion } from '../../client/task-handle';
import { CadreError, inputInvalid } from '../../core/failures';
import { answerCommand as commandFor } from '../../core/task-details';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { type Output, stamp } from '../output';
import { openSession } from '../session';

interface AnswerFlags extends CommonFlags {
  readonly hash?: string;
  readonly note: string;
  readonly as?: string;
}

export function answerCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('answer')
      .description('answer what a step asks: whether it may run on the input that is shown, or a question')
      .argument('<id>', "the task's or saga's id")
      .argument('<step>', 'the step that asks')
      .argument('[answer]', 'yes or no to an approval, else what the question says; left out: only show it')
      .option('--hash <hash>', 'answer only what has this hash: 12 digits or more of it')
      .option('--as <name>', 'who answers; a question may say who may')
      .option('--note <text>', 'why; stands in the log', ''),
  ).action((id: string, step: string, answer: string | undefined, flags: AnswerFlags) =>
    execute(flags, (output) => tell({ id, step, answer }, flags, output)),
  );
}

async function tell(
  { id, step, answer }: { id: string; step: string; answer: string | undefined },
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
      const what = question.kind === 'approval' ? 'the input ' : '';
      throw new CadreError('NotAsked', `The step "${step}" asks about ${what}${hash}, not ${flags.hash}`);
    }
    if (answer === undefined) {
      const asked =
        question.kind === 'question' ? { ...question, options: question.options ?? [] } : question;
      output.line();
      output.line(`  → ${commandFor(id, asked)}`);
      output.value({ task: id, ...question });
      return EXIT.done;
    }
    checkAs(question, flags.as);
    const by = flags.as === undefined ? {} : { by: flags.as };
    await task.answer(step, answer, { hash, note: flags.note, ...by });
    output.line();
    output.line(
      `${output.paint('green', '✓')} ${step} ${answeredWords(question, answer)} ${seeWords(question, id)}`,
    );
    output.value({ task: id, ...question, answer, note: flags.note, ...by });
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function answeredWords({ kind }: StepQuestion, answer: string): string {
  if (kind === 'question') return 'has its answer.';
  return answer === 'yes' ? 'may run on this input.' : 'does not run.';
}

function seeWords({ kind }: StepQuestion, id: string): string {
  return kind === 'question' ? `See cadre show ${id}.` : `See cadre saga show ${id}.`;
}

function checkHash(hash: string | undefined): void {
  if (hash === undefined || /^[0-9a-f]{12,64}$/i.test(hash)) return;
  throw inputInvalid('--hash', 'at least 12 hex digits', hash);
}

/** The task refuses it too, but knows nothing of flags. */
function checkAs(question: StepQuestion, as: string | undefined): void {
  const from = question.kind === 'question' ? question.from : undefined;
  if (from?.includes(as ?? '') === false) throw inputInvalid('--as', from.join(' or '), as);
}

function writeQuestion(question: StepQuestion, output: Output): void {
  if (question.kind === 'approval') writeApproval(question, output);
  else writeAgentQuestion(question, output);
  output.line(`  hash  ${question.hash}`);
}

function writeApproval({ step, agent, instruction, input }: ApprovalQuestion, output: Output): void {
  output.line(`${output.paint('bold', step)}  asks whether ${agent} may do this:`);
  if (instruction !== '') output.line(`  ${instruction}`);
  writeJson(input, output);
}

function writeAgentQuestion(
  { step, agent, question, options, from, about, until }: AgentQuestion,
  output: Output,
): void {
  output.line(`${output.paint('bold', step)}  ${agent} asks:`);
  for (const line of question.split('\n')) output.line(`  ${line}`);
  if (about === undefined) output.line();
  else writeJson(about, output);
  if (options !== undefined) output.line(`  answers  ${options.join(', ')}`);
  if (from !== undefined) output.line(`  from  ${from.join(', ')}`);
  if (until !== undefined) output.line(`  until  ${stamp(until)} UTC`);
}

function writeJson(value: unknown, output: Output): void {
  output.line();
  for (const line of JSON.stringify(value, null, 2).split('\n')) output.line(`  ${line}`);
  output.line();
}
