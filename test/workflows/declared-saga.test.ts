// The workflow `saga`, and what a plan may say of undoing, on the time-skipping server.
import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { TaskFailedError, type TaskHandle } from '../../src/client/task-handle';
import { inputHash } from '../../src/core/approval';
import { ANSWER_UPDATE, SAGA_WORKFLOW } from '../../src/core/names';
import type { SagaInput, SagaStep } from '../../src/core/saga-input';
import type { TaskState } from '../../src/core/task-state';
import { TestCadre } from '../../src/testing';
import { agent } from '../support/agents';
import { until } from '../support/cli';

/** What the agents did outside, in order. */
let world: string[] = [];
/** By step: what its next attempts throw. */
const throws = new Map<string, unknown[]>();
/** By step: what lets its next compensation go on. */
const held = new Map<string, Promise<void>>();
let cadre: TestCadre;

const once = { retry: { maximumAttempts: 1 } };

beforeAll(async () => {
  const act = (_input: unknown, { step }: { step: string }): string => {
    world.push(`do ${step}`);
    const error = throws.get(step)?.shift();
    if (error !== undefined) throw error;
    return `did ${step}`;
  };
  cadre = await TestCadre.create({
    agents: [
      agent('plain', act, { policy: once }),
      agent('worker', act, {
        policy: once,
        compensation: once,
        async compensate({ outcome }, { step }) {
          world.push(`undoing ${step}`);
          await held.get(step);
          const error = throws.get(`undo ${step}`)?.shift();
          if (error !== undefined) throw error;
          world.push(`undo ${step} ${outcome}`);
        },
      }),
      agent('undoer', (input, { step }) => {
        world.push(`undoer of ${step}: ${JSON.stringify(input)}`);
        return null;
      }),
      agent('echo', (input) => input, { policy: once }),
      agent('slow', async (_input, { signal, step }) => {
        world.push(`do ${step}`);
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        throw signal.reason;
      }),
    ],
  });
}, 60_000);

afterAll(() => cadre.close());

beforeEach(() => {
  world = [];
  throws.clear();
  held.clear();
});

const refusal = (message = 'no') => ApplicationFailure.nonRetryable(message, 'Refused');
const mishap = () => new Error('the answer was lost');

async function start(steps: readonly SagaStep[], more: Partial<SagaInput> = {}): Promise<TaskHandle> {
  const id = `saga-${randomUUID()}`;
  await cadre.environment.client.workflow.start(SAGA_WORKFLOW, {
    workflowId: id,
    taskQueue: cadre.client.cadre,
    args: [{ name: 'a saga', steps, ...more }],
  });
  return cadre.client.task(id);
}

const stateOf = async (task: TaskHandle): Promise<TaskState> => (await task.describe()).state;
const reaches = (task: TaskHandle, kind: string) =>
  until(async () => (await stateOf(task)).phase.kind === kind);
const failureOf = async (task: TaskHandle): Promise<TaskFailedError> => {
  const error: unknown = await task.result().catch((thrown: unknown) => thrown);
  if (error instanceof TaskFailedError) return error;
  throw new Error(`Expected the saga to fail, got ${JSON.stringify(error)}`);
};
/** What the workflow itself has as its state is what the log folds to. */
async function expectToldAsLogged(task: TaskHandle): Promise<void> {
  const { state } = await cadre.environment.client.workflow
    .getHandle(task.id)
    .query<{ state: TaskState }>('state');
  expect(state).toEqual(await stateOf(task));
}

test('steps run in the order of the list, without a leader, and outputs go on', async () => {
  const task = await start([
    { id: 'a', agent: 'worker' },
    { id: 'b', agent: 'echo', input: { of: { $output: 'a' } } },
  ]);
  await expect(task.result()).resolves.toEqual({ b: { of: 'did a' } });
  const state = await stateOf(task);
  expect(state.term).toBe(0);
  expect(state.phase.kind).toBe('completed');
  await expectToldAsLogged(task);
});

test('a failure undoes what was done in reverse, and the saga ends compensated', async () => {
  throws.set('c', [refusal('the third fails')]);
  const task = await start([
    { id: 'a', agent: 'worker' },
    { id: 'b', agent: 'worker' },
    { id: 'c', agent: 'plain' },
  ]);
  const error = await failureOf(task);
  expect(error).toMatchObject({ type: 'StepFailed' });
  expect(error.message).toContain('the third fails');
  expect(world.filter((line) => !line.startsWith('undoing'))).toEqual([
    'do a',
    'do b',
    'do c',
    'undo b completed',
    'undo a completed',
  ]);
  expect((await stateOf(task)).phase.kind).toBe('compensated');
  await expectToldAsLogged(task);
});

