// Four worker processes, an agent that goes away and comes back: what reached it, by its own count.
import type { TaskHandle } from '../../../src/client/task-handle';
import { BreakerFleet, type BreakerTeam, type GuardedPolicy } from '../../support/breaker-fleet';
import { until } from '../../support/cli';
import { type AgentCall, type Behaviour, mostAtOnce } from '../../support/http-agent';

const WORKERS = 4;
const CONCURRENCY = 10;
const IN_FLIGHT = WORKERS * CONCURRENCY;
const COOLDOWN = 1000;
const COOLDOWN_MAXIMUM = 4000;
const START_TO_CLOSE = 6000;
const RETRY_AFTER = 2000;
/** For all that waited to end, beside the cooldown and its jitter: generous, since the machine may be busy. */
const PATIENCE = 40_000;

const policy = (probes: number, more: Partial<GuardedPolicy> = {}): GuardedPolicy => ({
  startToClose: '30s',
  retry: { initialInterval: 50, maximumAttempts: 2 },
  ...more,
  // A probe that is lost is given out again no sooner than one that fails.
  breaker: {
    window: { seconds: 60 },
    minimumCalls: 2,
    cooldown: COOLDOWN,
    cooldownMax: COOLDOWN_MAXIMUM,
    maxProbeTime: COOLDOWN_MAXIMUM,
    probes,
  },
});

let fleet: BreakerFleet;
let team: BreakerTeam<'failing' | 'hanging' | 'pacing'>;
beforeAll(async () => {
  fleet = await BreakerFleet.start();
  team = await fleet.team('fleet', {
    concurrency: CONCURRENCY,
    agents: {
      failing: policy(1),
      // All calls in flight hang at once: on a busy machine some are tried again before the workers have heard of it.
      hanging: policy(2, {
        startToClose: START_TO_CLOSE,
        retry: { initialInterval: 50, maximumAttempts: 4 },
      }),
      pacing: policy(1),
    },
  });
  await team.workers(WORKERS, 'workflows', 'agents');
}, 120_000);
afterAll(() => fleet.close());

type Agent = keyof typeof team.http;

/** What was seen of an outage. Times are in ms since 1970. */
interface Outage {
  readonly tasks: readonly TaskHandle[];
  readonly results: readonly PromiseSettledResult<unknown>[];
  /** Calls that met the agent while it was away, in flight when it went or begun meanwhile. */
  readonly calls: readonly AgentCall[];
  readonly from: number;
  readonly to: number;
  /** When the last task had ended. */
  readonly ended: number;
  /** How often calls waited for the fleet's breaker, and it did not answer in time. */
  readonly alone: number;
}

/** Tasks whose agent goes away when the fleet has all the calls in flight that it can have, and comes back after a while. */
async function outage(agent: Agent, behaviour: Behaviour, count: number, longest = 0): Promise<Outage> {
  const http = team.http[agent];
  http.becomes({ kind: 'hang' });
  const tasks = await team.start(agent, count);
  await until(() => http.calls.length >= IN_FLIGHT, PATIENCE);
  const from = http.becomes(behaviour);
  if (behaviour.kind !== 'hang') http.release();
  // It is called again and again after those in flight are over, and the first cooldown or the first pause.
  await until(() => http.calls.filter(({ at }) => at > from + longest + 4000).length >= 2, PATIENCE);
  const to = http.becomes({ kind: 'ok', latency: 5 });
  const calls = http.calls.slice();
  const alone = team.unanswered(agent);
  const results = await Promise.allSettled(tasks.map((task) => task.result()));
  return { tasks, results, calls, from, to, ended: Date.now(), alone };
}

/** How many cooldowns may have begun and ended in so many ms: no later one is shorter than an earlier one. */
function cooldownsIn(duration: number): number {
  let count = 0;
  let over = COOLDOWN;
  while (over <= duration) {
    count += 1;
    over += Math.min(COOLDOWN_MAXIMUM, COOLDOWN * 2 ** count);
  }
  return count;
}

/** Each task has its result, in time, and its effect happened once. */
function expectAllDone(agent: Agent, { tasks, results, to, ended }: Outage): void {
  expect(results).toEqual(tasks.map(({ id }) => ({ status: 'fulfilled', value: { one: `done ${id}` } })));
  const done = team.http[agent].calls.filter(({ answered }) => answered === 'ok');
  expect(done.map(({ task }) => task).sort()).toEqual(tasks.map(({ id }) => id).sort());
  expect(new Set(done.map(({ key }) => key)).size).toBe(tasks.length);
  expect(ended - to).toBeLessThan(COOLDOWN_MAXIMUM * 1.1 + PATIENCE);
}

