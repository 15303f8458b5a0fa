import type { Command } from 'commander';
import type { Budget } from '../../core/budget/budget';
import { BUDGET_FLAG, BUDGET_HELP, budgetOf } from '../budget-flag';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { withTeam, writeTask } from '../follow';
import { webUiLink } from '../links';
import type { Output } from '../output';
import type { Session } from '../session';
import { followToEnd } from '../task-end';

interface ResumeFlags extends CommonFlags {
  readonly budget?: string;
  readonly detach?: boolean;
  readonly follow?: boolean;
  readonly worker: boolean;
  readonly reports: string;
}

export function resumeCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('resume')
      .description('go on with a task that has reached its budget, with more')
      .argument('<id>', "the task's id")
      .option(BUDGET_FLAG, `what it may use in all, ${BUDGET_HELP}`)
      .option('--follow', 'print every event as it happens, and what models say as they say it')
      .option('--detach', 'start it, print its id, and do not wait')
      .option('--no-worker', 'leave the work to workers that run elsewhere')
      .option('--reports <folder>', 'folder for the report', 'reports'),
  ).action((id: string, flags: ResumeFlags) =>
    execute(flags, (output) => {
      const more = flags.budget === undefined ? {} : budgetOf(flags.budget);
      return withTeam(flags, output, (session, signal) =>
        resume(id, more, session, { flags, output, signal }),
      );
    }),
  );
}

interface Run {
  readonly flags: ResumeFlags;
  readonly output: Output;
  readonly signal: AbortSignal;
}

async function resume(id: string, more: Budget, session: Session, run: Run): Promise<number> {
  const began = Date.now();
  const task = await session.client.task(id).resume({ budget: more });
  const link = webUiLink(session.at, task.id);
  const { output } = run;
  output.line(`  resumes ${id}`);
  writeTask(task, link, output);
  return followToEnd(task, { session, link, began, ...run });
}