describe('steps that ran side by side', () => {
  const beside: SagaStep[] = [
    { id: 'a', agent: 'worker' },
    { id: 'b', agent: 'worker', needs: ['a'] },
    { id: 'c', agent: 'worker', needs: ['a'] },
    { id: 'd', agent: 'plain', needs: ['b', 'c'] },
  ];

  test('are undone side by side', async () => {
    throws.set('d', [refusal()]);
    let release = (): void => undefined;
    held.set('c', new Promise((resolve) => (release = resolve)));
    const task = await start(beside);
    await until(async () => world.includes('undo b completed'));
    expect(world).not.toContain('undo c completed');
    expect(world).not.toContain('undoing a');
    release();
    await failureOf(task);
    expect(world.at(-1)).toBe('undo a completed');
    const { stack } = await stateOf(task);
    expect(stack?.map(({ step, group }) => [step, group])).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 2],
    ]);
    await expectToldAsLogged(task);
  });

  test('or one at a time', async () => {
    throws.set('d', [refusal()]);
    const task = await start(beside, { unwinding: { groups: 'oneByOne' } });
    await failureOf(task);
    expect(world.slice(4)).toEqual([
      'undoing c',
      'undo c completed',
      'undoing b',
      'undo b completed',
      'undoing a',
      'undo a completed',
    ]);
  });
});

describe('a compensation that fails for good', () => {
  const steps: SagaStep[] = [
    { id: 'a', agent: 'worker' },
    { id: 'b', agent: 'worker' },
    { id: 'c', agent: 'plain' },
  ];

  test('holds the rest until a person has said what now', async () => {
    throws.set('c', [refusal()]);
    throws.set('undo b', [refusal('cannot')]);
    const task = await start(steps);
    await reaches(task, 'needsAttention');
    expect(world).not.toContain('undoing a');
    await expect(task.resolve('b', 'fail')).rejects.toMatchObject({ type: 'InputInvalid' });
    await task.resolve('b', 'skip', 'done by hand');
    const error = await failureOf(task);
    expect(error.details).toMatchObject({
      failed: { step: 'c' },
      compensations: [
        { step: 'b', kind: 'skipped', note: 'done by hand', failure: { message: 'cannot' } },
        { step: 'a', kind: 'undone' },
      ],
    });
    await expectToldAsLogged(task);
  });

  test('or is passed over, and waits at the end', async () => {
    throws.set('c', [refusal()]);
    throws.set('undo b', [refusal('cannot')]);
    const task = await start(steps, { unwinding: { onFailure: 'goOn' } });
    await until(async () => world.includes('undo a completed'));
    await reaches(task, 'needsAttention');
    await task.resolve('b', 'retry');
    await failureOf(task);
    expect(world.at(-1)).toBe('undo b completed');
    await expectToldAsLogged(task);
  });
});

test('a step may be undone by another agent, which is told what of whom, or not at all', async () => {
  throws.set('d', [refusal('enough')]);
  const task = await start([
    { id: 'a', agent: 'echo', input: { city: 'Rome' }, compensate: { agent: 'undoer' } },
    { id: 'b', agent: 'echo', input: 'B', compensate: { agent: 'undoer', input: { was: { $output: 'b' } } } },
    { id: 'c', agent: 'worker', compensate: false },
    { id: 'd', agent: 'plain' },
  ]);
  await failureOf(task);
  expect(world).toContain('undoer of b: {"was":"B"}');
  const told = world.find((line) => line.startsWith('undoer of a: '));
  expect(JSON.parse(told?.slice('undoer of a: '.length) ?? '')).toMatchObject({
    input: { city: 'Rome' },
    output: { city: 'Rome' },
    outcome: 'completed',
    reason: { type: 'StepFailed' },
  });
  expect(world).not.toContain('undoing c');
  await expectToldAsLogged(task);
});

