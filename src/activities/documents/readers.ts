import { decode } from './decode';
import type { Block } from './document';
import { readDocx } from './docx';
import { extensionOf } from './locator';
import { readHtml } from './html';
import { readMarkdown } from './markdown';
import { readPdf } from './pdf';
import { readPlainText } from './plain-text';

/** A document that was read, perhaps with a flaw that a reader of the report should know; or why not. */
export type ReadDocument =
  | { readonly kind: 'read'; readonly blocks: readonly Block[]; readonly flaw?: string }
  | {
      readonly kind: 'skipped';
      readonly problem: string;
      /** True where the same bytes may be read another time: a package is missing here. */
      readonly passing?: true;
    };

/** A format that is read. */
export interface Format {
  /** Turns a file's bytes into blocks. Must not throw, whatever the bytes are. */
  readonly read: (bytes: Buffer) => ReadDocument | Promise<ReadDocument>;
  /** Larger files are not read. */
  readonly maximumBytes: number;
  /** How long reading takes, as a multiple of Markdown of the same size. */
  readonly effort: number;
}

const MEGABYTE = 1024 * 1024;
const MARKDOWN = text(readMarkdown);
const PLAIN_TEXT = text(readPlainText);
const HTML = text(readHtml);

/** By extension. A new one is one line here. */
const FORMATS: Readonly<Record<string, Format>> = {
  md: MARKDOWN,
  markdown: MARKDOWN,
  mdx: MARKDOWN,
  txt: PLAIN_TEXT,
  text: PLAIN_TEXT,
  html: HTML,
  htm: HTML,
  pdf: { read: readPdf, maximumBytes: 32 * MEGABYTE, effort: 4 },
  docx: { read: readDocx, maximumBytes: 32 * MEGABYTE, effort: 4 },
};

function text(reader: (text: string) => Block[]): Format {
  return { read: (bytes) => readText(bytes, reader), maximumBytes: 8 * MEGABYTE, effort: 1 };
}

function readText(bytes: Buffer, reader: (text: string) => Block[]): ReadDocument {
  const decoded = decode(bytes);
  if (decoded.kind === 'binary') return { kind: 'skipped', problem: 'is not text' };
  const blocks = reader(decoded.text);
  return { kind: 'read', blocks, ...(decoded.flaw === undefined ? {} : { flaw: decoded.flaw }) };
}

export function isReadable(file: string): boolean {
  return formatOf(file) !== undefined;
}

/** The format of a file's extension; undefined where it is none that is read. */
export function formatOf(file: string): Format | undefined {
  const extension = extensionOf(file);
  return Object.hasOwn(FORMATS, extension) ? FORMATS[extension] : undefined;
}
