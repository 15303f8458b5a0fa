import { type Dirent, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { CadreError } from '../../core/failures';
import { type ListedDocument, type Note, byCodeUnit } from './document';
import { extensionOf } from './locator';
import { isReadable } from './readers';
import { type Shard, isInShard, mayHoldShard } from './shards';
import { codeOf } from './system-error';

/** What a folder holds. All lists are ordered by path, code unit by code unit. */
export interface Listing {
  /** The folder's real path. */
  readonly root: string;
  readonly documents: readonly ListedDocument[];
  /** Files of formats that are not read. */
  readonly others: readonly string[];
  readonly notes: readonly Note[];
}

/** Above it the folder is surely not what was meant, such as a home folder. */
const ENTRIES_MAXIMUM = 100_000;
const SKIPPED_FOLDERS = new Set(['node_modules']);

/**
 * Lists the documents below a folder, or those of one shard of it, without opening one. Hidden files and folders and
 * `node_modules` are left out silently. Links are not followed: what they point to inside the folder is listed at its own
 * place, what lies outside gets a note. Blocks while it looks: for worker threads.
 *
 * Throws CadreError DocumentsUnreadable where `folder` is no folder that can be read, or far too large.
 */
export function listDocuments(folder: string, shard: Shard = WHOLE): Listing {
  const root = openRoot(folder);
  const found: Found = { root, documents: [], others: [], notes: [], entries: 0 };
  const open = [''];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const entry of readFolder(found, path)) {
      if (entry.name.startsWith('.')) continue;
      const inside = path === '' ? entry.name : `${path}/${entry.name}`;
      if (++found.entries > ENTRIES_MAXIMUM) throw tooLarge(folder);
      if (!entry.isDirectory()) {
        if (isInShard(inside, shard)) addEntry(found, entry, inside);
      } else if (!SKIPPED_FOLDERS.has(entry.name) && mayHoldShard(inside, shard)) open.push(inside);
    }
  }
  return {
    root,
    documents: found.documents.sort((left, right) => byCodeUnit(left.file, right.file)),
    others: found.others.sort(byCodeUnit),
    notes: found.notes
      .filter(({ file }) => isInShard(file, shard))
      .sort((left, right) => byCodeUnit(left.file, right.file)),
  };
}

const WHOLE: Shard = { index: 0, of: 1 };

interface Found {
  readonly root: string;
  readonly documents: ListedDocument[];
  readonly others: string[];
  readonly notes: Note[];
  entries: number;
}

function openRoot(folder: string): string {
  const path = resolve(folder);
  try {
    if (!statSync(path).isDirectory()) throw new CadreError('DocumentsUnreadable', `${path} is not a folder`);
    readdirSync(path);
    return realpathSync(path);
  } catch (cause) {
    if (cause instanceof CadreError) throw cause;
    const missing = codeOf(cause) === 'ENOENT';
    const message = missing
      ? `There is no folder ${path}`
      : `The folder ${path} cannot be read (${codeOf(cause)})`;
    throw new CadreError('DocumentsUnreadable', message, { cause });
  }
}

function readFolder(found: Found, path: string): Dirent[] {
  try {
    return readdirSync(join(found.root, path), { withFileTypes: true });
  } catch (error) {
    const gone = codeOf(error) === 'ENOENT' && path !== '';
    const problem = gone ? 'vanished before it was read' : `folder cannot be read (${codeOf(error)})`;
    found.notes.push({ file: path === '' ? '.' : path, problem });
    return [];
  }
}

function addEntry(found: Found, entry: Dirent, path: string): void {
  if (entry.isSymbolicLink()) {
    const problem = linkProblem(found.root, path);
    if (problem !== undefined) found.notes.push({ file: path, problem });
  } else if (entry.isFile() && isReadable(path)) {
    try {
      found.documents.push({ file: path, bytes: lstatSync(join(found.root, path)).size });
    } catch (error) {
      const gone = codeOf(error) === 'ENOENT';
      const problem = gone ? 'vanished before it was read' : `cannot be read (${codeOf(error)})`;
      found.notes.push({ file: path, problem });
    }
  } else if (entry.isFile() && extensionOf(path) !== '') found.others.push(path);
}

function linkProblem(root: string, path: string): string | undefined {
  try {
    const target = relative(root, realpathSync(join(root, path)));
    const inside = target !== '..' && !target.startsWith(`..${sep}`);
    return inside ? undefined : 'is a link that leads out of the folder';
  } catch {
    return 'is a link that leads nowhere';
  }
}

function tooLarge(folder: string): CadreError {
  return new CadreError(
    'DocumentsUnreadable',
    `${resolve(folder)} holds more than ${ENTRIES_MAXIMUM} files and folders: choose a folder inside it`,
  );
}
