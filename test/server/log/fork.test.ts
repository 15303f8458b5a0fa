// Forks on a real server: what was done before the point is shared, what comes after runs under keys of its own.
import { ApplicationFailure } from '@temporalio/common';
import type { AgentContext } from '../../../src/activities/agent-context';
import type { LoggedTaskEvent } from '../../../src/core/task-projection';
import type { TaskState } from '../../../src/core/task-state';
import { agent, step } from '../../support/agents';
import { type ServerCadre, startServerCadre } from '../../support/server-cadre';

/** What reached the world, in order: by task and step, with its key. */
const ledger: {
  readonly task: string;
  readonly step: string;
  readonly key: string;
  readonly kind: string;
}[] = [];
let cadre: ServerCadre;

function record(
  kind: 'act' | 'undo',
  { step: id, idempotencyKey }: Pick<AgentContext, 'step' | 'idempotencyKey'>,
): void {
  ledger.push({ task: idempotencyKey.split('/')[0] ?? '', step: id, key: idempotencyKey, kind });
}

beforeAll(async () => {
  cadre = await startServerCadre([
    agent('worker', (input, context) => {
      record('act', context);
      context.decide({ type: 'did', rationale: `did ${context.step}`, evidence: [] });
      context.knowledge.counter('steps').increment();
      return { step: context.step, input };
    }),
    agent(
      'undoable',
      (_input, context) => {
        record('act', context);
        return `did ${context.step}`;
      },
      { compensate: async (_undo, context) => record('undo', context) },
    ),
    agent('broken', (_input, context) => {
      record('act', context);
      throw ApplicationFailure.nonRetryable('no such city', 'CityUnknown');
    }),
  ]);
}, 60_000);
afterAll(() => cadre.close());

const CHAIN = {
  steps: [
    step('a', 'worker'),
    step('b', 'worker', { needs: ['a'] }),
    step('c', 'worker', { needs: ['b'], input: { of: { $output: 'b' }, depth: { least: 1 } } }),
  ],
};

async function run(
  id: string,
  steps: readonly ReturnType<typeof step>[] = CHAIN.steps,
): Promise<LoggedTaskEvent[]> {
  const task = await cadre.client.start({ goal: `goal of ${id}`, plan: { steps } }, { id });
  await task.result().catch(() => undefined);
  return eventsOf(id);
}

async function eventsOf(id: string): Promise<LoggedTaskEvent[]> {
  const events: LoggedTaskEvent[] = [];
  for await (const event of cadre.client.task(id).events()) events.push(event);
  return events;
}

const actsOf = (task: string): string[] =>
  ledger.filter((one) => one.task === task && one.kind === 'act').map((one) => one.step);

function numberOf(events: readonly LoggedTaskEvent[], type: LoggedTaskEvent['type'], id?: string): number {
  const found = events.find(
    (event) => event.type === type && (id === undefined || ('step' in event && event.step === id)),
  );
  if (found === undefined) throw new Error(`no ${type} of ${id}`);
  return found.number;
}

test('forked at any event, it ends alike; only what was not done there runs, and the original stays as it was', async () => {
  const events = await run('original');
  const result = await cadre.client.task('original').result();
  const done = (state: TaskState): string[] =>
    Object.entries(state.steps).flatMap(([id, { kind }]) => (kind === 'completed' ? [id] : []));
  let forks = 0;
  for (const { number } of events) {
    const { state } = await cadre.client.task('original').log.stateAt({ number });
    if (done(state).length === 3) break;
    const forked = await cadre.client.fork('original', { at: { number } });
    forks += 1;
    expect(forked).toMatchObject({
      id: `original.fork-${forks}`,
      of: 'original',
      number,
      shared: done(state),
    });
    expect(await cadre.client.task(forked.id).result()).toEqual(result);
    expect(actsOf(forked.id)).toEqual(['a', 'b', 'c'].filter((id) => !done(state).includes(id)));
  }
  expect(forks).toBeGreaterThan(8);
  const keys = ledger.map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
  expect(await eventsOf('original')).toEqual(events);
  const family = await cadre.client.family('original.fork-3');
  expect(family).toMatchObject({ id: 'original', status: 'completed' });
  expect(family.children.map(({ id }) => id)).toEqual(
    events.slice(0, forks).map((_one, index) => `original.fork-${index + 1}`),
  );
  expect(family.children[4]).toMatchObject({ forkedAt: 5, status: 'completed', children: [] });
}, 120_000);

test('its log begins with where it comes from, and has the steps that are shared as done', async () => {
  const events = await run('past');
  const number = numberOf(events, 'stepCompleted', 'b');
  const { id } = await cadre.client.fork('past', {
    at: { number },
    overrides: { 'steps.c.instruction': 'do better' },
  });
  await cadre.client.task(id).result();
  const [first] = await eventsOf(id);
  expect(first).toMatchObject({
    type: 'taskResumed',
    origin: { kind: 'forked', workflowId: 'past', number },
    snapshot: {
      term: 0,
      steps: { a: { kind: 'completed' }, b: { kind: 'completed' }, c: { kind: 'waiting' } },
    },
  });
  expect((await eventsOf(id)).filter(({ type }) => type === 'stepScheduled')).toHaveLength(1);
});

