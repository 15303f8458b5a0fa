/** What a command reads a log from: a task's id on a server, or a file, which needs none. */
import { statSync } from 'node:fs';
import { fileSource } from '../client/history-file';
import { type ReadProblem, ReadProblems } from '../client/read-problems';
import { type FactSource, type FollowOptions, TaskLog } from '../client/task-log';
import type { HistoryFact } from '../core/history-facts';
import type { CommonFlags } from './connection-options';
import type { Output } from './output';
import { type Session, openSession } from './session';

/** A log that is open for reading. */
export interface OpenLog {
  readonly log: TaskLog;
  /** True for one from a file. */
  readonly file: boolean;
  /** The connection to the server; absent for a file. */
  readonly session?: Session;
  /** What the last reading could not read: complete once it has come to its end. */
  problems(): readonly ReadProblem[];
  /** Closes the connection where there is one. */
  close(): Promise<void>;
}

/**
 * Opens the log of `idOrFile`: of the file of that path where there is one, else of the task. Throws HistoryFileInvalid,
 * ServerUnreachable; a task that does not exist shows in the first reading.
 */
export async function openLog(idOrFile: string, flags: CommonFlags): Promise<OpenLog> {
  if (isFile(idOrFile)) return { ...(await logFrom(idOrFile)), close: () => Promise.resolve() };
  const session = await openSession(flags);
  return { ...(await logFrom(idOrFile, session)), session, close: () => session.close() };
}

/** The log of `idOrFile`, by a session that is open; without one it is a file. Throws HistoryFileInvalid. */
export async function logFrom(
  idOrFile: string,
  session?: Session,
): Promise<Pick<OpenLog, 'log' | 'file' | 'problems'>> {
  const file = session === undefined || isFile(idOrFile);
  const source = file ? await fileSource(idOrFile) : new NotedSource(session.client.task(idOrFile).log);
  return { log: new TaskLog(source), file, problems: () => source.problems() };
}

/** Says what could not be read, on standard error where standard output holds JSON. */
export function writeProblems(problems: readonly ReadProblem[], output: Output): void {
  for (const { message } of problems) output.line(`${output.paint('yellow', '!')} not read: ${message}`);
}

/** A path is a file's where there is one; ids hold no slash, so that what has one is meant for a path. */
function isFile(idOrFile: string): boolean {
  if (/[/\\]/.test(idOrFile)) return true;
  return statSync(idOrFile, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** A source whose problems are noted as it is read. */
class NotedSource implements FactSource {
  private reading = new ReadProblems();

  constructor(private readonly source: FactSource) {}

  get id(): string {
    return this.source.id;
  }

  problems(): readonly ReadProblem[] {
    return this.reading.list;
  }

  async *facts(options: FollowOptions = {}): AsyncGenerator<HistoryFact> {
    const problems = (this.reading = new ReadProblems());
    for await (const fact of this.source.facts(options)) {
      problems.note(fact);
      yield fact;
    }
  }
}
