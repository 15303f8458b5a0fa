// Agents that come, go, and lose their state while others gossip, on a real server.
import type { Operation } from '../../../src/core/crdt/replica';
import { AgentReplicas, rememberOf } from '../../support/agent-replicas';
import { until } from '../../support/cli';
import { OperationLedger } from '../../support/operation-ledger';

/** A message to each of those that are told, in ms. */
const PACE = 50;
/** No worker knows it. */
const STRANGER = 'old';
const REPLICAS = 3;
const TASKS = 12;

let cadre: AgentReplicas;
beforeAll(async () => {
  cadre = await AgentReplicas.start({
    agents: [{ name: 'ada' }, { name: 'ben' }, { name: 'cyd' }, { name: 'gus', replicas: REPLICAS }],
  });
  await cadre.worker(['workflows', 'agents']);
}, 60_000);
afterAll(() => cadre.close());

const ledger = new OperationLedger(11);
let told = 0;

/** Tells `members` something, each every {@link PACE} ms, until {@link stop}. */
class Traffic {
  private timer: NodeJS.Timeout;
  private readonly sent: Promise<void>[] = [];

  constructor(members: readonly string[]) {
    this.timer = setInterval(() => {
      for (const member of members) this.sent.push(tell(member));
    }, PACE);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.sent);
  }
}

async function tell(member: string, operation: Operation = ledger.draw()): Promise<void> {
  const operations = [operation];
  await cadre.replicas.remember(member, rememberOf(`task ${(told += 1)}`, operations));
  ledger.acknowledge(operations);
}

/** What `members` lack of what was acknowledged, or have that nobody wrote. */
async function lost(...members: string[]): Promise<string[]> {
  const standings = await Promise.all(members.map((member) => cadre.client.knowledge(member)));
  return standings.flatMap((standing) => ledger.problemsOf(standing));
}

async function statusOf(member: string): Promise<string> {
  const { status } = await cadre.client.temporal.workflow.getHandle(cadre.idOf(member)).describe();
  return status.name;
}

/** Loses its state, as by an accident of an operator's. */
async function terminate(member: string): Promise<void> {
  await cadre.client.temporal.workflow.getHandle(cadre.idOf(member)).terminate();
}

test('agents that begin at the same time find each other', async () => {
  await Promise.all(['ada', 'ben'].map((member) => tell(member)));
  await cadre.converged(2);
  expect(await lost('ada', 'ben')).toEqual([]);
});

test('a new agent joins while others gossip, and gets all there is', async () => {
  const traffic = new Traffic(['ada', 'ben']);
  await until(() => told > 20);
  await tell('cyd');
  await until(async () => (await cadre.report('ada')).members.includes('cyd'));
  await until(() => told > 60);
  await traffic.stop();
  await cadre.converged(3);
  expect(await lost('ada', 'ben', 'cyd')).toEqual([]);
});

test('an agent leaves while others gossip, without losing what it was told last, and stays away', async () => {
  const traffic = new Traffic(['ada', 'ben']);
  await tell('cyd');
  expect(await cadre.client.leaveAgent('cyd')).toEqual(['cyd']);
  await until(async () => (await statusOf('cyd')) === 'COMPLETED');
  const before = told;
  await until(() => told > before + 60);
  await traffic.stop();
  await cadre.converged(2);
  expect(await lost('ada', 'ben')).toEqual([]);
  for (const member of ['ada', 'ben']) {
    expect((await cadre.report(member)).members).toEqual(['ada', 'ben']);
  }
  expect(await statusOf('cyd')).toBe('COMPLETED');
  await expect(cadre.client.agent('cyd')).rejects.toMatchObject({ type: 'AgentNotFound' });
});

test('the last but one may leave too', async () => {
  await tell('ben');
  await cadre.client.leaveAgent('ben');
  await until(async () => (await statusOf('ben')) === 'COMPLETED');
  await until(async () => (await cadre.report('ada')).members.length === 1);
  expect(await lost('ada')).toEqual([]);
  await tell('ben');
  await cadre.converged(2);
  expect(await lost('ada', 'ben')).toEqual([]);
});

test('an agent that lost its state is started again by its peers, as another replica, and gets all back', async () => {
  const { replica } = await cadre.report('ben');
  const decision = { type: 'noted', rationale: 'before the accident', task: 'noting', step: 'note' };
  await cadre.replicas.remember('ben', rememberOf('noting', [], { decisions: [decision] }));
  await until(async () => (await cadre.report('ben')).decided === 1);
  await terminate('ben');
  await tell('ada');
  await until(async () => (await statusOf('ben')) === 'RUNNING');
  await cadre.converged(2);
  expect((await cadre.report('ben')).replica).not.toBe(replica);
  await tell('ben');
  await cadre.converged(2);
  expect(await lost('ada', 'ben')).toEqual([]);
  // Decisions are not knowledge, and stay in the history of the chain that is over.
  expect((await cadre.report('ben')).decided).toBe(0);
  await until(async () => (await decisionsOf('ben')).length === 1);
  expect(await decisionsOf('ben')).toMatchObject([decision]);
});

