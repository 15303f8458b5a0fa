/**
 * Makes blocks of the pieces of text that stand on a PDF's pages. A PDF knows no paragraphs: they are told by the distance
 * of lines, headings by the size of letters, and what is at the top or bottom of most pages is left out.
 */
import type { Block } from './document';
import { TextBuilder } from './text-builder';

/** A line of text on a page. */
export interface PdfLine {
  readonly page: number;
  readonly text: string;
  /** From the page's bottom, in points. */
  readonly y: number;
  /** Of its letters, in points. */
  readonly size: number;
}

/** What unpdf tells of a piece of text; pieces without `str` mark structure. */
export interface PdfItem {
  readonly str?: string;
  /** The last two numbers are the place, from the left and from the bottom; the two before, the height of letters. */
  readonly transform?: readonly number[];
  readonly hasEOL?: boolean;
}

const SAME_LINE = 0.5;
const WIDE_GAP = 1.35;
const USUAL_PITCH = 1.2;
const PITCH_MAXIMUM = 3;
const HEADING_SIZE = 1.15;
const HEADING_MAXIMUM_LENGTH = 150;
const NUMBERED_HEADING = /^\d+(?:\.\d+)*\.?\s+\p{Lu}[^.!?:;]{0,70}$/u;
const BULLET = /^(?:[•‣▪◦●·–—*-]|\d{1,3}[.)])\s+(?=\S)/u;
const FINISHED = /[.!?:;。…]["'”’)\]]*$/u;
const RUNNING_PAGES_MINIMUM = 3;

/** The lines of a page, in the order in which the page draws them. */
export function linesOfItems(page: number, items: readonly PdfItem[]): PdfLine[] {
  const lines: PdfLine[] = [];
  let open: { text: string; y: number; size: number } | undefined;
  const close = (): void => {
    if (open !== undefined && open.text.trim() !== '') lines.push({ page, ...open, text: open.text.trim() });
    open = undefined;
  };
  for (const { str, transform, hasEOL } of items) {
    if (str === undefined) continue;
    const [, , c = 0, d = 0, , y = 0] = transform ?? [];
    const size = Math.hypot(c, d);
    if (
      open !== undefined &&
      str.trim() !== '' &&
      Math.abs(open.y - y) > SAME_LINE * Math.max(size, open.size)
    )
      close();
    if (open === undefined) open = { text: str, y, size };
    else
      open = {
        text: open.text + str,
        y: open.y,
        size: str.trim() === '' ? open.size : Math.max(open.size, size),
      };
    if (hasEOL === true) close();
  }
  close();
  return lines;
}

/** Blocks of all lines of a document, page by page. */
export function blocksOfLines(all: readonly PdfLine[]): Block[] {
  const lines = withoutRunningLines(all);
  const usual = mostText(lines);
  const sizes = [...new Set(lines.map(({ size }) => rounded(size)))]
    .filter((size) => size >= HEADING_SIZE * usual)
    .sort((left, right) => right - left);
  const layout = { usual, sizes, pitch: usualPitch(lines) };
  const writer = new BlockWriter();
  lines.forEach((line, index) => {
    const previous = lines[index - 1];
    const next = lines[index + 1];
    const level = headingLevel(line, layout, isApart(previous, line, layout) && isApart(line, next, layout));
    if (level > 0) writer.heading(line, level);
    else if (BULLET.test(line.text)) writer.item(line);
    else writer.add(line, isApart(previous, line, layout));
  });
  return writer.finish();
}

interface Layout {
  /** The size of most text, in points. */
  readonly usual: number;
  /** Of headings, the largest first. */
  readonly sizes: readonly number[];
  /** The distance of lines as a multiple of their size. */
  readonly pitch: number;
}

class BlockWriter {
  private readonly blocks: Block[] = [];
  private builder = new TextBuilder();
  private kind: Block['kind'] = 'paragraph';
  private last = '';

  heading({ text, page }: PdfLine, level: number): void {
    this.flush();
    this.builder.add(text, page);
    const block = this.builder.build('heading', level);
    this.builder = new TextBuilder();
    if (block !== undefined) this.blocks.push(block);
  }

  item({ text, page }: PdfLine): void {
    this.flush();
    this.kind = 'item';
    this.write(text.replace(BULLET, ''), page);
  }

  /** `apart`: something parts the line from the one before; a sentence may still go on in it. */
  add({ text, page }: PdfLine, apart: boolean): void {
    const goesOn = !FINISHED.test(this.last) && /^\p{Ll}/u.test(text) && !this.builder.isEmpty;
    if (apart && !goesOn) this.flush();
    this.write(text, page);
  }

  finish(): Block[] {
    this.flush();
    return this.blocks;
  }

  /** A word that is divided at the line's end keeps its hyphen: nobody can tell whether it is the word's own. */
  private write(text: string, page: number): void {
    const divided = /\p{L}-$/u.test(this.last) && /^\p{Ll}/u.test(text);
    if (!this.builder.isEmpty && !divided) this.builder.add(' ', page);
    this.builder.add(text, page);
    this.last = text;
  }

  private flush(): void {
    const block = this.builder.build(this.kind);
    if (block !== undefined) this.blocks.push(block);
    this.builder = new TextBuilder();
    this.kind = 'paragraph';
    this.last = '';
  }
}

function headingLevel(line: PdfLine, { usual, sizes }: Layout, alone: boolean): number {
  if (line.text.length > HEADING_MAXIMUM_LENGTH || !/\p{L}/u.test(line.text)) return 0;
  if (line.size >= HEADING_SIZE * usual) return Math.min(6, sizes.indexOf(rounded(line.size)) + 1);
  return alone && NUMBERED_HEADING.test(line.text) ? Math.min(6, sizes.length + 1) : 0;
}

/** True where two lines are no neighbours in a paragraph: by their distance, their size, or the end of a page or column. */
function isApart(above: PdfLine | undefined, below: PdfLine | undefined, { pitch }: Layout): boolean {
  if (above === undefined || below === undefined || above.page !== below.page) return true;
  const distance = above.y - below.y;
  return (
    distance < 0 || distance > WIDE_GAP * pitch * above.size || rounded(above.size) !== rounded(below.size)
  );
}

/** The median over neighbouring lines. */
function usualPitch(lines: readonly PdfLine[]): number {
  const pitches = lines.flatMap((line, index) => {
    const above = lines[index - 1];
    if (above === undefined || above.page !== line.page) return [];
    const pitch = (above.y - line.y) / Math.max(1, above.size);
    return pitch > 0 && pitch < PITCH_MAXIMUM ? [pitch] : [];
  });
  pitches.sort((left, right) => left - right);
  return pitches[pitches.length >> 1] ?? USUAL_PITCH;
}

/** The size in which most characters are set. */
function mostText(lines: readonly PdfLine[]): number {
  const characters = new Map<number, number>();
  for (const { size, text } of lines)
    characters.set(rounded(size), (characters.get(rounded(size)) ?? 0) + text.length);
  return [...characters].sort((left, right) => right[1] - left[1] || left[0] - right[0])[0]?.[0] ?? 0;
}

function rounded(size: number): number {
  return Math.round(size * 2) / 2;
}

/** Without page numbers, and without what is the first or last line of most pages but for its digits. */
function withoutRunningLines(lines: readonly PdfLine[]): PdfLine[] {
  const edges = lines.filter((line, index) => {
    return lines[index - 1]?.page !== line.page || lines[index + 1]?.page !== line.page;
  });
  const pages = new Set(lines.map((line) => line.page)).size;
  const counts = new Map<string, number>();
  for (const line of edges) counts.set(pattern(line), (counts.get(pattern(line)) ?? 0) + 1);
  const running = new Set(
    edges.filter((line) => {
      const times = counts.get(pattern(line)) ?? 0;
      return /^[\d\s/|–-]*$/.test(line.text) || (times >= RUNNING_PAGES_MINIMUM && times > pages / 2);
    }),
  );
  return lines.filter((line) => !running.has(line));
}

function pattern(line: PdfLine): string {
  return line.text.replace(/\d+/g, '#');
}
