// What the agents changed, or did not: the files of the desk, the rows of its database, and what is published.
const { createHash } = require('node:crypto');
const { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } = require('node:fs');
const { dirname, join } = require('node:path');
const Database = require('libsql');

/** The world as three lists of texts; two worlds are the same where their lists are. */
async function lookAt({ desk, url }) {
  const editions = await (await fetch(`${url}/editions`)).json();
  return {
    files: filesOf(desk).map((file) => `${file} ${digest(readFileSync(join(desk, file)))}`),
    rows: rowsOf(join(desk, 'findings.db')).map((row) => JSON.stringify(row)),
    published: editions.map((edition) => JSON.stringify(edition)),
  };
}

/** Every file below the desk but the database, whose rows are looked at instead. */
function filesOf(desk) {
  return readdirSync(desk, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('findings.db'))
    .map((entry) => join(entry.parentPath, entry.name).slice(desk.length + 1))
    .sort();
}

function rowsOf(file) {
  if (!existsSync(file)) return [];
  const database = new Database(file, { timeout: 5000 });
  const rows = database.prepare('SELECT article, text, source FROM findings ORDER BY rowid').all();
  database.close();
  return rows;
}

function digest(content) {
  return createHash('sha256').update(content).digest('hex');
}

/** The start of a hash over a list, such as `3f2a90cd`. */
function fingerprint(list) {
  return digest(list.join('\n')).slice(0, 8);
}

/** An earlier edition of the article, as somebody may have made it by hand: undoing must bring it back. */
async function publishByHand({ desk, url }) {
  const article = 'database-failover';
  const text = '# Failing over\n\nAsk Ana before you fail over.\n';
  for (const [file, content] of [
    [`notes/${article}/ana.md`, '- Ask Ana.\n'],
    [`articles/${article}.md`, text],
    ['index.md', `- [Failing over](articles/${article}.md)\n`],
  ]) {
    mkdirSync(dirname(join(desk, file)), { recursive: true });
    writeFileSync(join(desk, file), content);
  }
  const database = new Database(join(desk, 'findings.db'));
  database.exec(
    'CREATE TABLE findings (article TEXT, text TEXT, source TEXT, action TEXT, number INTEGER, PRIMARY KEY (action, number))',
  );
  database
    .prepare('INSERT INTO findings VALUES (?, ?, ?, ?, ?)')
    .run(article, 'Ask Ana.', 'ana.md#L1', 'by hand', 0);
  database.close();
  await fetch(`${url}/editions`, {
    method: 'POST',
    headers: { 'idempotency-key': 'by hand' },
    body: JSON.stringify({ article, text }),
  });
}

module.exports = { lookAt, fingerprint, publishByHand };