describe('a pivot', () => {
  const steps: SagaStep[] = [
    { id: 'a', agent: 'worker' },
    { id: 'pay', agent: 'plain', kind: 'pivot' },
    { id: 'ship', agent: 'plain' },
  ];

  test('that is done leaves only the way forward: what fails after it waits for a person', async () => {
    throws.set('ship', [refusal('no truck')]);
    const task = await start(steps);
    await reaches(task, 'needsAttention');
    expect((await stateOf(task)).stack).toBeUndefined();
    await task.cancel();
    await expect(task.resolve('ship', 'fail')).rejects.toMatchObject({ type: 'InputInvalid' });
    await task.resolve('ship', 'retry');
    await expect(task.result()).resolves.toEqual({ ship: 'did ship' });
    expect(world).not.toContain('undoing a');
    await expectToldAsLogged(task);
  });

  test('that was refused undoes what came before it', async () => {
    throws.set('pay', [refusal('the card is declined')]);
    expect((await failureOf(await start(steps))).message).toContain('declined');
    expect(world.at(-1)).toBe('undo a completed');
  });

  test.each([
    ['retry', ['do pay', 'do ship'], { ship: 'did ship' }],
    ['skip', ['do ship'], { ship: 'did ship' }],
  ] as const)('of which nobody knows waits for a person, who says %s', async (how, then, result) => {
    throws.set('pay', [mishap()]);
    const task = await start(steps);
    await reaches(task, 'needsAttention');
    // Neither a cancel nor anything else may decide it.
    await task.cancel();
    expect(world).toEqual(['do a', 'do pay']);
    await task.resolve('pay', how, 'looked at the bank');
    await expect(task.result()).resolves.toEqual(result);
    expect(world.slice(2)).toEqual(then);
    await expectToldAsLogged(task);
  });

  test('of which a person says that it had no effect undoes what came before it', async () => {
    throws.set('pay', [mishap()]);
    const task = await start(steps);
    await reaches(task, 'needsAttention');
    await task.resolve('pay', 'fail', 'the bank knows nothing of it');
    await failureOf(task);
    expect(world.at(-1)).toBe('undo a completed');
    await expectToldAsLogged(task);
  });
});

test('a step that is retryable never fails the saga; others may, and it is not undone', async () => {
  throws.set('b', [refusal('not now')]);
  const task = await start([
    { id: 'a', agent: 'worker' },
    { id: 'b', agent: 'worker', kind: 'retryable' },
    { id: 'c', agent: 'echo', input: { $output: 'b' } },
  ]);
  await reaches(task, 'needsAttention');
  await task.resolve('b', 'skip', 'by hand');
  await expect(task.result()).resolves.toEqual({ c: null });
  expect((await stateOf(task)).steps['b']).toMatchObject({ kind: 'completed', skipped: 'by hand' });
});

describe('a step that asks for approval', () => {
  const approving = (more: SagaStep['approval'] = {}): SagaStep[] => [
    { id: 'a', agent: 'worker' },
    { id: 'send', agent: 'echo', input: { text: { $output: 'a' } }, approval: more },
  ];
  const answer = (task: TaskHandle, given: unknown) =>
    cadre.environment.client.workflow.getHandle(task.id).executeUpdate(ANSWER_UPDATE, { args: [given] });
  const hashOf = async (task: TaskHandle): Promise<string> => {
    const step = (await stateOf(task)).steps['send'];
    return step?.kind === 'awaitingApproval' ? step.hash : '';
  };

  test('runs after a yes to the exact input, and after no other', async () => {
    const task = await start(approving());
    await reaches(task, 'awaitingApproval');
    const hash = await hashOf(task);
    expect(hash).toBe(
      inputHash({
        agent: 'echo',
        goal: 'a saga',
        instruction: '',
        input: { text: { $output: 'a' } },
        outputs: { a: { value: 'did a' } },
      }),
    );
    const refused = { cause: { type: 'NotAsked' } };
    await expect(
      answer(task, { step: 'send', answer: 'yes', hash: inputHash('other'), note: '' }),
    ).rejects.toMatchObject(refused);
    await expect(answer(task, { step: 'a', answer: 'yes', hash, note: '' })).rejects.toMatchObject(refused);
    await expect(answer(task, { step: 'send', answer: 'maybe', hash })).rejects.toMatchObject({
      cause: { type: 'InputInvalid' },
    });
    const { memo } = await cadre.environment.client.workflow.getHandle(task.id).describe();
    expect(memo).toMatchObject({ needsAttention: 'send', asked: { send: { hash } } });
    await answer(task, { step: 'send', answer: 'yes', hash, note: 'read it' });
    await expect(task.result()).resolves.toEqual({ send: { text: 'did a' } });
    await expectToldAsLogged(task);
  });

  test('is refused by a no, and what came before it is undone', async () => {
    const task = await start(approving());
    await reaches(task, 'awaitingApproval');
    await answer(task, { step: 'send', answer: 'no', hash: await hashOf(task), note: 'too early' });
    expect((await failureOf(task)).message).toContain('too early');
    expect(world.at(-1)).toBe('undo a completed');
    await expectToldAsLogged(task);
  });

  test('is refused where nobody answers in time', async () => {
    const task = await start(approving({ answerWithin: 30 * 24 * 60 * 60 * 1000 }));
    const error = await failureOf(task);
    expect(error.details).toMatchObject({ failed: { failure: { type: 'ApprovalTimedOut' } } });
    const { memo } = await cadre.environment.client.workflow.getHandle(task.id).describe();
    expect(memo?.['needsAttention'] ?? 'nothing').toBe('nothing');
    expect(memo?.['asked']).toEqual({});
    expect(world.at(-1)).toBe('undo a completed');
    await expectToldAsLogged(task);
  });

  test('is withdrawn by a cancel, which undoes what came before it', async () => {
    const task = await start(approving());
    await reaches(task, 'awaitingApproval');
    await task.cancel();
    expect(await failureOf(task)).toMatchObject({ type: 'Cancelled' });
    expect(world.at(-1)).toBe('undo a completed');
    await expectToldAsLogged(task);
  });

  test('asks anew where its yes is older than it holds when it runs again', async () => {
    throws.set('send', [refusal('later')]);
    const task = await start([
      { id: 'send', agent: 'plain', kind: 'retryable', approval: { validFor: 60_000 } },
    ]);
    await reaches(task, 'awaitingApproval');
    await answer(task, { step: 'send', answer: 'yes', hash: await hashOf(task), note: '' });
    await reaches(task, 'needsAttention');
    await cadre.environment.sleep('2 minutes');
    await task.resolve('send', 'retry');
    await reaches(task, 'awaitingApproval');
    await answer(task, { step: 'send', answer: 'yes', hash: await hashOf(task), note: '' });
    await expect(task.result()).resolves.toEqual({ send: 'did send' });
    await expectToldAsLogged(task);
  });
});

