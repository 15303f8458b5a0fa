// The processes that run the breakers' workflows are killed, frozen or cut off, in each state of a breaker.
import { randomUUID } from 'node:crypto';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { TemporalBreakers } from '../../../src/client/breakers';
import type { TaskHandle } from '../../../src/client/task-handle';
import type { BreakerPhase, BreakerState } from '../../../src/core/breaker/breaker';
import type { BreakerReply, BreakerReport } from '../../../src/core/breaker/report';
import { BREAKER_DEFAULTS, type BreakerSettings } from '../../../src/core/breaker/settings';
import { NO_CALLS, type Tally } from '../../../src/core/breaker/window';
import { breakerId, breakersQueue } from '../../../src/core/names';
import { PREBUILT_BUNDLE } from '../../../src/workers/build-id';
import { installRuntime } from '../../../src/workers/runtime';
import { BreakerFleet, type BreakerTeam, type GuardedPolicy } from '../../support/breaker-fleet';
import { type CliProcess, until } from '../../support/cli';
import { mostAtOnce } from '../../support/http-agent';
import { createTimeSkippingEnvironment } from '../../support/time-skipping';

const PATIENCE = 60_000;
const CALLERS = 2;
const CONCURRENCY = 10;
const PROBES = 2;
const TASKS = 6;
const DOWN = { kind: 'fail', status: 503 } as const;
const UP = { kind: 'ok' } as const;

const policy = (breaker: GuardedPolicy['breaker'], more: Partial<GuardedPolicy> = {}): GuardedPolicy => ({
  startToClose: '2m',
  retry: { initialInterval: 200, backoffCoefficient: 1, maximumAttempts: 20 },
  ...more,
  breaker: {
    window: { seconds: 600 },
    minimumCalls: 2,
    cooldown: 400,
    cooldownMax: 2000,
    // A grant whose answer comes too late is lost for so long.
    maxProbeTime: '4s',
    probes: PROBES,
    ...breaker,
  },
});

const AGENTS = {
  /** Never opens, and is told of every call that fails. */
  closed: policy(
    { minimumCalls: 100_000 },
    { retry: { initialInterval: 200, backoffCoefficient: 1, maximumAttempts: 1000 } },
  ),
  open: policy({ cooldown: '8s', cooldownMax: '8s' }),
  probed: policy({ maxProbeTime: '30s' }),
  isolated: policy({}),
  /** Goes away while nobody runs workflows. */
  alone: policy({}),
  terminated: policy({}),
};

let fleet: BreakerFleet;
let team: BreakerTeam<keyof typeof AGENTS>;
let hosts: CliProcess[];
beforeAll(async () => {
  fleet = await BreakerFleet.start({ onDisk: true });
  team = await fleet.team('kills', { agents: AGENTS, concurrency: CALLERS * CONCURRENCY });
  await team.workers(CALLERS, 'agents');
  hosts = await team.workers(1, 'workflows');
}, 120_000);
afterAll(() => fleet.close());

type Agent = keyof typeof AGENTS;

/** Answers however long nobody runs workflows. */
async function stateOf(agent: Agent): Promise<BreakerState> {
  let state: BreakerState | undefined;
  await until(async () => {
    state = await team.client.breaker(agent).then(
      (standing) => standing.state,
      () => undefined,
    );
    return state !== undefined;
  }, PATIENCE);
  if (state === undefined) throw new Error('No state');
  return state;
}

async function reaches<Kind extends BreakerPhase['kind']>(
  agent: Agent,
  kind: Kind,
  holds: (phase: BreakerPhase & { kind: Kind }) => boolean = () => true,
): Promise<BreakerState & { phase: BreakerPhase & { kind: Kind } }> {
  let found: BreakerState | undefined;
  await until(async () => {
    const state = await stateOf(agent);
    found =
      state.phase.kind === kind && holds(state.phase as BreakerPhase & { kind: Kind }) ? state : undefined;
    return found !== undefined;
  }, PATIENCE);
  return found as BreakerState & { phase: BreakerPhase & { kind: Kind } };
}

/** Tasks whose agent is away, so that its breaker opens and all of them wait. */
async function waiting(agent: Agent): Promise<TaskHandle[]> {
  team.http[agent].becomes(DOWN);
  const { opened } = await stateOf(agent);
  const tasks = await team.start(agent, TASKS);
  await until(async () => (await stateOf(agent)).opened > opened, PATIENCE);
  for (const task of tasks) await until(() => isRefused(task), PATIENCE);
  return tasks;
}