/** No more calls than were in flight and one a worker, and the probes of each cooldown. */
function expectFewCalls({ calls, from, to, alone }: Outage, probes: number): void {
  const perCooldown = probes * cooldownsIn(to - from);
  // Where the fleet's breaker did not answer, a worker may have made as many of its own.
  expect(calls.length).toBeLessThanOrEqual(WORKERS * (CONCURRENCY + 1) + perCooldown + probes * alone);
}

/** When a call was over for whoever made it, whether it is in flight or not: after `longest` ms at the latest. */
function endOf({ at, endedAt = Infinity }: AgentCall, longest: number): number {
  return Math.min(endedAt, at + longest);
}

/** When each worker had seen itself that the agent is away: what it called with later was a probe. */
function heardAt({ calls }: Outage, longest: number): number {
  return Math.max(...calls.slice(0, IN_FLIGHT).map((call) => endOf(call, longest))) + COOLDOWN / 2;
}

function expectFewProbesAtOnce(seen: Outage, probes: number, longest = Infinity): void {
  const { calls, alone } = seen;
  const heard = heardAt(seen, longest);
  const made = calls
    .filter(({ at }) => at > heard)
    .map((call) => ({ ...call, endedAt: endOf(call, longest) }));
  expect(made).not.toEqual([]);
  // A probe that hangs counts as lost after a while, and a worker on its own gives it out again: both are held then.
  const turns = Number.isFinite(longest) ? Math.ceil(longest / COOLDOWN_MAXIMUM) : 1;
  expect(mostAtOnce(made)).toBeLessThanOrEqual(probes + Math.min(alone, WORKERS * turns) * probes);
}

/** A task's attempts are those that met the agent before its breaker was open: neither waiting nor probing spends one. */
function expectNoAttemptSpent(agent: Agent, seen: Outage, longest = Infinity): void {
  const heard = heardAt(seen, longest);
  const { calls } = team.http[agent];
  const used = new Map<string, number>();
  for (const { task, at } of calls) if (at <= heard) used.set(task, (used.get(task) ?? 0) + 1);
  const spent = calls.filter(({ task, at, attempt }) => at > heard && attempt > 1 + (used.get(task) ?? 0));
  expect(spent.map(({ task }) => calls.filter((call) => call.task === task))).toEqual([]);
}

test('an agent that fails is called by what is in flight and by one probe a cooldown; all tasks end after it is back', async () => {
  const seen = await outage('failing', { kind: 'fail', status: 503, latency: 20 }, 200);
  expectFewCalls(seen, 1);
  expectFewProbesAtOnce(seen, 1);
  expectNoAttemptSpent('failing', seen);
  expectAllDone('failing', seen);
  expect((await team.client.breaker('failing')).kind).toBe('closed');
}, 180_000);

test('an agent that hangs holds what is in flight and two probes a cooldown; all tasks end after it is back', async () => {
  const seen = await outage('hanging', { kind: 'hang' }, 100, START_TO_CLOSE);
  expectFewCalls(seen, 2);
  expectFewProbesAtOnce(seen, 2, START_TO_CLOSE);
  expectNoAttemptSpent('hanging', seen, START_TO_CLOSE);
  expectAllDone('hanging', seen);
  expect((await team.client.breaker('hanging')).kind).toBe('closed');
}, 180_000);

test('an agent that asks for pauses is not called before they are over, and no attempt is spent', async () => {
  const seen = await outage('pacing', { kind: 'pace', retryAfter: RETRY_AFTER / 1000 }, 100);
  const { calls } = seen;
  for (const { task, worker, at, endedAt = at } of calls) {
    const during = calls.filter((call) => call.at > endedAt && call.at < endedAt + RETRY_AFTER);
    expect(during.filter((call) => call.task === task)).toEqual([]);
    // What the worker had in flight when it was told, and what waited for the fleet's breaker, which did not answer.
    const mayCome = CONCURRENCY - 1 + team.letAlone('pacing', worker, endedAt, endedAt + RETRY_AFTER);
    expect(during.filter((call) => call.worker === worker).length).toBeLessThanOrEqual(mayCome);
  }
  const pauses = 1 + Math.floor((seen.to - seen.from) / RETRY_AFTER);
  expect(calls.length).toBeLessThanOrEqual(IN_FLIGHT * pauses);
  expect(new Set(team.http.pacing.calls.map(({ attempt }) => attempt))).toEqual(new Set([1]));
  expectAllDone('pacing', seen);
  expect(await team.client.breaker('pacing')).toMatchObject({ kind: 'closed', opened: 0 });
}, 180_000);
