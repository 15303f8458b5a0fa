// A leader that nothing happens to, on a real server.
import { setTimeout as delay } from 'node:timers/promises';
import { electionId } from '../../../src/core/names';
import { LEASE_DURATION } from '../../../src/core/election';
import { leaderQuery } from '../../../src/workflows/messages';
import { TeamProcesses } from '../../support/team-processes';

let team: TeamProcesses;

beforeAll(async () => {
  team = await TeamProcesses.start();
}, 60_000);

afterAll(() => team.close());

test('a stable leader adds no event to the history of the election, while tasks go through', async () => {
  const cadre = 'stable';
  await Promise.all([team.worker(cadre), team.worker(cadre)]);
  const { term } = await team.leader(cadre);
  const { temporal } = await team.client(cadre);
  const length = async (): Promise<number> =>
    (await temporal.workflow.getHandle(electionId(cadre)).describe()).historyLength;
  // A query is answered when what the announcement brought is in the history.
  expect(await temporal.workflow.getHandle(electionId(cadre)).query(leaderQuery)).toMatchObject({ term });
  const before = await length();
  const until = Date.now() + 3 * LEASE_DURATION;
  for (let task = 0; Date.now() < until; task += 1) {
    await (await team.task(cadre, `${cadre}-${task}`, 'take 2 steps')).result();
  }
  // Nothing is awaited that does happen: the quiet is what is tested.
  await delay(LEASE_DURATION);
  expect(await length()).toBe(before);
  expect((await team.election(cadre))?.term).toBe(term);
}, 40_000);
