import type { Block, LineStart } from './document';

/** Collects a block's text, collapses whitespace, and remembers which line each part comes from. */
export class TextBuilder {
  private readonly parts: string[] = [];
  private readonly starts: LineStart[] = [];
  private length = 0;
  private endsWithSpace = true;

  /** Adds text that begins on `line`; each `\n` in it begins the next line. */
  add(text: string, line: number): void {
    const pieces = text.split('\n');
    pieces.forEach((piece, index) => {
      if (index > 0) this.append(' ', line + index);
      this.append(piece, line + index);
    });
  }

  get isEmpty(): boolean {
    return this.length === 0;
  }

  /** The block, or undefined where only whitespace was added. */
  build(kind: Block['kind'], level = 0): Block | undefined {
    const text = this.parts.join('').trimEnd();
    return text === '' ? undefined : { kind, level, text, starts: this.starts };
  }

  private append(piece: string, line: number): void {
    const collapsed = piece.replace(/\s+/g, ' ');
    const text = this.endsWithSpace && collapsed.startsWith(' ') ? collapsed.slice(1) : collapsed;
    if (text === '') return;
    const first = text === ' ' ? undefined : line;
    if (first !== undefined && this.starts.at(-1)?.line !== first)
      this.starts.push({ offset: this.length, line });
    this.parts.push(text);
    this.length += text.length;
    this.endsWithSpace = text.endsWith(' ');
  }
}
