// A cut over a cadre on a real server: at each moment it is what the cadre was then, however much has happened since.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type AnyAgent, defineAgent } from '../../../src/activities/define-agent';
import { memberOf } from '../../../src/core/agent/members';
import type { KnowledgeCheck } from '../../../src/client/agent-standing';
import type { FleetCut } from '../../../src/client/fleet';
import { readFacts } from '../../../src/client/history-reader';
import type { BreakerState } from '../../../src/core/breaker/breaker';
import { agentId } from '../../../src/core/names';
import type { TaskState } from '../../../src/core/task-state';
import { agent, step } from '../../support/agents';
import { until } from '../../support/cli';
import { type ServerCadre, startServerCadre } from '../../support/server-cadre';
import { TemporaryFolder } from '../../support/temporary-folder';

/** What the cadre said of itself at `time`, while nothing happened. */
interface Moment {
  readonly time: number;
  readonly leader: { readonly term: number; readonly identity: string | undefined };
  /** By member. */
  readonly vectors: Readonly<Record<string, unknown>>;
  readonly breakers: readonly (readonly [string, BreakerState])[];
  /** By id, those that are open: how long the log is, and the state. */
  readonly tasks: Readonly<Record<string, readonly [number, TaskState]>>;
}

const RUN_EVENTS = 25;

const folder = new TemporaryFolder();
let cadre: ServerCadre;
const moments: Record<string, Moment> = {};

const learner = (name: string, replicas: number): AnyAgent =>
  defineAgent({
    name,
    description: `the agent ${name}`,
    input: z.array(z.string()),
    output: z.number(),
    memory: { replicas },
    async act(facts, context) {
      for (const fact of facts) context.knowledge.set('facts').add(fact);
      context.decide({ type: 'factsChosen', rationale: 'these' });
      return facts.length;
    },
  });

beforeAll(async () => {
  cadre = await startServerCadre(
    [
      learner('scout', 2),
      learner('judge', 1),
      agent('gate', async (name, { signal }) => {
        while (!existsSync(join(folder.path, String(name)))) await delay(20, undefined, { signal });
        return name;
      }),
      agent('guarded', () => null, { policy: { breaker: { key: 'model' } } }),
    ],
    {
      // So that tasks and agents go on in new runs.
      settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: RUN_EVENTS }],
    },
  );
  const { client } = cadre;
  await until(async () => (await client.leader()).leader !== undefined);
  await record('begun');

  const learnt = (facts: string[]) => ({ steps: [step('learn', 'scout', { input: facts })] });
  await client.start({ goal: 'learn', plan: learnt(['the bridge is shut']) }, { id: 'learns' });
  await client.task('learns').result();
  const gated = {
    steps: [
      step('told', 'judge', { input: ['one'] }),
      step('waits', 'gate', { input: 'up', needs: ['told'] }),
    ],
  };
  await client.start({ goal: 'wait', plan: gated }, { id: 'gated' });
  await until(async () => (await client.task('gated').pending()).some(({ step: id }) => id === 'waits'));
  await client.operateBreaker('model', 'trip', 'by hand');
  await record('working');

  await client.operateBreaker('model', 'reset');
  await client.startSaga(
    { name: 'asks', steps: [{ ...step('ask', 'judge', { input: ['two'] }), approval: {} }] },
    { id: 'asking' },
  );
  await until(async () => (await client.task('asking').describe()).state.phase.kind === 'awaitingApproval');
  await client.operateBreaker('depot', 'isolate', 'it moves');
  await record('asking');

  writeFileSync(join(folder.path, 'up'), '');
  await client.task('gated').result();
  const { hash } = await client.task('asking').question('ask');
  await client.task('asking').answer('ask', 'yes', { hash });
  await client.task('asking').result();
  await client.resignLeader();
  await until(async () => (await client.leader()).term > (moments['begun']?.leader.term ?? 0));
  await until(async () => (await client.leader()).leader !== undefined);
  await record('done');

  // The id of an agent that is terminated is used again: the earlier one is then no part of the present chain.
  await client.temporal.workflow.getHandle(agentId('cadre', 'judge')).terminate();
  await client.start(
    { goal: 'learn', plan: { steps: [step('learn', 'judge', { input: ['three'] })] } },
    { id: 'again' },
  );
  await client.task('again').result();
  await record('again');
}, 120_000);

afterAll(async () => {
  await cadre.close();
  folder.remove();
});

