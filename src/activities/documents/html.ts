import { Parser } from 'htmlparser2';
import type { Block } from './document';
import { TextBuilder } from './text-builder';

/** Elements whose text a reader does not read as part of the document. */
const SKIPPED = new Set([
  'script',
  'style',
  'noscript',
  'template',
  'svg',
  'math',
  'iframe',
  'object',
  'select',
  'button',
  'nav',
  'footer',
  'textarea',
  'form',
  'audio',
  'video',
  'canvas',
]);
/** Elements that stand in a line of text; every other one begins a block. */
const INLINE = new Set([
  'a',
  'abbr',
  'b',
  'bdi',
  'bdo',
  'big',
  'cite',
  'code',
  'data',
  'del',
  'dfn',
  'em',
  'font',
  'i',
  'img',
  'ins',
  'kbd',
  'label',
  'mark',
  'q',
  'rp',
  'rt',
  'ruby',
  's',
  'samp',
  'small',
  'span',
  'strike',
  'strong',
  'sub',
  'sup',
  'time',
  'tt',
  'u',
  'var',
  'wbr',
]);

/** Reads HTML, however broken. Line numbers are those of the source. `text` has `\n` line ends. */
export function readHtml(text: string): Block[] {
  const reader = new HtmlReader(text);
  const parser = new Parser(
    {
      onopentagname: (name) => reader.open(name),
      onclosetag: (name) => reader.close(name),
      ontext: (piece) => reader.text(piece, parser.startIndex),
    },
    { decodeEntities: true },
  );
  parser.write(text);
  parser.end();
  return reader.finish();
}

class HtmlReader {
  private readonly blocks: Block[] = [];
  private builder = new TextBuilder();
  private kind: Block['kind'] = 'paragraph';
  private level = 0;
  private skipped = 0;
  private code = 0;
  private line = 1;
  private seen = 0;

  constructor(private readonly source: string) {}

  open(name: string): void {
    if (SKIPPED.has(name)) this.skipped++;
    if (this.skipped > 0) return;
    if (name === 'br') this.builder.add(' ', this.line);
    else if (name === 'td' || name === 'th') this.openCell(name);
    else if (!INLINE.has(name)) this.begin(name);
  }

  close(name: string): void {
    if (SKIPPED.has(name)) this.skipped = Math.max(0, this.skipped - 1);
    else if (this.skipped === 0 && name !== 'br' && name !== 'td' && name !== 'th' && !INLINE.has(name)) {
      this.flush();
      if (name === 'pre') this.code = Math.max(0, this.code - 1);
    }
  }

  text(piece: string, offset: number): void {
    while (this.seen < offset) if (this.source.charCodeAt(this.seen++) === 10) this.line++;
    if (this.skipped === 0) this.builder.add(piece, this.line);
  }

  finish(): Block[] {
    this.flush();
    return this.blocks;
  }

  private begin(name: string): void {
    this.flush();
    const heading = /^h([1-6])$/.exec(name);
    if (heading !== null) {
      this.kind = 'heading';
      this.level = Number(heading[1]);
    } else if (name === 'title') {
      this.kind = 'heading';
      this.level = 1;
    } else if (name === 'pre') this.code++;
    else if (name === 'li' || name === 'dd') this.kind = 'item';
    else if (name === 'tr') this.kind = 'row';
  }

  private openCell(name: string): void {
    if (this.kind !== 'row' && this.kind !== 'label') return;
    if (name === 'th' && this.builder.isEmpty) this.kind = 'label';
    if (name === 'td') this.kind = 'row';
    if (!this.builder.isEmpty) this.builder.add(' | ', this.line);
  }

  private flush(): void {
    const block = this.builder.build(this.code > 0 ? 'label' : this.kind, this.level);
    if (block !== undefined) this.blocks.push(block);
    this.builder = new TextBuilder();
    this.kind = 'paragraph';
    this.level = 0;
  }
}
