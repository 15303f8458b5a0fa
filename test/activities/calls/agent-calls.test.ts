// Pure of servers: what calls came to as agents' activities report it, in the SDK's mock of a worker.
import {
  ActivityCancellationDetails,
  ApplicationFailure,
  TimeoutFailure,
  TimeoutType,
  defaultFailureConverter,
  defaultPayloadConverter,
} from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { agentActivity, compensateActivity } from '../../../src/activities/agent-activity';
import type { AgentContext } from '../../../src/activities/agent-context';
import type { Budgets } from '../../../src/activities/budget/budgets';
import type { AnyAgent } from '../../../src/activities/define-agent';
import { createLeaderActivities } from '../../../src/activities/leadership';
import { afterRefusal, readRefusal } from '../../../src/core/breaker/refusal';
import type { Envelope } from '../../../src/core/envelope';
import { failureDetails, failureInfo } from '../../../src/core/failure-info';
import { CadreError } from '../../../src/core/failures';
import {
  type ActRequest,
  type CompensateRequest,
  compensatedEvent,
  readHandedBack,
} from '../../../src/core/task-activities';
import { FileArtifactStore } from '../../../src/storage/artifact-store';
import { MemoryLedger, callAgent } from '../../../src/testing';
import { agent, step } from '../../support/agents';
import { TemporaryFolder } from '../../support/temporary-folder';
import { ONE_CALL } from '../../support/usage';

let folder: TemporaryFolder;
let artifacts: FileArtifactStore;

beforeEach(() => {
  folder = new TemporaryFolder();
  artifacts = new FileArtifactStore(folder.path);
});
afterEach(() => {
  jest.restoreAllMocks();
  folder.remove();
});

const one = ONE_CALL;
const two = { ...one, tokens: 24, microUsd: 6, calls: 2, inputTokens: 20, outputTokens: 4 };

/** Has the model answer `prompt`. */
const ask = (
  { calls }: AgentContext,
  prompt: string,
  run = async () => `answer to ${prompt}`,
): Promise<string> => calls.run({ kind: 'model', name: 'p/m', request: { prompt }, run, usageOf: () => one });

const ENVELOPE: Envelope = { root: 'task/run', step: 'a', kind: 'act', term: 1, version: 1 };
const REQUEST = { goal: 'a goal', instruction: '', outputs: {}, inlineMaximum: 1000 };

/** A failure that a test expects needs no line in its output. */
const worker = (
  info: ConstructorParameters<typeof MockActivityEnvironment>[0] = {},
): MockActivityEnvironment => new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });

/** What the activity ends with: its outcome, or what it throws. */
function end(of: AnyAgent, more: Partial<ActRequest> = {}, environment = worker()): Promise<unknown> {
  const activity = agentActivity(of, { artifacts, ledger: new MemoryLedger() });
  return environment.run(activity, ENVELOPE, { ...REQUEST, ...more }).catch((error: unknown) => error);
}

const twice = agent('twice', async (_input, context) => {
  await ask(context, 'one');
  return ask(context, 'two');
});

const quiet = agent('quiet', () => 1);

test('a step tells with its output what its calls came to', async () => {
  expect(await end(twice)).toEqual({ output: { value: 'answer to two' }, usage: [two] });
});

test('a step that makes no calls says nothing of them', async () => {
  expect(await end(quiet)).toEqual({ output: { value: 1 } });
});

test('a retry tells what all attempts came to, each call once', async () => {
  let fails = true;
  const flaky = agent('flaky', async (_input, context) => {
    await ask(context, 'one');
    if (fails) throw new Error('not yet');
    return ask(context, 'two');
  });
  expect(failureInfo(await end(flaky)).usage).toEqual([one]);
  fails = false;
  const again = worker({ attempt: 2 });
  expect(await end(flaky, {}, again)).toMatchObject({ usage: [two] });
});

test('a retry that fails before its first call tells what those before it came to', async () => {
  await end(twice);
  const early = agent('twice', () => Promise.reject(new Error('too early')));
  const called = { called: true };
  const failure = await end(early, {}, worker({ attempt: 2, heartbeatDetails: called }));
  expect(failureInfo(failure)).toMatchObject({ message: 'too early', usage: [two] });
  const handedBack = { attemptsUsed: 0, called: true } as const;
  expect(failureInfo(await end(early, { handedBack })).usage).toEqual([two]);
});

