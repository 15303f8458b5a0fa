import type { Command } from 'commander';
import { type ExportCheck, checkExport } from '../../client/export-check';
import { inputInvalid } from '../../core/failures';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { type Output, count, stamp } from '../output';

interface VerifyFlags {
  readonly head?: string;
  readonly json?: boolean;
}

export function verifyCommand(program: Command, execute: Execute): void {
  program
    .command('verify')
    .description('find what was changed in a file of `cadre export`; needs no server')
    .argument('<file>', 'the file')
    .option('--head <hash>', 'the head that `cadre export` named, kept elsewhere')
    .option('--json', 'write JSON to standard output, and everything else to standard error')
    .action((file: string, flags: VerifyFlags) => execute(flags, (output) => verify(file, flags, output)));
}

async function verify(file: string, flags: VerifyFlags, output: Output): Promise<number> {
  const head = flags.head?.toLowerCase();
  if (head !== undefined && !/^[0-9a-f]{64}$/.test(head)) {
    throw inputInvalid('--head', 'the 64 hexadecimal digits that `cadre export` named', flags.head);
  }
  const check = await checkExport(file, head === undefined ? {} : { head });
  output.value({ file, ...check });
  for (const line of check.intact ? intactLines(file, check, head) : damagedLines(file, check, output)) {
    output.line(line);
  }
  return check.intact ? EXIT.done : EXIT.failed;
}

function intactLines(file: string, check: ExportCheck, head: string | undefined): string[] {
  const { header, events, logged, undecoded } = check;
  if (header === undefined) return [];
  const runs = count(header.runs.length, 'run');
  return [
    `${file}: as it was exported`,
    `  ${header.workflowType} ${header.workflowId}, at ${stamp(header.exportedAt)} UTC`,
    `  ${runs}, ${count(events, 'event')}; ${count(logged, 'event')} in the log`,
    `  head ${check.head}${head === undefined ? '' : ', the one that was kept'}`,
    ...(undecoded === 0
      ? []
      : [
          `  ${count(undecoded, 'event')} with payloads that cannot be decoded here: the log was not compared with them`,
        ]),
    ...(head === undefined
      ? ['  → compare the head with the one that `cadre export` named: a file can be chained anew']
      : []),
  ];
}

function damagedLines(file: string, { problems }: ExportCheck, output: Output): string[] {
  return [
    `${output.paint('red', '✗')} ${file} is not as it was exported:`,
    ...problems.map((problem) => `  line ${problem.line}${place(problem)}: ${problem.message}`),
  ];
}

function place({ kind, runId, eventId }: ExportCheck['problems'][number]): string {
  if (kind !== 'chain' || eventId === undefined) return '';
  return `, event ${eventId} of run ${runId}`;
}