async function isRefused(task: TaskHandle): Promise<boolean> {
  for await (const { type } of task.events()) if (type === 'stepRefused') return true;
  return false;
}

/** All end, and the effect of each happened once. */
async function expectAllDone(agent: Agent, tasks: readonly TaskHandle[]): Promise<void> {
  for (const task of tasks) expect(await task.result()).toEqual({ one: `done ${task.id}` });
  const ids = new Set(tasks.map(({ id }) => id));
  const done = team.http[agent].calls.filter(({ task, answered }) => answered === 'ok' && ids.has(task));
  expect(done.map(({ task }) => task).sort()).toEqual([...ids].sort());
}

async function newHost(): Promise<void> {
  hosts = await team.workers(1, 'workflows');
}

/** What takes the breakers' workflows away, and brings them back. */
const FAULTS: Record<string, { away: () => unknown; back: () => Promise<unknown> }> = {
  'the process that runs it is killed': {
    away: () => hosts.map((host) => host.kill('SIGKILL')),
    back: newHost,
  },
  'the process that runs it freezes': {
    away: () => hosts.map((host) => host.kill('SIGSTOP')),
    // It wakes up when another has taken over.
    async back() {
      const frozen = hosts;
      await newHost();
      await stateOf('closed');
      for (const host of frozen) host.kill('SIGCONT');
      hosts.push(...frozen);
    },
  },
  'the server is killed': { away: () => undefined, back: () => fleet.restartServer() },
};

describe.each(Object.keys(FAULTS))('a breaker is what it was after %s', (fault) => {
  const { away, back } = FAULTS[fault] as (typeof FAULTS)[string];
  const tasks = {} as Record<'closed' | 'open' | 'probed' | 'isolated', TaskHandle[]>;
  const before = {} as Record<keyof typeof tasks, BreakerState>;
  let began: number;
  let since: number;

  beforeAll(async () => {
    began = Date.now();
    team.http.closed.becomes(DOWN);
    tasks.closed = await team.start('closed', TASKS);
    tasks.isolated = await waiting('isolated');
    await team.client.operateBreaker('isolated', 'isolate', 'maintenance');
    tasks.probed = await waiting('probed');
    team.http.probed.becomes({ kind: 'hang' });
    // One may have failed before the agent began to hang.
    before.probed = await reaches(
      'probed',
      'halfOpen',
      ({ permits, reported }) => permits.length > 0 && permits.length + reported.calls === PROBES,
    );
    // Of a busy machine the answer to one may come too late: then it is out all the same.
    await until(() => team.http.probed.inFlight > 0);
    tasks.open = await waiting('open');
    // Each worker has heard, so that none goes by what it knew before.
    const from = Date.now();
    await until(() => {
      const heard = team.exchanges('isolated').filter(({ at, kind }) => at > from && kind === 'isolated');
      return new Set(heard.map(({ worker }) => worker)).size === CALLERS;
    }, PATIENCE);
    team.http.isolated.becomes(UP);
    before.closed = await stateOf('closed');
    before.isolated = await stateOf('isolated');
    before.open = await stateOf('open');
    since = Date.now();
    await away();
    const { length } = team.http.closed.calls;
    // Calls of closed breakers go on, since their retries need no workflow.
    if (fault !== 'the server is killed')
      await until(() => team.http.closed.calls.length >= length + TASKS, PATIENCE);
    await back();
  }, 180_000);

  // What one fault leaves must not be in the way of the next.
  afterAll(async () => {
    for (const http of Object.values(team.http)) {
      http.becomes(UP);
      http.release();
    }
    const { kind } = (await stateOf('isolated')).phase;
    if (kind === 'isolated') await team.client.operateBreaker('isolated', 'release');
    for (const agent of ['open', 'probed'] as const) await team.client.operateBreaker(agent, 'reset');
  }, 60_000);

  test('closed, with all that was told', async () => {
    const state = await reaches(
      'closed',
      'closed',
      ({ window }) => window.failures > windowOf(before.closed).failures,
    );
    expect(state.opened).toBe(0);
    team.http.closed.becomes(UP);
    await expectAllDone('closed', tasks.closed);
    // Of what failed nothing is lost; what was told twice, since only the answer was, errs on the side of opening.
    const failed = team.http.closed.calls.filter(({ answered }) => answered === 'fail').length;
    await reaches('closed', 'closed', ({ window }) => window.failures >= failed);
  }, 120_000);

  test('isolated, and no call reaches its agent', async () => {
    expect((await stateOf('isolated')).phase).toEqual(before.isolated.phase);
    // Those who wait have asked again.
    const now = Date.now();
    await until(
      () => team.exchanges('isolated').some(({ at, kind }) => at > now && kind === 'isolated'),
      PATIENCE,
    );
    expect(team.http.isolated.calls.filter(({ at }) => at > since)).toEqual([]);
    await team.client.operateBreaker('isolated', 'release');
    await expectAllDone('isolated', tasks.isolated);
  }, 120_000);

  test('half-open, with its permits', async () => {
    const { phase, granted } = await stateOf('probed');
    expect({ phase, granted }).toEqual({ phase: before.probed.phase, granted: before.probed.granted });
    const own = Math.min(CALLERS, team.unanswered('probed', began)) * PROBES;
    const { calls } = team.http.probed;
    const probes = calls.filter(({ met, answered }) => met === 'hang' && answered === undefined);
    expect(mostAtOnce(probes)).toBeLessThanOrEqual(PROBES + own);
    team.http.probed.becomes(UP);
    team.http.probed.release();
    await expectAllDone('probed', tasks.probed);
    await reaches('probed', 'closed');
  }, 120_000);

  test('open, until its cooldown is over', async () => {
    const { phase, opened, granted } = await stateOf('open');
    expect(opened).toBe(before.open.opened);
    if (before.open.phase.kind !== 'open') throw new Error('It was not open');
    const { until: over } = before.open.phase;
    if (granted === before.open.granted) {
      expect(phase).toMatchObject(
        Date.now() < over ? before.open.phase : { kind: phase.kind, failedProbes: 0 },
      );
    } else expect(Date.now()).toBeGreaterThanOrEqual(over);
    team.http.open.becomes(UP);
    await expectAllDone('open', tasks.open);
    await reaches('open', 'closed');
    const { calls } = team.http.open;
    const early = calls.filter(({ at }) => at > since && at < over);
    expect(early.length).toBeLessThanOrEqual(PROBES * team.unanswered('open', since));
  }, 120_000);
});