describe('where the store is away', () => {
  let asked: number;
  const away = async (of: AnyAgent, environment: MockActivityEnvironment): Promise<unknown> => {
    asked = 0;
    jest.spyOn(artifacts, 'recall').mockImplementation(() => {
      asked += 1;
      return Promise.reject(new CadreError('ArtifactsUnavailable', 'The store is away'));
    });
    return end(of, { handedBack: { attemptsUsed: 0 } }, environment);
  };

  test('a retry reads nothing of calls, and does not fail, where no attempt made any', async () => {
    const retry = () => worker({ attempt: 2, heartbeatDetails: { checkpoint: 1 } });
    expect(await away(quiet, retry())).toEqual({ output: { value: 1 } });
    expect(asked).toBe(0);
    const failing = agent('failing', () => Promise.reject(new Error('mine')));
    expect(failureInfo(await away(failing, retry()))).toMatchObject({ message: 'mine' });
    expect(asked).toBe(0);
  });

  test('an attempt that made no calls succeeds, whatever those before it made', async () => {
    const retry = worker({ attempt: 2, heartbeatDetails: { called: true } });
    expect(await away(quiet, retry)).toEqual({ output: { value: 1 } });
    expect(asked).toBeGreaterThan(0);
    // A local activity gets no details of the attempt before.
    const local = worker({ attempt: 2, isLocal: true });
    expect(await away(quiet, local)).toEqual({ output: { value: 1 } });
    expect(asked).toBeGreaterThan(0);
  });
});

test('what a failure came to stands behind its details, and is read from history again', async () => {
  const details = { reason: 'because' };
  const failing = agent('failing', async (_input, context) => {
    await ask(context, 'one');
    throw ApplicationFailure.nonRetryable('no', 'Refused', details);
  });
  const proto = defaultFailureConverter.errorToFailure(await end(failing), defaultPayloadConverter);
  const read = defaultFailureConverter.failureToError(proto, defaultPayloadConverter);
  expect(failureInfo(read)).toEqual({ type: 'Refused', message: 'no', final: true, usage: [one] });
  expect(failureDetails(read)).toEqual(details);
});

test('each heartbeat says whether calls were made, the last one and what all came to, and the checkpoint stays', async () => {
  const environment = worker({ heartbeatTimeoutMs: 5000 });
  const beats: unknown[] = [];
  environment.on('heartbeat', (details: unknown) => beats.push(details));
  const keeps = agent('keeps', async (_input, context) => {
    context.checkpoint('here');
    await ask(context, 'one');
  });
  await end(keeps, {}, environment);
  expect(beats).toEqual([
    { checkpoint: 'here' },
    { checkpoint: 'here', called: true },
    {
      checkpoint: 'here',
      called: true,
      lastCall: { call: expect.stringMatching(/^000000-/) as string, usage: [one] },
    },
  ]);
});

test('of a step that timed out the last heartbeat tells what it came to', () => {
  const heard = { checkpoint: 1, lastCall: { call: '000000-ab', usage: [one] } };
  const failure = new TimeoutFailure(undefined, heard, TimeoutType.START_TO_CLOSE);
  expect(failureInfo(failure)).toMatchObject({ type: 'TimedOut', usage: [one] });
  expect(failureInfo(new TimeoutFailure(undefined, null, TimeoutType.HEARTBEAT)).usage).toBeUndefined();
});

test('what is handed back says of calls only that there were some', async () => {
  const environment = worker();
  const stopped = agent('stopped', async (_input, context) => {
    context.checkpoint('here');
    await ask(context, 'one');
    environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
    throw new Error('stopped');
  });
  expect(await end(stopped, {}, environment)).toMatchObject({
    type: 'HandedBack',
    details: [{ attemptsUsed: 0, checkpoint: 'here', called: true }],
  });
});

test('a vote tells it too', async () => {
  const voter = agent('voter', (_input, context) => ask(context, 'yes or no'));
  expect(await end(voter, { ballot: {} })).toMatchObject({ usage: [one] });
});

/** Makes a call that its worker does not survive. */
async function lose(of: string, envelope = ENVELOPE): Promise<void> {
  const died = agent(of, (_input, context) =>
    context.calls.run({
      kind: 'model',
      name: 'p/m',
      request: { prompt: 'one' },
      run: () => Promise.reject(new Error('killed')),
      unpaid: () => false,
    }),
  );
  const activity = agentActivity(died, { artifacts, ledger: new MemoryLedger() });
  await worker()
    .run(activity, envelope, REQUEST)
    .catch(() => undefined);
}

