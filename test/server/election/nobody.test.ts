// Elections that are ended by hand, and cadres without a candidate, on a real server with real processes.
import { type LeaderReport, readLeader } from '../../../src/client/leader';
import { LEASE_DURATION } from '../../../src/core/election';
import { electionId } from '../../../src/core/names';
import { until } from '../../support/cli';
import { expectOneHolderATerm } from '../../support/election-log';
import { TeamProcesses } from '../../support/team-processes';

let team: TeamProcesses;

beforeAll(async () => {
  team = await TeamProcesses.start();
}, 60_000);

afterEach(() => team.stopWorkers());
afterAll(() => team.close());

test('while all candidates are gone nobody leads, a task waits and can be cancelled, and goes on when one comes', async () => {
  const cadre = 'all-gone';
  const [, first] = await Promise.all([
    team.workerOf({ cadre, roles: ['workflows', 'agents'] }),
    team.workerOf({ cadre, roles: ['leader'] }),
  ]);
  const { term } = await team.leader(cadre);
  first.kill('SIGKILL');
  const [task, other] = await Promise.all([team.task(cadre, cadre), team.task(cadre, `${cadre}-other`)]);
  const { temporal } = await team.client(cadre);
  const report = (): Promise<LeaderReport> => readLeader(temporal, cadre);
  await until(async () => (await report()).leader === undefined);
  expect((await report()).past[0]).toMatchObject({ term, how: 'lostHeartbeat' });
  expect(await task.pending()).toMatchObject([{ step: 'plan', kind: 'scheduled', attempt: 1 }]);
  const asked = Date.now();
  await other.cancel();
  await expect(other.result()).rejects.toThrow(/cancelled/i);
  expect(Date.now() - asked).toBeLessThan(2 * LEASE_DURATION);
  const next = await team.workerOf({ cadre, roles: ['leader'] });
  await task.result();
  expect(team.acts('planner', cadre)).toMatchObject([
    { what: 'began', pid: next.pid },
    { what: 'ended', pid: next.pid },
  ]);
  expect(team.acts('planner', `${cadre}-other`)).toEqual([]);
  expect((await team.election(cadre))?.term).toBeGreaterThan(term);
}, 40_000);

test.each(['terminate', 'cancel'] as const)(
  'an election that somebody tells to %s is held again, in a higher term and without the work of a task lost',
  async (how) => {
    const cadre = how;
    await Promise.all([team.worker(cadre), team.worker(cadre)]);
    const { term } = await team.leader(cadre);
    team.hold('planner', cadre);
    const task = await team.task(cadre, cadre);
    await team.waits('planner', cadre);
    const { temporal } = await team.client(cadre);
    await temporal.workflow.getHandle(electionId(cadre))[how]();
    const next = await team.leader(cadre, term);
    team.release('planner', cadre);
    await task.result();
    expect(team.acts('planner', cadre).at(-1)).toMatchObject({ what: 'ended', term: next.term });
    expectOneHolderATerm(await team.terms(cadre));
  },
  40_000,
);

test('of two workers of one identity, one leads at a time', async () => {
  const cadre = 'twins';
  const identity = 'twin';
  const twins = await Promise.all([team.workerOf({ cadre, identity }), team.workerOf({ cadre, identity })]);
  await (await team.task(cadre, `${cadre}-1`)).result();
  const [first] = team.acts('planner', `${cadre}-1`);
  twins.find(({ pid }) => pid === first?.pid)?.kill('SIGKILL');
  await (await team.task(cadre, `${cadre}-2`)).result();
  const [second] = team.acts('planner', `${cadre}-2`);
  expect(new Set([first?.pid, second?.pid])).toEqual(new Set(twins.map(({ pid }) => pid)));
  expect(Number(second?.term)).toBeGreaterThan(Number(first?.term));
  expectOneHolderATerm(await team.terms(cadre));
}, 40_000);
