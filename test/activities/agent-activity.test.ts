// Pure of servers: the agent's activity in the SDK's mock of a worker.
import { setTimeout as delay } from 'node:timers/promises';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { agentActivity, compensateActivity } from '../../src/activities/agent-activity';
import type { AgentContext } from '../../src/activities/agent-context';
import { type AnyAgent, defineAgent } from '../../src/activities/define-agent';
import type { Envelope } from '../../src/core/envelope';
import type { ActRequest, CompensateRequest } from '../../src/core/task-activities';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import { MemoryLedger, callAgent, compensateAgent } from '../../src/testing';
import { agent } from '../support/agents';
import { TemporaryFolder } from '../support/temporary-folder';

const ENVELOPE: Envelope = { root: 'task-1/run-1', step: 'a', kind: 'act', term: 3, version: 1 };
const folder = new TemporaryFolder();
const artifacts = new FileArtifactStore(folder.path);
const stores = { artifacts, ledger: new MemoryLedger() };

afterAll(() => folder.remove());

const request = (more: Partial<ActRequest> = {}): ActRequest => ({
  goal: 'a goal',
  instruction: 'an instruction',
  outputs: {},
  inlineMaximum: 1000,
  ...more,
});

/** What the activity ends with: its outcome, or what it throws. */
async function end(of: AnyAgent, more: Partial<ActRequest> = {}): Promise<unknown> {
  const environment = new MockActivityEnvironment();
  return environment.run(agentActivity(of, stores), ENVELOPE, request(more)).catch((error: unknown) => error);
}

async function failureOf(of: AnyAgent, more: Partial<ActRequest> = {}): Promise<ApplicationFailure> {
  const error = await end(of, more);
  expect(error).toBeInstanceOf(ApplicationFailure);
  return error as ApplicationFailure;
}

const weather = defineAgent({
  name: 'weather',
  description: 'tells the weather',
  input: z.object({ city: z.string(), days: z.number().int().max(7).default(1) }),
  output: z.object({ degrees: z.array(z.number()) }),
  act: ({ days }) => ({ degrees: Array.from({ length: days }, () => 20) }),
});

describe('input', () => {
  test('is what the schema makes of it', async () => {
    expect(await end(weather, { input: { city: 'Rome' } })).toEqual({ output: { value: { degrees: [20] } } });
  });

  test('that does not match fails for good, naming agent and fields', async () => {
    const failure = await failureOf(weather, { input: { city: 7, days: 'two' } });
    expect(failure).toMatchObject({ type: 'AgentInputInvalid', nonRetryable: true });
    expect(failure.message).toMatch(
      /^The input of agent "weather" does not match its schema: city: .*; days: /,
    );
    expect(failure.details?.[0]).toMatchObject([{ field: 'city' }, { field: 'days' }]);
  });

  test('without a field of its own is goal, instruction and what the step needs', async () => {
    const reference = await artifacts.put(Buffer.from('"from the store"'));
    expect(
      await end(
        agent('echo', (input) => input),
        { outputs: { a: { value: 1 }, b: reference } },
      ),
    ).toEqual({
      output: {
        value: { goal: 'a goal', instruction: 'an instruction', needs: { a: 1, b: 'from the store' } },
      },
    });
  });

  test('that is gone from the artifact store fails, to be tried again', async () => {
    const reference = { artifact: `sha256:${'0'.repeat(64)}`, bytes: 10 };
    const failure = await failureOf(
      agent('echo', (input) => input),
      { outputs: { a: reference } },
    );
    expect(failure).toMatchObject({ type: 'ArtifactMissing', nonRetryable: false });
  });
});

