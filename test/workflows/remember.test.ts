// What a task's agents remember of it, however it ends. On the time-skipping server.
import { ApplicationFailure } from '@temporalio/common';
import type { AgentContext } from '../../src/activities/agent-context';
import type { Agent } from '../../src/activities/define-agent';
import type { Plan } from '../../src/core/plan';
import { TestCadre } from '../../src/testing';
import { agent, step } from '../support/agents';
import { until } from '../support/cli';

let cadre: TestCadre;
/** How long gossip may take on a busy machine, in ms. */
const PATIENCE = 20_000;
const refusals: string[] = [];

/** An agent of its own for each test, so that no test sees what another left. */
const learner = (name: string, act: (context: AgentContext) => unknown, more: Partial<Agent> = {}) => ({
  ...agent(
    name,
    async (_input, context) => {
      context.decide({ type: 'learnt', rationale: `attempt ${context.attempt}` });
      await act(context);
      return `done by ${name}`;
    },
    { policy: { retry: { initialInterval: '1 hour' } } },
  ),
  ...more,
});
const adds = (what: string) => (context: AgentContext) => context.knowledge.set('facts').add(what);
const writes = ({ knowledge }: AgentContext): void => {
  try {
    knowledge.counter('x').increment();
  } catch (error) {
    refusals.push((error as Error).message);
  }
};
const undoable = (name: string) => {
  const defined = agent(name, () => null);
  return {
    compensate: (_undo: unknown, context: AgentContext) => writes(context),
    resolvedPolicy: { ...defined.resolvedPolicy, compensation: defined.resolvedPolicy },
  };
};

beforeAll(async () => {
  cadre = await TestCadre.create({
    agents: [
      learner('counting', ({ knowledge }) => {
        knowledge.counter('sources').increment(3);
        knowledge.counter('sources').decrement();
        knowledge.growOnlyCounter('read').increment();
        knowledge.register('status').assign('ready');
        knowledge.multiValueRegister('view').assign({ of: 'one' });
        knowledge.growOnlySet('seen').add(['a']);
        knowledge.map('by').set('__proto__', 1);
        knowledge.lastWriteMap('last').set('k', null);
        knowledge.log('diary').append('dear');
      }),
      learner('retried', ({ attempt, knowledge }) => {
        knowledge.counter('tries').increment();
        if (attempt < 3) throw new Error('not yet');
      }),
      learner('undone', adds('undone'), undoable('undone')),
      learner('kept', adds('kept')),
      learner('cut', adds('done before the cancel')),
      learner('failing', () => {
        throw ApplicationFailure.nonRetryable('for good', 'Broken');
      }),
      learner(
        'waiting',
        ({ signal }) =>
          new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          ),
      ),
      learner('local', adds('local'), {
        resolvedPolicy: agent('local', () => null, { policy: { local: true } }).resolvedPolicy,
      }),
      learner('writer', adds('by the writer')),
      agent('reader', async (_input, { knowledge }) => {
        const facts = knowledge.set('facts');
        const removed = await facts.remove('by the writer');
        facts.add('by the reader');
        return { before: removed, after: await facts.values(), has: await facts.has('by the writer') };
      }),
      agent('yes', (_input, context) => {
        writes(context);
        return 'yes';
      }),
      learner('large', ({ knowledge }) => {
        for (let count = 0; count < 20; count += 1)
          knowledge.log('pages').append(`${count} `.padEnd(2000, 'x'));
      }),
    ],
  });
}, 60_000);

afterAll(() => cadre.close());
beforeEach(() => void refusals.splice(0));

const run = (plan: Plan) => cadre.run({ goal: 'a goal', plan });
const alone = (name: string): Plan => ({ steps: [step('a', name)] });
const known = async (name: string) =>
  Object.fromEntries(
    (await cadre.client.knowledge(name)).crdts.map((crdt) => [`${crdt.type} ${crdt.name}`, crdt.value]),
  );
/** None while no worker answers: on a busy machine a query takes long. */
const factsOf = async (name: string): Promise<unknown[]> => {
  const facts = await known(name).catch(() => undefined);
  return (facts?.['orSet facts'] ?? []) as unknown[];
};
const decided = async (name: string) =>
  (await cadre.client.agent(name)).decisions.map(({ rationale }) => rationale);

