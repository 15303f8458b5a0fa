import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { codeVersion } from './code-version';
import { fingerprintOf, readContent } from './content';
import { IndexCache } from './index-cache';
import { type Indexed, decodeIndexed, encodeIndexed, indexDocument } from './indexed-document';
import { extensionOf } from './locator';
import { formatOf } from './readers';
import { parseDocument } from './read-document';

/**
 * The documents of a folder, from the index where it has them. Whether a file still holds what was indexed is told by its
 * status (size, times, inode), and by a hash of its bytes where the status does not tell; see `Content.fingerprint`.
 * Blocks while it reads: for worker threads.
 */
export class IndexedFolder {
  /** Documents that were read and parsed, since the index did not have them. */
  parsed = 0;

  /** Without `cache` everything is read and parsed. `folder` must be its real path. `now`: the time in ms since 1970. */
  constructor(
    private readonly folder: string,
    private readonly cache?: IndexCache,
    private readonly now: () => number = Date.now,
  ) {}

  /** Reads a document once. Never rejects because of what the file is or holds. */
  async read(file: string): Promise<Indexed> {
    const format = formatOf(file);
    if (format === undefined) return { kind: 'skipped', problem: 'not a supported format' };
    const path = join(this.folder, file);
    const known = this.known(path, file);
    if (known !== undefined) return known;
    const content = readContent(path, format.maximumBytes, this.now);
    if (content.kind === 'unreadable') return { kind: 'skipped', problem: content.problem };
    const { bytes, fingerprint } = content;
    const key = this.cache === undefined ? '' : keyOf(file, bytes);
    const found = this.entry(key) ?? (await this.index(key, file, bytes));
    if (fingerprint !== undefined && !isPassing(found)) this.cache?.locate({ path, fingerprint, key });
    return found;
  }

  /** By the file's status alone. */
  private known(path: string, file: string): Indexed | undefined {
    const fingerprint = this.cache === undefined ? undefined : fingerprintOf(path);
    if (fingerprint === undefined) return undefined;
    const key = this.cache?.keyAt(path, fingerprint);
    return key?.endsWith(versionOf(file)) === true ? this.entry(key) : undefined;
  }

  private entry(key: string): Indexed | undefined {
    const entry = this.cache?.get(key);
    return entry === undefined ? undefined : decodeIndexed(key, entry);
  }

  private async index(key: string, file: string, bytes: Buffer): Promise<Indexed> {
    this.parsed++;
    const indexed = indexDocument(await parseDocument(file, bytes));
    if (!isPassing(indexed)) this.cache?.put(key, encodeIndexed(key, indexed));
    return indexed;
  }
}

function isPassing(indexed: Indexed): boolean {
  return indexed.kind === 'skipped' && indexed.passing === true;
}

function keyOf(file: string, bytes: Buffer): string {
  return `${createHash('sha256').update(bytes).digest('hex')} ${versionOf(file)}`;
}

/** The extension is part of it, since it says how bytes are read. */
function versionOf(file: string): string {
  return `${extensionOf(file)} ${codeVersion().slice(0, 16)}`;
}

const FILE = 'documents.db';
const opened = new Map<string, Promise<IndexCache>>();

/** The index in `folder`, opened once a thread; undefined without a folder. */
export async function indexIn(folder: string | undefined): Promise<IndexCache | undefined> {
  if (folder === undefined) return undefined;
  const cache = await opened.get(folder);
  if (cache?.isOpen === true) return cache;
  const opening = IndexCache.open(join(folder, FILE));
  opened.set(folder, opening);
  return opening;
}
