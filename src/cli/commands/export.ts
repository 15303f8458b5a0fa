import type { Command } from 'commander';
import { once } from 'node:events';
import type { Exported } from '../../client/history-export';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { Output, count } from '../output';
import { reportError } from '../report-error';
import { openSession } from '../session';

export function exportCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('export')
      .description('write the whole history of a task to standard output, to be read without its server')
      .argument('<id>', "the task's id"),
  ).action((id: string, flags: CommonFlags) =>
    execute(flags, async () => {
      try {
        return await exportTask(id, flags);
      } catch (error) {
        return reportError(error, new Aside(true));
      }
    }),
  );
}

/** Says everything on standard error: standard output is the file's. */
class Aside extends Output {
  override value(): void {}
}

async function exportTask(id: string, flags: CommonFlags): Promise<number> {
  const session = await openSession(flags);
  try {
    const { header, events, logged, head } = await write(session.client.export(id));
    const output = new Aside(true);
    output.line(
      `${id}: ${count(header.runs.length, 'run')}, ${count(events, 'event')}; ${count(logged, 'event')} in the log`,
    );
    output.line(`head ${head}: keep it elsewhere, since whoever can change the file can chain it anew;`);
    output.line(`  \`cadre verify FILE --head ${head}\` finds any change`);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** Writes no faster than it is read. */
async function write(lines: AsyncGenerator<string, Exported>): Promise<Exported> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) return value;
    if (!process.stdout.write(`${value}\n`)) await once(process.stdout, 'drain');
  }
}
