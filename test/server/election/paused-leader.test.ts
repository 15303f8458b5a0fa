// A leader that is paused past its lease (SIGSTOP) and wakes up, on a real server, and a store that checks terms or not.
import type { TaskHandle } from '../../../src/client/task-handle';
import { type CliProcess, until } from '../../support/cli';
import { expectOneHolderATerm } from '../../support/election-log';
import { FencedStore } from '../../support/fenced-store';
import { TeamProcesses, logOf } from '../../support/team-processes';

let team: TeamProcesses;
let store: FencedStore;

beforeAll(async () => {
  [team, store] = await Promise.all([TeamProcesses.start(), FencedStore.listen()]);
}, 60_000);

beforeEach(() => {
  store.value = [];
  store.taken.length = 0;
  store.refused.length = 0;
});

afterEach(() => team.stopWorkers());
afterAll(async () => {
  await store.close();
  await team.close();
});

interface Zombie {
  readonly worker: CliProcess;
  /** The term that it was paused in. */
  readonly term: number;
  /** The term that was granted meanwhile. */
  readonly next: number;
  readonly task: TaskHandle;
}

/** Pauses a leader whose planner has read the store, lets the next one plan and write, and wakes the first. */
async function wakeAfterTheNextWrote(cadre: string): Promise<Zombie> {
  await Promise.all([team.worker(cadre), team.worker(cadre)]);
  const { term, worker } = await team.leader(cadre);
  team.hold('planner', cadre);
  const task = await team.task(cadre, cadre, `add to ${store.url}`);
  await team.waits('planner', cadre);
  worker.kill('SIGSTOP');
  const { term: next } = await team.leader(cadre, term);
  team.release('planner', cadre);
  await until(() => store.value.includes(String(next)));
  worker.kill('SIGCONT');
  await until(() => [...store.taken, ...store.refused].some(({ token }) => token === term));
  return { worker, term, next, task };
}

test('a paused leader that wakes up overwrites what the next one wrote, where the store checks no terms', async () => {
  store.checks = false;
  const { term, task } = await wakeAfterTheNextWrote('unchecked');
  expect(store.value).toEqual([String(term)]);
  await task.result();
}, 40_000);

test('a paused leader that wakes up changes nothing, where the store checks the term', async () => {
  store.checks = true;
  const { term, next, task } = await wakeAfterTheNextWrote('checked');
  expect(store.refused).toEqual([{ token: term, value: [String(term)] }]);
  expect(store.value).toEqual([String(next)]);
  await task.result();
  const planned = (await logOf(task)).filter(({ type }) => type === 'planned');
  expect(planned).toMatchObject([{ term: next }]);
  expectOneHolderATerm(await team.terms('checked'));
}, 40_000);

test('a paused leader that wakes up leads no more, and stands again', async () => {
  const cadre = 'stands-again';
  const { worker, term, next } = await wakeAfterTheNextWrote(cadre);
  const ids = Array.from({ length: 10 }, (_, index) => `${cadre}-${index}`);
  await Promise.all(ids.map(async (id) => (await team.task(cadre, id)).result()));
  const planned = ids.flatMap((id) => team.acts('planner', id));
  expect(new Set(planned.map((act) => act.term))).toEqual(new Set([next]));
  expect(planned.map(({ pid }) => pid)).not.toContain(worker.pid);
  const second = await team.leader(cadre, term);
  expect(second.term).toBe(next);
  second.worker.kill('SIGKILL');
  const third = await team.leader(cadre, next);
  expect(third.worker.pid).toBe(worker.pid);
}, 40_000);