function windowOf({ phase }: BreakerState): Tally {
  return phase.kind === 'closed' ? phase.window : NO_CALLS;
}

test('while nobody runs workflows, what a worker itself has seen keeps its calls from the agent', async () => {
  const http = team.http.alone;
  http.becomes({ kind: 'hang' });
  const tasks = await team.start('alone', CONCURRENCY);
  await until(() => http.inFlight === CONCURRENCY, PATIENCE);
  for (const host of hosts) host.kill('SIGKILL');
  http.becomes(DOWN);
  http.release();
  await until(() => team.exchanges('alone').some(({ kind }) => kind === undefined), PATIENCE);
  const { length } = http.calls;
  // One more a worker: its breaker opens at the second failure.
  expect(length).toBeLessThanOrEqual(CONCURRENCY + CALLERS);
  await newHost();
  http.becomes(UP);
  await expectAllDone('alone', tasks);
}, 120_000);

test('one that is terminated while it is open begins closed, and opens again', async () => {
  const tasks = await waiting('terminated');
  const handle = team.client.temporal.workflow.getHandle(breakerId(team.cadre, 'terminated'));
  const { runId } = await handle.describe();
  const since = Date.now();
  await handle.terminate('by a person');
  await until(async () => (await handle.describe()).runId !== runId, PATIENCE);
  await until(async () => (await stateOf('terminated')).opened === 1, PATIENCE);
  const { granted } = await stateOf('terminated');
  const most = CALLERS * (CONCURRENCY + 1) + granted + PROBES * (1 + team.unanswered('terminated', since));
  expect(team.http.terminated.calls.filter(({ at }) => at > since).length).toBeLessThanOrEqual(most);
  team.http.terminated.becomes(UP);
  await expectAllDone('terminated', tasks);
  await reaches('terminated', 'closed');
}, 120_000);