/** Waits until nothing is under way, and notes what the cadre says of itself. */
async function record(name: string): Promise<void> {
  const { client } = cadre;
  const check = await settled();
  const { term, leader } = await client.leader();
  const tasks: Record<string, readonly [number, TaskState]> = {};
  for await (const { id, status } of client.list()) {
    if (status !== 'running') continue;
    const { events, state } = await client.task(id).describe();
    tasks[id] = [events, state];
  }
  const breakers = (await client.breakers()).map(({ key, state }) => [key, state] as const);
  moments[name] = {
    time: Date.now(),
    leader: { term, identity: leader?.identity },
    vectors: Object.fromEntries(check.replicas.map(({ member, versionVector }) => [member, versionVector])),
    breakers: breakers.toSorted(([a], [b]) => (a < b ? -1 : 1)),
    tasks,
  };
  // What comes next is surely later.
  await until(() => Date.now() > (moments[name]?.time ?? 0) + 5);
}

/** Once all replicas agree, and none has anything to do. */
async function settled(): Promise<KnowledgeCheck> {
  const { client } = cadre;
  const isIdle = async (): Promise<boolean> => {
    const query = 'ExecutionStatus = "Running"';
    for await (const { workflowId } of client.temporal.workflow.list({ query })) {
      const { raw } = await client.temporal.workflow.getHandle(workflowId).describe();
      if (raw.pendingWorkflowTask) return false;
    }
    return true;
  };
  let check = await client.checkKnowledge();
  let before = '';
  // Visibility is a second behind: what has ended is no longer listed once two looks a second apart say the same.
  await until(async () => {
    check = await client.checkKnowledge();
    const listed: string[] = [];
    for await (const { id, status } of client.list()) listed.push(`${id} ${status}`);
    const now = JSON.stringify([check, listed]);
    const same = now === before;
    before = now;
    if (!same) await delay(1200);
    return same && check.agree && (await isIdle());
  });
  return check;
}

const NAMES = ['begun', 'working', 'asking', 'done', 'again'] as const;

function momentOf(name: string): Moment {
  const moment = moments[name];
  if (moment === undefined) throw new Error(`Nothing was recorded as ${name}`);
  return moment;
}

describe.each(NAMES)('at the moment "%s"', (name) => {
  let cut: FleetCut;
  let moment: Moment;
  beforeAll(async () => {
    moment = momentOf(name);
    cut = await cadre.client.fleetAt(moment.time);
  });

  test('leader and term are what they were', () => {
    expect({ term: cut.election?.term, identity: cut.election?.leader?.identity }).toEqual(moment.leader);
  });

  test('each replica knew what it knew', () => {
    const vectors = cut.agents.map(({ report }) => [report.member, report.versionVector]);
    expect(Object.fromEntries(vectors)).toEqual(moment.vectors);
    expect(cut.agents.filter(({ busy }) => busy)).toEqual([]);
  });

  test('each breaker stood as it stood', () => {
    expect(cut.breakers.map(({ key, state }) => [key, state])).toEqual(moment.breakers);
  });

  test('what was open is there, as it was, and nothing else', () => {
    const states = Object.entries(moment.tasks).map(([id, [, state]]) => [id, state]);
    expect(Object.fromEntries(cut.tasks.map(({ id, state }) => [id, state]))).toEqual(
      Object.fromEntries(states),
    );
    // That a step has begun stands in history only once its attempt has ended, with the time when it began.
    for (const { id, number } of cut.tasks) {
      expect(number).toBeGreaterThanOrEqual(moment.tasks[id]?.[0] ?? Infinity);
    }
  });

  test('it is whole and causal, and nothing was on its way', () => {
    const { notCausal, inFlight, unknown, unread, reach } = cut;
    expect({ notCausal, inFlight, unknown, unread }).toEqual({
      notCausal: [],
      inFlight: [],
      unknown: [],
      unread: [],
    });
    expect(reach).toMatchObject({ complete: true, shortened: [] });
    expect(reach.from).toBeLessThan(moment.time);
  });
});

test('the moments differ in what they have', () => {
  expect(NAMES.map((name) => Object.keys(momentOf(name).tasks).sort())).toEqual([
    [],
    ['gated'],
    ['asking', 'gated'],
    [],
    [],
  ]);
  expect(
    NAMES.map((name) => momentOf(name).breakers.map(([key, { phase }]) => `${key} ${phase.kind}`)),
  ).toEqual([
    [],
    ['model open'],
    ['depot isolated', 'model closed'],
    ['depot isolated', 'model closed'],
    ['depot isolated', 'model closed'],
  ]);
  const members = (name: string): string[] => Object.keys(momentOf(name).vectors);
  expect(members('begun')).toEqual([]);
  expect(members('done')).toEqual(expect.arrayContaining(['judge']));
  expect(momentOf('again').leader.term).toBeGreaterThan(momentOf('begun').leader.term);
});

