// Three worker processes that are killed, paused and cut off at random while tasks go through, on a real server.
import { setTimeout as delay } from 'node:timers/promises';
import { readFacts } from '../../../src/client/history-reader';
import type { TaskHandle } from '../../../src/client/task-handle';
import { isRecord } from '../../../src/core/json';
import { LEADER_WORK } from '../../../src/core/names';
import type { LoggedTaskEvent } from '../../../src/core/task-projection';
import type { CliProcess } from '../../support/cli';
import { type LoggedTerm, expectOneHolderATerm } from '../../support/election-log';
import { Random } from '../../support/random';
import { TcpProxy } from '../../support/tcp-proxy';
import { TeamProcesses, logOf } from '../../support/team-processes';

const CADRE = 'faults';
const DURATION = 20_000;
const WORKERS = 3;
const seed = Number(process.env['CADRE_TEST_SEED'] ?? Date.now() % 1_000_000);
const random = new Random(seed);
const victims: Victim[] = [];
let team: TeamProcesses;

beforeAll(async () => {
  team = await TeamProcesses.start();
}, 60_000);

afterAll(async () => {
  for (const victim of victims) await victim.close();
  await team.close();
});

/** A worker process, started anew where it was killed, and its way to the server. */
class Victim {
  private constructor(
    private readonly proxy: TcpProxy,
    private process: CliProcess,
  ) {}

  static async start(): Promise<Victim> {
    const proxy = await TcpProxy.listen(team.server.address);
    return new Victim(proxy, await team.worker(CADRE, proxy.address));
  }

  /** Does it harm for a while, and resolves when it is well again. */
  async suffer(): Promise<void> {
    const fault = random.oneOf(['kill', 'pause', 'cut', 'blackhole'] as const);
    const duration = random.between(200, 3000);
    if (fault === 'kill') {
      this.process.kill('SIGKILL');
      this.process = await team.worker(CADRE, this.proxy.address);
    } else if (fault === 'pause') {
      this.process.kill('SIGSTOP');
      await delay(duration);
      this.process.kill('SIGCONT');
    } else {
      this.proxy.set(fault);
      await delay(duration);
      this.proxy.set('pass');
    }
  }

  close(): Promise<void> {
    return this.proxy.close();
  }
}

/** Harms the victims, most of the time one, at times all at once. */
async function harm(until: number): Promise<void> {
  await Promise.all(
    victims.map(async (victim) => {
      while (Date.now() < until) {
        await delay(random.between(0, 5000));
        await victim.suffer();
      }
    }),
  );
}

async function startTasks(until: number): Promise<TaskHandle[]> {
  const tasks: TaskHandle[] = [];
  while (Date.now() < until) {
    tasks.push(await team.task(CADRE, `task-${tasks.length}`, `take ${tasks.length % 4 || 1} steps`));
    await delay(random.between(0, 400));
  }
  return tasks;
}

/** What the task has seen never goes back, and no step that was completed is scheduled again. */
function expectForward(log: readonly LoggedTaskEvent[]): void {
  let seen = 0;
  const completed = new Set<string>();
  for (const event of log) {
    if ('term' in event) {
      expect(event.term).toBeGreaterThanOrEqual(seen);
      seen = event.term;
    }
    if (event.type === 'stepCompleted') completed.add(event.step);
    if (event.type === 'stepScheduled') expect(completed).not.toContain(event.step);
  }
}

function isLeaderWork(activity: string): boolean {
  return LEADER_WORK.some((work) => work === activity);
}

/** Each piece of the leader's work that counts was begun before the server granted a later term. */
async function expectBegunInItsTerm({ id }: TaskHandle, terms: readonly LoggedTerm[]): Promise<void> {
  const { temporal } = await team.client(CADRE);
  const begun = new Map<number, number>();
  const leaders = new Set<number>();
  for await (const fact of readFacts(temporal, id)) {
    if (fact.kind === 'activityScheduled' && isLeaderWork(fact.activityType)) leaders.add(fact.eventId);
    if (fact.kind === 'activityStarted') begun.set(fact.scheduledEventId, fact.time);
    if (fact.kind !== 'activityCompleted' || !leaders.has(fact.scheduledEventId)) continue;
    const term = isRecord(fact.result) ? Number(fact.result['term']) : Number.NaN;
    const later = terms.find((other) => other.term > term && other.taken !== undefined);
    expect(begun.get(fact.scheduledEventId)).toBeLessThanOrEqual(later?.taken ?? Number.POSITIVE_INFINITY);
  }
}

/** No attempt of a step was begun twice, and each step has one idempotency key. */
function expectOneEffect(): void {
  const attempts = new Map<string, number>();
  const keys = new Map<string, Set<string>>();
  for (const { what, agent, task, step, attempt, key } of team.allActs()) {
    if (what !== 'began' || agent !== 'echo') continue;
    const of = `${task} ${step}`;
    attempts.set(`${of} ${attempt}`, (attempts.get(`${of} ${attempt}`) ?? 0) + 1);
    keys.set(of, (keys.get(of) ?? new Set()).add(key));
  }
  expect([...attempts].filter(([, times]) => times > 1)).toEqual([]);
  expect([...keys].filter(([, of]) => of.size > 1)).toEqual([]);
}

test(`whatever happens to the workers, every task is completed, in terms that rise (CADRE_TEST_SEED=${seed})`, async () => {
  victims.push(...(await Promise.all(Array.from({ length: WORKERS }, () => Victim.start()))));
  await team.leader(CADRE);
  const until = Date.now() + DURATION;
  const [tasks] = await Promise.all([startTasks(until), harm(until)]);
  await Promise.all(tasks.map((task) => task.result()));
  const terms = await team.terms(CADRE);
  expect(team.acts('planner', tasks[0]?.id ?? '')).not.toEqual([]);
  expectOneHolderATerm(terms);
  for (const task of tasks) {
    expectForward(await logOf(task));
    await expectBegunInItsTerm(task, terms);
  }
  expectOneEffect();
}, 120_000);
