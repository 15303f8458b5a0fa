/** What a file's bytes are: text with `\n` line ends, perhaps with a flaw, or no text at all. */
export type Decoded =
  | { readonly kind: 'text'; readonly text: string; readonly flaw?: string }
  | { readonly kind: 'binary' };

const BINARY_MARKS = [
  '%PDF-',
  'PK\u0003\u0004',
  '\u007fELF',
  '\u0089PNG',
  '\u00ff\u00d8\u00ff',
  'GIF8',
  '\u001f\u008b',
];
/** Text may hold a few strange bytes; this share of them is no text. */
const STRANGE_MAXIMUM = 0.05;

/** Decodes UTF-8, with or without a byte order mark, and UTF-16 with one. */
export function decode(bytes: Uint8Array): Decoded {
  const wide = wideEncoding(bytes);
  if (wide !== undefined) return finish(new TextDecoder(wide).decode(bytes));
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 8)).toString('latin1');
  if (bytes.includes(0) || BINARY_MARKS.some((mark) => start.startsWith(mark))) return { kind: 'binary' };
  return finish(new TextDecoder('utf-8').decode(bytes));
}

function wideEncoding(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : undefined;
}

function finish(decoded: string): Decoded {
  const unreadable = count(decoded, /\uFFFD/g);
  // oxlint-disable-next-line no-control-regex -- control characters are what is counted.
  const strange = unreadable + count(decoded, /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/g);
  if (strange > STRANGE_MAXIMUM * decoded.length) return { kind: 'binary' };
  const text = decoded.replace(/\r\n?/g, '\n');
  if (unreadable === 0) return { kind: 'text', text };
  const characters = unreadable === 1 ? '1 character' : `${unreadable} characters`;
  return { kind: 'text', text, flaw: `${characters} not valid UTF-8; sentences with them are left out` };
}

function count(text: string, pattern: RegExp): number {
  let found = 0;
  for (const _ of text.matchAll(pattern)) found++;
  return found;
}