const repeated = [{ type: 'callRepeated', rationale: expect.stringContaining('paid twice') as string }];

describe('a call that may have been paid twice is said', () => {
  test('of a vote', async () => {
    await lose('voter');
    const voter = agent('voter', (_input, context) => ask(context, 'one'));
    expect(await end(voter, { ballot: {} })).toMatchObject({ decisions: { value: repeated } });
  });

  test('of undoing', async () => {
    const undo: Envelope = { ...ENVELOPE, kind: 'undo' };
    await lose('undoing', undo);
    const undoing: AnyAgent = {
      ...agent('undoing', () => 1),
      compensate: async (_undo, context) => void (await ask(context, 'one')),
    };
    const activity = compensateActivity(undoing, { artifacts, ledger: new MemoryLedger() });
    const reason = { type: 'Error', message: '' };
    const request: CompensateRequest = { ...REQUEST, outcome: 'unknown', reason };
    const outcome = await worker().run(activity, undo, request);
    expect(outcome).toMatchObject({ decisions: { value: repeated } });
    expect(compensatedEvent({ step: 'a', agent: 'undoing' }, outcome)).toMatchObject({
      decisions: { value: repeated },
      usage: [{ calls: 2, unseen: 1 }],
    });
  });

  test('of what fails, and stays what was read from history', async () => {
    await lose('failing');
    const failing = agent('failing', async (_input, context) => {
      await ask(context, 'one');
      throw ApplicationFailure.nonRetryable('no', 'Refused', { reason: 'because' });
    });
    const proto = defaultFailureConverter.errorToFailure(await end(failing), defaultPayloadConverter);
    const read = failureInfo(defaultFailureConverter.failureToError(proto, defaultPayloadConverter));
    expect(read).toMatchObject({ type: 'Refused', repeated, usage: [{ calls: 2, unseen: 1 }] });
  });
});

