import type { Command } from 'commander';
import type { Relative } from '../../client/family';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { onInterrupt } from '../interrupt';
import { openLog, writeProblems } from '../log-source';
import { type LogFilter, filterOf, writeEvents } from '../log-words';
import type { Output } from '../output';
import { openSession } from '../session';

interface LogFlags extends CommonFlags, LogFilter {
  readonly follow?: boolean;
  readonly tree?: boolean;
}

export function logCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('log')
      .description(
        'all that happened in a task, event by event; of a file of `cadre export` without a server',
      )
      .argument('<id>', "the task's or saga's id, or a file")
      .option('--follow', 'go on as it happens, until it ends')
      .option('--agent <name>', 'only what this agent did or was asked for')
      .option('--type <types>', 'only events of these types, with commas between them')
      .option('--step <id>', 'only what is about this step')
      .option('--tree', 'its family instead: what it is a fork of, its forks, and what resumed it'),
  ).action((id: string, flags: LogFlags) =>
    execute(flags, (output) => (flags.tree ? showFamily(id, flags, output) : showLog(id, flags, output))),
  );
}

async function showLog(id: string, flags: LogFlags, output: Output): Promise<number> {
  const isWanted = filterOf(flags);
  const opened = await openLog(id, flags);
  const interrupt = flags.follow ? onInterrupt(() => undefined) : undefined;
  try {
    const signal = interrupt === undefined ? {} : { signal: interrupt.signal };
    const events = opened.log.events({ follow: flags.follow ?? false, ...signal });
    try {
      await writeEvents(events, isWanted, output);
    } catch (error) {
      if (!interrupt?.signal.aborted) throw error;
    }
    writeProblems(opened.problems(), output);
    return EXIT.done;
  } finally {
    interrupt?.release();
    await opened.close();
  }
}

async function showFamily(id: string, flags: LogFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const eldest = await session.client.family(id);
    output.value(eldest);
    if (!output.json) writeRelative(eldest, { of: id, depth: 0 }, output);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

function writeRelative(one: Relative, at: { of: string; depth: number }, output: Output): void {
  const { id, status, forkedAt, resumes, children } = one;
  const how = resumes ? ', resumes it' : forkedAt === undefined ? '' : `, forked at #${forkedAt}`;
  const name = id === at.of ? output.paint('bold', id) : id;
  output.line(`${'  '.repeat(at.depth)}${name}  ${status}${how}`);
  for (const child of children) writeRelative(child, { ...at, depth: at.depth + 1 }, output);
}