describe('output', () => {
  test('that does not match fails for good, naming agent and field', async () => {
    const liar = defineAgent({
      ...weather,
      act: () => ({ degrees: ['warm'] }) as unknown as { degrees: number[] },
    });
    const failure = await failureOf(liar, { input: { city: 'Rome' } });
    expect(failure).toMatchObject({ type: 'AgentOutputInvalid', nonRetryable: true });
    expect(failure.message).toMatch(/degrees\.0: /);
  });

  test('is stored beyond the maximum', async () => {
    const outcome = await end(agent('large', () => 'x'.repeat(999)));
    expect(outcome).toEqual({
      output: { artifact: expect.stringMatching(/^sha256:/) as string, bytes: 1001 },
    });
    expect(await end(agent('small', () => 'x'.repeat(998)))).toEqual({ output: { value: 'x'.repeat(998) } });
  });

  test('that is undefined is null', async () => {
    expect(await end(agent('silent', () => undefined))).toEqual({ output: { value: null } });
  });

  // Each of these is lost, or is something else, once Temporal has carried it.
  test.each<[string, () => unknown]>([
    ['a BigInt', () => 1n],
    ['a BigInt inside', () => ({ list: [1n] })],
    ['a function', () => () => 1],
    ['a symbol', () => Symbol('s')],
    [
      'a circle',
      () => {
        const circle: unknown[] = [];
        circle.push(circle);
        return circle;
      },
    ],
  ])('that is %s fails for good, and says that it is not JSON', async (_what, act) => {
    const failure = await failureOf(agent('odd', act));
    expect(failure).toMatchObject({ type: 'AgentOutputInvalid', nonRetryable: true });
    expect(failure.message).toMatch(/JSON/);
  });

  test.each<[string, unknown, unknown]>([
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['not a number', Number.NaN, null],
    ['a map', new Map([[1, 2]]), {}],
    ['a class with toJSON', { toJSON: () => 'itself' }, 'itself'],
  ])(
    'that is %s is what JSON makes of it, for callAgent as for a worker',
    async (_what, output, expected) => {
      const odd = agent('odd', () => output);
      expect(JSON.parse(JSON.stringify(await end(odd)))).toEqual({ output: { value: expected } });
      expect((await callAgent(odd, undefined)).output).toEqual(expected);
    },
  );
});

test('any Standard Schema will do, one that answers late too', async () => {
  const even: StandardSchemaV1<unknown, number> = {
    '~standard': {
      version: 1,
      vendor: 'by-hand',
      validate: async (value) => {
        await delay(1);
        return typeof value === 'number' && value % 2 === 0
          ? { value: value / 2 }
          : { issues: [{ message: 'is not even', path: ['deep', { key: 'number' }, 0] }] };
      },
    },
  };
  const halves = defineAgent({
    name: 'halves',
    description: 'halves',
    input: even,
    output: even,
    act: (half) => half * 4,
  });
  expect((await callAgent(halves, 8)).output).toBe(8);
  await expect(callAgent(halves, 7)).rejects.toMatchObject({
    type: 'AgentInputInvalid',
    message: expect.stringContaining('deep.number.0: is not even') as string,
  });
});

test('a schema with a hundred issues shows three and counts the rest', async () => {
  const many = defineAgent({
    name: 'many',
    description: 'many',
    input: z.array(z.string()),
    output: z.unknown(),
    act: () => null,
  });
  const failure = await failureOf(many, { input: Array.from({ length: 100 }, () => 1) });
  expect(failure.message).toMatch(/0: .*; 1: .*; 2: .*; and 97 more$/);
  expect(failure.details?.[0]).toHaveLength(20);
});

describe('what an agent throws', () => {
  const thrower = (thrown: unknown): AnyAgent =>
    agent('thrower', () => {
      throw thrown;
    });

  test.each<[string, unknown, string, string]>([
    ['an error', new TypeError('no such thing'), 'TypeError', 'no such thing'],
    [
      'an error with a name of its own',
      Object.assign(new Error('429'), { name: 'RateLimited' }),
      'RateLimited',
      '429',
    ],
    ['a failure', ApplicationFailure.retryable('later', 'Later'), 'Later', 'later'],
    ['a text', 'just so', 'Error', 'just so'],
    ['nothing', undefined, 'Error', 'undefined'],
    ['an object without a prototype', Object.create(null), 'Error', ''],
  ])('%s keeps its name and message', async (_what, thrown, type, message) => {
    const failure = await failureOf(thrower(thrown));
    expect(failure).toMatchObject({ type, nonRetryable: false });
    expect(failure.message).toContain(message);
  });

  test('a failure keeps that it is final, its delay and its details', async () => {
    const thrown = ApplicationFailure.create({
      message: 'slow down',
      type: 'RateLimited',
      nonRetryable: true,
      nextRetryDelay: '7s',
      details: [{ limit: 5 }],
      cause: new Error('429'),
    });
    expect(await failureOf(thrower(thrown))).toMatchObject({
      type: 'RateLimited',
      nonRetryable: true,
      nextRetryDelay: '7s',
      details: [{ limit: 5 }],
      cause: { message: '429' },
    });
  });

  test('points to its line', async () => {
    const failure = await failureOf(
      agent('thrower', () => {
        throw new Error('here');
      }),
    );
    expect(failure.stack).toContain('agent-activity.test');
  });

  test('is cut where it is long', async () => {
    const failure = await failureOf(
      thrower(new Error('long '.repeat(1_000_000), { cause: new Error('x'.repeat(1e6)) })),
    );
    expect(JSON.stringify([failure.message, failure.stack, failure.cause?.message]).length).toBeLessThan(
      20_000,
    );
  });
});

