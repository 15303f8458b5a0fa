import { join } from 'node:path';
import { readContent } from './content';
import { type ReadDocument, formatOf } from './readers';

/**
 * Reads a document once and in full, so that all that is said of it comes from one state of the file.
 * Blocks while it reads: for worker threads. Never throws because of what the file is or holds.
 */
export async function readDocument(folder: string, file: string): Promise<ReadDocument> {
  const format = formatOf(file);
  if (format === undefined) return { kind: 'skipped', problem: 'not a supported format' };
  const content = readContent(join(folder, file), format.maximumBytes);
  if (content.kind === 'unreadable') return { kind: 'skipped', problem: content.problem };
  return parseDocument(file, content.bytes);
}

/** Reads a document from the bytes of `file`, whose name says what it is. */
export async function parseDocument(file: string, bytes: Buffer): Promise<ReadDocument> {
  const format = formatOf(file);
  if (format === undefined) return { kind: 'skipped', problem: 'not a supported format' };
  if (bytes.byteLength === 0) return { kind: 'skipped', problem: 'is empty' };
  return format.read(bytes);
}
