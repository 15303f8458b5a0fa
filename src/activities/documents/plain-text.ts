import type { Block } from './document';
import { TextBuilder } from './text-builder';

const UNDERLINE = /^\s*(?:={3,}|-{3,}|~{3,}|\*{3,})\s*$/;
const ITEM = /^\s*(?:[-*+•]|\d{1,3}[.)])\s+/;
const NUMBERED_HEADING = /^\d+(?:\.\d+)*\.?\s+\p{Lu}[^.!?:;]{0,70}$/u;

/**
 * Reads plain text. Paragraphs end at empty lines. A heading is a line of its own that is underlined,
 * in capitals, or numbered and without a full stop.
 */
export function readPlainText(text: string): Block[] {
  const lines = text.split('\n');
  const blocks: Block[] = [];
  let builder = new TextBuilder();
  let kind: Block['kind'] = 'paragraph';
  const flush = (as: Block['kind'] = kind): void => {
    const block = builder.build(as, as === 'heading' ? 2 : 0);
    if (block !== undefined) blocks.push(block);
    builder = new TextBuilder();
    kind = 'paragraph';
  };
  lines.forEach((line, index) => {
    const next = lines[index + 1] ?? '';
    if (line.trim() === '' || UNDERLINE.test(line)) flush();
    else if (isHeading(line, lines[index - 1] ?? '', next)) {
      flush();
      builder.add(line, index + 1);
      flush('heading');
    } else {
      const item = ITEM.exec(line);
      if (item !== null) flush();
      if (item !== null) kind = 'item';
      builder.add(`${line.slice(item?.[0].length ?? 0)}\n`, index + 1);
    }
  });
  flush();
  return blocks;
}

function isHeading(line: string, previous: string, next: string): boolean {
  const text = line.trim();
  if (text.length > 90 || !/\p{L}/u.test(text)) return false;
  if (UNDERLINE.test(next) && previous.trim() === '') return true;
  const alone = (previous.trim() === '' || UNDERLINE.test(previous)) && next.trim() === '';
  if (!alone) return false;
  return (
    NUMBERED_HEADING.test(text) || (/\p{Lu}{2}/u.test(text) && !/\p{Ll}/u.test(text) && !/[.!?]$/.test(text))
  );
}
