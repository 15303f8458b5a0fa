import type { Block } from './document';
import { TextBuilder } from './text-builder';

/** Stands for a character that was markup. */
const GONE = '\uE000';
/** Stands for a character of a code span, which no rule may touch. */
const CODE = '\uE001';

const CODE_SPAN = /(?<![`\\])(`{1,8})(?!`)([^`]|(?!\1(?!`))`){1,2000}?\1(?!`)/g;
const IMAGE = /!\[[^\]\n]{0,400}\](?:\([^()\n]{0,1000}\)|\[[^\]\n]{0,200}\])/g;
const LINK = /(\[)([^[\]]{0,600})(\]\((?:[^()\n]|\([^()\n]{0,200}\)){0,1000}\)|\]\[[^[\]\n]{0,200}\])/g;
const SHORTCUT = /\[([^[\]]{1,200})\]/g;
const FOOTNOTE = /\[\^[^\]\n]{1,100}\]/g;
const AUTOLINK = /(<)(https?:\/\/[^<>\s]{1,500}|mailto:[^<>\s]{1,300})(>)/g;
const TAG =
  /<\/?(?:a|abbr|b|br|center|code|dd|del|details|div|dl|dt|em|font|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|picture|pre|s|samp|small|source|span|strike|strong|sub|summary|sup|table|tbody|td|th|thead|tr|tt|u|ul|var|video)(?:\s[^<>]{0,1000})?\/?>/gi;
const STAR_EMPHASIS = /(?<![\\*\p{L}\p{N}])(\*{1,3})(?=[^\s*])([^*]{1,800})(?<=\S)(\1)(?!\*)/gu;
const INNER_STAR_EMPHASIS = /(?<![\\*])(\*{2})(?=[^\s*])([^*]{1,800})(?<=\S)(\1)(?!\*)/gu;
const LINE_EMPHASIS = /(?<![\\_\p{L}\p{N}])(_{1,3})(?=[^\s_])([^_]{1,800})(?<=\S)(\1)(?![_\p{L}\p{N}])/gu;
const STRIKE = /(~~)(?=\S)([^~]{1,800})(?<=\S)(~~)/g;
const ESCAPE = /(\\)([!-/:-@[-`{-~])()/g;

export interface InlineOptions {
  readonly kind: Block['kind'];
  readonly level?: number;
  /** Labels that the document defines, in lower case: `[text]` is a link only where it is one of them. */
  readonly references: ReadonlySet<string>;
}

/**
 * The visible text of Markdown lines that belong together. `raw` begins on `line`. Code spans keep their
 * backquotes, so that `client_cert_path` and `Promise<void>` stay what they are wherever the text is shown.
 */
export function inlineBlock(raw: string, line: number, options: InlineOptions): Block | undefined {
  const marked = markUp(raw, options.references);
  const builder = new TextBuilder();
  let from = 0;
  let at = line;
  while (from < raw.length) {
    let to = from;
    const gone = marked[from] === GONE;
    while (to < raw.length && (marked[to] === GONE) === gone) to++;
    const slice = raw.slice(from, to);
    if (gone) builder.add(slice.includes('\n') ? ' ' : '', at);
    else builder.add(slice, at);
    at += countLineEnds(slice);
    from = to;
  }
  return builder.build(options.kind, options.level);
}

/** `raw` with markup and code replaced by placeholders, character for character. */
function markUp(raw: string, references: ReadonlySet<string>): string {
  const plain = raw.replace(/[\uE000\uE001]/g, ' ');
  let text = plain.replace(CODE_SPAN, (span) => CODE.repeat(span.length));
  text = text.replace(IMAGE, blank).replace(FOOTNOTE, blank);
  text = unwrap(unwrap(text, LINK), LINK);
  text = text.replace(SHORTCUT, (whole, inner: string, at: number) => {
    const label = raw
      .slice(at + 1, at + 1 + inner.length)
      .replace(/\s+/g, ' ')
      .toLowerCase();
    return references.has(label) ? GONE + inner + GONE : whole;
  });
  text = unwrap(text, AUTOLINK).replace(TAG, blank);
  for (const emphasis of [
    STAR_EMPHASIS,
    INNER_STAR_EMPHASIS,
    STAR_EMPHASIS,
    LINE_EMPHASIS,
    LINE_EMPHASIS,
    STRIKE,
  ]) {
    text = unwrap(text, emphasis);
  }
  return unwrap(text, ESCAPE);
}

function unwrap(text: string, pattern: RegExp): string {
  return text.replace(pattern, (_, open: string, inner: string, close: string) => {
    return blank(open) + inner + blank(close);
  });
}

function blank(text: string): string {
  return GONE.repeat(text.length);
}

function countLineEnds(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
