// On a real server: what is too large or makes no sense ends with a typed failure, and never leaves a workflow task failing for ever.
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, RawValue } from '@temporalio/common';
import { failureInfo } from '../../src/core/failure-info';
import { FAILURES } from '../../src/core/failures';
import type { TaskFailedError } from '../../src/client/task-handle';
import type { Plan, Step } from '../../src/core/plan';
import { agent, step } from '../support/agents';
import { type ServerCadre, startServerCadre } from '../support/server-cadre';

const MEBIBYTE = 1024 * 1024;
/** What a task may take until it is called stuck: a workflow task that fails is tried again for ever. */
const PATIENCE = 15_000;
const once = { retry: { maximumAttempts: 1 } };
let cadre: ServerCadre;
let acted = 0;

beforeAll(async () => {
  cadre = await startServerCadre([
    agent('echo', (input) => {
      acted += 1;
      return input;
    }),
    agent('local-echo', (input) => input, { policy: { local: true } }),
    agent('sizes', (input) => JSON.stringify(input).length),
    agent('large', (input) => 'x'.repeat(input as number)),
    agent('large-local', (input) => 'x'.repeat(input as number), { policy: { local: true } }),
    agent('large-decision', (input, { decide }) => {
      decide({ type: 'noted', rationale: 'r'.repeat(input as number) });
      return 'done';
    }),
    agent(
      'large-error',
      (input) => {
        throw new Error('e'.repeat(input as number));
      },
      { policy: once },
    ),
    agent(
      'large-error-local',
      (input) => {
        throw new Error('e'.repeat(input as number));
      },
      { policy: { ...once, local: true } },
    ),
    agent('large-details', (input) => {
      throw ApplicationFailure.nonRetryable('no luck', 'Unlucky', 'd'.repeat(input as number));
    }),
    agent('planner', (input) => {
      const { goal } = input as { goal: string };
      return plannerOutput(goal);
    }),
  ]);
}, 60_000);

afterAll(() => cadre.close());

function plannerOutput(goal: string): unknown {
  if (goal === 'a large plan') return { steps: [step('a', 'echo', { input: 'x'.repeat(257 * 1024) })] };
  if (goal === 'no plan') return 'a plan';
  return { steps: [step('a', 'echo', { input: goal })] };
}

async function outcome(work: Promise<unknown>): Promise<TaskFailedError> {
  const error: unknown = await within(work).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ message: expect.any(String) as string });
  return error as TaskFailedError;
}