describe('decisions', () => {
  test('leave an attempt only with its success, in order', async () => {
    const { decisions } = await callAgent(
      agent('decides', (_input, { decide }) => {
        decide({ type: 'one', rationale: 'first', evidence: { score: 1 } });
        decide({ type: 'two', rationale: 'then' });
      }),
      undefined,
    );
    expect(decisions).toEqual([
      { type: 'one', rationale: 'first', evidence: { score: 1 } },
      { type: 'two', rationale: 'then' },
    ]);
    const failing = agent('fails', (_input, { decide }) => {
      decide({ type: 'one', rationale: 'first' });
      throw new Error('after all');
    });
    expect(JSON.stringify(await failureOf(failing))).not.toContain('first');
  });

  test('are stored beyond the maximum, the output beside them not', async () => {
    const outcome = await end(
      agent('decides', (_input, { decide }) => decide({ type: 'one', rationale: 'r'.repeat(2000) })),
    );
    expect(outcome).toEqual({
      output: { value: null },
      decisions: { artifact: expect.any(String) as string, bytes: expect.any(Number) as number },
    });
  });

  test('made after the act has ended are not recorded', async () => {
    let late: AgentContext | undefined;
    const { decisions } = await callAgent(
      agent('late', (_input, context) => {
        late = context;
      }),
      undefined,
    );
    late?.decide({ type: 'late', rationale: 'too late' });
    expect(decisions).toEqual([]);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['a text', 'because'],
    ['one without a rationale', { type: 'one' }],
    ['one whose evidence is not JSON', { type: 'one', rationale: 'r', evidence: 1n }],
  ])('that are %s are refused where they are made', async (_what, decision) => {
    const odd = agent('odd', (_input, { decide }) => decide(decision as Parameters<typeof decide>[0]));
    const failure = await failureOf(odd);
    expect(failure.message).toMatch(/deci(sion|ded)/i);
    expect(failure.nonRetryable).toBe(true);
  });
});

test('the context tells who asks for what', async () => {
  const environment = new MockActivityEnvironment({
    attempt: 2,
    workflowExecution: { workflowId: 'task-1', runId: 'run-1' },
  });
  let seen: Partial<AgentContext> = {};
  const spy = agent('spy', (_input, context) => {
    seen = context;
  });
  await environment.run(agentActivity(spy, stores), ENVELOPE, request());
  expect(seen).toMatchObject({
    goal: 'a goal',
    instruction: 'an instruction',
    step: 'a',
    task: 'task-1',
    idempotencyKey: 'task-1/run-1/a/act',
    term: 3,
    attempt: 2,
    lastCheckpoint: undefined,
  });
});

test('the idempotency key is the same in every attempt', async () => {
  const keys = new Set<string>();
  const spy = agent('spy', (_input, { idempotencyKey }) => void keys.add(idempotencyKey));
  for (const attempt of [1, 2, 7]) {
    await new MockActivityEnvironment({ attempt }).run(agentActivity(spy, stores), ENVELOPE, request());
  }
  expect([...keys]).toEqual(['task-1/run-1/a/act']);
});