test('some of it was in a later run of its chain, of which all is read', async () => {
  const { agents, reach } = await cadre.client.fleetAt(momentOf('done').time);
  const later: string[] = [];
  for (const { workflow, runId } of agents) {
    if ((await firstRunOf(workflow, runId)) !== runId) later.push(workflow);
  }
  expect(later.length).toBeGreaterThan(0);
  expect(reach.shortened).toEqual([]);
});

test('what an agent knew then is what it had been told by then', async () => {
  const factsAt = async (name: string): Promise<unknown> => {
    const found = (await cadre.client.fleetAt(momentOf(name).time)).agents;
    const judge = found.find(({ report }) => report.agent !== 'scout') ?? found[0];
    return judge?.crdts.find((crdt) => crdt.name === 'facts')?.value;
  };
  const { agents } = await cadre.client.fleetAt(momentOf('done').time);
  for (const { crdts } of agents) expect(crdts.map(({ name }) => name)).toEqual(['facts']);
  expect(await factsAt('working')).toEqual(['the bridge is shut']);
  expect(await factsAt('done')).toEqual(expect.arrayContaining(['one', 'two', 'the bridge is shut']));
  expect(await factsAt('done')).not.toEqual(expect.arrayContaining(['three']));
});

test('at every moment in between it is causal', async () => {
  const [from, to] = [momentOf('begun').time, momentOf('again').time];
  for (let look = 0; look <= 60; look += 1) {
    const { notCausal, unread } = await cadre.client.fleetAt(Math.round(from + ((to - from) * look) / 60));
    expect({ notCausal, unread }).toEqual({ notCausal: [], unread: [] });
  }
}, 60_000);

test('a signal is in flight from when it is sent until it is received', async () => {
  const looks = await timesOnTheWay();
  expect(looks.length).toBeGreaterThan(0);
  for (const { from, to, time } of looks.slice(0, 10)) {
    const { inFlight } = await cadre.client.fleetAt(time);
    expect(inFlight.map((pair) => `${pair.from} ${pair.to}`)).toContain(`${from} ${to}`);
  }
}, 60_000);

/** Times at which a signal of one agent to another was sent and not received: the n-th that comes is the n-th that went. */
async function timesOnTheWay(): Promise<{ from: string; to: string; time: number }[]> {
  const { agents } = await cadre.client.fleetAt(momentOf('done').time);
  const sent = new Map<string, number[]>();
  const received = new Map<string, number[]>();
  const note = (times: Map<string, number[]>, pair: string, time: number): void =>
    void times.set(pair, [...(times.get(pair) ?? []), time]);
  for (const { workflow, runId } of agents) {
    const firstRunId = await firstRunOf(workflow, runId);
    for await (const fact of readFacts(cadre.client.temporal, workflow, { firstRunId })) {
      if (fact.kind === 'signalSent') note(sent, `${workflow} ${fact.to}`, fact.time);
      // An agent sends one after the other: what failed is the last that was sent.
      if (fact.kind === 'signalFailed') sent.get(`${workflow} ${fact.to}`)?.pop();
      if (fact.kind === 'signalled' && fact.from) note(received, `${fact.from} ${workflow}`, fact.time);
    }
  }
  return [...sent].flatMap(([pair, times]) => {
    const [from = '', to = ''] = pair.split(' ');
    const came = received.get(pair) ?? [];
    return times.flatMap((time, index) => ((came[index] ?? 0) > time ? [{ from, to, time }] : []));
  });
}

async function firstRunOf(workflow: string, runId: string): Promise<string> {
  const { raw } = await cadre.client.temporal.workflow.getHandle(workflow, runId).describe();
  return raw.workflowExecutionInfo?.firstRunId ?? '';
}

test('before the cadre there was nothing, and the cut of now needs no time', async () => {
  const before = await cadre.client.fleetAt(momentOf('begun').time - 60 * 60 * 1000);
  expect(before).toMatchObject({ agents: [], breakers: [], tasks: [], unread: [] });
  expect(before.election).toBeUndefined();
  const now = await cadre.client.fleetAt();
  expect(now.agents.map(({ report }) => report.member)).toContain(memberOf('judge', 0));
});

test('a cut before what the server remembers says so', async () => {
  const { reach } = await cadre.client.fleetAt(Date.now() - 400 * 24 * 60 * 60 * 1000);
  expect(reach.complete).toBe(false);
});

test.each([
  ['what is no number', () => Number.NaN],
  ['what is before 1970', () => -1],
  ['what is to come', () => Date.now() + 60 * 60 * 1000],
])('%s is no time to look at', async (_what, timeOf) => {
  const time = timeOf();
  await expect(cadre.client.fleetAt(time)).rejects.toMatchObject({ type: 'InputInvalid' });
});
