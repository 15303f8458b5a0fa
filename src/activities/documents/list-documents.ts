import type { Dirent } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { CadreError } from '../../core/failures';
import { type ListedDocument, type Note, byCodeUnit } from './document';
import { extensionOf, isReadable } from './readers';

/** What a folder holds. All lists are ordered by path, code unit by code unit. */
export interface Listing {
  readonly documents: readonly ListedDocument[];
  /** Files of formats that are not read. */
  readonly others: readonly string[];
  readonly notes: readonly Note[];
}

/** Above it the folder is surely not what was meant, such as a home folder. */
const ENTRIES_MAXIMUM = 100_000;
const SKIPPED_FOLDERS = new Set(['node_modules']);

/**
 * Lists the documents below a folder without opening one. Hidden files and folders and `node_modules` are
 * left out silently. Links are not followed: what they point to inside the folder is listed at its own
 * place, what lies outside gets a note.
 *
 * Throws CadreError DocumentsUnreadable where `folder` is no folder that can be read, or far too large.
 */
export async function listDocuments(folder: string, signal?: AbortSignal): Promise<Listing> {
  const root = await openRoot(folder);
  const found: Found = { root, documents: [], others: [], notes: [], entries: 0 };
  const open = [''];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    signal?.throwIfAborted();
    for (const entry of await readFolder(found, path)) {
      if (entry.name.startsWith('.')) continue;
      const inside = path === '' ? entry.name : `${path}/${entry.name}`;
      if (++found.entries > ENTRIES_MAXIMUM) throw tooLarge(folder);
      if (!entry.isDirectory()) await addEntry(found, entry, inside);
      else if (!SKIPPED_FOLDERS.has(entry.name)) open.push(inside);
    }
  }
  return {
    documents: found.documents.sort((left, right) => byCodeUnit(left.file, right.file)),
    others: found.others.sort(byCodeUnit),
    notes: found.notes.sort((left, right) => byCodeUnit(left.file, right.file)),
  };
}

interface Found {
  readonly root: string;
  readonly documents: ListedDocument[];
  readonly others: string[];
  readonly notes: Note[];
  entries: number;
}

async function openRoot(folder: string): Promise<string> {
  const path = resolve(folder);
  try {
    if (!(await stat(path)).isDirectory())
      throw new CadreError('DocumentsUnreadable', `${path} is not a folder`);
    await readdir(path);
    return await realpath(path);
  } catch (cause) {
    if (cause instanceof CadreError) throw cause;
    const missing = codeOf(cause) === 'ENOENT';
    const message = missing
      ? `There is no folder ${path}`
      : `The folder ${path} cannot be read (${codeOf(cause)})`;
    throw new CadreError('DocumentsUnreadable', message, { cause });
  }
}

async function readFolder(found: Found, path: string): Promise<Dirent[]> {
  try {
    return await readdir(join(found.root, path), { withFileTypes: true });
  } catch (error) {
    found.notes.push({ file: path === '' ? '.' : path, problem: `folder cannot be read (${codeOf(error)})` });
    return [];
  }
}

async function addEntry(found: Found, entry: Dirent, path: string): Promise<void> {
  if (entry.isSymbolicLink()) {
    const problem = await linkProblem(found.root, path);
    if (problem !== undefined) found.notes.push({ file: path, problem });
  } else if (entry.isFile() && isReadable(path)) {
    try {
      found.documents.push({ file: path, bytes: (await lstat(join(found.root, path))).size });
    } catch (error) {
      found.notes.push({ file: path, problem: `cannot be read (${codeOf(error)})` });
    }
  } else if (entry.isFile() && extensionOf(path) !== '') found.others.push(path);
}

async function linkProblem(root: string, path: string): Promise<string | undefined> {
  try {
    const target = relative(root, await realpath(join(root, path)));
    const inside = target !== '..' && !target.startsWith(`..${sep}`);
    return inside ? undefined : 'is a link that leads out of the folder';
  } catch {
    return 'is a link that leads nowhere';
  }
}

/** A system error's code, such as ENOENT. */
export function codeOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' ? code : String(error);
}

function tooLarge(folder: string): CadreError {
  return new CadreError(
    'DocumentsUnreadable',
    `${resolve(folder)} holds more than ${ENTRIES_MAXIMUM} files and folders: choose a folder inside it`,
  );
}