describe('a call that waits for what others have set aside', () => {
  const short = { account: 'cadre', limit: 'calls', allowed: 1, used: 0, reserved: 1, asked: 1, later: true };
  /** When it was asked for, in ms since the first time. */
  let asked: number[];
  /** How often it does not fit. */
  let refusals: number;
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'], now: 0 });
    asked = [];
    refusals = Number.POSITIVE_INFINITY;
  });
  afterEach(() => void jest.useRealTimers());
  const budgets = {
    chargeOf: () => ({
      begin: () => Promise.resolve(),
      reserve: () => {
        asked.push(Date.now());
        return asked.length > refusals
          ? Promise.resolve()
          : Promise.reject(new CadreError('BudgetReached', 'no room', { details: short }));
      },
      settle: () => Promise.resolve(),
    }),
  } as unknown as Budgets;
  const narrow = agent('narrow', async (_input, context) => {
    context.checkpoint('here');
    const reserves = { tokens: 1, microUsd: 1, calls: 1 };
    const call = { kind: 'model' as const, name: 'p/m', request: 1, reserves, run: async () => 'said' };
    // Whatever it makes of it.
    return context.calls.run(call).catch(() => 'nothing');
  });
  const run = (
    kind: Envelope['kind'],
    more: Partial<ActRequest> = {},
    info: Parameters<typeof worker>[0] = {},
    of = narrow,
  ): Promise<unknown> => {
    const activity = agentActivity(of, { artifacts, ledger: new MemoryLedger(), budgets });
    const environment = worker({ attempt: 2, startToCloseTimeoutMs: 300_000, ...info });
    return passing(
      environment
        .run(activity, { ...ENVELOPE, kind }, { ...REQUEST, ...more })
        .catch((error: unknown) => error),
    );
  };
  /** Has time pass once it was asked, until `work` ends. */
  const passing = async <Result>(work: Promise<Result>): Promise<Result> => {
    const ended: true[] = [];
    void work.finally(() => ended.push(true));
    while (ended.length === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      if (asked.length > 0) await jest.advanceTimersByTimeAsync(500);
    }
    return work;
  };

  test('asks again within its attempt, which keeps what it has under way', async () => {
    refusals = 3;
    let runs = 0;
    const once = agent('narrow', (input, context) => {
      runs += 1;
      return narrow.act(input, context);
    });
    expect(await run('act', {}, {}, once)).toEqual({ output: { value: 'said' } });
    expect(asked).toEqual([0, 1000, 3000, 7000]);
    expect(runs).toBe(1);
  });

  test.each([
    ['30 s', {}, [0, 1000, 3000, 7000, 12_000, 17_000, 22_000, 27_000]],
    ['a quarter of what the attempt has left', { startToCloseTimeoutMs: 13_000 }, [0, 1000, 3000]],
    ['no time where a workflow task waits for it', { isLocal: true }, [0]],
  ])('waits within its attempt for %s', async (_limit, info, times) => {
    const waited = times.at(-1) ?? 0;
    expect(await run('act', {}, info)).toMatchObject({ details: [{ held: waited + 30_000 }] });
    expect(asked).toEqual(times);
  });

  test('then ends its attempt, which does not count, and its step waits', async () => {
    expect(await run('act')).toMatchObject({
      type: 'Paced',
      nonRetryable: true,
      details: [
        {
          breaker: 'cadre',
          why: 'setAside',
          retryAfter: 30_000,
          attemptsUsed: 1,
          checkpoint: 'here',
          held: 57_000,
          began: true,
        },
      ],
    });
  });

  test('has its step wait longer where that has waited for it before', async () => {
    const handedBack = { attemptsUsed: 0, waited: true, held: 57_000 } as const;
    expect(await run('act', { handedBack })).toMatchObject({
      details: [{ retryAfter: 60_000, held: 57_000 + 27_000 + 60_000 }],
    });
  });

  test('fails once its step has waited for 10 minutes in all, after asking once more', async () => {
    const loud = agent('narrow', (_input, { calls }) =>
      calls.run({ kind: 'model', name: 'p/m', request: 1, reserves: ONE_CALL, run: async () => 'said' }),
    );
    const failed = await run('act', { handedBack: { attemptsUsed: 0, held: 600_000 } }, {}, loud);
    const { later: _later, ...final } = short;
    expect(failed).toMatchObject({ type: 'BudgetReached' });
    expect(failureDetails(failed)).toEqual(final);
    expect(asked).toEqual([0]);
  });

  test('remembers for how long through a worker that stops, and a refusal for another reason', () => {
    const left = { attemptsUsed: 1, held: 57_000 };
    expect(readHandedBack({ ...left })).toEqual(left);
    const refusal = readRefusal({ ...left, breaker: 'b', why: 'paced', retryAfter: 1 });
    expect(afterRefusal(refusal)).toEqual({ ...left, waited: true });
  });

  test('is refused where it undoes a step: nothing waits there', async () => {
    expect(await run('undo')).toMatchObject({ output: { value: 'nothing' } });
  });
});

test('undoing has calls of its own, and tells of them', async () => {
  const undoing: AnyAgent = {
    ...twice,
    compensate: async (_undo, context) => void (await ask(context, 'undo')),
  };
  const activity = compensateActivity(undoing, { artifacts, ledger: new MemoryLedger() });
  await end(twice);
  const request: CompensateRequest = {
    ...REQUEST,
    outcome: 'unknown',
    reason: { type: 'Error', message: '' },
  };
  const undo: Envelope = { ...ENVELOPE, kind: 'undo' };
  expect(await worker().run(activity, undo, request)).toEqual({ usage: [one] });
});

test('the leader tells of its agents, and the next leader does not pay again what was recorded', async () => {
  let asked = 0;
  const planner = agent('planner', async (_input, context) => {
    await ask(context, 'a plan', async () => `plan ${++asked}`);
    return { steps: [step('a', 'echo')] };
  });
  const make = () =>
    createLeaderActivities({
      cadre: 'cadre',
      agents: [planner, agent('echo', (input) => input)],
      artifacts,
      queueStatus: async () => ({ pollers: 1 }),
      term: () => ({ term: 7, held: () => true, over: new AbortController().signal }),
    });
  const envelope: Envelope = { ...ENVELOPE, step: 'plan', kind: 'plan' };
  for (const { plan } of [make(), make()]) {
    const outcome = await worker().run(plan, envelope, { goal: 'a goal' });
    expect(outcome).toMatchObject({ by: 'planner', usage: [one] });
  }
  expect(asked).toBe(1);
});

