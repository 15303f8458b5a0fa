/** Follows a task to its end, and says how it ended. */
import { TaskFailedError, type TaskHandle } from '../client/task-handle';
import { agreementAfter, agreementValue, writeAgreement } from './agreement';
import { EXIT } from './exit';
import { follow } from './follow';
import { type Output, duration } from './output';
import { reportError } from './report-error';
import { reportOf, writeReport } from './report-file';
import { writeResume } from './resume-words';
import type { Session } from './session';

/** With what a task is followed. */
export interface Following {
  readonly session: Session;
  readonly flags: { readonly follow?: boolean; readonly detach?: boolean; readonly reports: string };
  readonly output: Output;
  readonly link: string | undefined;
  readonly signal: AbortSignal;
  /** When it was started, in ms since 1970. */
  readonly began: number;
}

const REPORT_LINES = 14;

/** Returns the exit code. Writes the report where there is one. */
export async function followToEnd(task: TaskHandle, following: Following): Promise<number> {
  const { flags, output, link, signal } = following;
  const left = await follow(task, flags, link, output, signal);
  if (left !== undefined) return left;
  try {
    await finish(task, await task.result(), following);
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof TaskFailedError)) throw error;
    const status = error.type === 'Cancelled' ? 'cancelled' : 'failed';
    const code = reportError(error, output, { task: task.id, status });
    writeResume(await task.describe(), output);
    return code;
  }
}

async function finish(
  task: TaskHandle,
  outputs: Record<string, unknown>,
  { session, flags, output, link, signal, began }: Following,
): Promise<void> {
  const elapsed = Date.now() - began;
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
