// The embedded team on a folder of several formats, on a real server: what it cites, and an index that does not show.
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedAgents } from '../../src/activities/agents';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

const FIXTURES = join(__dirname, '..', 'activities', 'documents', 'fixtures');
const cacheBefore = process.env['CADRE_CACHE'];
let folder: string;
let cadre: ServerCadre;

beforeAll(async () => {
  cadre = await startServerCadre(embeddedAgents);
  folder = mkdtempSync(join(tmpdir(), 'cadre-documents-'));
  process.env['CADRE_CACHE'] = join(folder, 'cache');
}, 60_000);

afterAll(async () => {
  if (cacheBefore === undefined) delete process.env['CADRE_CACHE'];
  else process.env['CADRE_CACHE'] = cacheBefore;
  await cadre.close();
  rmSync(folder, { recursive: true, force: true });
});

async function ask(goal: string, docs: string): Promise<string> {
  const task = await cadre.client.start({ goal, docs });
  const { writer } = (await task.result()) as { writer: { report: string } };
  return writer.report;
}

test('a report cites a PDF by page, a DOCX file by paragraph, and says what it could not read', async () => {
  const docs = mkdtempSync(join(folder, 'docs-'));
  for (const file of ['lease.pdf', 'locked.pdf', 'minutes.docx'])
    copyFileSync(join(FIXTURES, file), join(docs, file));
  writeFileSync(join(docs, 'ferry.md'), '# Ferry\n\nThe ferry leaves its berth at nine in the morning.\n');
  const goal =
    'How does the berth lease end, how often is the crane inspected, and when does the ferry leave?';
  const report = await ask(goal, docs);
  expect(report).toContain(
    '- Either party ends the berth lease with a notice of nine months in writing. `lease.pdf p. 2`',
  );
  expect(report).toContain(
    '- The crane is inspected by an engineer from outside every six months. `minutes.docx para. 3`',
  );
  expect(report).toContain('`ferry.md#L3`');
  expect(report).toContain('- `locked.pdf`: is protected by a password');
  expect(report).toContain('Every sentence is quoted from the place it cites.');
  expect(report).not.toContain('changed after it was read');
  expect(existsSync(join(folder, 'cache', 'documents', 'documents.db'))).toBe(true);
  expect(await ask(goal, docs)).toBe(report);
});
