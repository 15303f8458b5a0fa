// Whatever is sent to an agent on a real server is taken, refused or kept, and never stops it.
import { setTimeout as delay } from 'node:timers/promises';
import { MESSAGE_VERSION } from '../../../src/core/agent/agent-messages';
import type { AgentReport } from '../../../src/core/agent/agent-report';
import { REPLICA_MAXIMUM_BYTES } from '../../../src/core/agent/agent-state';
import { noKnowledge } from '../../../src/core/crdt/knowledge';
import { encodeKnowledge } from '../../../src/core/crdt/knowledge-json';
import { type Operation, ReplicaState } from '../../../src/core/crdt/replica';
import { Replica } from '../../../src/knowledge/replica';
import { AgentReplicas, rememberOf, runsOf } from '../../support/agent-replicas';
import { until } from '../../support/cli';

const DAY = 24 * 60 * 60 * 1000;
const AGENTS = ['ada', 'ben', 'cyd', 'dov', 'eve'];
/** A run ends soon after so many events. */
const RUN_EVENTS = 100;

let cadre: AgentReplicas;
beforeAll(async () => {
  cadre = await AgentReplicas.start({
    agents: AGENTS.map((name) => ({ name })),
    settings: [{ key: 'limit.historyCount.suggestContinueAsNew', value: RUN_EVENTS }],
  });
  await cadre.worker(['workflows', 'agents']);
  for (const name of AGENTS) await cadre.replicas.ensure(name);
  await cadre.converged(AGENTS.length);
}, 60_000);
afterAll(() => cadre.close());

const nested = (levels: number): unknown => (levels === 0 ? 0 : [nested(levels - 1)]);
const mebibyte = 'x'.repeat(1024 * 1024);
const fact: Operation = { type: 'orSet', name: 'facts', add: 'a fact' };
const remember = (more: object): object => ({ ...rememberOf('id', [fact]), ...more });
const gossip = (more: object): object => ({
  version: MESSAGE_VERSION,
  cadre: 'cadre',
  from: 'ben',
  seen: {},
  asks: false,
  ...more,
});
const delta = (crdts: unknown, context: unknown = { x: [1, 1] }): object => ({
  context,
  crdts,
  reach: 'keys',
});
const entry = (...sibling: unknown[]): object => delta({ orSet: { facts: { key: [sibling] } } });

const NO_MESSAGES: Record<string, unknown> = {
  nothing: null,
  'a number': 7,
  'a text': 'remember',
  'a list': [rememberOf('id', [])],
  'an empty object': {},
  'a text of 1 MiB': mebibyte,
  'a list nested 2,000 deep': nested(2000),
  'a version that is an object': { version: {} },
};

const NO_REMEMBERS: Record<string, unknown> = {
  'an empty id': remember({ id: '' }),
  'an id that is an object': remember({ id: {} }),
  'no task': remember({ task: undefined }),
  'operations that are an object': remember({ operations: { length: 1 } }),
  'a decision without words': remember({ decisions: [{ type: 'noted' }] }),
  'maxEntries of 0': remember({ maxEntries: 0 }),
  'an operation of an unknown kind': remember({ operations: [{ ...fact, type: 'tree' }] }),
  'an operation of the kind __proto__': remember({ operations: [{ ...fact, type: '__proto__' }] }),
  'a count that is none': remember({ operations: [{ type: 'gCounter', name: 'n', by: 1.5 }] }),
  'a count beyond what is safe': remember({ operations: [{ type: 'gCounter', name: 'n', by: 1e300 }] }),
  'a value of 1 MiB': remember({ operations: [{ ...fact, add: mebibyte }] }),
  'a value nested 2,000 deep': remember({ operations: [{ ...fact, add: nested(2000) }] }),
  'a removal of no dots': remember({ operations: [{ ...fact, remove: 'x', dots: [['a', 0]] }] }),
};

