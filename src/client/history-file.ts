/** A history in a file, read as one from the server is: an export of Cadre's, or a history that Temporal's tools wrote. */
import { open } from 'node:fs/promises';
import type { LoadedDataConverter } from '@temporalio/common';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow';
import { CadreError, isCadreError } from '../core/failures';
import type { HistoryFact } from '../core/history-facts';
import { isRecord, valueAt } from '../core/json';
import {
  EXPORT_FORMAT,
  type ExportEnd,
  type ExportHeader,
  ExportParser,
  asHeader,
  isExportEnd,
  isExportStart,
} from '../core/log/export-format';
import { fileLines } from './file-lines';
import { factsOfJson } from './history-decoder';
import { type ReadProblem, ReadProblems } from './read-problems';
import type { FactSource, FollowOptions } from './task-log';

/** A file as a source of facts. */
export interface HistoryFile extends FactSource {
  /** `export`: of `cadre export`; `history`: of Temporal's tools, held whole while it is read. */
  readonly kind: 'export' | 'history';
  /** Of a `history` what its first event says, with an empty `cadre`. */
  readonly header: ExportHeader;
  /** What could not be read so far: complete once the facts have been read to their end. */
  problems(): readonly ReadProblem[];
}

/** Of a history that is no export, which is held whole. */
const HISTORY_MAXIMUM_BYTES = 256 * 1024 * 1024;

/**
 * Opens a file that `cadre export` or Temporal's tools wrote. `converter` decodes its payloads (default: Temporal's own).
 * Throws HistoryFileInvalid where it is neither.
 */
export async function fileSource(
  path: string,
  converter: LoadedDataConverter = loadDataConverter(),
): Promise<HistoryFile> {
  try {
    for await (const { text } of fileLines(path)) {
      if (isExportStart(text)) return await ExportFile.open(path, unixLine(text), converter);
      break;
    }
    return await TemporalFile.open(path, converter);
  } catch (error) {
    throw asInvalid(path, error);
  }
}

/** An export, streamed. */
class ExportFile implements HistoryFile {
  readonly kind = 'export';
  private reading = new ReadProblems();

  private constructor(
    private readonly path: string,
    readonly header: ExportHeader,
    private readonly complete: boolean,
    private readonly converter: LoadedDataConverter,
  ) {}

  static async open(path: string, firstLine: string, converter: LoadedDataConverter): Promise<ExportFile> {
    const [part] = new ExportParser().next(firstLine);
    if (part?.kind !== 'header') throw invalid(path, 'its first line, the header, is damaged');
    return new ExportFile(path, part.header, isExportEnd(await lastLine(path)), converter);
  }

  get id(): string {
    return this.header.workflowId;
  }

  problems(): readonly ReadProblem[] {
    return this.reading.list;
  }

  async *facts({ signal }: FollowOptions = {}): AsyncGenerator<HistoryFact> {
    const problems = (this.reading = new ReadProblems());
    const parser = new ExportParser();
    let line = 0;
    let last = '';
    for await (const { number, text, garbled, ended } of fileLines(this.path)) {
      signal?.throwIfAborted();
      line = number;
      if (garbled) problems.damaged(number, 'it is no UTF-8');
      for (const part of parser.next(unixLine(text))) {
        if (part.kind === 'misplaced') problems.damaged(number, part.message);
        if (part.kind !== 'event') continue;
        const json = parsed(part.text);
        if (json === undefined) {
          if (ended) problems.damaged(number, 'an event that is no JSON');
          continue;
        }
        const run = { workflowId: this.id, runId: part.runId };
        for (const fact of await factsOfJson(this.converter, json, run)) {
          problems.note(fact);
          last = `event ${fact.eventId} of run ${fact.runId}`;
          yield fact;
        }
      }
      // What follows says nothing of the history.
      if (this.complete && parser.end === 'cutAfterEvents') return;
    }
    const words = endWords(parser.end, line, last);
    if (words !== undefined) problems.cutOff(line, words);
  }
}

/** Some tools end lines with CR LF; in JSON a CR stands nowhere else. */
function unixLine(text: string): string {
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}

