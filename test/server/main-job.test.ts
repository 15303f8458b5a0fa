// The main job as `npm start` runs it: the embedded team on the example documents, on a real server.
import { join } from 'node:path';
import { embeddedAgents } from '../../src/activities/agents';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

const input = {
  goal: 'When should the on-call engineer fail over the database, who has to approve it, and how often do we rehearse it?',
  docs: join(__dirname, '..', '..', 'examples', 'handbook'),
};
let cadre: ServerCadre;

beforeAll(async () => {
  cadre = await startServerCadre(embeddedAgents);
}, 60_000);

afterAll(() => cadre.close());

test('the team answers from the example documents, within the limits of history, and twice the same', async () => {
  const reports: string[] = [];
  for (let run = 0; run < 2; run += 1) {
    const task = await cadre.client.start(input);
    const { writer } = (await task.result()) as { writer: { report: string } };
    reports.push(writer.report);
    const { history, state } = await task.describe();
    expect(state.phase).toEqual({ kind: 'completed' });
    expect(history.events).toBeLessThan(200);
    expect(history.bytes).toBeLessThan(512 * 1024);
  }
  const [report, again] = reports;
  expect(report).toMatch(/two health probes in a row.*`database-failover\.md#L\d+`/);
  expect(report).toContain('Sources differ');
  expect(report).toContain('how often do we rehearse it');
  expect(again).toBe(report);
});

test('several researchers read side by side, then one analyses and one writes', async () => {
  const task = await cadre.client.start(input);
  await task.result();
  const scheduled: string[] = [];
  const completed: string[] = [];
  for await (const event of task.events()) {
    if (event.type === 'stepScheduled') scheduled.push(event.agent);
    if (event.type === 'stepCompleted') completed.push(event.step);
    if (completed.length === 0) expect(scheduled.every((agent) => agent === 'research')).toBe(true);
  }
  expect(scheduled.filter((agent) => agent === 'research').length).toBeGreaterThan(1);
  expect(scheduled.slice(-2)).toEqual(['analysis', 'writer']);
  expect(completed.slice(-2)).toEqual(['analysis', 'writer']);
});

test('a folder without documents fails the task with what to do', async () => {
  const task = await cadre.client.start({ goal: 'anything?', docs: join(__dirname, 'nowhere') });
  await expect(task.result()).rejects.toMatchObject({ type: 'DocumentsUnreadable' });
});