describe('checkpoints', () => {
  /** Runs `act` with a heartbeat timeout of 100 ms; what each heartbeat carried. */
  async function heartbeats(
    act: (context: AgentContext) => unknown,
    lastCheckpoint?: unknown,
  ): Promise<unknown[]> {
    const environment = new MockActivityEnvironment({
      heartbeatTimeoutMs: 100,
      heartbeatDetails: lastCheckpoint === undefined ? undefined : { checkpoint: lastCheckpoint },
    });
    const beats: unknown[] = [];
    environment.on('heartbeat', (details: unknown) =>
      beats.push(JSON.parse(JSON.stringify(details ?? null))),
    );
    const spy = agent('spy', (_input, context) => act(context));
    await environment.run(agentActivity(spy, stores), ENVELOPE, request());
    const after = beats.length;
    await delay(60);
    expect(beats).toHaveLength(after);
    return beats;
  }

  /** Resolves once a hundred milliseconds of heartbeats have gone by. */
  const wait = (): Promise<void> => delay(110);

  test('are in every heartbeat from then on, and heartbeats go on while the agent waits', async () => {
    const beats = await heartbeats(async ({ checkpoint }) => {
      await wait();
      checkpoint({ page: 1 });
      await wait();
    });
    expect(beats.length).toBeGreaterThanOrEqual(8);
    const first = beats.findIndex((beat) => beat !== null);
    expect(first).toBeGreaterThan(2);
    for (const beat of beats.slice(first)) expect(beat).toEqual({ checkpoint: { page: 1 } });
  });

  test('of the attempt before stay in the heartbeats until there is a new one', async () => {
    const beats = await heartbeats(
      async ({ lastCheckpoint, heartbeat, checkpoint }) => {
        expect(lastCheckpoint).toEqual({ page: 1 });
        heartbeat();
        checkpoint({ page: 2 });
      },
      { page: 1 },
    );
    expect(beats).toEqual([{ checkpoint: { page: 1 } }, { checkpoint: { page: 2 } }]);
  });

  test('are what they were when they were given', async () => {
    const pages: number[] = [];
    const beats = await heartbeats(async ({ checkpoint, heartbeat }) => {
      pages.push(1);
      checkpoint(pages);
      pages.push(...Array.from({ length: 10_000 }, () => 2));
      heartbeat();
    });
    expect(beats).toEqual([{ checkpoint: [1] }, { checkpoint: [1] }]);
  });

  test('of 4 KiB are kept, and of a byte more refused with both numbers', async () => {
    const sized = (bytes: number): AnyAgent =>
      agent('sized', (_input, { checkpoint }) => checkpoint('x'.repeat(bytes - 2)));
    expect((await callAgent(sized(4096), undefined)).checkpoints).toEqual(['x'.repeat(4094)]);
    await expect(callAgent(sized(4097), undefined)).rejects.toMatchObject({
      type: 'CheckpointTooLarge',
      nonRetryable: true,
      message: expect.stringMatching(/at most 4096 bytes, got 4097/) as string,
    });
  });

  test.each([false, 0, '', null])('%j is a checkpoint', async (value) => {
    const { checkpoints, output } = await callAgent(
      agent('falsy', (_input, { checkpoint, lastCheckpoint }) => {
        checkpoint(value);
        return lastCheckpoint;
      }),
      undefined,
      { attempt: 2, lastCheckpoint: value },
    );
    expect(checkpoints).toEqual([value]);
    expect(output).toBe(value);
  });
});

describe('cancellation', () => {
  test('aborts the signal with a CancelledFailure, which ends the attempt', async () => {
    const environment = new MockActivityEnvironment();
    const waits = agent('waits', async (_input, { signal }) => {
      environment.cancel();
      await delay(10_000, undefined, { signal });
    });
    await expect(environment.run(agentActivity(waits, stores), ENVELOPE, request())).rejects.toBeInstanceOf(
      CancelledFailure,
    );
  });

  test('reaches callAgent by its signal, also by one that was aborted before', async () => {
    const waits = agent('waits', (_input, { signal }) => delay(5000, undefined, { signal }));
    const controller = new AbortController();
    const called = callAgent(waits, undefined, { signal: controller.signal });
    controller.abort();
    await expect(called).rejects.toBeInstanceOf(CancelledFailure);
    await expect(callAgent(waits, undefined, { signal: AbortSignal.abort() })).rejects.toBeInstanceOf(
      CancelledFailure,
    );
  });
});

