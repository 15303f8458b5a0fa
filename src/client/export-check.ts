/**
 * Checks an export: whether it is as it was written, and whether its log is what its events say.
 *
 * 1. What stands anywhere in the file is checked: the layout to the byte, each item by the chain and by its number.
 * 2. Nothing is held but the numbers and hashes of the items.
 */
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow';
import { CadreError } from '../core/failures';
import { canonicalJson, isRecord } from '../core/json';
import {
  type ExportEnd,
  type ExportHeader,
  ExportParser,
  type ExportPart,
  isExportStart,
} from '../core/log/export-format';
import { HashChain } from '../core/log/hash-chain';
import { logProjection } from '../core/log/logged-types';
import type { LoggedTaskEvent } from '../core/task-projection';
import { type FileLine, fileLines } from './file-lines';
import { factsOfJson } from './history-decoder';

/** One thing that is wrong with an export. */
export interface ExportProblem {
  /**
   * `layout`: a line that is not where it belongs, or is none. `order`: an event that is missing, moved, or there twice.
   * `chain`: the first item where file and chain part. `log`: the first event of the log that is not what the events say.
   * `cutOff`: the file ends too early. `head`: its head is another than the one that was given.
   */
  readonly kind: 'layout' | 'order' | 'chain' | 'log' | 'cutOff' | 'head';
  /** Of the file, from 1. */
  readonly line: number;
  readonly runId?: string;
  /** Temporal's event id, where it is about one of Temporal's events. */
  readonly eventId?: number;
  /** The number of the log's event, where it is about one. */
  readonly number?: number;
  /** In words, on one line. */
  readonly message: string;
}

/** What a check found. */
export interface ExportCheck {
  /** True where nothing is wrong. */
  readonly intact: boolean;
  /** At most 20, in the order of the file. */
  readonly problems: readonly ExportProblem[];
  /** Undefined where it cannot be read. */
  readonly header: ExportHeader | undefined;
  /** How many events of Temporal's there are. */
  readonly events: number;
  /** How many of the log's. */
  readonly logged: number;
  /** What the items chain to, in hex. */
  readonly head: string;
  /** How many events have payloads that cannot be decoded here: then the log was not compared with the events. */
  readonly undecoded: number;
}

const PROBLEMS_MAXIMUM = 20;

/**
 * Checks the export at `path`; `head` is the one that was kept when it was exported. Throws HistoryFileInvalid where it
 * is no export, or cannot be read.
 */
export async function checkExport(path: string, { head }: { head?: string } = {}): Promise<ExportCheck> {
  try {
    const reading = new Reading();
    for await (const line of fileLines(path)) {
      if (line.number === 1 && !isExportStart(line.text)) throw invalid(path, 'it is no export of Cadre');
      reading.next(line);
    }
    if (reading.lines === 0) throw invalid(path, 'it is empty');
    const found = reading.finish(head);
    const { header: read, end } = reading;
    const compared = read === undefined ? NOT_COMPARED : await compareLog(path, read, end);
    const problems = [...found, ...compared.problems].sort((a, b) => a.line - b.line);
    const { header, events, logged } = reading;
    return {
      intact: problems.length === 0,
      problems: problems.slice(0, PROBLEMS_MAXIMUM),
      header,
      events,
      logged,
      head: reading.head,
      undecoded: compared.undecoded,
    };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof CadreError || code === undefined) throw error;
    throw invalid(path, code === 'ENOENT' ? 'there is no such file' : message, error);
  }
}

function invalid(path: string, why: string, cause?: unknown): CadreError {
  return new CadreError('HistoryFileInvalid', `Cannot check ${path}: ${why}`, { cause });
}

/** Where an item stands. */
interface Item {
  readonly line: number;
  readonly runId?: string;
  readonly eventId?: number;
  readonly number?: number;
}

/** One passage through the file: layout, order and chain. */
class Reading {
  header: ExportHeader | undefined;
  events = 0;
  logged = 0;
  lines = 0;
  private readonly parser = new ExportParser();
  private chain = new HashChain('');
  private readonly problems: ExportProblem[] = [];
  /** The header's comes first, in both. */
  private readonly computed: string[] = [];
  private readonly items: Item[] = [];
  private readonly runs: string[] = [];
  private lastId = 0;
  private statedCount = 0;
  /** The first index at which the chain in the file is another than the one of the items. */
  private parting: { readonly index: number; readonly line: number } | undefined;
  private statedHead: { readonly hash: string; readonly line: number } | undefined;