test('what a fork changes is what its steps get; what was learnt before is remembered once', async () => {
  const counted = async (): Promise<unknown> =>
    (await cadre.client.knowledge('worker')).crdts.find(({ name }) => name === 'steps')?.value;
  const events = await run('taught');
  const before = await counted();
  const { id } = await cadre.client.fork('taught', {
    at: { number: numberOf(events, 'stepCompleted', 'b') },
    overrides: { goal: 'another goal', 'steps.c.input.depth.least': 7 },
  });
  expect(await cadre.client.task(id).result()).toMatchObject({
    c: { input: { depth: { least: 7 }, of: { step: 'b' } } },
  });
  expect((await cadre.client.task(id).describe()).state.goal).toBe('another goal');
  expect(await counted()).toBe((before as number) + 1);
});

test('a step that failed runs again, with another agent; what was done before is neither repeated nor undone', async () => {
  const steps = [step('one', 'undoable'), step('two', 'broken', { needs: ['one'] })];
  const events = await run('failing', steps);
  expect(events.at(-1)?.type).toBe('taskFailed');
  const number = numberOf(events, 'stepFailed', 'two');
  const forked = await cadre.client.fork('failing', {
    at: { number },
    overrides: { 'steps.two.agent': 'worker' },
  });
  expect(forked).toMatchObject({ shared: ['one'], sharedEffects: ['one'], begunBefore: ['two'] });
  expect(await cadre.client.task(forked.id).result()).toMatchObject({ two: { step: 'two' } });
  const again = await cadre.client.fork('failing', { at: { number } });
  await expect(cadre.client.task(again.id).result()).rejects.toThrow(/two/);
  expect(
    ledger.filter(({ task, kind }) => task.startsWith('failing') && kind === 'undo').map(({ task }) => task),
  ).toEqual(['failing']);
});

test('a saga is forked as one', async () => {
  const saga = await cadre.client.startSaga({ name: 'a saga', steps: CHAIN.steps }, { id: 'declared' });
  await saga.result();
  const number = numberOf(await eventsOf('declared'), 'stepCompleted', 'a');
  const { id } = await cadre.client.fork('declared', { at: { number } });
  expect(await cadre.client.task(id).result()).toEqual(await saga.result());
  expect(actsOf(id)).toEqual(['b', 'c']);
  const { type } = await cadre.client.temporal.workflow.getHandle(id).describe();
  expect(type).toBe('saga');
});

test('a fork of a fork is one of its family, and a time is a point, too', async () => {
  const events = await run('elder');
  const first = await cadre.client.fork('elder', { at: { time: events[3]?.time ?? 0 } });
  await cadre.client.task(first.id).result();
  const second = await cadre.client.fork(first.id, { at: { number: 1 } });
  await cadre.client.task(second.id).result();
  expect(second.id).toBe('elder.fork-1.fork-1');
  const family = await cadre.client.family(second.id);
  expect(family).toMatchObject({
    id: 'elder',
    children: [{ id: first.id, children: [{ id: second.id, forkedAt: 1 }] }],
  });
});

test.each<[string, Parameters<ServerCadre['client']['fork']>[1], RegExp]>([
  ['where all is done', { at: 'last' }, /Every step is done/],
  ['beyond the last event', { at: { number: 999 } }, /1 to \d+.*999/],
  [
    'that changes what is done',
    { at: { number: 8 }, overrides: { 'steps.a.instruction': 'x' } },
    /"a" is done there/,
  ],
  [
    'that changes a step there is not',
    { at: { number: 8 }, overrides: { 'steps.z.instruction': 'x' } },
    /steps a, b, c/,
  ],
  [
    'that changes a field there is not',
    { at: { number: 8 }, overrides: { 'steps.c.colour': 'x' } },
    /colour/,
  ],
  ['that changes an id', { at: { number: 8 }, overrides: { 'steps.c.id': 'x' } }, /ids stay/],
  ['that makes a circle', { at: { number: 3 }, overrides: { 'steps.a.needs': ['c'] } }, /circle/],
])('a fork %s is refused, and nothing starts', async (_what, options, message) => {
  await cadre.client
    .task('original')
    .describe()
    .catch(() => run('original'));
  const before = (await cadre.client.family('original')).children.length;
  await expect(cadre.client.fork('original', options)).rejects.toThrow(message);
  expect((await cadre.client.family('original')).children).toHaveLength(before);
});

test('a fork where what was done is being undone is refused', async () => {
  const events = await run('undone', [step('one', 'undoable'), step('two', 'broken', { needs: ['one'] })]);
  const number = numberOf(events, 'compensationScheduled', 'one');
  await expect(cadre.client.fork('undone', { at: { number } })).rejects.toMatchObject({
    type: 'ForkRefused',
  });
  await expect(cadre.client.fork('nobody')).rejects.toMatchObject({ type: 'TaskNotFound' });
});