test('after its time limit what was done is undone', async () => {
  const task = await start(
    [
      { id: 'a', agent: 'worker' },
      { id: 'b', agent: 'slow' },
    ],
    { timeLimit: 1500 },
  );
  expect(await failureOf(task)).toMatchObject({ type: 'TimeLimitReached' });
  expect(world.at(-1)).toBe('undo a completed');
  expect((await stateOf(task)).phase.kind).toBe('compensated');
  await expectToldAsLogged(task);
}, 20_000);

test('a second saga on the same key is refused with who holds it, and may have it afterwards', async () => {
  const steps: SagaStep[] = [{ id: 'a', agent: 'worker', approval: {} }];
  const first = await start(steps, { lock: 'order-42' });
  await reaches(first, 'awaitingApproval');
  // Waiting for a result would have the clock skip what the first waits for.
  const second = await start(steps, { lock: 'order-42' });
  await reaches(second, 'failed');
  const { phase } = await stateOf(second);
  expect(phase).toMatchObject({ failure: { type: 'LockHeld' } });
  expect(phase.kind === 'failed' && phase.failure.message).toContain(first.id);
  await first.cancel();
  await failureOf(first);
  await expectToldAsLogged(first);
  const third = await start([{ id: 'a', agent: 'plain' }], { lock: 'order-42' });
  await expect(third.result()).resolves.toEqual({ a: 'did a' });
});

test.each([
  ['an agent that nobody has', [{ id: 'a', agent: 'nobody' }], 'AgentUnknown', /nobody/],
  [
    'a step to be undone by an agent that cannot',
    [{ id: 'a', agent: 'plain', kind: 'compensable' }],
    'PlanInvalid',
    /plain/,
  ],
  ['a vote', [{ id: 'a', vote: { agents: ['a', 'b'] } }], 'InputInvalid', /leader/],
  [
    'two pivots',
    [
      { id: 'a', agent: 'plain', kind: 'pivot' },
      { id: 'b', agent: 'plain', kind: 'pivot' },
    ],
    'PlanInvalid',
    /pivot/,
  ],
  [
    'a step beside the pivot',
    [
      { id: 'a', agent: 'plain', kind: 'pivot' },
      { id: 'b', agent: 'plain', needs: [] },
    ],
    'PlanInvalid',
    /beside/,
  ],
  [
    'a policy out of its range',
    [{ id: 'a', agent: 'plain', policy: { startToClose: 0 } }],
    'PlanInvalid',
    /policy\.startToClose/,
  ],
] as [string, SagaStep[], string, RegExp][])(
  '%s fails it before anything starts',
  async (_what, steps, type, message) => {
    const error = await failureOf(await start(steps));
    expect(error.type).toBe(type);
    expect(error.message).toMatch(message);
    expect(world).toEqual([]);
  },
);
