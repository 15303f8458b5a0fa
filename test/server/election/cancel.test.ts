// Cancelling a task: with the leader, without one, and with an agent at work. A ledger says what really ran.
import type { TaskHandle } from '../../../src/client/task-handle';
import { step } from '../../support/agents';
import { until } from '../../support/cli';
import { type Act, TeamProcesses } from '../../support/team-processes';

/** The policy of the team's agents. */
const HEARTBEAT_TIMEOUT = 1000;
let team: TeamProcesses;

beforeAll(async () => {
  team = await TeamProcesses.start();
}, 60_000);

afterEach(() => team.stopWorkers());
afterAll(() => team.close());

async function isCancelled(task: TaskHandle): Promise<void> {
  await expect(task.result()).rejects.toThrow(/cancelled/i);
  const { state, pending } = await task.describe();
  expect([state.phase.kind, pending]).toEqual(['cancelled', []]);
}

/** The agent's signal is aborted, at most two heartbeats after `since` (ms since 1970). */
async function abortsSoon(agent: string, id: string, since: number): Promise<void> {
  const aborted = (): Act | undefined => team.acts(agent, id).find(({ what }) => what === 'aborted');
  await until(() => aborted() !== undefined);
  expect(Number(aborted()?.at) - since).toBeLessThan(2 * HEARTBEAT_TIMEOUT);
}

test('a cancelled task aborts the signal of its agents within two heartbeats, and starts no step', async () => {
  const cadre = 'at-work';
  await team.worker(cadre);
  team.hold('gate', cadre);
  const plan = { steps: [step('a', 'gate'), step('b', 'echo', { needs: ['a'] }), step('c', 'gate')] };
  const task = await (await team.client(cadre)).start({ goal: 'wait', plan }, { id: cadre });
  await team.waits('gate', cadre, 2);
  const asked = Date.now();
  await task.cancel();
  await abortsSoon('gate', cadre, asked);
  await isCancelled(task);
  expect(team.acts('gate', cadre).filter(({ what }) => what === 'aborted')).toHaveLength(2);
  expect(team.acts('echo', cadre)).toEqual([]);
}, 40_000);

test('a task that is cancelled while the leader plans it reaches the planner, and starts no step', async () => {
  const cadre = 'at-plan';
  await Promise.all([team.worker(cadre), team.worker(cadre)]);
  const { term } = await team.leader(cadre);
  team.hold('planner', cadre);
  const task = await team.task(cadre, cadre);
  await team.waits('planner', cadre);
  const asked = Date.now();
  await task.cancel();
  await abortsSoon('planner', cadre, asked);
  await isCancelled(task);
  expect(team.acts('planner', cadre).map(({ what }) => what)).toEqual(['began', 'waits', 'aborted']);
  expect(team.acts('echo', cadre)).toEqual([]);
  expect((await team.election(cadre))?.term).toBe(term);
}, 40_000);

test('a task that is cancelled while nobody leads ends, and the next leader has nothing to do with it', async () => {
  const cadre = 'nobody';
  const worker = await team.worker(cadre);
  await team.leader(cadre);
  worker.kill('SIGKILL');
  await worker.ended;
  const task = await team.task(cadre, cadre);
  await task.cancel();
  await team.worker(cadre);
  await isCancelled(task);
  const next = await team.task(cadre, `${cadre}-next`);
  await next.result();
  expect(team.acts('planner', cadre)).toEqual([]);
}, 40_000);
