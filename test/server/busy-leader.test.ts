// A worker with all roles, on a real server: what its agents do must not cost it its term.
import { embeddedAgents } from '../../src/activities/agents';
import { agent, step } from '../support/agents';
import { until } from '../support/cli';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';
import { TemporaryFolder } from '../support/temporary-folder';

const DOCUMENTS = 1500;
const BLOCKED = 2500;
const folder = new TemporaryFolder();
let cadre: ServerCadre;

beforeAll(async () => {
  cadre = await startServerCadre([...embeddedAgents, agent('blocker', block)]);
  await until(async () => (await cadre.client.leader()).leader !== undefined);
}, 60_000);

afterAll(async () => {
  await cadre.close();
  folder.remove();
});

/** Keeps the worker's main thread, and with it the renewal of the lease. */
function block(): string {
  const end = Date.now() + BLOCKED;
  while (Date.now() < end);
  return 'done';
}

test('a leader keeps its term while its own agents index 1,500 documents', async () => {
  writeDocuments();
  const before = await cadre.client.leader();
  const task = await cadre.client.start({ goal: 'How long are backups kept?', docs: folder.path });
  await task.result();
  const after = await cadre.client.leader();
  expect(after.term).toBe(before.term);
  expect(after.leader).toEqual(before.leader);
  expect(after.past).toEqual([]);
}, 120_000);

test('a worker whose main thread is blocked loses its term, and the task still ends', async () => {
  const { term } = await cadre.client.leader();
  const task = await cadre.client.start({ goal: 'block', plan: { steps: [step('a', 'blocker')] } });
  await expect(task.result()).resolves.toEqual({ a: 'done' });
  const { past } = await cadre.client.leader();
  // By the server's clock or by its own, whichever was sooner.
  const how = expect.stringMatching(/^(lostHeartbeat|failed)$/);
  expect(past).toContainEqual(expect.objectContaining({ term, how }));
}, 60_000);

function writeDocuments(): void {
  const paragraph = (at: number, index: number) =>
    `Register ${at} keeps its backups for ${index + 7} days, and ${index + 3} people approve what is deleted.`;
  for (let at = 0; at < DOCUMENTS; at += 1) {
    const text = Array.from({ length: 40 }, (_, index) => paragraph(at, index)).join('\n\n');
    folder.write(`document-${at}.md`, `# Register ${at}\n\n${text}\n`);
  }
}
