/**
 * Tools with which a model reads, lists and writes files of one folder. Owns what it sees of a file and how one is written;
 * that it stays in the folder is `inside-root`'s.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type * as zod from 'zod';
import { byCodeUnit } from '../../activities/documents/document';
import { codeOf } from '../../activities/documents/system-error';
import { CadreError } from '../../core/failures';
import { shownJson, utf8Bytes } from '../../core/json';
import type { ModelTool } from '../model-tools';
import {
  type Place,
  checkOpened,
  ifMissing,
  realRoot,
  resolveInside,
  withFolder,
  withOpened,
} from './inside-root';
import { ToldError } from './told-error';

export interface FileToolOptions {
  /** The folder. All that is in it may be read, hidden files too; nothing else. */
  readonly root: string;
  /** Whether there is a tool that writes. Default false. */
  readonly write?: boolean;
  /** The most of a file that one call reads or writes, in bytes: 1 to 16 MiB. Default 64 KiB. */
  readonly maxBytes?: number;
}

export interface ReadFileInput {
  readonly path: string;
  readonly from?: number | undefined;
}

export interface ListFilesInput {
  readonly path?: string | undefined;
}

export interface WriteFileInput {
  readonly path: string;
  readonly text: string;
}

export interface FileTools {
  /** Results: `{ text, bytes, next? }`, the length of the whole file, and from which byte to read on where there is more. */
  readonly readFile: ModelTool<ReadFileInput>;
  /** Results: `{ entries: { name, kind, bytes? }[], more? }`, by name; `more` that are not listed. */
  readonly listFiles: ModelTool<ListFilesInput>;
}

export interface WritingFileTools extends FileTools {
  /** Replaces the file as a whole, and makes the folders above it. Results: `{ bytes }`. */
  readonly writeFile: ModelTool<WriteFileInput>;
}

const KIBIBYTE = 1024;
const BYTES_MAXIMUM = 16 * KIBIBYTE * KIBIBYTE;
const ENTRIES_MAXIMUM = 1000;

/**
 * Tools for `modelAgent({ tools })` that stay in one folder, links included: `readFile` and `listFiles`, with `write: true` also
 * `writeFile`. What they read is text of others. What is wrong with a path is told to the model.
 *
 * Throws CadreError ConfigInvalid for options that are none.
 */
export function fileTools(options: FileToolOptions & { readonly write: true }): WritingFileTools;
export function fileTools(options: FileToolOptions): FileTools;
export function fileTools({ root, write = false, maxBytes = 64 * KIBIBYTE }: FileToolOptions): FileTools {
  check(typeof root === 'string' && root.trim() !== '', 'root', 'the path of a folder', root);
  check(typeof write === 'boolean', 'write', 'true or false', write);
  const fits = Number.isInteger(maxBytes) && maxBytes >= 1 && maxBytes <= BYTES_MAXIMUM;
  check(fits, 'maxBytes', `a whole number from 1 to ${BYTES_MAXIMUM}`, maxBytes);
  const reading: FileTools = { readFile: readTool(root, maxBytes), listFiles: listTool(root) };
  if (!write) return reading;
  const writing: WritingFileTools = { ...reading, writeFile: writeTool(root, maxBytes) };
  return writing;
}

function readTool(root: string, maxBytes: number): ModelTool<ReadFileInput> {
  const z = schemas();
  return {
    description: `Reads a text file of the folder, up to ${maxBytes} bytes a call. Paths are relative to the folder, with "/". Where the result has \`next\`, there is more: read on with it as \`from\`.`,
    input: z.object({ path: z.string(), from: z.number().int().min(0).optional() }),
    effect: 'read',
    // `maxBytes` is its limit.
    maxResultBytes: Infinity,
    run: async ({ path, from = 0 }) =>
      withOpened(await realRoot(root), path, async (handle) => {
        const status = await handle.stat();
        if (!status.isFile()) throw new ToldError(`${shownJson(path)} is not a file`);
        const { bytes, next } = wholeCharacters(await readAt(handle, from, maxBytes), from, status.size);
        if (bytes.includes(0)) throw new ToldError(`${shownJson(path)} is not a text`);
        return { text: bytes.toString('utf8'), bytes: status.size, ...next };
      }),
  };
}

