import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Database, Statement } from 'libsql';
import { CadreError } from '../core/failures';
import type { Stored } from '../core/stored';
import type { Effect, EffectLedger, EffectStanding, Intent, Settlement } from './effect-ledger';

/** How long the main thread may wait for another process's write, in ms: a blocked one loses the leader's lease. */
const BUSY_MILLISECONDS = 5;
const PAUSE_MAXIMUM = 20;

/**
 * An {@link EffectLedger} in a file that all processes of one machine can share (SQLite, by libsql). On a disk of that
 * machine: a folder of the network does not lock reliably. It is opened, and made where it is not there, at the first use.
 */
export class FileLedger implements EffectLedger {
  private opening: Promise<Tables> | undefined;

  /** `patience`: how long an operation is tried again while other processes write, in ms. Default 10,000. */
  constructor(
    readonly path: string,
    private readonly patience = 10_000,
  ) {}

  begin(effect: Effect, intent: Intent, replaces?: string): Promise<EffectStanding> {
    return this.perform((tables) => tables.begin(effect, intent, replaces));
  }

  settle(effect: Effect, outcome: Stored): Promise<Settlement> {
    return this.perform((tables) => tables.settle(effect, JSON.stringify(outcome)));
  }

  withdraw(effect: Effect, intentId: string): Promise<void> {
    return this.perform((tables) => tables.withdraw(effect, intentId));
  }

  tombstone(action: string): Promise<void> {
    return this.perform((tables) => tables.tombstone(action));
  }

  isTombstoned(action: string): Promise<boolean> {
    return this.perform((tables) => tables.isTombstoned(action));
  }

  /** Closes the file; the next operation opens it again. */
  async close(): Promise<void> {
    const { opening } = this;
    this.opening = undefined;
    (await opening?.catch(() => undefined))?.close();
  }

  /** Tries again for as long as other processes write. */
  private async perform<Result>(operation: (tables: Tables) => Result): Promise<Result> {
    const deadline = performance.now() + this.patience;
    for (;;) {
      try {
        return operation(await this.open());
      } catch (cause) {
        if (!isBusy(cause) || performance.now() > deadline) {
          throw new CadreError('LedgerUnavailable', `The ledger ${this.path} cannot be used`, { cause });
        }
        await delay(1 + Math.random() * PAUSE_MAXIMUM);
      }
    }
  }

  private open(): Promise<Tables> {
    this.opening ??= openTables(this.path).catch((error: unknown) => {
      this.opening = undefined;
      throw error;
    });
    return this.opening;
  }
}

/** The library is loaded here, so that a process without effects does not pay for it. */
async function openTables(path: string): Promise<Tables> {
  const { default: Libsql } = await import('libsql');
  mkdirSync(dirname(path), { recursive: true });
  const database = new Libsql(path, { timeout: BUSY_MILLISECONDS });
  try {
    return new Tables(database);
  } catch (error) {
    database.close();
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  // Of the second kind while another process sets up the log or recovers it.
  return /^SQLITE_(BUSY|PROTOCOL)/.test(String((error as { code?: unknown } | undefined)?.code));
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS effects (
    action TEXT NOT NULL,
    agent TEXT NOT NULL,
    name TEXT NOT NULL,
    intent TEXT,
    resolutions INTEGER,
    attempt_at INTEGER,
    outcome TEXT,
    PRIMARY KEY (action, agent, name)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS tombstones (
    action TEXT PRIMARY KEY,
    undone_at INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

interface Row {
  readonly intent: string;
  readonly resolutions: number;
  readonly attempt_at: number;
  readonly outcome: string | null;
}

/** The open file. What it throws is the library's. */
class Tables {
  private readonly select: Statement;
  private readonly record: Statement;
  private readonly conclude: Statement;
  private readonly remove: Statement;
  private readonly bury: Statement;
  private readonly grave: Statement;

  constructor(private readonly database: Database) {
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    database.exec(SCHEMA);
    const one = 'action = ? AND agent = ? AND name = ?';
    this.select = database.prepare(
      `SELECT intent, resolutions, attempt_at, outcome FROM effects WHERE ${one}`,
    );
    this.record = database.prepare(
      'INSERT OR REPLACE INTO effects (action, agent, name, intent, resolutions, attempt_at) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.conclude = database.prepare(
      'INSERT INTO effects (action, agent, name, outcome) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET outcome = excluded.outcome WHERE outcome IS NULL',
    );
    this.remove = database.prepare(`DELETE FROM effects WHERE ${one} AND intent = ? AND outcome IS NULL`);
    this.bury = database.prepare('INSERT OR IGNORE INTO tombstones (action, undone_at) VALUES (?, ?)');
    this.grave = database.prepare('SELECT undone_at FROM tombstones WHERE action = ?');
  }

  begin(effect: Effect, { id, resolutions, attemptAt }: Intent, replaces?: string): EffectStanding {
    return this.writing((): EffectStanding => {
      if (this.isTombstoned(effect.action)) return { kind: 'undone' };
      const row = this.rowOf(effect);
      if (row !== undefined && row.outcome !== null) {
        return { kind: 'done', outcome: JSON.parse(row.outcome) as Stored };
      }
      if (row !== undefined && row.intent !== id && row.intent !== replaces) {
        const intent = { id: row.intent, resolutions: row.resolutions, attemptAt: row.attempt_at };
        return { kind: 'unknown', intent };
      }
      this.record.run([...keyOf(effect), id, resolutions, attemptAt]);
      return { kind: 'fresh' };
    });
  }

  settle(effect: Effect, outcome: string): Settlement {
    return this.writing(() => {
      this.conclude.run([...keyOf(effect), outcome]);
      const standing = this.rowOf(effect)?.outcome ?? outcome;
      return { outcome: JSON.parse(standing) as Stored, undone: this.isTombstoned(effect.action) };
    });
  }

  withdraw(effect: Effect, intentId: string): void {
    this.remove.run([...keyOf(effect), intentId]);
  }

  tombstone(action: string): void {
    this.bury.run([action, Date.now()]);
  }

  isTombstoned(action: string): boolean {
    return this.grave.get([action]) !== undefined;
  }

  close(): void {
    this.database.close();
  }

  private rowOf(effect: Effect): Row | undefined {
    return this.select.get(keyOf(effect)) as Row | undefined;
  }

  /** Takes the one place of a writer first, so that what is read is still so when it writes. */
  private writing<Result>(work: () => Result): Result {
    return this.database.transaction(work).immediate();
  }
}

function keyOf({ action, agent, name }: Effect): [string, string, string] {
  return [action, agent, name];
}
