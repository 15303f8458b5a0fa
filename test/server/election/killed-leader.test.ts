// Leaders ended by SIGKILL in the midst of their work, on a real server. A ledger outside of it says what really ran.
import { AGGREGATE_STEP } from '../../../src/core/names';
import { TeamProcesses, logOf } from '../../support/team-processes';
import { expectOneHolderATerm } from '../../support/election-log';

let team: TeamProcesses;

beforeAll(async () => {
  team = await TeamProcesses.start();
}, 60_000);

afterEach(() => team.stopWorkers());
afterAll(() => team.close());

test.each(['planner', 'aggregator'] as const)(
  'what a killed leader had its %s do is done by the next, and no finished step runs again',
  async (agent) => {
    const cadre = `killed-${agent}`;
    await Promise.all([team.worker(cadre), team.worker(cadre)]);
    const first = await team.leader(cadre);
    team.hold(agent, cadre);
    const task = await team.task(cadre, cadre, 'take 3 steps');
    const began = await team.waits(agent, cadre);
    expect([began.pid, began.term]).toEqual([first.worker.pid, first.term]);
    first.worker.kill('SIGKILL');
    const again = await team.waits(agent, cadre, 2);
    team.release(agent, cadre);
    expect(await task.result()).toEqual({ [AGGREGATE_STEP]: { s3: 3 } });
    const second = await team.leader(cadre, first.term);
    expect([again.pid, again.term, again.key]).toEqual([second.worker.pid, second.term, began.key]);
    const steps = team.acts('echo', cadre).filter(({ what }) => what === 'began');
    expect(steps.map(({ step }) => step)).toEqual(['s1', 's2', 's3']);
    const returned = (await logOf(task)).filter(({ type }) => type === 'leaderWorkReturned');
    expect(returned).toMatchObject([
      { work: agent === 'planner' ? 'plan' : 'aggregate', why: 'heartbeatLost' },
    ]);
    expectOneHolderATerm(await team.terms(cadre));
  },
  40_000,
);
