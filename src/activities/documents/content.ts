import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { codeOf } from './system-error';

/** A file's bytes as one read found them, or why there are none. */
export type Content =
  | {
      readonly kind: 'content';
      readonly bytes: Buffer;
      /**
       * What the file's status says as long as it holds these bytes; undefined where it may say the same of others: the
       * file was written while it was read, or so shortly before that a later write could carry the same times.
       */
      readonly fingerprint: string | undefined;
    }
  | { readonly kind: 'unreadable'; readonly problem: string };

const MEGABYTE = 1024 * 1024;
/** The coarsest clock of file systems in use ticks every two seconds. */
const SETTLED_AFTER_MILLISECONDS = 2000;
/** How often a file that changes while it is read is read again. */
const READS_MAXIMUM = 3;

/**
 * Reads a file of up to `maximum` bytes. Blocks. What was a file when it was listed may be anything by now: links are not
 * followed. A file that is written all the while is taken as the last read found it. `now`: the time in ms since 1970.
 */
export function readContent(path: string, maximum: number, now: () => number = Date.now): Content {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    return unreadable(code === 'ENOENT' ? 'vanished before it was read' : `cannot be read (${code})`);
  }
  try {
    return readOpen(file, maximum, now);
  } catch (error) {
    return unreadable(`cannot be read (${codeOf(error)})`);
  } finally {
    closeSync(file);
  }
}

/** The {@link Content} fingerprint of the file at `path` now; undefined where there is no file. */
export function fingerprintOf(path: string): string | undefined {
  try {
    const status = lstatSync(path, { bigint: true });
    return status.isFile() ? fingerprint(status) : undefined;
  } catch {
    return undefined;
  }
}

function readOpen(file: number, maximum: number, now: () => number): Content {
  for (let read = 1; ; read++) {
    const began = now();
    const before = fstatSync(file, { bigint: true });
    if (!before.isFile()) return unreadable('is not a file');
    const size = Number(before.size);
    if (size > maximum) return unreadable(tooLarge(size, maximum));
    const bytes = readUpTo(file, size);
    const after = fstatSync(file, { bigint: true });
    const still = fingerprint(before) === fingerprint(after) && bytes.byteLength === size;
    if (!still && read < READS_MAXIMUM) continue;
    const settled = still && lastChange(after) < began - SETTLED_AFTER_MILLISECONDS;
    return { kind: 'content', bytes, fingerprint: settled ? fingerprint(after) : undefined };
  }
}

function fingerprint(status: BigIntStats): string {
  return [status.dev, status.ino, status.size, status.mtimeNs, status.ctimeNs].join(':');
}

/** In ms since 1970. */
function lastChange(status: BigIntStats): number {
  return Math.max(Number(status.mtimeMs), Number(status.ctimeMs));
}

/** At most `size` bytes: a file that grows meanwhile is read as far as it reached at first. */
function readUpTo(file: number, size: number): Buffer {
  const content = Buffer.allocUnsafe(size);
  let length = 0;
  while (length < size) {
    const read = readSync(file, content, length, size - length, length);
    if (read === 0) break;
    length += read;
  }
  return content.subarray(0, length);
}

function tooLarge(bytes: number, maximum: number): string {
  const megabytes = (bytes / MEGABYTE).toFixed(1);
  return `is ${megabytes} MB; files over ${maximum / MEGABYTE} MB are not read`;
}

function unreadable(problem: string): Content {
  return { kind: 'unreadable', problem };
}