const NO_GOSSIP: Record<string, unknown> = {
  'no cadre': gossip({ cadre: undefined }),
  'no sender': gossip({ from: '' }),
  'a context of odd length': gossip({ seen: { x: [1] } }),
  'a context that goes backwards': gossip({ seen: { x: [5, 1] } }),
  'a delta without its context': gossip({ delta: { crdts: {}, reach: 'keys' } }),
  'a delta of an unknown kind': gossip({ delta: delta({ tree: {} }) }),
  'a delta with half an entry': gossip({ delta: entry('x', 1, 0) }),
  'an entry that its context lacks': gossip({ delta: entry('y', 1, 0, 0, 'v') }),
  'an entry of the year 275760': gossip({ delta: entry('x', 1, 8.64e15, 0, 'v') }),
  'an entry nested 2,000 deep': gossip({ delta: entry('x', 1, 0, 0, nested(2000)) }),
  'another cadre': gossip({ cadre: 'other', delta: entry('x', 1, 0, 0, 'v') }),
};

describe('a message that is none', () => {
  const corpus = [
    ...Object.entries({ ...NO_MESSAGES, ...NO_REMEMBERS }).map(
      ([what, message]) => ({ what, kind: 'remember', message }) as const,
    ),
    ...Object.entries({ ...NO_MESSAGES, ...NO_GOSSIP }).map(
      ([what, message]) => ({ what, kind: 'gossip', message }) as const,
    ),
  ];

  test('is refused, and recorded', async () => {
    for (const { what, kind, message } of corpus) {
      const before = await cadre.report('ada');
      await cadre.signal('ada', kind, message);
      const after = await cadre.report('ada');
      const { refused, unread } = changes(before, after);
      expect({ what, kind, refused: refused + unread }).toEqual({ what, kind, refused: 1 });
      const why = after.refusals.at(-1)?.why ?? '';
      if (refused === 1) expect(why.length).toBeGreaterThan(10);
      expect(why.length).toBeLessThanOrEqual(300);
      expect(after.versionVector).toEqual(before.versionVector);
    }
    expect(await cadre.failedWorkflowTasks('ada')).toEqual([]);
  }, 60_000);

  test('does not keep the next from being taken', async () => {
    await cadre.signal('ada', 'remember', rememberOf('good', [fact]));
    expect((await cadre.report('ada')).remembered).toBe(1);
    await cadre.converged(AGENTS.length);
  });
});

test('what a later build sends is kept over runs, and reported', async () => {
  const before = await cadre.report('ben');
  await cadre.signal('ben', 'remember', { version: 2, words: ['of', 'tomorrow'] });
  await cadre.signal('ben', 'gossip', { version: 2, from: 'ada' });
  await cadre.signal('ben', 'gossip', { version: 2, text: mebibyte });
  await nextRun('ben');
  const after = await cadre.report('ben');
  expect(changes(before, after)).toEqual({ refused: 1, unread: 2 });
  expect(after.refusals.at(-1)?.why).toMatch(/too many are kept/);
});