function listTool(root: string): ModelTool<ListFilesInput> {
  const z = schemas();
  return {
    description: `Lists the files and folders in a folder, up to ${ENTRIES_MAXIMUM}. Without a path, those of the topmost one.`,
    input: z.object({ path: z.string().optional() }),
    effect: 'read',
    run: async ({ path = '.' }) => {
      const top = await realRoot(root);
      const real = await resolveInside(top, path);
      return withFolder(top, { real, path }, async (anchor) => {
        const found = (await readdir(anchor)).sort(byCodeUnit);
        const listed = found.slice(0, ENTRIES_MAXIMUM);
        const entries = await Promise.all(listed.map((name) => entryOf(anchor, name)));
        const more = found.length - listed.length;
        return { entries, ...(more === 0 ? {} : { more }) };
      });
    },
  };
}

function writeTool(root: string, maxBytes: number): ModelTool<WriteFileInput> {
  const z = schemas();
  return {
    description: `Writes a text file of the folder, up to ${maxBytes} bytes, in place of the one that is there. Paths are relative to the folder, with "/"; folders that are missing are made.`,
    input: z.object({ path: z.string(), text: z.string() }),
    effect: 'write',
    trusted: true,
    run: async ({ path, text }) => {
      const bytes = utf8Bytes(text);
      if (bytes > maxBytes) {
        throw new ToldError(`The text is too long: it has ${bytes} bytes, ${maxBytes} are allowed`);
      }
      const top = await realRoot(root);
      const real = await resolveInside(top, path);
      if (real === top) throw new ToldError(`${shownJson(path)} is a folder`);
      await makeFolder(top, { real: dirname(real), path });
      await replaceFile(top, { real, path }, text);
      return { bytes };
    },
  };
}

async function readAt(handle: FileHandle, from: number, maximum: number): Promise<Buffer> {
  const buffer = Buffer.alloc(maximum);
  let length = 0;
  while (length < maximum) {
    const { bytesRead } = await handle.read(buffer, length, maximum - length, from + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** Where more follows, a character that is cut in two is left to the next call. */
function wholeCharacters(
  read: Buffer,
  from: number,
  size: number,
): { readonly bytes: Buffer; readonly next?: { readonly next: number } } {
  if (read.length === 0 || from + read.length >= size) return { bytes: read };
  const bytes = read.subarray(0, read.length - cutAtEnd(read));
  return { bytes, next: { next: from + bytes.length } };
}

/** How many bytes at the end begin a character of UTF-8 that does not end there; 0 where nothing would be left. */
function cutAtEnd(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length - 1); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < lengthOfCharacter(byte) ? back : 0;
  }
  return 0;
}

function lengthOfCharacter(first: number): number {
  if (first >= 0xf0) return 4;
  return first >= 0xe0 ? 3 : 2;
}

/** Of a link only that it is one: where it leads is looked at where it is opened. */
async function entryOf(anchor: string, name: string): Promise<object> {
  const status = await lstat(join(anchor, name)).catch(() => undefined);
  if (status?.isFile() === true) return { name, kind: 'file', bytes: status.size };
  if (status?.isDirectory() === true) return { name, kind: 'folder' };
  return { name, kind: status?.isSymbolicLink() === true ? 'link' : 'other' };
}

async function makeFolder(top: string, { real, path }: Place): Promise<void> {
  if ((await lstat(real).catch(ifMissing)) !== undefined) return;
  const above = { real: dirname(real), path };
  await makeFolder(top, above);
  await withFolder(top, above, (anchor) => mkdir(join(anchor, basename(real))).catch(ifThere));
}

/** Beside it and then in its place: so a file is never half written, and one that is linked from elsewhere is not touched. */
async function replaceFile(top: string, { real, path }: Place, text: string): Promise<void> {
  const folder = { real: dirname(real), path };
  await withFolder(top, folder, async (anchor) => {
    const target = join(anchor, basename(real));
    const before = await lstat(target).catch(ifMissing);
    if (before?.isFile() === false) throw new ToldError(`${shownJson(path)} is not a file`);
    const name = `.${randomUUID()}.tmp`;
    const temporary = join(anchor, name);
    const handle = await open(temporary, NEW_FILE);
    try {
      await checkOpened(top, { handle, real: join(folder.real, name), path });
      if (before !== undefined) await handle.chmod(before.mode & 0o777);
      await handle.writeFile(text);
      await handle.sync();
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
  });
}

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

function ifThere(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error;
}

/** Loaded where a tool is made: what defines no such tool starts without it. */
function schemas(): typeof zod.z {
  return (require('zod') as typeof zod).z;
}

function check(fits: boolean, field: string, expected: string, got: unknown): void {
  if (fits) return;
  throw new CadreError(
    'ConfigInvalid',
    `Expected \`${field}\` of fileTools to be ${expected}, got ${shownJson(got)}`,
  );
}