describe('a breaker that goes on in a new run under load', () => {
  const key = 'load';
  const settings: BreakerSettings = {
    ...BREAKER_DEFAULTS,
    window: { calls: 1000 },
    minimumCalls: 1000,
    cooldown: 10,
    maxProbeTime: 60 * 60 * 1000,
    probes: 3,
  };
  const report = (more: Partial<BreakerReport>): BreakerReport => ({
    settings,
    calls: [],
    probes: [],
    refused: 0,
    wanted: 0,
    ...more,
  });
  const handle = () => team.client.temporal.workflow.getHandle(breakerId(team.cadre, key));
  const runId = async (): Promise<string> => (await handle().describe()).runId;

  /** Ten at a time, until it goes on in a new run, or so many were sent. */
  async function drive(one: BreakerReport, most: number): Promise<{ sent: number; replies: BreakerReply[] }> {
    const breakers = new TemporalBreakers(team.client.temporal, team.cadre);
    const replies: BreakerReply[] = [];
    let run: string | undefined;
    let sent = 0;
    while (sent < most) {
      const answered = await Promise.allSettled(Array.from({ length: 10 }, () => breakers.report(key, one)));
      sent += answered.length;
      for (const reply of answered) if (reply.status === 'fulfilled') replies.push(reply.value);
      const now = await runId();
      run ??= now;
      if (now !== run) break;
    }
    return { sent, replies };
  }

  const read = async (): Promise<BreakerState> => (await team.client.breaker(key)).state;

  test('loses no report that it answered', async () => {
    const calls = [{ calls: 1, failures: 0, slow: 0, began: 10, ended: 0 }];
    const { sent, replies } = await drive(report({ calls }), 900);
    expect(sent).toBeLessThan(900);
    const { phase } = await read();
    if (phase.kind !== 'closed') throw new Error('It is not closed');
    expect(phase.window.calls).toBeGreaterThanOrEqual(replies.length);
    expect(phase.window.calls).toBeLessThanOrEqual(sent);
    expect(replies.length).toBeGreaterThan(0);
  }, 120_000);

  test('stays open, and isolated', async () => {
    const tripped = await team.client.operateBreaker(key, 'isolate', 'load');
    const { sent, replies } = await drive(report({ refused: 1 }), 900);
    expect(sent).toBeLessThan(900);
    const { phase, refused } = await read();
    expect(phase).toEqual(tripped.state.phase);
    expect(refused).toBeGreaterThanOrEqual(replies.length);
    expect(refused).toBeLessThanOrEqual(sent);
    expect(new Set(replies.map(({ view }) => view.kind))).toEqual(new Set(['isolated']));
  }, 120_000);

  test('grants no more permits than probes', async () => {
    await team.client.operateBreaker(key, 'release');
    await team.client.operateBreaker(key, 'trip', 'load');
    const { replies } = await drive(report({ wanted: 1 }), 300);
    expect(replies.flatMap(({ permits }) => permits).length).toBeLessThanOrEqual(3);
    const { phase, granted } = await read();
    expect(granted).toBe(3);
    expect(phase).toMatchObject({ kind: 'halfOpen', permits: [{ id: '1' }, { id: '2' }, { id: '3' }] });
  }, 120_000);
});

test('one that has been closed and quiet for ten minutes ends, and the next report begins it anew', async () => {
  installRuntime('ERROR');
  const cadre = `quiet-${randomUUID().slice(0, 8)}`;
  const environment: TestWorkflowEnvironment = await createTimeSkippingEnvironment();
  const worker = await Worker.create({
    connection: environment.nativeConnection,
    taskQueue: breakersQueue(cadre),
    workflowBundle: { codePath: PREBUILT_BUNDLE },
  });
  await worker.runUntil(async () => {
    const breakers = new TemporalBreakers(environment.client, cadre);
    const calls = [{ calls: 1, failures: 1, slow: 0, began: 10, ended: 0 }];
    const report = { settings: BREAKER_DEFAULTS, calls, probes: [], refused: 0, wanted: 0 };
    const tell = (): Promise<boolean> =>
      breakers.report('quiet', report).then(
        () => true,
        () => false,
      );
    await until(tell, PATIENCE);
    const handle = environment.client.workflow.getHandle(breakerId(cadre, 'quiet'));
    await environment.sleep('9m');
    expect((await handle.describe()).status.name).toBe('RUNNING');
    await environment.sleep('2m');
    await until(async () => (await handle.describe()).status.name === 'COMPLETED');
    await until(tell, PATIENCE);
    const { running, state } = await breakers.read('quiet');
    expect(running).toBe(true);
    expect(windowOf(state).calls).toBeGreaterThan(0);
  });
  await environment.teardown();
}, 120_000);
