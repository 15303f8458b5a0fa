/**
 * The file that `cadre export` writes: one JSON document, an item a line, so that a file can be read line by line, and one
 * that was cut off up to where it was cut. Owns the layout; what chains the lines is `hash-chain.ts`'s.
 *
 *     {"cadre":{"format":1,…},
 *     "earlier":[
 *     {"runId":"…","events":[
 *     <event>,
 *     <event>
 *     ]}
 *     ],
 *     "events":[
 *     <events of the last run>
 *     ],
 *     "log":[
 *     <our events>
 *     ],
 *     "chain":[
 *     "<hash>",
 *     "<hash>"
 *     ],"head":"<hash>"}
 *
 * Temporal's tools read `events`, and pass over the rest.
 */
import { assertNever, isRecord } from '../json';

export const EXPORT_FORMAT = 1;

/** What an export says of itself. */
export interface ExportHeader {
  /** Version of the layout. */
  readonly format: typeof EXPORT_FORMAT;
  readonly workflowId: string;
  /** Such as `task`, `saga`, `agent`, `breaker`; empty where it could not be read. */
  readonly workflowType: string;
  /** Name of the cadre that whoever exported it had in its configuration. */
  readonly cadre: string;
  /** In ms since 1970, by the clock of the exporting machine. */
  readonly exportedAt: number;
  /** Ids of the runs that are in it, the oldest first. */
  readonly runs: readonly string[];
}

/** What a line of an export is. */
export type ExportPart =
  | { readonly kind: 'header'; readonly header: ExportHeader }
  /** An event of a run as Temporal has it, in Temporal's JSON. */
  | { readonly kind: 'event'; readonly runId: string; readonly text: string }
  /** An event of the log, in JSON. */
  | { readonly kind: 'log'; readonly text: string }
  /** What chains the items; `text` in JSON. */
  | { readonly kind: 'hash'; readonly text: string }
  | { readonly kind: 'head'; readonly hash: string }
  | { readonly kind: 'run'; readonly runId: string }
  | { readonly kind: 'begin'; readonly section: Section }
  | { readonly kind: 'misplaced'; readonly message: string };

export type Section = 'earlier' | 'events' | 'log' | 'chain';
const SECTIONS: readonly Section[] = ['earlier', 'events', 'log', 'chain'];

/** Where in the layout a reader is: before the header, between sections, in one, in an earlier run, or at the end. */
type Place =
  | { readonly kind: 'start' }
  | { readonly kind: 'before'; readonly section: Section }
  | { readonly kind: 'in'; readonly section: Section }
  | { readonly kind: 'run'; readonly runId: string }
  | { readonly kind: 'end' };

/** How far a file went. */
export type ExportEnd = 'complete' | 'noExport' | 'cutInEvents' | 'cutAfterEvents';

/** True for the first line of an export. */
export function isExportStart(line: string): boolean {
  return line.startsWith('{"cadre":{"format":');
}

/** True for the last line of one. */
export function isExportEnd(line: string): boolean {
  return END.test(line);
}

