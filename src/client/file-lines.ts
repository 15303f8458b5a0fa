/** The lines of a text file, none of it held but the line at hand. */
import { createReadStream } from 'node:fs';

export interface FileLine {
  /** From 1. */
  readonly number: number;
  /** Without its line feed. */
  readonly text: string;
  /** False for a last line without a line feed. */
  readonly ended: boolean;
  /** True where it is no UTF-8; `text` then has replacements. */
  readonly garbled?: true;
}

const LINE_FEED = 0x0a;
const CHUNK = 256 * 1024;

/**
 * Splits at line feeds only; Node's readline splits also at U+2028 and U+2029, which JSON may hold. Rejects with the
 * file system's error.
 */
export async function* fileLines(path: string): AsyncGenerator<FileLine> {
  let number = 0;
  let parts: Buffer[] = [];
  const stream = createReadStream(path, { highWaterMark: CHUNK });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      parts.push(chunk.subarray(from, at));
      number += 1;
      yield lineOf(number, parts, true);
      parts = [];
      from = at + 1;
    }
    if (from < chunk.length) parts.push(chunk.subarray(from));
  }
  if (parts.length > 0) yield lineOf(number + 1, parts, false);
}

// A mark of byte order is no part of a line that we wrote.
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function lineOf(number: number, parts: readonly Buffer[], ended: boolean): FileLine {
  const bytes = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  try {
    return { number, text: strict.decode(bytes), ended };
  } catch {
    return { number, text: bytes.toString('utf8'), ended, garbled: true };
  }
}