function endWords(end: ExportEnd, line: number, last: string): string | undefined {
  if (end === 'complete') return undefined;
  const where = `the file is cut off at line ${line}`;
  return end === 'cutAfterEvents'
    ? `${where}: its events are all there, its log and chain are not`
    : `${where}${last === '' ? '' : `, after ${last}`}: what came then is missing`;
}

/** A history as `temporal workflow show --output json`, the Web UI or an SDK writes it. */
class TemporalFile implements HistoryFile {
  readonly kind = 'history';
  private reading = new ReadProblems();

  private constructor(
    readonly header: ExportHeader,
    private readonly runs: readonly Run[],
    private readonly converter: LoadedDataConverter,
  ) {}

  static async open(path: string, converter: LoadedDataConverter): Promise<TemporalFile> {
    const { header, runs } = await readRuns(path);
    return new TemporalFile(header, runs, converter);
  }

  get id(): string {
    return this.header.workflowId;
  }

  problems(): readonly ReadProblem[] {
    return this.reading.list;
  }

  async *facts({ signal }: FollowOptions = {}): AsyncGenerator<HistoryFact> {
    const problems = (this.reading = new ReadProblems());
    for (const { runId, events } of this.runs) {
      for (const event of events) {
        signal?.throwIfAborted();
        for (const fact of await factsOfJson(this.converter, event, { workflowId: this.id, runId })) {
          problems.note(fact);
          yield fact;
        }
      }
    }
  }
}

interface Run {
  readonly runId: string;
  readonly events: readonly unknown[];
}

const STARTED = 'workflowExecutionStartedEventAttributes';

/** A file that is read whole: an export that another tool has laid out anew, or a history, which is of one run. */
async function readRuns(path: string): Promise<{ header: ExportHeader; runs: readonly Run[] }> {
  const value = parsed(await readWhole(path));
  const { cadre, earlier, events }: Record<string, unknown> = isRecord(value) ? value : { events: value };
  if (!Array.isArray(events))
    throw invalid(path, 'it is neither an export of Cadre nor a history of Temporal');
  const last = events as unknown[];
  const started = valueAt(last[0], [STARTED]);
  const header = asHeader(cadre);
  if (header !== undefined) {
    const before = Array.isArray(earlier) ? (earlier as unknown[]) : [];
    const runs = [...before, { runId: header.runs.at(-1), events: last }].flatMap((run) => asRun(run) ?? []);
    return { header, runs };
  }
  if (!isRecord(started)) throw invalid(path, 'its first event is no start of a workflow');
  const made = headerOf(started);
  return { header: made, runs: [{ runId: made.runs[0] ?? '', events: last }] };
}

function asRun(value: unknown): Run | undefined {
  if (!isRecord(value)) return undefined;
  const { runId, events } = value;
  return typeof runId === 'string' && Array.isArray(events)
    ? { runId, events: events as unknown[] }
    : undefined;
}

/** What the start of a workflow says. */
function headerOf(started: Record<string, unknown>): ExportHeader {
  const text = (...fields: string[]): string => {
    const value = valueAt(started, fields);
    return typeof value === 'string' ? value : '';
  };
  return {
    format: EXPORT_FORMAT,
    workflowId: text('workflowId'),
    workflowType: text('workflowType', 'name'),
    cadre: '',
    exportedAt: 0,
    runs: [text('originalExecutionRunId')],
  };
}

async function readWhole(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size > HISTORY_MAXIMUM_BYTES) {
      throw invalid(path, `it is no export of Cadre, and too large for another: ${size} bytes`);
    }
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** The last line of a file as far as it is short; an export's is. */
async function lastLine(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.min(size, 200));
    await file.read(bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString('utf8').trimEnd().split('\n').at(-1) ?? '';
  } finally {
    await file.close();
  }
}

/** The value of a JSON text; undefined for what is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function invalid(path: string, why: string, cause?: unknown): CadreError {
  return new CadreError('HistoryFileInvalid', `Cannot read ${path}: ${why}`, { cause });
}

/** The file system's error as ours; any other as it is. */
function asInvalid(path: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (isCadreError(error) || code === undefined) return error;
  return invalid(path, code === 'ENOENT' ? 'there is no such file' : message, error);
}
