/**
 * The index of documents in a file of the cache folder (SQLite, by libsql), which all workers of a machine share. Owns what
 * was made of which bytes, and which file held them; what an entry is made of belongs to `indexed-document.ts`.
 *
 * 1. An entry is found by a hash of the bytes it was made of, and of the code that made it.
 * 2. It is a cache: whatever is wrong with the file, the folder or the library, there is no index, and never an error.
 * 3. A file that SQLite finds damaged is made anew; damage that SQLite cannot see is told by each entry's checksum.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Database, Statement } from 'libsql';

/** How long a thread waits for another's write, in ms. What is then not written is made again another time. */
const BUSY_MILLISECONDS = 3000;
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_ENTRIES = 500;
const DAY = 24 * 3600 * 1000;
/** Above it the entries that were not used for longest go. */
const INDEX_MAXIMUM_BYTES = 1024 * 1024 * 1024;
const KEPT_SHARE = 0.8;
const DELETED_AT_ONCE = 50;

/** What SQLite says of a file that is damaged, or cut off. */
const DAMAGED = /^SQLITE_(?:CORRUPT|NOTADB|IOERR_SHORT_READ)/;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, used INTEGER NOT NULL, entry BLOB NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used);
  CREATE TABLE IF NOT EXISTS places (path TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, key TEXT NOT NULL) WITHOUT ROWID;
`;

/** A file, what its status said, and the entry of what it held. */
interface Place {
  readonly path: string;
  readonly fingerprint: string;
  readonly key: string;
}

interface Tables {
  readonly database: Database;
  readonly find: Statement;
  readonly get: Statement;
  readonly put: Statement;
  readonly locate: Statement;
  readonly use: Statement;
}

/** Not to be shared between threads: each opens its own. Blocks: for worker threads. */
export class IndexCache {
  private tables: Tables | undefined;
  private readonly entries = new Map<string, Buffer>();
  private readonly places = new Map<string, Place>();
  private readonly used = new Set<string>();
  private bytes = 0;

  private constructor(
    private readonly path: string,
    private readonly maximumBytes: number,
  ) {}

  /** Opens the file `path`, or makes it. `maximumBytes`: about how large it may become. */
  static async open(path: string, maximumBytes = INDEX_MAXIMUM_BYTES): Promise<IndexCache> {
    const cache = new IndexCache(path, maximumBytes);
    try {
      const { default: Libsql } = await import('libsql');
      const open = (): Tables => openTables(new Libsql(path));
      // It holds the documents' text.
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      cache.tables = cache.attempt(open, undefined) ?? cache.attempt(open, undefined);
    } catch {
      // Without the folder or the library there is no index.
    }
    return cache;
  }

  /** False where there is no index, or none any more. */
  get isOpen(): boolean {
    return this.tables !== undefined;
  }

  /** The key of what a file held when its status said `fingerprint`. */
  keyAt(path: string, fingerprint: string): string | undefined {
    const row = this.attempt((tables) => tables?.find.get(path) as Place | undefined, undefined);
    return row?.fingerprint === fingerprint ? row.key : undefined;
  }

  get(key: string): Buffer | undefined {
    const waiting = this.entries.get(key);
    if (waiting !== undefined) return waiting;
    type Row = { used: number; entry: Buffer };
    const row = this.attempt((tables) => tables?.get.get(key) as Row | undefined, undefined);
    if (row !== undefined && row.used < Date.now() - DAY) this.used.add(key);
    return row?.entry;
  }

  put(key: string, entry: Buffer): void {
    if (this.tables === undefined) return;
    this.entries.set(key, entry);
    this.bytes += entry.length;
    if (this.bytes >= BATCH_BYTES || this.entries.size >= BATCH_ENTRIES) this.flush();
  }

  /** Records that a file of this status held what `key` was made of. */
  locate(place: Place): void {
    if (this.tables !== undefined) this.places.set(place.path, place);
  }

  /** About how many documents below `folder` are indexed. */
  count(folder: string): number {
    const count = (tables: Tables | undefined): unknown =>
      tables?.database
        .prepare('SELECT count(*) AS count FROM places WHERE path >= ? AND path < ?')
        .get(`${folder}/`, `${folder}0`);
    return (this.attempt(count, undefined) as { count: number } | undefined)?.count ?? 0;
  }

  /** Writes what waits to be written. */
  flush(): void {
    if (this.entries.size + this.places.size + this.used.size > 0)
      this.attempt((tables) => tables === undefined || this.write(tables), undefined);
    this.entries.clear();
    this.places.clear();
    this.used.clear();
    this.bytes = 0;
  }

  close(): void {
    this.flush();
    this.attempt((tables) => {
      tables?.database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      tables?.database.close();
    }, undefined);
    this.tables = undefined;
  }

  private write(tables: Tables): void {
    const now = Date.now();
    inTransaction(tables.database, () => {
      for (const [key, entry] of this.entries) tables.put.run(key, now, entry);
      for (const { path, fingerprint, key } of this.places.values())
        tables.locate.run(path, fingerprint, key);
      for (const key of this.used) tables.use.run(now, key);
    });
    if (this.entries.size > 0) this.shrink(tables.database);
  }

  /** Deletes what was not used for longest until the file's pages in use are few enough. */
  private shrink(database: Database): void {
    const used = (): number =>
      (number(database, 'page_count') - number(database, 'freelist_count')) * number(database, 'page_size');
    if (used() <= this.maximumBytes) return;
    while (used() > KEPT_SHARE * this.maximumBytes) {
      const { changes } = database
        .prepare('DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY used LIMIT ?)')
        .run(DELETED_AT_ONCE);
      if (changes === 0) break;
    }
    database.exec('DELETE FROM places WHERE key NOT IN (SELECT key FROM entries)');
  }

  /** What `work` returns; `otherwise` where it fails. A damaged file is made anew for those that come later. */
  private attempt<Result>(work: (tables: Tables | undefined) => Result, otherwise: Result): Result {
    try {
      return work(this.tables);
    } catch (error) {
      const code = (error as { code?: unknown } | undefined)?.code;
      if (code === 'SQLITE_BUSY') return otherwise;
      this.tables = undefined;
      if (DAMAGED.test(String(code))) this.remove();
      return otherwise;
    }
  }

  private remove(): void {
    for (const end of ['', '-wal', '-shm']) {
      try {
        rmSync(this.path + end, { force: true });
      } catch {
        // Then there is no index.
      }
    }
  }
}

function openTables(database: Database): Tables {
  database.exec(`PRAGMA busy_timeout = ${BUSY_MILLISECONDS}`);
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = NORMAL');
  database.exec(SCHEMA);
  return {
    database,
    find: database.prepare('SELECT path, fingerprint, key FROM places WHERE path = ?'),
    get: database.prepare('SELECT used, entry FROM entries WHERE key = ?'),
    put: database.prepare('INSERT OR REPLACE INTO entries (key, used, entry) VALUES (?, ?, ?)'),
    locate: database.prepare('INSERT OR REPLACE INTO places (path, fingerprint, key) VALUES (?, ?, ?)'),
    use: database.prepare('UPDATE entries SET used = ? WHERE key = ?'),
  };
}

function inTransaction(database: Database, work: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

function number(database: Database, pragma: string): number {
  const [row] = database.prepare(`PRAGMA ${pragma}`).all() as Record<string, number>[];
  return row?.[pragma] ?? 0;
}
