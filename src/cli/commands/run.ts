import { readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { TaskFailedError, type TaskHandle } from '../../client/task-handle';
import { CadreError } from '../../core/failures';
import { validTaskId } from '../../core/names';
import { type TaskInput, parseTaskInput } from '../../core/task-input';
import { validatePlan } from '../../core/plan';
import { agreementAfter, agreementValue, writeAgreement } from '../agreement';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { follow, withTeam, writeTask } from '../follow';
import { webUiLink } from '../links';
import { type Output, duration } from '../output';
import { reportError } from '../report-error';
import { writeResume } from '../resume-words';
import { reportOf, writeReport } from '../report-file';
import type { Session } from '../session';

interface RunFlags extends CommonFlags {
  readonly docs?: string;
  readonly plan?: string;
  readonly id?: string;
  readonly follow?: boolean;
  readonly detach?: boolean;
  readonly worker: boolean;
  readonly reports: string;
}

const EXAMPLE_DOCS = join(__dirname, '..', '..', '..', 'examples', 'handbook');
const EXAMPLE_GOAL =
  'When should the on-call engineer fail over the database, who has to approve it, and how often do we rehearse it?';
const REPORT_LINES = 14;

export function runCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('run')
      .description('have the team work on a goal, wait for the result, and write its report')
      .argument('[goal]', 'what to find out (default: an example question on the example documents)')
      .option('--docs <folder>', 'documents to work on: Markdown, text, HTML, PDF, DOCX')
      .option('--plan <file>', "JSON file with a plan to carry out, instead of the planner's")
      .option('--id <id>', "the task's id (default: made of the goal)")
      .option('--follow', 'print every event as it happens, not only the steps')
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
  const left = await follow(task, flags, link, output, signal);
  if (left !== undefined) return left;
  try {
    const outputs = await task.result();
    await finish(task, outputs, { session, flags, output, link, signal, elapsed: Date.now() - began });
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof TaskFailedError)) throw error;
    const status = error.type === 'Cancelled' ? 'cancelled' : 'failed';
    const code = reportError(error, output, { task: task.id, status });
    writeResume(await task.describe(), output);
    return code;
  }
}

interface Finished {
  readonly session: Session;
  readonly flags: RunFlags;
  readonly output: Output;
  readonly link: string | undefined;
  readonly signal: AbortSignal;
  /** In ms. */
  readonly elapsed: number;
}

async function finish(
  task: TaskHandle,
  outputs: Record<string, unknown>,
  { session, flags, output, link, signal, elapsed }: Finished,
): Promise<void> {
  const report = reportOf(outputs);
  const path = report === undefined ? undefined : await writeReport(flags.reports, task.id, report);
  output.line(
    `${output.paint('green', '✓')} done in ${duration(elapsed)}${path === undefined ? '' : `: ${path}`}`,
  );
  output.line();
  if (report === undefined)
    for (const line of JSON.stringify(outputs, null, 2).split('\n')) output.line(`  ${line}`);
  else printHead(report, output);
  const agreement = await agreementAfter(task, session, signal);
  if (agreement !== undefined) writeAgreement(agreement, output);
  output.value({
    task: task.id,
    status: 'completed',
    elapsed,
    ...(path === undefined ? {} : { report: path }),
    ...(link === undefined ? {} : { webUi: link }),
    ...(agreement === undefined ? {} : { knowledge: agreementValue(agreement) }),
    outputs,
  });
}

function printHead(report: string, output: Output): void {
  const lines = report.split('\n');
  for (const line of lines.slice(0, REPORT_LINES)) output.line(line === '' ? '' : `  ${line}`);
  if (lines.length > REPORT_LINES) output.line(`  … ${lines.length - REPORT_LINES} more lines`);
}

function docsText(docs: string): string {
  if (docs === EXAMPLE_DOCS)
    return `${relative(process.cwd(), docs) || docs} (the example; --docs FOLDER for yours)`;
  return docs;
}
