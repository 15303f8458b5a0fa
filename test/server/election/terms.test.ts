// Terms over runs, over the death of those who led, and over the death of the server.
import { PAST_TERMS } from '../../../src/core/election';
import { electionId } from '../../../src/core/names';
import { ensureElection } from '../../../src/workers/leadership/ensure-election';
import { Candidates } from '../../support/candidates';
import { until } from '../../support/cli';
import { expectOneHolderATerm, runLengths, termsOf } from '../../support/election-log';
import { TeamProcesses } from '../../support/team-processes';

describe('terms that end at once', () => {
  const TERMS = 500;
  const EVENTS_MAXIMUM = 1500;
  let candidates: Candidates;

  beforeAll(async () => {
    candidates = await Candidates.start();
  }, 60_000);
  afterAll(() => candidates.close());

  test('each is one higher than the last, over runs that stay short', async () => {
    const cadre = 'many';
    const { client } = candidates;
    await candidates.hostElection(cadre);
    let led = 0;
    const taking = await candidates.takeTerms(cadre, async () => void (led += 1));
    await until(() => led >= TERMS);
    await taking.stop();
    const terms = await termsOf(client, cadre);
    expectOneHolderATerm(terms);
    const [first] = terms;
    expect(terms.map(({ term }) => term)).toEqual(terms.map((_, index) => Number(first?.term) + index));
    const lengths = await runLengths(client, cadre);
    expect(lengths.length).toBeGreaterThan(2);
    expect(Math.max(...lengths)).toBeLessThan(EVENTS_MAXIMUM);
    expect((await candidates.election(cadre))?.past).toHaveLength(PAST_TERMS);
  }, 60_000);

  test('are below those of the election that follows, though they ran ahead of the clock', async () => {
    const cadre = 'ahead';
    const { client } = candidates;
    await candidates.hostElection(cadre);
    let led = 0;
    const taking = await candidates.takeTerms(cadre, async () => void (led += 1));
    await until(() => led >= 100);
    await taking.stop();
    await client.workflow.getHandle(electionId(cadre)).terminate();
    const before = Number((await termsOf(client, cadre)).at(-1)?.term);
    expect(before).toBeGreaterThan(Date.now() / 1000 + 10);
    expect(await ensureElection(client, cadre)).toBe(true);
    await until(async () => ((await termsOf(client, cadre)).at(-1)?.term ?? 0) !== before);
    const terms = await termsOf(client, cadre);
    expectOneHolderATerm(terms);
    expect(terms.at(-1)?.term).toBe(before + 1);
  }, 60_000);
});

describe('terms of real processes', () => {
  const cadre = 'deaths';
  let team: TeamProcesses;

  beforeAll(async () => {
    team = await TeamProcesses.start();
  }, 60_000);
  afterAll(() => team.close());

  /** Has the present leader plan a task: so the ledger has who leads in which term. */
  async function plan(id: string): Promise<void> {
    await (await team.task(cadre, id)).result();
  }

  test('have one holder each, and rise over the death of a worker and of the server', async () => {
    await Promise.all([team.worker(cadre), team.worker(cadre)]);
    const first = await team.leader(cadre);
    await plan('before');
    first.worker.kill('SIGKILL');
    const second = await team.leader(cadre, first.term);
    await plan('after-a-worker');
    await team.worker(cadre);
    await team.restartServer();
    await plan('after-the-server');
    const terms = await team.terms(cadre);
    expectOneHolderATerm(terms);
    const planned = team.allActs().filter(({ what, agent }) => what === 'ended' && agent === 'planner');
    const tasks = planned.map(({ task }) => task);
    expect(tasks.slice(0, 3)).toEqual(['before', 'after-a-worker', 'after-the-server']);
    // One who was deposed while it planned has done so for nothing.
    expect(tasks.slice(3).every((task) => task === 'after-the-server')).toBe(true);
    expect(planned.slice(0, 2).map(({ term, pid }) => [term, pid])).toEqual([
      [first.term, first.worker.pid],
      [second.term, second.worker.pid],
    ]);
    for (const { term, pid } of planned) {
      expect(terms.find((logged) => logged.term === term)?.takenBy).toMatch(new RegExp(`^${pid}@`));
    }
  }, 60_000);
});
