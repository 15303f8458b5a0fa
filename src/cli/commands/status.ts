import type { Command } from 'commander';
import type { CadreStatus, StatusOptions } from '../../client/status';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { type Output, stamp, table } from '../output';
import { type Session, configOf, openSession } from '../session';
import { isGone } from '../../client/queue';
import { type Section, sectionsOf } from '../status-words';
import { instant, watchUntilInterrupted } from '../watch';

interface StatusFlags extends CommonFlags {
  readonly watch?: boolean;
}

const LABEL_WIDTH = 9;
/** How long each part may take in a watch, in ms: nobody waits for it. */
const WATCH_TIME_LIMIT = 3000;

export function statusCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('status')
      .description('the whole cadre at a glance: who leads and works, what is open, what needs a person')
      .option('--watch', 'go on, with a line for each change, until Ctrl-C'),
  ).action((flags: StatusFlags) =>
    execute(flags, (output) => (flags.watch ? watch(flags, output) : show(flags, output))),
  );
}

async function show(flags: CommonFlags, output: Output): Promise<number> {
  const session = await openSession(flags);
  try {
    const status = await session.client.status(optionsOf(session.config));
    output.value(valueOf(status));
    write(status, output);
    return isUnread(status) ? EXIT.failed : EXIT.done;
  } finally {
    await session.close();
  }
}

function watch(flags: CommonFlags, output: Output): Promise<number> {
  const told = new Told();
  const options = { ...optionsOf(configOf(flags)), timeLimit: WATCH_TIME_LIMIT };
  return watchUntilInterrupted(flags, output, {
    changes: (client, signal) => client.watchStatus({ ...options, signal }),
    tell(status) {
      output.value(valueOf(status));
      const lines = told.next(status);
      if (lines === undefined) write(status, output);
      else for (const line of lines) output.line(`${instant(status.asOf)}  ${line}`);
    },
    away: () => 'the server does not answer',
  });
}

/** The pools are the configuration's: the server does not know which there are. */
function optionsOf({ agents }: Session['config']): StatusOptions {
  return { pools: [...new Set(agents.flatMap(({ pool }) => pool ?? []))] };
}

/** Whether nothing at all could be read. */
function isUnread({ leader, workers, breakers, agents, open, attention }: CadreStatus): boolean {
  return [leader, workers, breakers, agents, open, attention].every(({ kind }) => kind === 'unread');
}

/** The status, with the workers of this machine marked whose process is gone. */
function valueOf(status: CadreStatus): unknown {
  const { workers } = status;
  if (workers.kind === 'unread') return status;
  const marked = workers.value.workers.map((worker) =>
    isGone(worker.identity) ? { ...worker, gone: true } : worker,
  );
  return { ...status, workers: { kind: 'read', value: { ...workers.value, workers: marked } } };
}

function write(status: CadreStatus, output: Output): void {
  output.line(`${output.paint('bold', status.cadre)}  ${stamp(status.asOf)} UTC`);
  output.line();
  for (const section of sectionsOf(status)) writeSection(section, output);
}

function writeSection({ label, kind, text, age, rows, fix }: Section, output: Output): void {
  const mark = {
    ok: output.paint('green', '✓'),
    warning: output.paint('yellow', '!'),
    unread: output.paint('red', '?'),
  }[kind];
  output.line(`${mark} ${label.padEnd(LABEL_WIDTH)} ${text}${age === undefined ? '' : `, ${age}`}`);
  const cells = rows.map((row) => [...row.cells, ...(row.age === undefined ? [] : [row.age])]);
  for (const line of table(cells)) output.line(`${' '.repeat(LABEL_WIDTH + 3)}${line}`);
  if (fix !== undefined) output.line(`${' '.repeat(LABEL_WIDTH + 3)}→ ${fix}`);
}

/** What a watch has told, so that it tells of each change once. */
class Told {
  private last: ReadonlyMap<string, Section> | undefined;

  /** The lines that `status` adds; undefined for the first, of which all is new. */
  next(status: CadreStatus): string[] | undefined {
    const before = this.last;
    const now = sectionsOf(status);
    this.last = new Map(now.map((section) => [section.label, known(section, before?.get(section.label))]));
    return before && now.flatMap((section) => changes(before.get(section.label), section));
  }
}

/** Of what cannot be read now, what was read last. */
function known(now: Section, before: Section | undefined): Section {
  return now.kind === 'unread' ? { ...now, rows: before?.rows ?? [] } : now;
}

function changes(before: Section | undefined, now: Section): string[] {
  const headline = before?.text === now.text ? [] : [now.text];
  const rows = new Map((before?.rows ?? []).map((row) => [row.key, row.cells.join('  ')]));
  const moved = now.rows.flatMap(({ key, cells }) => {
    const text = cells.join('  ').trimEnd();
    return rows.get(key)?.trimEnd() === text ? [] : [text];
  });
  const { over } = now;
  const ended = [...rows.keys()].filter((key) => !now.rows.some((row) => row.key === key));
  const gone = over === undefined || now.kind === 'unread' ? [] : ended.map((key) => `${key} ${over}`);
  return [...headline, ...moved, ...gone].map((text) => `${now.label.padEnd(LABEL_WIDTH)} ${text}`);
}
