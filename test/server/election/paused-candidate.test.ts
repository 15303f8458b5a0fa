// A candidate that is paused while it is offered a term, and wakes up in a later one: on a real server, by SIGSTOP.
import { until } from '../../support/cli';
import { expectOneHolderATerm } from '../../support/election-log';
import { TeamProcesses } from '../../support/team-processes';

let team: TeamProcesses;

beforeAll(async () => {
  team = await TeamProcesses.start();
}, 60_000);

afterAll(() => team.close());

test('a candidate that wakes up after the term it was given is over leads nobody', async () => {
  const cadre = 'overslept';
  const standing = { cadre, roles: ['leader'] } as const;
  await team.workerOf({ cadre, roles: ['workflows', 'agents'] });
  await team.workerOf(standing);
  const first = await team.leader(cadre);
  const sleeper = await team.workerOf(standing);
  await team.stands(cadre, sleeper);
  sleeper.kill('SIGSTOP');
  first.worker.kill('SIGKILL');
  const overslept = first.term + 1;
  await until(async () => Number((await team.election(cadre))?.past[0]?.term) >= overslept);
  const taken = (await team.terms(cadre)).find(({ term }) => term === overslept);
  expect(taken?.takenBy).toMatch(new RegExp(`^${sleeper.pid}@`));
  await team.workerOf(standing);
  const second = await team.leader(cadre, overslept);
  // Paused for less than its lease, the present leader takes the first task with it; the others wait for who leads.
  second.worker.kill('SIGSTOP');
  const ids = Array.from({ length: 5 }, (_, index) => `${cadre}-${index}`);
  const tasks = await Promise.all(ids.map((id) => team.task(cadre, id)));
  const woken = Date.now();
  sleeper.kill('SIGCONT');
  await team.stands(cadre, sleeper, woken);
  second.worker.kill('SIGCONT');
  await Promise.all(tasks.map((task) => task.result()));
  const planned = ids.flatMap((id) => team.acts('planner', id));
  expect(planned.filter(({ term }) => term === overslept)).toEqual([]);
  expectOneHolderATerm(await team.terms(cadre));
}, 60_000);
