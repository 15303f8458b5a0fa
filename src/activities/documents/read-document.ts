import { constants, closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from './decode';
import type { Block } from './document';
import { codeOf } from './list-documents';
import { readerOf } from './readers';

/** A document that was read, perhaps with a flaw that a reader of the report should know; or why not. */
export type ReadDocument =
  | { readonly kind: 'read'; readonly blocks: readonly Block[]; readonly flaw?: string }
  | { readonly kind: 'skipped'; readonly problem: string };

/** Larger files are not read. */
export const DOCUMENT_MAXIMUM_BYTES = 8 * 1024 * 1024;
const MEGABYTE = 1024 * 1024;

/**
 * Reads a document once and in full, so that all that is said of it comes from one state of the file.
 * Blocks while it reads: for worker threads. Never throws because of what the file is or holds.
 */
export function readDocument(folder: string, file: string): ReadDocument {
  const reader = readerOf(file);
  if (reader === undefined) return { kind: 'skipped', problem: 'not a supported format' };
  const content = readContent(join(folder, file));
  if (typeof content === 'string') return { kind: 'skipped', problem: content };
  if (content.byteLength === 0) return { kind: 'skipped', problem: 'is empty' };
  const decoded = decode(content);
  if (decoded.kind === 'binary') return { kind: 'skipped', problem: 'is not text' };
  const blocks = reader(decoded.text);
  return { kind: 'read', blocks, ...(decoded.flaw === undefined ? {} : { flaw: decoded.flaw }) };
}

/** The bytes, or why there are none. What was a file when it was listed may be anything by now. */
function readContent(path: string): Uint8Array | string {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    return code === 'ENOENT' ? 'vanished before it was read' : `cannot be read (${code})`;
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile()) return 'is not a file';
    return status.size > DOCUMENT_MAXIMUM_BYTES ? tooLarge(status.size) : readUpTo(file, status.size);
  } catch (error) {
    return `cannot be read (${codeOf(error)})`;
  } finally {
    closeSync(file);
  }
}

/** At most `size` bytes: a file that grows meanwhile is read as far as it reached at first. */
function readUpTo(file: number, size: number): Uint8Array {
  const content = Buffer.allocUnsafe(size);
  let length = 0;
  while (length < size) {
    const read = readSync(file, content, length, size - length, length);
    if (read === 0) break;
    length += read;
  }
  return content.subarray(0, length);
}

function tooLarge(bytes: number): string {
  const megabytes = (bytes / MEGABYTE).toFixed(1);
  return `is ${megabytes} MB; files over ${DOCUMENT_MAXIMUM_BYTES / MEGABYTE} MB are not read`;
}
