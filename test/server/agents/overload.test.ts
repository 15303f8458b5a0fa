// Messages that come faster than one agent can take them, on a real server.
import type { Remember } from '../../../src/core/agent/agent-messages';
import { REMEMBER_SIGNAL } from '../../../src/core/names';
import { AgentReplicas, rememberOf, runsOf } from '../../support/agent-replicas';
import { until } from '../../support/cli';

const CLIENTS = 8;
/** Messages that a client has on their way at once. */
const AT_ONCE = 10;
/** The server refuses the signals of a run beyond; its default is 10,000. */
const SIGNALS_MAXIMUM = 500;
/** For all that was sent to be taken, in ms. */
const PATIENCE = 60_000;

function messages(count: number): Remember[] {
  return Array.from({ length: count }, (_none, index) =>
    rememberOf(`task ${index}`, [
      { type: 'gCounter', name: 'sources', by: 1 },
      { type: 'gSet', name: 'tasks', add: index },
    ]),
  );
}

/** Tells `ada` all messages from many clients at once; resolves with why some were refused, by message. */
async function flood(cadre: AgentReplicas, all: readonly Remember[]): Promise<Map<Remember, string>> {
  const refused = new Map<Remember, string>();
  const waiting = [...all];
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => cadre.anotherClient()));
  const sender = async ({ replicas }: (typeof clients)[number]): Promise<void> => {
    for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
      const told = message;
      await replicas.remember('ada', told).catch((error: unknown) => {
        refused.set(told, reasonOf(error));
      });
    }
  };
  await Promise.all(clients.flatMap((client) => Array.from({ length: AT_ONCE }, () => sender(client))));
  await Promise.all(clients.map(({ close }) => close()));
  return refused;
}

/** The SDK hides what the server said behind words of its own. */
function reasonOf(error: unknown): string {
  return error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
}

async function knownTo(cadre: AgentReplicas, name: string): Promise<Record<string, unknown>> {
  const { crdts } = await cadre.client.knowledge(name);
  return Object.fromEntries(
    crdts.map((one) => [one.name, one.type === 'gCounter' ? one.value : one.entries.length]),
  );
}

async function signalsPerRun(cadre: AgentReplicas): Promise<number[]> {
  const facts = await cadre.factsOf('ada');
  return runsOf(facts).map(
    (runId) =>
      facts.filter((one) => one.runId === runId && one.kind === 'signalled' && one.name === REMEMBER_SIGNAL)
        .length,
  );
}

describe('as the server is', () => {
  const COUNT = 2000;
  let cadre: AgentReplicas;
  beforeAll(async () => {
    cadre = await AgentReplicas.start({ agents: [{ name: 'ada' }, { name: 'ben' }] });
    await cadre.worker(['workflows', 'agents']);
    for (const name of ['ada', 'ben']) await cadre.replicas.ensure(name);
    await cadre.converged(2);
  }, 60_000);
  afterAll(() => cadre.close());

  test(`${COUNT} messages as fast as they go are all taken`, async () => {
    const began = Date.now();
    const refused = await flood(cadre, messages(COUNT));
    expect([...refused.values()]).toEqual([]);
    const sent = Date.now() - began;
    await until(async () => (await cadre.report('ada')).remembered >= COUNT, PATIENCE);
    const applied = Date.now() - began;
    await cadre.converged(2);
    for (const name of ['ada', 'ben']) {
      expect(await knownTo(cadre, name)).toEqual({ sources: COUNT, tasks: COUNT });
    }
    const signals = await signalsPerRun(cadre);
    report({ 'ms to send': sent, 'ms until all are taken': applied, 'messages per run': signals });
    expect(Math.max(...signals)).toBeLessThan(SIGNALS_MAXIMUM * 10);
    expect(await cadre.failedWorkflowTasks('ada')).toEqual([]);
  }, 120_000);
});

describe('where a run takes few signals', () => {
  const COUNT = 800;
  let cadre: AgentReplicas;
  beforeAll(async () => {
    cadre = await AgentReplicas.start({
      agents: [{ name: 'ada' }],
      settings: [
        { key: 'history.maximumSignalsPerExecution', value: SIGNALS_MAXIMUM },
        { key: 'limit.historyCount.suggestContinueAsNew', value: 100 },
      ],
    });
  }, 60_000);
  afterAll(() => cadre.close());

  test('what is beyond is refused to whoever sends it, and taken once a worker is back', async () => {
    const all = messages(COUNT);
    const refused = await flood(cadre, all);
    expect(refused.size).toBe(COUNT - SIGNALS_MAXIMUM);
    for (const reason of refused.values()) expect(reason).toMatch(/limit/);

    await cadre.worker(['workflows', 'agents']);
    let waiting = [...refused.keys()];
    await until(async () => {
      waiting = [...(await flood(cadre, waiting)).keys()];
      return waiting.length === 0;
    });
    await until(async () => (await cadre.report('ada')).remembered >= COUNT, PATIENCE);
    expect(await knownTo(cadre, 'ada')).toEqual({ sources: COUNT, tasks: COUNT });
  }, 120_000);
});

function report(measured: Record<string, unknown>): void {
  process.stderr.write(`overload: ${JSON.stringify(measured)}\n`);
}
