import { readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { TaskFailedError, type TaskHandle } from '../../client/task-handle';
import { CadreError } from '../../core/failures';
import { validTaskId } from '../../core/names';
import { type TaskInput, parseTaskInput } from '../../core/task-input';
import { validatePlan } from '../../core/plan';
import type { CadreWorker } from '../../workers/cadre-worker';
import type { TemporalServer } from '../../workers/server';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import { EventLines } from '../event-lines';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { onInterrupt } from '../interrupt';
import { webUiLink } from '../links';
import { type Output, duration } from '../output';
import { withWorker } from '../own-worker';
import { reportError } from '../report-error';
import { reportOf, writeReport } from '../report-file';
import { type Session, openSessionWithServer } from '../session';

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
/** How often, in ms, a run looks whether attempts fail. */
const LOOK_INTERVAL = 2000;

export function runCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('run')
      .description('have the team work on a goal, wait for the result, and write its report')
      .argument('[goal]', 'what to find out (default: an example question on the example documents)')
      .option('--docs <folder>', 'documents to work on: Markdown, text, HTML')
      .option('--plan <file>', "JSON file with a plan to carry out, instead of the planner's")
      .option('--id <id>', "the task's id (default: made of the goal)")
      .option('--follow', 'print every event as it happens, not only the steps')
      .option('--detach', 'start the task, print its id, and do not wait')
      .option('--no-worker', 'leave the work to workers that run elsewhere')
      .option('--reports <folder>', 'folder for the report', 'reports'),
    // The task's events tell of failing attempts already; the worker's own warnings would say it twice.
  ).action((goal: string | undefined, flags: RunFlags) =>
    execute(flags, (output) => run(goal, flags, output), 'ERROR'),
  );
}

async function run(goal: string | undefined, flags: RunFlags, output: Output): Promise<number> {
  const input = taskInput(goal, flags);
  let worker: CadreWorker | undefined;
  let server: TemporalServer | undefined;
  let ended = false;
  const interrupt = onInterrupt(
    () => {
      if (!ended) output.line('Stopping: agents that act may finish. Press Ctrl-C again to stop at once.');
      worker?.shutdown();
    },
    () => server?.kill(),
  );
  try {
    const session = await openSessionWithServer(flags, output, interrupt.signal);
    server = session.server;
    output.line(serverLine(server, output));
    try {
      const work = async () => {
        const code = await runTask(session, input, flags, output, interrupt.signal);
        ended = true;
        if (server?.origin === 'started' && code === EXIT.done) {
          await lingerForLinks(output, interrupt.signal);
        }
        return code;
      };
      const started = (own: CadreWorker) => void (worker = own);
      return await (flags.worker ? withWorker(session, output, started, work) : work());
    } finally {
      await session.close();
    }
  } finally {
    await server?.stop();
    interrupt.release();
  }
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
  output.line(`  task    ${task.id}`);
  if (link !== undefined) output.line(`  Web UI  ${link}`);
  if (flags.detach) {
    output.value({ task: task.id, ...(link === undefined ? {} : { webUi: link }) });
    return EXIT.done;
  }
  await followTask(task, flags, output, signal);
  if (signal.aborted) {
    output.line(
      `Not waited for: the task goes on when a worker runs (cadre worker). See cadre show ${task.id}, cadre cancel ${task.id}.`,
    );
    output.value({ task: task.id, status: 'running', ...(link === undefined ? {} : { webUi: link }) });
    return EXIT.interrupted;
  }
  try {
    const outputs = await task.result();
    await finish(task, outputs, { flags, output, link, elapsed: Date.now() - began });
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof TaskFailedError)) throw error;
    return reportError(error, output, {
      task: task.id,
      status: error.type === 'Cancelled' ? 'cancelled' : 'failed',
    });
  }
}

async function followTask(
  task: TaskHandle,
  flags: RunFlags,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const lines = new EventLines(output, flags.follow ?? false);
  // History tells of a failing attempt only when the last one has ended.
  const look = setInterval(() => {
    void task.pending().then(
      (pending) => {
        lines.writeRetries(pending);
        lines.writeWaits(pending);
      },
      () => undefined,
    );
  }, LOOK_INTERVAL);
  try {
    for await (const event of task.events({ follow: true, signal })) {
      lines.write(event);
      if (flags.follow) output.value(event);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(look);
  }
}

async function finish(
  task: TaskHandle,
  outputs: Record<string, unknown>,
  {
    flags,
    output,
    link,
    elapsed,
  }: { flags: RunFlags; output: Output; link: string | undefined; elapsed: number },
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
  output.value({
    task: task.id,
    status: 'completed',
    elapsed,
    ...(path === undefined ? {} : { report: path }),
    ...(link === undefined ? {} : { webUi: link }),
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

function serverLine(server: TemporalServer, output: Output): string {
  const how = server.origin === 'started' ? ', started for this run' : '';
  const version = server.version === undefined ? '' : ` ${server.version}`;
  return `${output.paint('green', '✓')} Temporal${version} at ${server.address}${how}`;
}

/**
 * On a terminal a server of ours, and the worker that answers the Web UI's questions, stay for the link that was
 * printed, until Ctrl-C.
 */
async function lingerForLinks(output: Output, signal: AbortSignal): Promise<void> {
  output.line();
  if (!process.stdout.isTTY) {
    output.line(
      'The server that was started for this run stops now; `cadre server` opens its history again.',
    );
    return;
  }
  output.line(
    'The server stays up for the link. Press Ctrl-C to stop it; `cadre server` opens its history again.',
  );
  await new Promise<void>((stop) => {
    if (signal.aborted) stop();
    signal.addEventListener('abort', () => stop(), { once: true });
  });
}