describe('effects', () => {
  test('happen once over the attempts of a step, by its key and its agent', async () => {
    let charged = 0;
    const act = (_input: unknown, { once }: AgentContext) => once('charge', () => (charged += 1));
    for (const one of [agent('one', act), agent('one', act), agent('other', act)]) await end(one);
    expect(charged).toBe(2);
  });

  test('begun by an attempt that died wait for a person, who may say to try again', async () => {
    const ledger = new MemoryLedger();
    const lost = agent('payer', (_input, { once }) =>
      once('charge', () => Promise.reject(new Error('lost'))),
    );
    const payer = agent('payer', (_input, { once }) => once('charge', () => 'receipt'));
    await expect(callAgent(lost, undefined, { ledger })).rejects.toMatchObject({ type: 'Error' });
    await expect(callAgent(payer, undefined, { ledger, attempt: 2 })).rejects.toMatchObject({
      type: 'OutcomeUnknown',
      nonRetryable: true,
      details: [{ effect: 'charge', attemptAt: expect.any(String) as string }],
    });
    const { output } = await callAgent(payer, undefined, { ledger, resolutions: 1 });
    expect(output).toBe('receipt');
  });

  test('of a voter are those of its ballot', async () => {
    const voter = agent('voter', (_input, { once }) => once('look', () => 'yes'));
    expect(await end(voter, { ballot: { choices: ['yes', 'no'] } })).toEqual({
      output: { value: { choice: 'yes' } },
    });
  });
});

