/**
 * Paths that others say, inside one folder, the root. Owns what such a path may look like, where it leads, and that what is
 * opened lies in the root.
 *
 * 1. A path is relative, its parts are separated by `/`, and none of them is `..`.
 * 2. Links are followed where they lead to something in the root, and nowhere else.
 * 3. What was opened is looked at once more, by its handle, before a byte of it is read or written. Where the system says the
 *    path of a handle (Linux with /proc) no link that is made in between leads out of the root. Elsewhere the path is resolved
 *    again and must be the same file, which links that are changed to and fro at the right moments may still deceive.
 *
 * Not seen: a hard link in the root to a file that is elsewhere too, and file systems mounted into the root.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { codeOf } from '../../activities/documents/system-error';
import { CadreError } from '../../core/failures';
import { shownJson } from '../../core/json';
import { ToldError } from './told-error';

/**
 * The real path of `path` in the folder `root`, with all links resolved; of what is not there yet, the place where it would be.
 * For tools of one's own. A link that is made after it returned is not seen: open at once, and let nobody else write there.
 *
 * Rejects with an Error to be told to the model where `path` is absolute, holds `..`, a backslash, a drive letter or NUL, or
 * leads out of the root; with CadreError ConfigInvalid where `root` is no folder.
 */
export async function insideRoot(root: string, path: string): Promise<string> {
  return resolveInside(await realRoot(root), path);
}

/** The real path of the root. Rejects with CadreError ConfigInvalid where it is no folder. */
export async function realRoot(root: string): Promise<string> {
  try {
    const real = await realpath(root);
    if ((await lstat(real)).isDirectory()) return real;
  } catch (cause) {
    throw new CadreError('ConfigInvalid', `The folder ${root} of a tool cannot be used (${codeOf(cause)})`, {
      cause,
    });
  }
  throw new CadreError('ConfigInvalid', `Expected the root of a tool to be a folder, ${root} is none`);
}

/** As {@link insideRoot}; `top` is a real path. */
export async function resolveInside(top: string, path: string): Promise<string> {
  try {
    return await placeOf(top, partsOf(path), path);
  } catch (error) {
    throw told(path, error);
  }
}

/** Opens for reading what is at `path`: `use` may read of the handle, which is closed afterwards. */
export async function withOpened<Result>(
  top: string,
  path: string,
  use: (handle: FileHandle) => Promise<Result>,
): Promise<Result> {
  const real = await resolveInside(top, path);
  const handle = await openAt(real, constants.O_RDONLY | constants.O_NONBLOCK, path);
  try {
    await checkOpened(top, { handle, real, path });
    return await use(handle);
  } catch (error) {
    throw told(path, error);
  } finally {
    await handle.close();
  }
}

/**
 * Opens the folder whose real path is `real`. `use` gets a path of it that, where the system has one, stays that of this
 * folder whatever is put in its place.
 */
export async function withFolder<Result>(
  top: string,
  { real, path }: Place,
  use: (anchor: string) => Promise<Result>,
): Promise<Result> {
  const handle = await openAt(real, constants.O_RDONLY | constants.O_DIRECTORY, path);
  try {
    const known = await checkOpened(top, { handle, real, path });
    return await use(known ? handlePath(handle) : real);
  } catch (error) {
    throw told(path, error);
  } finally {
    await handle.close();
  }
}

/** Where something is, and how the model calls it. */
export interface Place {
  readonly real: string;
  readonly path: string;
}

/** Throws unless the open file is in the root; whether the system said so of the handle itself. */
export async function checkOpened(
  top: string,
  { handle, real, path }: Place & { readonly handle: FileHandle },
): Promise<boolean> {
  const known = await readlink(handlePath(handle)).catch(() => undefined);
  const inside = known === undefined ? await isStill(real, handle) : isInside(top, known);
  if (!inside) throw leadsOut(path);
  return known !== undefined;
}

/** An error for the model: what is wrong, and of which path. Says nothing of where the root is. */
export function told(path: string, error: unknown): Error {
  if (typeof (error as NodeJS.ErrnoException).syscall !== 'string') return error as Error;
  const code = codeOf(error);
  return new ToldError(`${shownJson(path)} ${SYSTEM_WORDS[code] ?? `cannot be used (${code})`}`);
}

const SYSTEM_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  ENOTDIR: 'is not a folder, or not in one',
  EISDIR: 'is a folder',
  EACCES: 'may not be used',
  EPERM: 'may not be used',
  ENAMETOOLONG: 'is too long',
  ELOOP: 'is a link that leads nowhere',
};

function partsOf(path: string): readonly string[] {
  const wrong = (why: string): Error => new ToldError(`${shownJson(path)} cannot be used: ${why}`);
  if (typeof path !== 'string') throw wrong('a path is a text');
  if (path.includes('\0')) throw wrong('it holds a NUL');
  if (path.includes('\\')) throw wrong('the parts of a path are separated by "/"');
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) {
    throw wrong('a path is relative to the folder, such as "notes/today.md"');
  }
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw wrong('it holds ".."');
  return parts;
}

/** Of what is not there: the place where it would be. */
async function placeOf(top: string, parts: readonly string[], path: string): Promise<string> {
  const whole = join(top, ...parts);
  const real = await realpath(whole).catch(ifMissing);
  if (real !== undefined) {
    if (!isInside(top, real)) throw leadsOut(path);
    return real;
  }
  if ((await lstat(whole).catch(ifMissing)) !== undefined) {
    throw new ToldError(`${shownJson(path)} is a link that leads nowhere`);
  }
  // The root itself is there: this ends.
  return join(await placeOf(top, parts.slice(0, -1), path), basename(whole));
}

/** Undefined for what is not there; else throws on. */
export function ifMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

async function openAt(real: string, flags: number, path: string): Promise<FileHandle> {
  try {
    return await open(real, flags | constants.O_NOFOLLOW);
  } catch (error) {
    throw told(path, error);
  }
}

function handlePath(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`;
}

function isInside(top: string, real: string): boolean {
  const way = relative(top, real);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

async function isStill(real: string, handle: FileHandle): Promise<boolean> {
  if ((await realpath(dirname(real))) !== dirname(real)) return false;
  const [there, opened] = await Promise.all([lstat(real), handle.stat()]);
  return there.dev === opened.dev && there.ino === opened.ino;
}

function leadsOut(path: string): Error {
  return new ToldError(`${shownJson(path)} cannot be used: it leads out of the folder`);
}
