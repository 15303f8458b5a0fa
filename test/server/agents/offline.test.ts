// A replica outside exchanges deltas with a cadre on a real server; and a cadre in which all know all says nothing.
import { setTimeout as delay } from 'node:timers/promises';
import { Replica } from '../../../src/knowledge/replica';
import { AgentReplicas, rememberOf } from '../../support/agent-replicas';

const AGENTS = ['ada', 'ben', 'cyd'];
const DAY = 24 * 60 * 60 * 1000;
/** Rounds of gossip are a second apart. */
const SILENCE = 5000;

let cadre: AgentReplicas;
beforeAll(async () => {
  cadre = await AgentReplicas.start({ agents: AGENTS.map((name) => ({ name })) });
  await cadre.worker(['workflows', 'agents']);
  for (const name of AGENTS) {
    await cadre.replicas.remember(
      name,
      rememberOf(`task of ${name}`, [
        { type: 'orSet', name: 'facts', add: `of ${name}` },
        { type: 'pnCounter', name: 'sources', by: 2 },
      ]),
    );
  }
  await cadre.converged(AGENTS.length);
}, 60_000);
afterAll(() => cadre.close());

const FACTS = AGENTS.map((name) => `of ${name}`);

/** As `name` knows them. */
async function factsOf(name: string): Promise<ReadonlySet<unknown>> {
  const { crdts } = await cadre.client.knowledge(name);
  const facts = crdts.find((one) => one.name === 'facts')?.value;
  return new Set(Array.isArray(facts) ? facts : []);
}

function factsIn({ knowledge }: Replica): ReadonlySet<unknown> {
  return new Set(knowledge.set('facts').values());
}

describe('a replica outside', () => {
  const laptop = Replica.create('laptop');

  test('gets all there is, and gives all it has', async () => {
    laptop.knowledge.set('facts').add('of the laptop');
    laptop.knowledge.counter('sources').increment(5);
    const { sent, received, member } = await cadre.client.exchange(laptop, { agent: 'ben' });
    // Each agent has joined, and done two things.
    expect({ sent, received, member }).toEqual({ sent: 2, received: 3 * AGENTS.length, member: 'ben' });
    expect(factsIn(laptop)).toEqual(new Set([...FACTS, 'of the laptop']));
    expect(laptop.knowledge.counter('sources').value()).toBe(2 * AGENTS.length + 5);
    await cadre.converged(AGENTS.length);
    for (const name of AGENTS) expect(await factsOf(name)).toEqual(factsIn(laptop));
  });

  test('may exchange again with anybody, which does nothing', async () => {
    const { versionVector } = laptop;
    for (const agent of AGENTS) {
      expect(await cadre.client.exchange(laptop, { agent })).toEqual({ member: agent, sent: 0, received: 0 });
    }
    expect(laptop.versionVector).toEqual(versionVector);
    expect((await cadre.client.checkKnowledge()).agree).toBe(true);
  });

  test('goes on from a file, under another id', async () => {
    const loaded = Replica.load(JSON.parse(JSON.stringify(laptop)));
    loaded.knowledge.set('facts').remove('of ada');
    loaded.knowledge.set('facts').add('of the file');
    laptop.knowledge.set('facts').add('of the laptop, later');
    await Promise.all([cadre.client.exchange(loaded), cadre.client.exchange(laptop, { agent: 'cyd' })]);
    await cadre.converged(AGENTS.length);
    const expected = new Set(['of ben', 'of cyd', 'of the file', 'of the laptop', 'of the laptop, later']);
    for (const name of AGENTS) expect(await factsOf(name)).toEqual(expected);
    await cadre.client.exchange(laptop);
    expect(factsIn(laptop)).toEqual(expected);
  });

  test('whose clock is days ahead is refused, and told why', async () => {
    const ahead = Replica.create('ahead', { now: () => Date.now() + 2 * DAY });
    ahead.knowledge.register('topic').assign('tomorrow');
    const before = await factsOf('ada');
    await expect(cadre.client.exchange(ahead, { agent: 'ada' })).rejects.toMatchObject({
      type: 'ExchangeRefused',
      message: expect.stringMatching(
        /"ada" did not take it: .*"ahead:.*48 hours after the clock here/,
      ) as string,
    });
    expect(await factsOf('ada')).toEqual(before);
    expect((await cadre.client.checkKnowledge()).agree).toBe(true);
    // It has got what there was all the same.
    expect(factsIn(ahead)).toEqual(before);
  });

  test('finds nobody under the name of no agent', async () => {
    await expect(cadre.client.exchange(laptop, { agent: 'zoe' })).rejects.toMatchObject({
      type: 'AgentNotFound',
    });
  });
});

test(`a cadre in which all know all adds no event for ${SILENCE / 1000} s`, async () => {
  await cadre.converged(AGENTS.length);
  const lengths = (): Promise<number[][]> => Promise.all(AGENTS.map((name) => cadre.eventsPerRun(name)));
  // The rounds in which those that were told last compare with others.
  let before = await lengths();
  for (let quiet = 0; quiet < 2; quiet += 1) {
    await delay(1000);
    const now = await lengths();
    if (JSON.stringify(now) !== JSON.stringify(before)) quiet = -1;
    before = now;
  }
  await delay(SILENCE);
  expect(await lengths()).toEqual(before);
}, 60_000);