async function decisionsOf(agent: string): Promise<unknown[]> {
  const decisions: unknown[] = [];
  for await (const decision of cadre.client.agentDecisions(agent)) decisions.push(decision);
  return decisions;
}

test('an agent that lost its state is started again by a task that reads, and has all at once', async () => {
  await terminate('ben');
  await tell('ada', { type: 'orSet', name: 'facts', add: 'of the time without ben' });
  const facts = (await cadre.client.knowledge('ada')).crdts.find(({ name }) => name === 'facts');
  const known = facts?.entries.length ?? 0;
  const input = { additions: ['of a task'], counted: 3, fails: 1 };
  const steps = [{ id: 'learn', agent: 'ben', instruction: 'learn', input }];
  const task = await cadre.client.startSaga({ name: 'learn', steps });
  expect(await task.result()).toEqual({ learn: { known: known + 1 } });
  // What the attempt that failed did and decided counts for nothing.
  ledger.acknowledge([
    { type: 'orSet', name: 'facts', add: 'of a task' },
    { type: 'gCounter', name: 'sources', by: 3 },
  ]);
  await cadre.converged(2);
  expect(await lost('ada', 'ben')).toEqual([]);
  expect((await cadre.client.agent('ben')).decided).toBe(1);
});

test('an agent that no worker knows any more is dropped from the members', async () => {
  await cadre.replicas.ensure(STRANGER);
  await cadre.converged(3);
  await terminate(STRANGER);
  await tell('ada');
  for (const member of ['ada', 'ben']) {
    await until(async () => !(await cadre.report(member)).members.includes(STRANGER));
  }
  expect(await statusOf(STRANGER)).toBe('TERMINATED');
  await cadre.converged(2);
});

test(`${REPLICAS} replicas of one agent share its tasks, and are shown as one`, async () => {
  await Promise.all(
    Array.from({ length: TASKS }, async (_none, index) => {
      const steps = [
        {
          id: 'learn',
          agent: 'gus',
          instruction: 'learn',
          input: { additions: [`gus ${index}`], counted: 1 },
        },
      ];
      const task = await cadre.client.startSaga({ name: 'learn', steps });
      await task.result();
      ledger.acknowledge([
        { type: 'orSet', name: 'facts', add: `gus ${index}` },
        { type: 'gCounter', name: 'sources', by: 1 },
      ]);
    }),
  );
  await cadre.converged(2 + REPLICAS);
  expect(await lost('ada', 'gus')).toEqual([]);
  const { decided, remembered, decisions, replicas } = await cadre.client.agent('gus');
  expect({ decided, remembered }).toEqual({ decided: TASKS, remembered: TASKS });
  expect(decisions).toHaveLength(TASKS);
  expect(replicas.map(({ member }) => member)).toEqual(['gus', 'gus.1', 'gus.2']);
  for (const one of replicas) {
    expect(one.remembered).toBeGreaterThan(0);
    expect(one.remembered).toBeLessThan(TASKS);
  }
  expect((await cadre.client.agents()).map(({ agent }) => agent)).toEqual(['ada', 'ben', 'gus']);
});

test('no workflow task fails', async () => {
  for (const member of ['ada', 'ben', 'gus', 'gus.1', 'gus.2']) {
    expect(await cadre.failedWorkflowTasks(member)).toEqual([]);
  }
});

describe('where nobody runs agents', () => {
  let others: AgentReplicas;
  beforeAll(async () => {
    others = await AgentReplicas.start({ agents: [{ name: 'ada' }, { name: 'ben' }, { name: 'cyd' }] });
    await others.worker(['workflows']);
    for (const name of ['ada', 'ben', 'cyd']) await others.replicas.ensure(name);
    await others.converged(3);
  }, 60_000);
  afterAll(() => others.close());

  test('a member that cannot be started again holds up nobody', async () => {
    await others.client.temporal.workflow.getHandle(others.idOf('cyd')).terminate();
    for (let round = 0; round < 3; round += 1) {
      await others.replicas.remember(
        'ada',
        rememberOf(`round ${round}`, [{ type: 'gCounter', name: 'rounds', by: 1 }]),
      );
      await others.converged(2, 10_000);
    }
    // It is no member less for that.
    expect((await others.report('ada')).members).toEqual(['ada', 'ben', 'cyd']);
    await others.worker(['agents']);
    await others.converged(3);
  }, 60_000);
});
