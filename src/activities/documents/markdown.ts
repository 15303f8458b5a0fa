import type { Block } from './document';
import { inlineBlock } from './markdown-inline';

const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
const RULE = /^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const FENCE = /^[ \t]*(`{3,}|~{3,})/;
const ITEM = /^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?/;
/** `>= 20` at the start of a line is a comparison, not a quotation. */
const QUOTE = /^ {0,3}>(?=[ \t>]|$)[ \t]?/;
const ALERT = /^\[!(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION)\][ \t]*$/i;
const REFERENCE = /^ {0,3}\[([^\]]{1,200})\]:[ \t]*\S/;
const TABLE_DELIMITER = /^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)*$/;

interface Pending {
  readonly kind: 'paragraph' | 'item';
  readonly line: number;
  readonly lines: string[];
}

/** Reads Markdown. Never throws: what is not Markdown is a paragraph. `text` has `\n` line ends. */
export function readMarkdown(text: string): Block[] {
  return new MarkdownReader(withoutComments(text).split('\n')).read();
}

class MarkdownReader {
  private readonly blocks: Block[] = [];
  private pending: Pending | undefined;
  private at = 0;

  private readonly references: ReadonlySet<string>;

  constructor(private readonly lines: readonly string[]) {
    this.references = new Set(lines.flatMap((line) => REFERENCE.exec(line)?.[1]?.toLowerCase() ?? []));
  }

  read(): Block[] {
    this.skipFrontMatter();
    while (this.at < this.lines.length) this.readLine();
    this.flush();
    return this.blocks;
  }

  private readLine(): void {
    const line = withoutQuotes(this.lines[this.at] ?? '');
    if (FENCE.test(line)) this.readFence(line);
    else if (this.isTable(line)) this.readTable();
    else this.readSingle(line);
  }

  private readSingle(line: string): void {
    this.at++;
    const heading = HEADING.exec(line);
    const underline = UNDERLINE.exec(line);
    if (heading !== null) this.heading(heading[2] ?? '', heading[1]?.length ?? 1, this.at);
    else if (underline !== null && this.pending?.kind === 'paragraph') {
      this.underlined(underline[1]?.startsWith('=') === true ? 1 : 2);
    } else if (line.trim() === '' || RULE.test(line) || REFERENCE.test(line) || ALERT.test(line))
      this.flush();
    else if (ITEM.test(line)) this.open('item', line.replace(ITEM, ''));
    else if (this.pending !== undefined) this.pending.lines.push(line);
    else if (/^(?: {4}|\t)/.test(line) && !this.isInList()) this.add(line, this.at, 'label');
    else this.open('paragraph', line);
  }

  private open(kind: Pending['kind'], line: string): void {
    this.flush();
    this.pending = { kind, line: this.at, lines: [line] };
  }

  private flush(): void {
    const pending = this.pending;
    this.pending = undefined;
    if (pending !== undefined) this.add(pending.lines.join('\n'), pending.line, pending.kind);
  }

  private add(raw: string, line: number, kind: Block['kind'], level = 0): void {
    const block = inlineBlock(raw, line, { kind, level, references: this.references });
    if (block !== undefined) this.blocks.push(block);
  }

  private heading(raw: string, level: number, line: number): void {
    this.flush();
    this.add(raw, line, 'heading', level);
  }

  private underlined(level: number): void {
    const pending = this.pending;
    this.pending = undefined;
    if (pending !== undefined) this.add(pending.lines.join('\n'), pending.line, 'heading', level);
  }

  /** An indented line after a list item goes on with it; anywhere else it is code. */
  private isInList(): boolean {
    return this.blocks.at(-1)?.kind === 'item';
  }

  private readFence(opening: string): void {
    this.flush();
    const fence = FENCE.exec(opening)?.[1] ?? '```';
    const first = ++this.at;
    const closes = (line: string): boolean => {
      const mark = FENCE.exec(line)?.[1] ?? '';
      return mark.startsWith(fence) && line.trim() === mark;
    };
    while (this.at < this.lines.length && !closes(withoutQuotes(this.lines[this.at] ?? ''))) this.at++;
    const code = this.lines
      .slice(first, this.at)
      .join('\n')
      .replace(/[`[\]<>*_\\]/g, ' ');
    this.add(code, first + 1, 'label');
    this.at++;
  }

  private isTable(line: string): boolean {
    if (!line.includes('|')) return false;
    const next = withoutQuotes(this.lines[this.at + 1] ?? '');
    return next.includes('|') && TABLE_DELIMITER.test(next);
  }

  private readTable(): void {
    this.flush();
    this.add(cells(withoutQuotes(this.lines[this.at] ?? '')), this.at + 1, 'label');
    this.at += 2;
    for (; this.at < this.lines.length; this.at++) {
      const line = withoutQuotes(this.lines[this.at] ?? '');
      if (!line.includes('|')) return;
      this.add(cells(line), this.at + 1, 'row');
    }
  }

  private skipFrontMatter(): void {
    if (this.lines[0]?.trimEnd() !== '---') return;
    const end = this.lines.findIndex((line, index) => index > 0 && /^(?:---|\.\.\.)\s*$/.test(line));
    if (end < 0) return;
    const title = this.lines.slice(1, end).findIndex((line) => /^title:\s*\S/.test(line));
    if (title >= 0) {
      const raw = (this.lines[title + 1] ?? '').replace(/^title:\s*/, '').replace(/^(["'])(.*)\1\s*$/, '$2');
      this.add(raw, title + 2, 'heading', 1);
    }
    this.at = end + 1;
  }
}

/** A table row without the outer bars; the inner ones stay, so that the row can be found in the file. */
function cells(line: string): string {
  return line
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '');
}

function withoutQuotes(line: string): string {
  let rest = line;
  for (let depth = 0; depth < 50 && QUOTE.test(rest); depth++) rest = rest.replace(QUOTE, '');
  return rest;
}

/** Blanks `<!-- ... -->` and keeps the line ends; a comment that never ends is text. */
function withoutComments(text: string): string {
  let result = '';
  let from = 0;
  for (let open = text.indexOf('<!--'); open >= 0; open = text.indexOf('<!--', from)) {
    const close = text.indexOf('-->', open + 4);
    if (close < 0) break;
    result += text.slice(from, open) + text.slice(open, close + 3).replace(/[^\n]/g, ' ');
    from = close + 3;
  }
  return result + text.slice(from);
}