  get head(): string {
    return this.chain.head;
  }

  get end(): ExportEnd {
    return this.parser.end;
  }

  next({ number, text, garbled, ended }: FileLine): void {
    this.lines = number;
    if (garbled) this.problem('layout', { line: number }, 'it is no UTF-8');
    for (const part of this.parser.next(text)) this.part(part, number, text);
    if (!ended && this.parser.end === 'complete') {
      this.problem('layout', { line: number }, 'the line feed at its end is missing');
    }
  }

  private part(part: ExportPart, line: number, text: string): void {
    switch (part.kind) {
      case 'misplaced':
        this.problem('layout', { line }, part.message);
        return;
      case 'header':
        this.header = part.header;
        // As it stands there, so that no byte of it can be another.
        this.chain = new HashChain(text.slice('{"cadre":'.length, -1));
        this.link(this.chain.head, { line });
        return;
      case 'run':
        this.runs.push(part.runId);
        this.lastId = 0;
        return;
      case 'begin':
        if (part.section === 'log') this.lastId = 0;
        return;
      case 'event':
        this.event(part, line);
        return;
      case 'log':
        this.log(part, line);
        return;
      case 'hash':
        this.hash(part.text, line);
        return;
      default:
        this.statedHead = { hash: part.hash, line };
    }
  }

  private event({ runId, text }: ExportPart & { kind: 'event' }, line: number): void {
    this.events += 1;
    const eventId = numberIn(text, 'eventId');
    const item = { line, runId, ...(eventId === undefined ? {} : { eventId }) };
    this.inOrder(eventId, item, `event ${eventId} of run ${runId}`);
    this.link(this.chain.add({ kind: 'event', runId, text }), item);
  }

  private log({ text }: ExportPart & { kind: 'log' }, line: number): void {
    this.logged += 1;
    const number = numberIn(text, 'number');
    const item = { line, ...(number === undefined ? {} : { number }) };
    this.inOrder(number, item, `event ${number} of the log`);
    this.link(this.chain.add({ kind: 'log', text }), item);
  }

  /** Ids count from 1 in each run, and numbers in the log. */
  private inOrder(id: number | undefined, item: Item, words: string): void {
    if (id === undefined) this.problem('layout', item, 'it is no event in JSON');
    else if (id !== this.lastId + 1) {
      this.problem('order', item, `${words} stands here, and ${this.lastId + 1} was to come`);
    }
    this.lastId = id ?? this.lastId + 1;
  }

  private link(hash: string, item: Item): void {
    this.computed.push(hash);
    this.items.push(item);
  }

  private hash(text: string, line: number): void {
    const index = this.statedCount;
    this.statedCount += 1;
    if (text !== JSON.stringify(this.computed[index] ?? '')) this.parting ??= { index, line };
  }

  /** What is wrong, once the file has been read to its end. */
  finish(head: string | undefined): readonly ExportProblem[] {
    const { end } = this.parser;
    if (end !== 'complete') this.problem('cutOff', { line: this.lines }, CUT_OFF[end]);
    if (this.header !== undefined && end !== 'noExport') this.checkRuns(this.header);
    if (end === 'complete') this.checkChain();
    if (head !== undefined && head !== this.head) {
      const why = `its items chain to the head ${this.head}, and the one that was kept is ${head}`;
      this.problem('head', { line: this.statedHead?.line ?? this.lines }, why);
    }
    return this.problems;
  }

  private checkRuns({ runs }: ExportHeader): void {
    if (this.parser.end === 'cutInEvents') return;
    if (runs.length === this.runs.length && runs.every((run, index) => run === this.runs[index])) return;
    const why = `the header says that it has the runs ${runs.join(', ')}, and it has ${this.runs.join(', ')}`;
    this.problem('layout', { line: 1 }, why);
  }

