import type { Block } from './document';
import { readHtml } from './html';
import { readMarkdown } from './markdown';
import { readPlainText } from './plain-text';

/** Turns a document's text, with `\n` line ends, into blocks. Must not throw on any text. */
export type Reader = (text: string) => Block[];

/** The formats that are read, by extension. A new one is one line here. */
const READERS = {
  md: readMarkdown,
  markdown: readMarkdown,
  mdx: readMarkdown,
  txt: readPlainText,
  text: readPlainText,
  html: readHtml,
  htm: readHtml,
} as const satisfies Record<string, Reader>;

/** The extension in lower case, without the dot; empty where there is none. */
export function extensionOf(file: string): string {
  return /[^/]\.([^./]{1,16})$/.exec(file)?.[1]?.toLowerCase() ?? '';
}

export function isReadable(file: string): boolean {
  return readerOf(file) !== undefined;
}

/** The reader for a file's extension; undefined where the format is not read. */
export function readerOf(file: string): Reader | undefined {
  const extension = extensionOf(file);
  return Object.hasOwn(READERS, extension) ? READERS[extension as keyof typeof READERS] : undefined;
}
