import { readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { CadreError } from '../../core/failures';
import { validTaskId } from '../../core/names';
import { type TaskInput, parseTaskInput } from '../../core/task-input';
import { validatePlan } from '../../core/plan';
import { BUDGET_FLAG, BUDGET_HELP, budgetOf } from '../budget-flag';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { withTeam, writeTask } from '../follow';
import { webUiLink } from '../links';
import type { Output } from '../output';
import type { Session } from '../session';
import { followToEnd } from '../task-end';

interface RunFlags extends CommonFlags {
  readonly docs?: string;
  readonly plan?: string;
  readonly id?: string;
  readonly budget?: string;
  readonly follow?: boolean;
  readonly detach?: boolean;
  readonly worker: boolean;
  readonly reports: string;
}

const EXAMPLE_DOCS = join(__dirname, '..', '..', '..', 'examples', 'handbook');
const EXAMPLE_GOAL =
  'When should the on-call engineer fail over the database, who has to approve it, and how often do we rehearse it?';

export function runCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('run')
      .description('have the team work on a goal, wait for the result, and write its report')
      .argument('[goal]', 'what to find out (default: an example question on the example documents)')
      .option('--docs <folder>', 'documents to work on: Markdown, text, HTML, PDF, DOCX')
      .option('--plan <file>', "JSON file with a plan to carry out, instead of the planner's")
      .option('--id <id>', "the task's id (default: made of the goal)")
      .option(BUDGET_FLAG, `what the task may use, ${BUDGET_HELP}`)
      .option('--follow', 'print every event as it happens, and what models say as they say it')
      .option('--detach', 'start the task, print its id, and do not wait')
      .option('--no-worker', 'leave the work to workers that run elsewhere')
      .option('--reports <folder>', 'folder for the report', 'reports'),
  ).action((goal: string | undefined, flags: RunFlags) =>
    execute(flags, (output) => run(goal, flags, output)),
  );
}

async function run(goal: string | undefined, flags: RunFlags, output: Output): Promise<number> {
  const input = taskInput(goal, flags);
  return withTeam(flags, output, (session, signal) => runTask(session, input, flags, output, signal));
}

function taskInput(goal: string | undefined, flags: RunFlags): TaskInput {
  if (flags.id !== undefined) validTaskId(flags.id);
  const plan = flags.plan === undefined ? undefined : readPlan(flags.plan);
  if (goal === undefined && flags.docs !== undefined) {
    throw new CadreError(
      'GoalEmpty',
      `Nothing to find out: say what, as in cadre run "your question" --docs ${flags.docs}`,
    );
  }
  const example = goal === undefined && plan === undefined ? EXAMPLE_DOCS : undefined;
  const docs = flags.docs === undefined ? example : resolve(flags.docs);
  if (docs !== undefined && flags.worker) checkFolder(docs);
  return parseTaskInput({
    goal: goal ?? EXAMPLE_GOAL,
    ...(docs === undefined ? {} : { docs }),
    ...(plan === undefined ? {} : { plan }),
    ...(flags.budget === undefined ? {} : { budget: budgetOf(flags.budget) }),
  });
}

/** Where the worker is this process, or one beside it, a wrong path need not wait for the planner to be found. */
function checkFolder(docs: string): void {
  try {
    if (statSync(docs).isDirectory()) return;
  } catch {
    // Whatever the reason, it is no folder that can be read.
  }
  throw new CadreError('DocumentsUnreadable', `There is no folder ${docs}`);
}

function readPlan(file: string): TaskInput['plan'] {
  return validatePlan(readJson(file), undefined);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const what = cause instanceof SyntaxError ? `${file} is not JSON` : `Cannot read the plan ${file}`;
    throw new CadreError('PlanInvalid', `${what}: ${reason}`, { cause });
  }
}

async function runTask(
  session: Session,
  input: TaskInput,
  flags: RunFlags,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const began = Date.now();
  const task = await session.client.start(input, flags.id === undefined ? {} : { id: flags.id });
  const link = webUiLink(session.at, task.id);
  output.line(`  goal    ${input.goal}`);
  if (input.docs !== undefined) output.line(`  docs    ${docsText(input.docs)}`);
  writeTask(task, link, output);
  return followToEnd(task, { session, flags, output, link, signal, began });
}

function docsText(docs: string): string {
  if (docs === EXAMPLE_DOCS)
    return `${relative(process.cwd(), docs) || docs} (the example; --docs FOLDER for yours)`;
  return docs;
}