test('an agent knows what it did to its knowledge, and what it decided', async () => {
  const { task } = await run(alone('counting'));
  expect(await known('counting')).toEqual({
    'pnCounter sources': 2,
    'gCounter read': 1,
    'lwwRegister status': 'ready',
    'mvRegister view': [{ of: 'one' }],
    'gSet seen': [['a']],
    'orMap by': JSON.parse('{"__proto__":[1]}') as unknown,
    'lwwMap last': { k: null },
    'appendLog diary': ['dear'],
  });
  const { decisions, decided: count, remembered } = await cadre.client.agent('counting');
  expect(decisions).toMatchObject([{ type: 'learnt', task: task.id, step: 'a' }]);
  expect([count, remembered]).toEqual([1, 1]);
  const log: unknown[] = [];
  for await (const { type, ...event } of task.events()) if (type === 'remembered') log.push(event);
  expect(log).toMatchObject([{ agents: ['counting'] }]);
});

test('all decisions can be read from the history, and those since a time', async () => {
  const read = async (since?: number) => {
    const all: unknown[] = [];
    for await (const decision of cadre.client.agentDecisions(
      'counting',
      since === undefined ? {} : { since },
    )) {
      all.push(decision);
    }
    return all;
  };
  expect(await read()).toEqual((await cadre.client.agent('counting')).decisions);
  expect(await read(Date.now() * 2)).toEqual([]);
});

test('an attempt that fails leaves nothing; the one that succeeds counts once', async () => {
  await run(alone('retried'));
  expect(await known('retried')).toMatchObject({ 'pnCounter tries': 1 });
  expect(await decided('retried')).toEqual(['attempt 3']);
});

test('of a task that is undone decisions stay, and the knowledge of steps that were not', async () => {
  const plan = {
    steps: [step('a', 'undone'), step('b', 'kept'), step('c', 'failing', { needs: ['a', 'b'] })],
  };
  await expect(run(plan)).rejects.toThrow('for good');
  expect(await decided('undone')).toEqual(['attempt 1']);
  expect((await known('undone'))['orSet facts'] ?? []).not.toContain('undone');
  expect(await known('kept')).toMatchObject({ 'orSet facts': ['kept'] });
  expect(refusals).toEqual([expect.stringMatching(/undoing, voting and leading may read/)]);
});

test('a task that is cancelled leaves what was done before', async () => {
  const task = await cadre.client.start({
    goal: 'a goal',
    plan: { steps: [step('a', 'cut'), step('b', 'waiting', { needs: ['a'] })] },
  });
  // Cancelled as an activity completes, the test server loses its way.
  await until(async () =>
    (await task.describe()).pending.some(({ kind, step: id }) => kind === 'started' && id === 'b'),
  );
  await task.cancel();
  await expect(task.result()).rejects.toThrow(/cancelled/i);
  expect((await known('cut'))['orSet facts']).toContain('done before the cancel');
});

test('a local agent learns like any other', async () => {
  await run(alone('local'));
  expect((await known('local'))['orSet facts']).toContain('local');
});

test('what is too large for the history is kept whole', async () => {
  await run(alone('large'));
  const pages = (await known('large'))['appendLog pages'] as string[];
  expect(pages.map((page) => page.trimEnd().split(' ')[0])).toEqual(
    Array.from({ length: 20 }, (_, n) => String(n)),
  );
});

test('an agent reads what others have learnt, and sees what it did itself', async () => {
  await run(alone('writer'));
  // The reader has no replica yet: one that begins asks the first there is.
  await until(async () => (await factsOf('counting')).includes('by the writer'), PATIENCE);
  const { outputs } = await run(alone('reader'));
  const { before, after, has } = outputs['a'] as { before: boolean; after: string[]; has: boolean };
  expect([before, has]).toEqual([true, false]);
  expect(after.at(-1)).toBe('by the reader');
  expect(after).not.toContain('by the writer');
  await until(async () => {
    const facts = await factsOf('writer');
    return facts.includes('by the reader') && !facts.includes('by the writer');
  }, PATIENCE);
});

test('a vote is published with the term it was decided in; a voter writes nothing', async () => {
  const { task } = await run({
    steps: [{ id: 'v', vote: { agents: ['yes', 'yes'] }, instruction: 'vote' }],
  });
  const { crdts } = await cadre.client.knowledge('yes');
  const votes = crdts.find(({ name }) => name === 'votes');
  expect(votes?.entries).toMatchObject([
    { key: `${task.id}/v`, value: { choice: 'yes', by: 'quorum', term: 1 }, term: 1, by: 'yes' },
  ]);
  expect(refusals).toHaveLength(2);
});