describe('a fallback of the leader', () => {
  /** What was asked of the accounts of each agent. */
  let charged: string[];
  /** What those of each agent answer; default: that it fits. */
  let answers: Record<string, Promise<never>>;
  const budgets = {
    chargeOf: ({ name }: AnyAgent) => ({
      begin: () => Promise.resolve(),
      reserve: async () => {
        charged.push(name);
        await answers[name];
      },
      settle: () => Promise.resolve(),
    }),
  } as unknown as Budgets;
  beforeEach(() => (answers = {}));
  const reserves = { tokens: 1, microUsd: 1, calls: 1 };
  const call = (prompt: string, run: () => Promise<string>) => ({
    kind: 'model' as const,
    name: 'p/m',
    request: { prompt },
    reserves,
    run,
    usageOf: () => one,
  });
  const refuses = agent(
    'planner',
    async (_input, context) => {
      await context.calls.run(call('a plan', async () => 'said'));
      throw new CadreError('ModelRefused', 'no');
    },
    { policy: { breaker: { key: 'a model' }, onOpen: { fallback: 'other-planner' } } },
  );
  const envelope: Envelope = { ...ENVELOPE, step: 'plan', kind: 'plan' };
  const plan = (agents: AnyAgent[], more: object = {}): Promise<unknown> => {
    charged = [];
    const activities = createLeaderActivities({
      cadre: 'cadre',
      agents: [...agents, agent('echo', (input) => input)],
      artifacts,
      budgets,
      queueStatus: async () => ({ pollers: 1 }),
      term: () => ({ term: 7, held: () => true, over: new AbortController().signal }),
    });
    return worker()
      .run(activities.plan, envelope, { goal: 'a goal', ...more })
      .catch((error: unknown) => error);
  };

  test('pays what it asks for', async () => {
    const other = agent('other-planner', async (_input, context) => {
      await context.calls.run(call('a plan of the other', async () => 'said'));
      return { steps: [step('a', 'echo')] };
    });
    expect(await plan([refuses, other])).toMatchObject({ by: 'other-planner', usage: [two] });
    expect(charged).toEqual(['planner', 'other-planner']);
  });

  test('waits for what others have set aside as the planner does, and a little longer each time', async () => {
    const other = agent('other-planner', (_input, context) =>
      context.calls.run(call('it', async () => 'said')),
    );
    const details = {
      account: 'agent.other-planner',
      limit: 'calls',
      allowed: 1,
      used: 0,
      reserved: 1,
      asked: 1,
    };
    const reached = new CadreError('BudgetReached', 'no room', { details: { ...details, later: true } });
    answers = { 'other-planner': Promise.reject(reached) };
    answers['other-planner']?.catch(() => undefined);
    const refusal = { breaker: 'agent.other-planner', why: 'setAside' };
    expect(await plan([refuses, other])).toMatchObject({
      type: 'Paced',
      details: [{ ...refusal, retryAfter: 30_000 }, { usage: [one] }],
    });
    expect(await plan([refuses, other], { waited: true, held: 30_000 })).toMatchObject({
      details: [{ ...refusal, retryAfter: 60_000, held: 90_000 }, { usage: [one] }],
    });
  });

  test('that does without a call tells what the planner paid for before', async () => {
    const other = agent('other-planner', () => ({ steps: [step('a', 'echo')] }));
    await plan([refuses, other]);
    const down = agent('planner', () => Promise.reject(new CadreError('ModelRefused', 'no')), {
      policy: { breaker: { key: 'a model' }, onOpen: { fallback: 'other-planner' } },
    });
    expect(await plan([down, other])).toMatchObject({ by: 'other-planner', usage: [one] });
  });
});

describe('callAgent', () => {
  test('tells what the calls came to, and each call of it has records of its own', async () => {
    let asked = 0;
    const counts = agent('counts', (_input, context) => ask(context, 'one', async () => String(++asked)));
    expect((await callAgent(counts, undefined)).usage).toEqual([one]);
    await callAgent(counts, undefined);
    expect(asked).toBe(2);
  });

  test('makes attempts of the same step of those that share a store', async () => {
    let asked = 0;
    const counts = agent('counts', (_input, context) => ask(context, 'one', async () => String(++asked)));
    await callAgent(counts, undefined, { artifacts });
    expect((await callAgent(counts, undefined, { artifacts, attempt: 2 })).output).toBe('1');
  });
});