/** `work`, or a rejection once the patience is over. */
async function within<Value>(work: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Not ended within ${PATIENCE} ms`)), PATIENCE);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function run(steps: readonly Step[]): Promise<Record<string, unknown>> {
  const task = await cadre.client.start({ goal: 'a goal', plan: { steps } });
  try {
    return await within(task.result());
  } finally {
    // One that is stuck would keep the worker busy until the end of the file.
    await cadre.client.temporal.workflow
      .getHandle(task.id)
      .terminate()
      .catch(() => undefined);
  }
}

/** Starts the workflow as any Temporal client may, past our own checks; returns what it ended with. */
async function startByHand(args: unknown[]): Promise<unknown> {
  const handle = await cadre.client.temporal.workflow.start('task', {
    workflowId: `by-hand-${Math.random().toString(16).slice(2)}`,
    taskQueue: 'cadre',
    args,
  });
  try {
    return await within(handle.result());
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { events } = await handle.fetchHistory();
    const failedTasks = (events ?? []).filter(({ workflowTaskFailedEventAttributes: failed }) => failed);
    return { type: failureInfo(error.cause).type, failedTasks: failedTasks.length };
  } finally {
    await handle.terminate().catch(() => undefined);
  }
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

/** An argument whose JSON is too deep to be written by JSON.stringify. */
function raw(json: string): RawValue {
  return RawValue.fromPayload({
    metadata: { encoding: Buffer.from('json/plain') },
    data: Buffer.from(json),
  });
}

function deep(levels: number, open = '[', close = ']'): string {
  return `${open.repeat(levels)}1${close.repeat(levels)}`;
}

function rawPlan(input: string): RawValue {
  return raw(`{"goal":"g","plan":{"steps":[{"id":"a","agent":"echo","instruction":"i","input":${input}}]}}`);
}

describe('a client refuses, before anything is started,', () => {
  test.each([
    ['an input of 1 MiB and a byte', 'InputTooLarge', { goal: 'g', docs: 'd'.repeat(MEBIBYTE - 20) }],
    ['a goal of 8 KiB and a byte', 'InputTooLarge', { goal: 'g'.repeat(8 * 1024 + 1) }],
    [
      'a plan of more than 256 KiB',
      'PlanInvalid',
      { goal: 'g', plan: { steps: [step('a', 'echo', { input: 'x'.repeat(256 * 1024) })] } },
    ],
  ])('%s', async (_what, type, input) => {
    await expect(cadre.client.start(input, { id: 'refused' })).rejects.toMatchObject({ type });
    await expect(cadre.client.task('refused').describe()).rejects.toMatchObject({ type: 'TaskNotFound' });
  });

  test.each([
    [
      'a circle',
      () => {
        const circle: Record<string, unknown> = {};
        circle['self'] = circle;
        return circle;
      },
    ],
    ['a BigInt', () => 1n],
    ['20,000 levels of lists', () => nested(20_000)],
  ])('an input that is not JSON: %s', async (_what, make) => {
    const plan = { steps: [step('a', 'echo', { input: make() })] };
    const error = await outcome(cadre.client.start({ goal: 'a goal', plan }));
    expect(Object.keys(FAILURES)).toContain(error.type);
  });
});

test('an input of 1 MiB to the byte is carried', async () => {
  const input = { goal: 'g', docs: '' };
  input.docs = 'd'.repeat(MEBIBYTE - JSON.stringify(input).length);
  expect(JSON.stringify(input)).toHaveLength(MEBIBYTE);
  const task = await cadre.client.start(input);
  expect(await within(task.result())).toEqual({ a: 'g' });
});

describe('a workflow started by hand ends with a typed failure for', () => {
  const goal = 'a goal';
  const resume = (snapshot: unknown): unknown => ({ snapshot, origin: {}, overrides: {} });
  test.each<[string, unknown]>([
    ['no input', undefined],
    ['null', null],
    ['a list', []],
    ['a number', 7],
    ['a text', 'find out'],
    ['bytes', new Uint8Array(1000)],
    ['a goal that is no text', { goal: 7 }],
    ['a goal of lone surrogates and an unknown field', { goal: '\ud800\udc00\ud800', more: 1 }],
    ['the key __proto__', JSON.parse('{ "goal": "a goal", "__proto__": { "goal": "another" } }')],
    ['the key constructor', { goal, constructor: { prototype: {} } }],
    ['1.9 MB of text', 'x'.repeat(1_900_000)],
    ['1.9 MB of small values', Array.from({ length: 900_000 }, () => 1)],
    ['100,000 levels of lists', raw(deep(100_000))],
    ['a goal of 50,000 levels', raw(`{"goal":${deep(50_000)}}`)],
    ['a plan whose input has 3,000 levels', rawPlan(deep(3000))],
    ['a plan whose input has 5,000 levels', rawPlan(deep(5000))],
    ['a plan whose input has 7,000 levels', rawPlan(deep(7000))],
    ['a plan whose input has 50,000 levels', rawPlan(deep(50_000))],
    ['a plan whose input has 30,000 levels of objects', rawPlan(deep(30_000, '{"a":', '}'))],
    ['a plan that is a list', { goal, plan: [] }],
    ['a plan whose steps have no fields', { goal, plan: { steps: [null, 7, [], {}] } }],
    ['a plan that needs __proto__', { goal, plan: { steps: [step('a', 'echo', { needs: ['__proto__'] })] } }],
    ['a plan for the agent constructor', { goal, plan: { steps: [step('a', 'constructor')] } }],
    ['a plan for the agent __proto__', { goal, plan: { steps: [step('a', '__proto__')] } }],
    ['a snapshot without fields', resume({})],
    ['a snapshot of another shape', resume({ goal: 7, phase: 'running', steps: null, plan: { steps: 7 } })],
    [
      'a snapshot of a phase that there is not',
      resume({ goal, phase: { kind: 'x' }, steps: {}, policies: {} }),
    ],
    [
      'a snapshot whose plan is none',
      resume({
        version: 1,
        root: 'r',
        goal,
        phase: { kind: 'running' },
        term: 0,
        plan: {},
        policies: {},
        steps: {},
      }),
    ],
    [
      'a snapshot whose plan has no step states and no policies',
      resume({
        version: 1,
        root: 'r',
        goal,
        phase: { kind: 'running' },
        term: 0,
        plan: { steps: [step('a', 'echo')] },
        policies: {},
        steps: {},
      }),
    ],
  ])(
    '%s',
    async (_what, input) => {
      const ended = await startByHand(input === undefined ? [] : [input]);
      expect(ended).toMatchObject({ failedTasks: 0 });
      expect(Object.keys(FAILURES)).toContain((ended as { type: string }).type);
    },
    PATIENCE + 10_000,
  );
});

describe('texts that are hard to carry arrive unchanged', () => {
  test.each<[string, unknown]>([
    ['a lone surrogate', 'a\ud800b'],
    ['NUL and control characters', '\0\u0001\u2028\u2029'],
    ['the key __proto__', JSON.parse('{ "__proto__": { "admin": true }, "constructor": 1 }')],
    ['what looks like a reference to an artifact', { artifact: `sha256:${'0'.repeat(64)}`, bytes: 1 }],
    ['what looks like an outcome', { value: 1, output: { value: 2 } }],
    ['an output reference that an agent wrote', { text: '{ "$output": "a" }', $output: 'a', more: 1 }],
  ])('%s', async (_what, input) => {
    const steps = [step('a', 'echo', { input }), step('b', 'echo', { input: [{ $output: 'a' }] })];
    expect(await run(steps)).toEqual({ b: [input] });
  });
});

test.each(['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'plan', '0', 'then', 'length'])(
  'a step may be called %s',
  async (id) => {
    const steps = [step(id, 'echo', { input: 1 }), step('last', 'echo', { input: { $output: id } })];
    const task = await cadre.client.start({ goal: 'a goal', plan: { steps } });
    expect(await within(task.result())).toEqual({ last: 1 });
    expect(await task.outputs()).toEqual({ [id]: 1, last: 1 });
  },
);

test('an input of 200 KiB in one step is carried', async () => {
  const input = 'x'.repeat(200 * 1024);
  expect(await run([step('a', 'sizes', { input })])).toEqual({ a: input.length + 2 });
});

test('100 parallel steps take an output of 200 KiB each', async () => {
  const readers = Array.from({ length: 100 }, (_, index) =>
    step(`r${index}`, 'sizes', { input: { $output: 'source' } }),
  );
  const outputs = await run([step('source', 'large', { input: 200 * 1024 }), ...readers]);
  expect(Object.values(outputs)).toEqual(readers.map(() => 200 * 1024 + 2));
}, 30_000);

describe.each(['large', 'large-local'])('the agent %s', (name) => {
  test.each([1_900_000, 2 * MEBIBYTE, 5_000_000])('may put out %i bytes', async (bytes) => {
    const outputs = await run([step('a', name, { input: bytes })]);
    expect((outputs['a'] as string).length).toBe(bytes);
  });
});

test('an agent may decide at 5 MB of length', async () => {
  expect(await run([step('a', 'large-decision', { input: 5_000_000 })])).toEqual({ a: 'done' });
});

describe.each(['large-error', 'large-error-local', 'large-details'])('the agent %s', (name) => {
  test.each([100_000, 1_000_000, 5_000_000])(
    'fails its step with an error of %i bytes, and the task with it',
    async (bytes) => {
      const error = await outcome(run([step('a', name, { input: bytes })]));
      expect(error.type).toBe('StepFailed');
      expect(error.message).toMatch(/^Step "a" \(large-[a-z-]+\) failed: (eee|no luck)/);
    },
    PATIENCE + 10_000,
  );
});

test.each([
  ['a large plan', 'PlanInvalid', /at most 262144 bytes/],
  ['no plan', 'PlanInvalid', /Expected a plan of the form/],
])("a planner's output that is %s fails the task", async (goal, type, message) => {
  acted = 0;
  const task = await cadre.client.start({ goal });
  const error = await outcome(task.result());
  expect(error).toMatchObject({ type, message: expect.stringMatching(message) as string });
  expect(acted).toBe(0);
});

test('a hundred broken tasks at once leave the worker able to work', async () => {
  const plan = { steps: [step('a', 'nobody')] } satisfies Plan;
  const tasks = await Promise.all(
    Array.from({ length: 100 }, () => cadre.client.start({ goal: 'a goal', plan })),
  );
  const errors = await Promise.all(tasks.map((task) => outcome(task.result())));
  expect(new Set(errors.map(({ type }) => type))).toEqual(new Set(['AgentUnknown']));
  expect(await run([step('a', 'echo', { input: 1 })])).toEqual({ a: 1 });
}, 60_000);