test('a delta that would outdo all others for a day and more is refused, and names its writer', async () => {
  const laptop = Replica.create('laptop', { now: () => Date.now() + 2 * DAY });
  laptop.knowledge.register('topic').assign('tomorrow');
  const before = await cadre.report('ada');
  await cadre.signal('ada', 'gossip', gossip({ from: laptop.id, seen: laptop.seen, delta: laptop.delta() }));
  const after = await cadre.report('ada');
  expect(changes(before, after)).toEqual({ refused: 1, unread: 0 });
  expect(after.refusals.at(-1)).toMatchObject({
    from: laptop.id,
    why: expect.stringMatching(/"laptop:.*48 hours after the clock here/) as string,
  });
});

test('counters that were never counted do no harm', async () => {
  const { replica } = await cadre.report('cyd');
  for (const [name, counter, isRefused] of [
    ['the last there is', Number.MAX_SAFE_INTEGER, true],
    ['one far away', 2 ** 49, false],
  ] as const) {
    const before = await cadre.report('cyd');
    const forged = delta(
      { orSet: { facts: { [name]: [[replica, counter, 0, 0, name]] } } },
      { [replica]: [counter, counter] },
    );
    await cadre.signal('cyd', 'gossip', gossip({ delta: forged }));
    await cadre.signal('cyd', 'remember', rememberOf(`after ${name}`, [{ ...fact, add: `after ${name}` }]));
    await nextRun('cyd');
    const after = await cadre.report('cyd');
    expect(changes(before, after).refused).toBe(isRefused ? 1 : 0);
    await cadre.converged(AGENTS.length);
  }
}, 60_000);

/** Of about 8 KiB. */
const big = (number: number): Operation => ({
  type: 'orSet',
  name: 'big',
  add: { number, text: 'y'.repeat(7900) },
});
const bigs = (from: number, count: number): Operation[] =>
  Array.from({ length: count }, (_none, index) => big(from + index));

describe('a replica that is full', () => {
  beforeAll(async () => {
    for (let part = 0; part < 6; part += 1) {
      await cadre.replicas.remember('dov', rememberOf(`big ${part}`, bigs(25 * part, 25)));
    }
  });

  test('takes no more than 1 MiB, and says what it refused', async () => {
    const { bytes, refusals } = await cadre.report('dov');
    expect(bytes).toBeGreaterThan(REPLICA_MAXIMUM_BYTES - 16 * 1024);
    expect(bytes).toBeLessThanOrEqual(REPLICA_MAXIMUM_BYTES);
    expect(refusals.at(-1)).toMatchObject({
      from: 'big 5',
      why: expect.stringMatching(/^\d+ operations of 25: the replica is full \(1048576 bytes\)$/) as string,
    });
  });

  test('still tells all others, in a new run too', async () => {
    await cadre.converged(AGENTS.length);
    await nextRun('dov');
    await cadre.replicas.remember('dov', rememberOf('removal before', [await removal()]));
    await cadre.converged(AGENTS.length);
    for (const name of AGENTS) expect(await cadre.failedWorkflowTasks(name)).toEqual([]);
  }, 60_000);

  test('takes removals, and then as much again', async () => {
    const before = await cadre.report('dov');
    await cadre.replicas.remember('dov', rememberOf('removal', [await removal(), await removal(1)]));
    await cadre.replicas.remember('dov', rememberOf('in its place', [big(1000)]));
    const after = await cadre.report('dov');
    expect(changes(before, after)).toEqual({ refused: 0, unread: 0 });
    expect(after.entries).toBe(before.entries - 1);
  });

  test('is not held up by much that it refuses', async () => {
    const before = await cadre.report('dov');
    const many = Array.from({ length: 1000 }, (_none, index) => ({
      ...fact,
      add: `${index} ${'z'.repeat(100)}`,
    }));
    for (let message = 0; message < 20; message += 1) {
      await cadre.replicas.remember('dov', rememberOf(`much ${message}`, many));
    }
    expect((await cadre.report('dov')).remembered).toBe(before.remembered + 20);
    expect(await cadre.failedWorkflowTasks('dov')).toEqual([]);
  }, 60_000);

  test('fails the attempt of an agent that would add to it, and says why', async () => {
    const additions = [`one more ${'z'.repeat(500)}`];
    const steps = [{ id: 'learn', agent: 'dov', instruction: 'learn', input: { additions } }];
    const task = await cadre.client.startSaga({ name: 'learn', steps });
    await expect(task.result()).rejects.toMatchObject({
      message: expect.stringMatching(
        /The replica "dov" has \d+ bytes of at most 1048576, and no room for \d+ more/,
      ) as string,
    });
  });

  test('hands over the most that it may have', async () => {
    const before = await cadre.report('dov');
    // More than it takes of tasks, as others may have grown at the same time; some of it on its way to all.
    const phone = ReplicaState.create('phone:1');
    const news = Array.from({ length: 24 }, (_none, index) => ({
      since: Math.floor(Date.now() / 1000) + 60,
      delta: encodeKnowledge(phone.apply(big(3000 + index), Date.now()) ?? noKnowledge('keys')),
    }));
    await cadre.signal('dov', 'gossip', gossip({ news }));
    const laptop = Replica.create('laptop');
    const grows = (number: number): Promise<boolean> => {
      laptop.apply(big(2000 + number));
      return cadre.client.exchange(laptop, { agent: 'dov' }).then(
        () => true,
        () => false,
      );
    };
    let grown = 0;
    while (grown < 300 && (await grows(grown))) grown += 1;
    expect((await cadre.report('dov')).refusals.at(-1)?.why).toMatch(/the replica would be too large/);
    await cadre.signal('dov', 'remember', { version: 2, text: 'x'.repeat(60_000) });
    const decision = { type: 'noted', rationale: 'r', evidence: 'e'.repeat(1900), task: 't', step: 's' };
    const decisions = Array.from({ length: 100 }, () => decision);
    await cadre.replicas.remember('dov', rememberOf('decisions', [], { decisions }));
    await nextRun('dov');
    const after = await cadre.report('dov');
    expect(after).toMatchObject({ replica: before.replica, decided: before.decided + 100, unread: 1 });
    expect(after.entries).toBe(before.entries + 24 + grown);
    expect(await cadre.failedWorkflowTasks('dov')).toEqual([]);
    await cadre.converged(AGENTS.length);
  }, 120_000);

  async function removal(index = 0): Promise<Operation> {
    const [one] = await removals(cadre, 'dov', index, 1);
    if (one === undefined) throw new Error('There is nothing to remove');
    return one;
  }
});

describe('two replicas that together are too large', () => {
  let others: AgentReplicas;
  const members = ['ada', 'ben'];
  beforeAll(async () => {
    others = await AgentReplicas.start({ agents: members.map((name) => ({ name })) });
    const worker = await others.worker(['workflows', 'agents']);
    for (const member of members) await others.replicas.ensure(member);
    await others.converged(2);
    // Each is filled while it cannot hear of the other.
    worker.kill('SIGKILL');
    await worker.ended;
    for (const [index, member] of members.entries()) {
      for (let part = 0; part < 5; part += 1) {
        const operations = bigs(1000 * index + 23 * part, 23);
        await others.replicas.remember(member, rememberOf(`${member} ${part}`, operations));
      }
    }
    await others.worker(['workflows', 'agents']);
  }, 60_000);
  afterAll(() => others.close());

  test('say so, and do not go on asking', async () => {
    for (const member of members) {
      await until(async () => (await others.report(member)).refused > 0);
      expect((await others.report(member)).refusals.at(-1)?.why).toMatch(/the replica would be too large/);
    }
    const events = async (): Promise<number> => {
      const lengths = await Promise.all(members.map((member) => others.eventsPerRun(member)));
      return lengths.flat().reduce((sum, length) => sum + length, 0);
    };
    const before = await events();
    await delay(3000);
    expect((await events()) - before).toBeLessThan(100);
  }, 60_000);

  test('agree once there is room', async () => {
    const room = await removals(others, 'ada', 0, 80);
    await others.replicas.remember('ada', rememberOf('room', room));
    await others.converged(2);
    expect((await others.report('ben')).entries).toBe(2 * 5 * 23 - 80);
  }, 60_000);
});

/** Removes `count` of the large facts that `member` has, from the one at `from` on. */
async function removals(
  of: AgentReplicas,
  member: string,
  from: number,
  count: number,
): Promise<Operation[]> {
  const { crdts } = await of.client.knowledge(member);
  const entries = crdts.find(({ name }) => name === 'big')?.entries.slice(from, from + count) ?? [];
  const dots = await of.dotsOf(member, big(0));
  return entries.map(({ key }) => ({ type: 'orSet', name: 'big', remove: key, dots: dots.get(key) ?? [] }));
}

function changes(before: AgentReport, after: AgentReport): { refused: number; unread: number } {
  return { refused: after.refused - before.refused, unread: after.unread - before.unread };
}

/** Has `member` go on in a new run. */
async function nextRun(member: string): Promise<void> {
  const runs = async (): Promise<number> => runsOf(await cadre.factsOf(member)).length;
  const before = await runs();
  for (let message = 0; (await runs()) === before; message += 1) {
    await cadre.replicas.remember(member, rememberOf(`next run ${before} ${message}`, []));
    await cadre.report(member);
  }
}