describe('undoing', () => {
  const undo: Envelope = { ...ENVELOPE, kind: 'undo' };
  const undoRequest: CompensateRequest = {
    goal: 'a goal',
    instruction: 'an instruction',
    input: 7,
    outputs: {},
    outcome: 'unknown',
    reason: { type: 'Error', message: 'no' },
  };
  const run = (activity: (...given: never[]) => unknown, ...given: [Envelope, unknown]): Promise<unknown> =>
    new MockActivityEnvironment().run(activity as (...given: unknown[]) => Promise<unknown>, ...given);

  test('leaves a tombstone before it begins, in every attempt', async () => {
    const seen: boolean[] = [];
    for (const ledger of [new MemoryLedger(), new MemoryLedger()]) {
      const failing = agent('booker', () => null, {
        compensate: async () => {
          seen.push(await ledger.isTombstoned('task-1/run-1/a/act'));
          throw new Error('not now');
        },
      });
      await expect(
        run(compensateActivity(failing, { artifacts, ledger }), undo, undoRequest),
      ).rejects.toThrow('not now');
    }
    expect(seen).toEqual([true, true]);
  });

  test('leaves it also where the act of another agent undoes the step', async () => {
    const ledger = new MemoryLedger();
    const other = agent('releaser', () => null);
    await run(agentActivity(other, { artifacts, ledger }), undo, request());
    expect(await ledger.isTombstoned('task-1/run-1/a/act')).toBe(true);
  });

  test('by another agent gives it what compensate would get', async () => {
    const reason = { type: 'Error', message: 'no' };
    const undoes = { agent: 'booker', input: { room: { $output: 'search' } }, reason };
    const outputs = { search: { value: 12 }, a: await artifacts.put(Buffer.from('"booked"')) };
    const output = outputs.a;
    const echo = agentActivity(
      agent('releaser', (input) => input),
      stores,
    );
    const action = 'task-1/run-1/a/act';
    const completed = { outputs, undoes: { ...undoes, outcome: 'completed' as const, output } };
    expect(await run(echo, undo, request(completed))).toEqual({
      output: { value: { input: { room: 12 }, outcome: 'completed', output: 'booked', reason, action } },
    });
    const unknown = {
      outputs: { search: { value: 12 } },
      undoes: { ...undoes, outcome: 'unknown' as const },
    };
    expect(await run(echo, undo, request(unknown))).toEqual({
      output: { value: { input: { room: 12 }, outcome: 'unknown', reason, action } },
    });
  });

  test('by another agent gives it what the plan says, null for an output that there is not', async () => {
    const undoes = { agent: 'booker', outcome: 'unknown' as const, reason: { type: 'Error', message: 'no' } };
    const input = { room: { $output: 'search' }, booking: { $output: 'a' } };
    const echo = agentActivity(
      agent('releaser', (given) => given),
      stores,
    );
    const outputs = { search: { value: 12 } };
    expect(await run(echo, undo, request({ input, outputs, undoes }))).toEqual({
      output: { value: { room: 12, booking: null } },
    });
    const done = { ...outputs, a: { value: 'booked' } };
    expect(await run(echo, undo, request({ input, outputs: done, undoes }))).toEqual({
      output: { value: { room: 12, booking: 'booked' } },
    });
  });

  test('keeps a late attempt from beginning also where another agent does it', async () => {
    const ledger = new MemoryLedger();
    await ledger.tombstone('task-1/run-1/a/act');
    const act = jest.fn();
    const booker = agentActivity(agent('booker', act), { artifacts, ledger });
    await expect(run(booker, ENVELOPE, request({ undoable: true }))).rejects.toMatchObject({
      type: 'ActionUndone',
    });
    expect(act).not.toHaveBeenCalled();
  });

  test('does not begin where it cannot leave it', async () => {
    const ledger = new MemoryLedger();
    ledger.tombstone = () => Promise.reject(new Error('the disk is full'));
    const compensate = jest.fn();
    const booker = agent('booker', () => null, { compensate });
    await expect(run(compensateActivity(booker, { artifacts, ledger }), undo, undoRequest)).rejects.toThrow(
      'the disk is full',
    );
    expect(compensate).not.toHaveBeenCalled();
  });

  test('keeps a late attempt of what it undid from beginning', async () => {
    const ledger = new MemoryLedger();
    const act = jest.fn(() => 'booked');
    const booker = agent('booker', act, { compensate: () => undefined });
    expect((await callAgent(booker, 7, { ledger })).output).toBe('booked');
    await compensateAgent(booker, { input: 7, outcome: 'completed', output: 'booked' }, { ledger });
    await expect(callAgent(booker, 7, { ledger, attempt: 2 })).rejects.toMatchObject({
      type: 'ActionUndone',
      nonRetryable: true,
    });
    expect(act).toHaveBeenCalledTimes(1);
  });

  test('has effects of its own, once', async () => {
    const ledger = new MemoryLedger();
    let released = 0;
    const booker = agent('booker', (_input, { once }) => once('book', () => 'booked'), {
      compensate: async (_undo, { once }) => void (await once('book', () => (released += 1))),
    });
    await callAgent(booker, 7, { ledger });
    for (const attempt of [1, 2]) {
      await compensateAgent(booker, { input: 7, outcome: 'unknown' }, { ledger, attempt });
    }
    expect(released).toBe(1);
  });

  test('gets what callers of compensateAgent say, checked as a worker would', async () => {
    const seen: unknown[] = [];
    const booker = defineAgent({
      ...weather,
      compensate: (undone, { idempotencyKey, attempt }) => void seen.push(undone, idempotencyKey, attempt),
    });
    await compensateAgent(
      booker,
      { input: { city: 'Rome', days: 1 }, outcome: 'completed', output: { degrees: [20] } },
      { attempt: 3 },
    );
    expect(seen).toEqual([
      {
        input: { city: 'Rome', days: 1 },
        outcome: 'completed',
        output: { degrees: [20] },
        reason: { type: 'Error', message: 'a reason' },
        action: 'test/run/step/act',
      },
      'test/run/step/undo',
      3,
    ]);
    const bad = compensateAgent(booker, { input: { city: 'Rome', days: 8 }, outcome: 'unknown' });
    await expect(bad).rejects.toMatchObject({ type: 'AgentInputInvalid' });
    await expect(
      compensateAgent(weather, { input: { city: 'Rome', days: 1 }, outcome: 'unknown' }),
    ).rejects.toMatchObject({ type: 'ConfigInvalid', message: expect.stringContaining('weather') as string });
  });
});

test('an agent without effects and without undoing asks nothing of the ledger', async () => {
  const touched: PropertyKey[] = [];
  const ledger = new Proxy(new MemoryLedger(), {
    get: (_target, operation) => void touched.push(operation),
  });
  await new MockActivityEnvironment().run(
    agentActivity(weather, { artifacts, ledger }),
    ENVELOPE,
    request({ input: { city: 'Rome' } }),
  );
  expect(touched).toEqual([]);
});
