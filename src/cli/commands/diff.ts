import type { Command } from 'commander';
import { isRecord } from '../../core/json';
import type { Difference, Parting } from '../../core/log/diff';
import { cut } from '../../core/one-line';
import type { LoggedTaskEvent } from '../../core/task-projection';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { openLog, writeProblems } from '../log-source';
import { eventWords, valueWords } from '../log-words';
import { type Output, count } from '../output';
import { parsePoint } from '../point';

const CELL_MAXIMUM_LENGTH = 60;

export function diffCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('diff')
      .description('what changed between two points of a log, or where two logs part')
      .argument('<id>', "the task's or saga's id, or a file of `cadre export`")
      .argument(
        '<other>',
        'a point of its log (the number of an event, a time, or `last`), or another id or file',
      )
      .argument('[to]', 'the later point, where the other is one'),
  ).action((id: string, other: string, to: string | undefined, flags: CommonFlags) =>
    execute(flags, (output) =>
      to === undefined ? diffLogs(id, other, flags, output) : diffPoints(id, [other, to], flags, output),
    ),
  );
}

async function diffPoints(
  id: string,
  texts: readonly [string, string],
  flags: CommonFlags,
  output: Output,
): Promise<number> {
  const now = Date.now();
  const [from, to] = [
    parsePoint('the first point', texts[0], now),
    parsePoint('the second point', texts[1], now),
  ];
  const opened = await openLog(id, flags);
  try {
    const { before, after, differences } = await opened.log.diff(from, to);
    output.value({ id: opened.log.id, before: before.number, after: after.number, differences });
    if (!output.json) {
      const how = count(differences.length, 'difference');
      output.line(
        `${output.paint('bold', opened.log.id)}  event ${before.number} to ${after.number}: ${how}`,
      );
      writeDifferences(differences, [`#${before.number}`, `#${after.number}`], output);
    }
    writeProblems(opened.problems(), output);
    return EXIT.done;
  } finally {
    await opened.close();
  }
}

async function diffLogs(id: string, other: string, flags: CommonFlags, output: Output): Promise<number> {
  const first = await openLog(id, flags);
  try {
    const second = await openLog(other, flags);
    try {
      const isSame = first.log.id === second.log.id;
      const ids = isSame ? ([id, other] as const) : ([first.log.id, second.log.id] as const);
      const { parting, ends } = await first.log.compare(second.log);
      output.value({ first: ids[0], second: ids[1], ...(parting === undefined ? {} : { parting }), ends });
      if (!output.json) {
        writeParting(parting, ids, output);
        output.line();
        output.line(
          ends.length === 0 ? 'They stand the same.' : `They stand: ${count(ends.length, 'difference')}`,
        );
        writeDifferences(ends, ids, output);
      }
      writeProblems([...first.problems(), ...second.problems()], output);
      return EXIT.done;
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}

function writeParting(parting: Parting | undefined, ids: readonly [string, string], output: Output): void {
  if (parting === undefined) {
    output.line('They say the same, as far as both go.');
    return;
  }
  const { part, first, second, differences } = parting;
  output.line(`They part at ${output.paint('bold', part === 'task' ? 'the task' : part)}:`);
  output.table([partingRow(ids[0], first), partingRow(ids[1], second)]);
  writeDifferences(differences, ids, output);
}

function partingRow(id: string, event: LoggedTaskEvent | undefined): string[] {
  return event === undefined ? [id, '–', 'nothing'] : [id, `#${event.number}`, eventWords(event)];
}

function writeDifferences(
  differences: readonly Difference[],
  names: readonly [string, string],
  output: Output,
): void {
  if (differences.length === 0) return;
  const rows = differences.map(({ path, before, after }) => [
    path.join('.'),
    sideWords(before),
    sideWords(after),
  ]);
  output.table([['WHERE', ...names], ...rows]);
}

/** What stands on one side: of what has a kind that first. */
function sideWords(value: unknown): string {
  if (!isRecord(value) || typeof value['kind'] !== 'string') return valueWords(value, CELL_MAXIMUM_LENGTH);
  const { kind, ...rest } = value;
  return cut(
    Object.keys(rest).length === 0 ? kind : `${kind} ${valueWords(rest, CELL_MAXIMUM_LENGTH)}`,
    CELL_MAXIMUM_LENGTH,
  );
}
