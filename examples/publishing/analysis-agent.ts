import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, ApplicationFailure, defineAgent } from 'cadre';
import Database from 'libsql';
import { z } from 'zod';
import { edition, embedded } from './desk';

interface Weighed {
  readonly findings: readonly { readonly text: string; readonly file: string; readonly line: number }[];
}

const analysis = embedded('analysis');
const input = edition.extend({ shards: z.array(z.unknown()) });
type Input = z.infer<typeof input>;

const TABLES = `
  CREATE TABLE IF NOT EXISTS findings
    (article TEXT, text TEXT, source TEXT, action TEXT, number INTEGER, PRIMARY KEY (action, number));
  CREATE TABLE IF NOT EXISTS undone (action TEXT PRIMARY KEY);`;

/** Weighs what was found, and adds the findings as rows to `findings.db`. Each row carries the key it was added under. */
export function analysisAgent(desk: string): Agent<Input, Weighed> {
  return defineAgent({
    name: 'analysis',
    description: 'Weighs what was found, and files the findings as rows of a database',
    input,
    output: analysis.output,
    async act({ article, question, shards }, context) {
      const weighed: Weighed = await analysis.act({ question, shards }, context);
      inDatabase(desk, (database) => addRows(database, article, weighed, context.idempotencyKey));
      return weighed;
    },
    compensate({ action }) {
      inDatabase(desk, (database) => removeRows(database, action));
    },
  });
}

/** The rows of one action are there once, however often it adds them, and never after it was undone. */
function addRows(database: Database.Database, article: string, { findings }: Weighed, action: string): void {
  if (database.prepare('SELECT 1 FROM undone WHERE action = ?').get(action) !== undefined) {
    throw ApplicationFailure.nonRetryable(`The action ${action} was undone`, 'FindingsUndone');
  }
  const add = database.prepare('INSERT OR IGNORE INTO findings VALUES (?, ?, ?, ?, ?)');
  for (const [number, { text, file, line }] of findings.entries()) {
    add.run(article, text, `${file}#L${line}`, action, number);
  }
}

function removeRows(database: Database.Database, action: string): void {
  database.prepare('DELETE FROM findings WHERE action = ?').run(action);
  database.prepare('INSERT OR IGNORE INTO undone VALUES (?)').run(action);
}

/** One transaction. While another process writes it fails after 50 ms, and is retried: waiting would block the worker. */
function inDatabase(desk: string, work: (database: Database.Database) => void): void {
  mkdirSync(desk, { recursive: true });
  const database = new Database(join(desk, 'findings.db'), { timeout: 50 });
  try {
    database.exec(TABLES);
    database.transaction(() => work(database)).immediate();
  } finally {
    database.close();
  }
}
