// 20,000 operations into one agent that tells two others, on a real server.
import { setTimeout as delay } from 'node:timers/promises';
import type { Operation } from '../../../src/core/crdt/replica';
import { until } from '../../support/cli';
import { AgentReplicas, gossipRate, rememberOf, runsOf } from '../../support/agent-replicas';

const AGENTS = ['ada', 'ben', 'cyd'];
const OPERATIONS = 20_000;
/** In a message: what one attempt may do is up to 1,000. */
const BATCH = 10;
/** Messages on their way at once, and the pause of each sender between two, in ms; `overload.test.ts` sends as fast as it can. */
const SENDERS = 4;
const PAUSE = 20;
const FACTS = 1500;
const OWNERS = 200;
/** The entries that a collection keeps. */
const KEPT = 2000;
/** A run ends at 300, or later where a message comes before the server has taken its end. */
const EVENTS_MAXIMUM = 1500;
/** For all that was sent to be taken, in ms. */
const PATIENCE = 60_000;

let cadre: AgentReplicas;
beforeAll(async () => {
  cadre = await AgentReplicas.start({ agents: AGENTS.map((name) => ({ name })) });
  await cadre.worker(['workflows', 'agents']);
  for (const name of AGENTS) await cadre.replicas.ensure(name);
  await cadre.converged(AGENTS.length);
}, 60_000);
afterAll(() => cadre.close());

test(`${OPERATIONS} operations are all kept, in runs that stay short`, async () => {
  const began = Date.now();
  const messages = Array.from({ length: OPERATIONS / BATCH }, (_none, index) => index);
  const senders = Array.from({ length: SENDERS }, async () => {
    for (let message = messages.shift(); message !== undefined; message = messages.shift()) {
      await cadre.replicas.remember('ada', rememberOf(`task ${message}`, operationsOf(message)));
      await delay(PAUSE);
    }
  });
  await Promise.all(senders);
  const sent = Date.now() - began;
  await until(async () => (await cadre.report('ada')).remembered >= OPERATIONS / BATCH, PATIENCE);
  const applied = Date.now() - began;
  const converging = await cadre.converged(AGENTS.length);
  const lengths = await Promise.all(AGENTS.map((name) => cadre.eventsPerRun(name)));
  const facts = await Promise.all(AGENTS.map((name) => cadre.factsOf(name)));
  report({
    operations: OPERATIONS,
    'operations a message': BATCH,
    'ms to send': sent,
    'operations a second': Math.round(OPERATIONS / (applied / 1000)),
    'ms to agree after': converging,
    runs: facts.map((one) => runsOf(one).length),
    'events per run': lengths,
    'gossip a second': facts.map((one) => Number(gossipRate(one).mean.toFixed(1))),
    bytes: (await cadre.report('ada')).bytes,
  });
  expect(Math.max(...lengths.flat())).toBeLessThanOrEqual(EVENTS_MAXIMUM);
  for (const name of AGENTS) expect(await valuesOf(name)).toEqual(EXPECTED);
  expect((await cadre.client.checkKnowledge()).agree).toBe(true);
}, 180_000);

/** The operations from `message * BATCH` on: counts, facts that come again and again, owners that change, and a trail. */
function operationsOf(message: number): Operation[] {
  return Array.from({ length: BATCH }, (_none, index) => operationOf(message * BATCH + index));
}

function operationOf(number: number): Operation {
  const turn = Math.floor(number / 5);
  switch (number % 5) {
    case 0:
      return { type: 'gCounter', name: 'sources', by: 1 };
    case 1:
      return { type: 'pnCounter', name: 'balance', by: turn % 2 === 0 ? 3 : -2 };
    case 2:
      return { type: 'orSet', name: 'facts', add: `fact ${turn % FACTS}` };
    case 3:
      return { type: 'lwwMap', name: 'owners', set: `owner ${turn % OWNERS}`, value: 'somebody' };
    default:
      return { type: 'appendLog', name: 'trail', append: number };
  }
}

const TURNS = OPERATIONS / 5;
const EXPECTED = {
  sources: TURNS,
  balance: TURNS / 2,
  facts: FACTS,
  owners: OWNERS,
  trail: KEPT,
};

/** Counters as they are, of collections how many entries they have. */
async function valuesOf(name: string): Promise<Record<string, unknown>> {
  const { crdts } = await cadre.client.knowledge(name);
  return Object.fromEntries(
    crdts.map((one) => [one.name, typeof one.value === 'number' ? one.value : one.entries.length]),
  );
}

function report(measured: Record<string, unknown>): void {
  process.stderr.write(`soak: ${JSON.stringify(measured)}\n`);
}