const RUN = /^\{"runId":"([^"\\]*)","events":\[$/;
const END = /^\],"head":"([0-9a-f]{64})"\}$/;
const HEADER = /^(\{"cadre":(\{.*\})),$/;

/** Reads the lines of an export, one after the other. Never throws; where a line is not where it belongs, it says so and goes on. */
export class ExportParser {
  private place: Place = { kind: 'start' };
  private lastRun = '';
  /** Whether the item before had a comma; undefined where there was none. */
  private comma: boolean | undefined;

  /** What the file was up to here. */
  get end(): ExportEnd {
    switch (this.place.kind) {
      case 'end':
        return 'complete';
      case 'start':
        return 'noExport';
      case 'run':
        return 'cutInEvents';
      case 'before':
      case 'in':
        return ['earlier', 'events'].includes(this.place.section) ? 'cutInEvents' : 'cutAfterEvents';
      default:
        return assertNever(this.place);
    }
  }

  /** What `line`, without its line feed, holds. */
  next(line: string): ExportPart[] {
    return this.layout(line) ?? this.item(line);
  }

  /** A line that is none of the items; undefined for one that is. */
  private layout(line: string): ExportPart[] | undefined {
    if (this.place.kind === 'start') return this.header(line);
    const run = RUN.exec(line);
    if (run !== null) return this.beginRun(run[1] ?? '');
    const section = SECTIONS.find((name) => line === `"${name}":[`);
    if (section !== undefined) return this.beginSection(section);
    if (line === ']}' || line === ']},') return this.endRun(line.endsWith(','));
    if (line === '],') return this.endSection();
    const end = END.exec(line);
    if (end !== null) return this.finish(end[1] ?? '');
    return undefined;
  }

  private header(line: string): ExportPart[] {
    this.place = { kind: 'before', section: 'earlier' };
    const header = readHeader(HEADER.exec(line)?.[2]);
    if (header === undefined) return [misplaced('expected the header of an export')];
    this.lastRun = header.runs.at(-1) ?? '';
    return [{ kind: 'header', header }];
  }

  private beginRun(runId: string): ExportPart[] {
    const { place, comma } = this;
    const inPlace = place.kind === 'in' && place.section === 'earlier';
    this.move({ kind: 'run', runId });
    const found: ExportPart[] = [{ kind: 'run', runId }];
    if (!inPlace) return [misplaced('a run begins where none does'), ...found];
    return comma === false ? [misplaced('no comma before it'), ...found] : found;
  }

  private beginSection(section: Section): ExportPart[] {
    const { place } = this;
    const inPlace = place.kind === 'before' && place.section === section;
    this.move({ kind: 'in', section });
    const found: ExportPart[] = [{ kind: 'begin', section }];
    if (section === 'events') found.push({ kind: 'run', runId: this.lastRun });
    return inPlace ? found : [misplaced(`"${section}" begins out of turn`), ...found];
  }

  private endRun(comma: boolean): ExportPart[] {
    const problems = this.endOfItems(this.place.kind === 'run');
    this.move({ kind: 'in', section: 'earlier' });
    this.comma = comma;
    return problems;
  }

  private endSection(): ExportPart[] {
    const { place } = this;
    const after = place.kind === 'in' ? SECTIONS[SECTIONS.indexOf(place.section) + 1] : undefined;
    const problems = this.endOfItems(after !== undefined);
    if (after !== undefined) this.move({ kind: 'before', section: after });
    return problems;
  }

  private finish(hash: string): ExportPart[] {
    const { place } = this;
    const problems = this.endOfItems(place.kind === 'in' && place.section === 'chain');
    this.move({ kind: 'end' });
    return [...problems, { kind: 'head', hash }];
  }

  private endOfItems(inPlace: boolean): ExportPart[] {
    if (!inPlace) return [misplaced('a list ends where none does')];
    return this.comma === true ? [misplaced('a comma before the end of a list')] : [];
  }

  private item(line: string): ExportPart[] {
    const { place } = this;
    const part = partOf(place, line.endsWith(',') ? line.slice(0, -1) : line, this.lastRun);
    if (part === undefined) return [misplaced(line === '' ? 'an empty line' : 'a line that is none of it')];
    const before = this.comma;
    this.comma = line.endsWith(',');
    return before === false ? [misplaced('no comma before it'), part] : [part];
  }

  private move(place: Place): void {
    this.place = place;
    this.comma = undefined;
  }
}

function partOf(place: Place, text: string, lastRun: string): ExportPart | undefined {
  if (place.kind === 'run') return { kind: 'event', runId: place.runId, text };
  if (place.kind !== 'in') return undefined;
  switch (place.section) {
    case 'earlier':
      return undefined;
    case 'events':
      return { kind: 'event', runId: lastRun, text };
    case 'log':
      return { kind: 'log', text };
    case 'chain':
      return { kind: 'hash', text };
    default:
      return assertNever(place.section);
  }
}

function misplaced(message: string): ExportPart {
  return { kind: 'misplaced', message };
}

function readHeader(text: string | undefined): ExportHeader | undefined {
  if (text === undefined) return undefined;
  try {
    return asHeader(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** `value` where it is a header; else undefined. */
export function asHeader(value: unknown): ExportHeader | undefined {
  if (!isRecord(value)) return undefined;
  const { format, workflowId, workflowType, cadre, exportedAt, runs } = value;
  const ours =
    format === EXPORT_FORMAT &&
    [workflowId, workflowType, cadre].every((field) => typeof field === 'string') &&
    typeof exportedAt === 'number' &&
    Array.isArray(runs) &&
    runs.every((run) => typeof run === 'string');
  return ours ? (value as unknown as ExportHeader) : undefined;
}

/** Writes the lines of an export, in turn: a header, the runs with their events, the log, the chain, the head. */
export class ExportLines {
  /** An item waits until it is known whether another follows. */
  private held: string | undefined;

  header(header: ExportHeader): string[] {
    return [`{"cadre":${JSON.stringify(header)},`, '"earlier":['];
  }

  /** Begins a run before the last one. */
  beginRun(runId: string): string[] {
    return [...this.flush(','), `{"runId":${JSON.stringify(runId)},"events":[`];
  }

  endRun(): string[] {
    const lines = this.flush('');
    this.held = ']}';
    return lines;
  }

  /** Ends the list before it, and begins the next. */
  begin(section: Exclude<Section, 'earlier'>): string[] {
    return [...this.flush(''), '],', `"${section}":[`];
  }

  /** `text`: its JSON, in one line. */
  item(text: string): string[] {
    const lines = this.flush(',');
    this.held = text;
    return lines;
  }

  end(head: string): string[] {
    return [...this.flush(''), `],"head":"${head}"}`];
  }

  private flush(after: string): string[] {
    if (this.held === undefined) return [];
    const line = `${this.held}${after}`;
    this.held = undefined;
    return [line];
  }
}
