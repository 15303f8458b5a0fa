import type { Command } from 'commander';
import type { TaskSummary } from '../../client/cadre-client';
import { resumeId } from '../../core/names';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { type Output, duration, stamp, table } from '../output';
import { openSession } from '../session';
import { wholeNumber } from '../whole-number';

interface ListFlags extends CommonFlags {
  readonly limit: number;
  readonly needsAttention?: boolean;
}

export function listCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('list')
      .description("the cadre's tasks: those that run, then the latest ended")
      .option('--needs-attention', 'only those that wait for a person: see cadre saga resolve')
      .option('--limit <n>', 'how many at most, from 1 to 10,000', wholeNumber(1, 10_000), 20),
  ).action((flags: ListFlags) => execute(flags, (output) => list(flags, output)));
}

async function list(flags: ListFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const rows: string[][] = [];
    const tasks: TaskSummary[] = [];
    for await (const task of session.client.list({
      limit: flags.limit,
      needsAttention: flags.needsAttention ?? false,
    })) {
      output.value(task);
      tasks.push(task);
      const took = duration((task.endedAt ?? Date.now()) - task.startedAt);
      const status = task.needsAttention === undefined ? task.status : `waits: ${task.needsAttention}`;
      rows.push([task.id, status, stamp(task.startedAt), took, task.goal]);
    }
    if (rows.length === 0) {
      const which = flags.needsAttention ? 'No tasks that wait for a person,' : 'No tasks';
      output.line(`${which} of the cadre "${session.config.cadre}" in namespace "${session.at.namespace}".`);
    } else {
      for (const line of table([['TASK', 'STATUS', 'STARTED (UTC)', 'TOOK', 'GOAL'], ...rows]))
        output.line(line);
      if (tasks.some((task) => isLeftOver(task, tasks))) {
        output.line();
        output.line(
          '  → What was cut off may have left something to undo: cadre saga sweep finds out, and does it.',
        );
      }
    }
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** Whether it was cut off, and nothing among `tasks` goes on with it. */
function isLeftOver({ id, status }: TaskSummary, tasks: readonly TaskSummary[]): boolean {
  const cutOff = status === 'terminated' || status === 'timedOut';
  return cutOff && !tasks.some((task) => task.id === resumeId(id));
}