  private checkChain(): void {
    const { parting, computed, items, statedCount, statedHead } = this;
    if (statedHead?.hash === this.head) {
      // All items are what the head stands for, so that it is the chain that was changed.
      const line = parting?.line ?? statedHead.line;
      if (parting !== undefined || statedCount !== computed.length) {
        this.problem('chain', { line }, 'the chain was changed here; the events are as they were');
      }
      return;
    }
    const item = items[parting?.index ?? statedCount];
    if (item !== undefined) {
      const what = item.line === 1 ? 'header' : 'line';
      this.problem('chain', item, `file and chain part here: this is not the ${what} that was exported`);
    } else if (statedCount > computed.length) {
      const gone = statedCount - computed.length;
      this.problem('chain', items.at(-1) ?? { line: 1 }, `after it ${gone} of what was chained is missing`);
    } else
      this.problem(
        'chain',
        { line: statedHead?.line ?? this.lines },
        'the head is not the last of the chain',
      );
  }

  private problem(kind: ExportProblem['kind'], item: Item, message: string): void {
    if (this.problems.length < PROBLEMS_MAXIMUM) this.problems.push({ kind, ...item, message });
  }
}

const CUT_OFF: Readonly<Record<Exclude<ExportEnd, 'complete'>, string>> = {
  noExport: 'the file ends here, before its header does',
  cutInEvents: 'the file ends here, within the events',
  cutAfterEvents: 'the file ends here, after the events, which are all there; its log, or its chain, is not',
};

function numberIn(text: string, field: string): number | undefined {
  const value = parsed(text);
  const number = isRecord(value) ? Number(value[field] ?? NaN) : NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Projects the events of a file, and compares that with its log as far as that goes. */
async function compareLog(
  path: string,
  { workflowId, workflowType }: ExportHeader,
  end: ExportEnd,
): Promise<{ problems: readonly ExportProblem[]; undecoded: number }> {
  const projection = logProjection(workflowType);
  const log = partsOf(path, 'log');
  let problem: ExportProblem | undefined;
  let undecoded = 0;
  let last = 0;
  try {
    for await (const { part, line } of partsOf(path, 'event')) {
      if (problem !== undefined && undecoded > 0) break;
      const run = { workflowId, runId: part.runId };
      for (const fact of await factsOfJson(CONVERTER, parsed(part.text), run)) {
        if (fact.kind === 'unread' && fact.why === 'payload') undecoded += 1;
        for (const event of projection?.next(fact) ?? []) {
          if (problem !== undefined) continue;
          const { value: logged } = await log.next();
          const { number } = event;
          last = logged?.line ?? line;
          if (logged === undefined) {
            if (end === 'complete')
              problem = unlike(last, number, 'the events say it, and the log has it not');
          } else if (!isSame(event, logged.part.text)) {
            problem = unlike(last, number, 'it is not what the events say');
          }
        }
      }
    }
    const { value: more } = await log.next();
    if (more !== undefined) problem ??= unlike(more.line, undefined, 'the events say nothing of it');
    // What cannot be decoded may say what the log says.
    return { problems: problem === undefined || undecoded > 0 ? [] : [problem], undecoded };
  } finally {
    await log.return(undefined);
  }
}

const NOT_COMPARED = { problems: [], undecoded: 0 };
const CONVERTER = loadDataConverter();

function unlike(line: number, number: number | undefined, why: string): ExportProblem {
  const what = number === undefined ? 'an event of the log' : `event ${number} of the log`;
  return { kind: 'log', line, ...(number === undefined ? {} : { number }), message: `${what}: ${why}` };
}

/** Whether `text` is JSON of `event`, whatever the order of its fields. */
function isSame(event: LoggedTaskEvent, text: string): boolean {
  const projected = JSON.stringify(event);
  return projected === text || canonicalJson(parsed(projected)) === canonicalJson(parsed(text));
}

/** The items of one kind, in the order of the file. */
async function* partsOf<Kind extends 'event' | 'log'>(
  path: string,
  kind: Kind,
): AsyncGenerator<{ part: ExportPart & { kind: Kind }; line: number }, undefined> {
  const parser = new ExportParser();
  for await (const { number, text } of fileLines(path)) {
    for (const part of parser.next(text)) {
      if (part.kind === kind) yield { part: part as ExportPart & { kind: Kind }, line: number };
    }
    if (kind === 'event' && parser.end === 'cutAfterEvents') return undefined;
  }
  return undefined;
}
