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
import type { AnyAgent } from '../../../src/activities/define-agent';
import { createLeaderActivities } from '../../../src/activities/leadership';
import type { Envelope } from '../../../src/core/envelope';
import { failureDetails, failureInfo } from '../../../src/core/failure-info';
import { CadreError } from '../../../src/core/failures';
import type { ActRequest, CompensateRequest } from '../../../src/core/task-activities';
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
