import { join } from 'node:path';
import { fileSource } from '../../src/client/history-file';
import type { ResumeOrigin } from '../../src/core/resume';
import type { TaskEvent } from '../../src/core/task-events';
import { foldTask } from '../../src/core/task-fold';
import { TaskProjection } from '../../src/core/task-projection';
import { recordsOf, unsaidUsage, usageOf, usageRows } from '../../src/core/task-usage';
import { type ModelUsage, addUsage, readUsage } from '../../src/core/usage';
import { step } from '../support/agents';

const row = (tokens: number, model = 'p/m'): ModelUsage => ({
  model,
  tokens,
  microUsd: tokens,
  calls: 1,
  inputTokens: tokens,
  cachedTokens: 0,
  outputTokens: 0,
  unseen: 0,
});
const failure = (tokens: number) => ({ type: 'Error', message: 'no', usage: [row(tokens)] });
const begun: TaskEvent[] = [
  { type: 'taskStarted', root: 'task/run', goal: 'a goal' },
  {
    type: 'planned',
    plan: { steps: [step('a', 'scout'), step('b', 'scout')] },
    policies: {},
    by: 'planner',
    term: 0,
  },
];
const scheduled = (id: string): TaskEvent => ({ type: 'stepScheduled', step: id, agent: 'scout', term: 0 });
const completed = (id: string, ...usage: ModelUsage[]): TaskEvent => ({
  type: 'stepCompleted',
  step: id,
  output: { value: 1 },
  ...(usage.length === 0 ? {} : { usage }),
});
const policy = { startToClose: 1, heartbeatTimeout: 1, retry: { maximumAttempts: 1 } } as never;

test('a task without calls has no field for them', () => {
  const state = foldTask([...begun, scheduled('a'), completed('a')]);
  expect('usage' in state).toBe(false);
  expect(usageOf(state)).toEqual([]);
});

test('steps and models add up, one row a model', () => {
  const state = foldTask([
    ...begun,
    scheduled('a'),
    completed('a', row(1), row(2, 'q/n')),
    scheduled('b'),
    completed('b', row(10)),
  ]);
  expect(usageOf(state)).toEqual(addUsage([row(1), row(10)], [row(2, 'q/n')]));
  expect(usageRows(state)).toMatchObject([
    { step: 'a', kind: 'act', agent: 'scout' },
    { step: 'b', kind: 'act', agent: 'scout' },
  ]);
});

test('what a later attempt says takes the place of what an earlier one said: it has that in it', () => {
  const state = foldTask([
    ...begun,
    scheduled('a'),
    { type: 'stepParked', step: 'a', failure: failure(5) },
    { type: 'stepResolved', step: 'a', how: 'retry', note: '' },
    scheduled('a'),
    completed('a', row(8)),
  ]);
  expect(usageOf(state)).toEqual([row(8)]);
});

test('what an attempt that was retried had used is not counted beside what the last one says', () => {
  const state = foldTask([
    ...begun,
    scheduled('a'),
    { type: 'stepRetried', step: 'a', attempts: 1, failure: failure(5) },
    completed('a', row(8)),
  ]);
  expect(usageOf(state)).toEqual([row(8)]);
});

test('an agent that has a step after another has rows of its own', () => {
  const state = foldTask([
    ...begun,
    scheduled('a'),
    { type: 'stepFailed', step: 'a', failure: failure(5) },
    {
      type: 'assigned',
      step: 'a',
      agent: 'other',
      policy,
      by: 'assigner',
      reason: '',
      term: 0,
      usage: [row(1)],
    },
    scheduled('a'),
    completed('a', row(8)),
  ]);
  expect(usageRows(state)).toEqual([
    { step: 'a', kind: 'act', agent: 'scout', usage: [row(5)] },
    { step: 'a', kind: 'assign', agent: 'assigner', usage: [row(1)] },
    { step: 'a', kind: 'act', agent: 'other', usage: [row(8)] },
  ]);
});

test('the leader, voters and those who undo are counted as such', () => {
  const undone = { step: 'a', agent: 'scout' };
  const state = foldTask([
    ...begun,
    { type: 'planFailed', failure: failure(1) },
    scheduled('a'),
    { type: 'ballotSpoiled', step: 'v', voter: 2, agent: 'voter', failure: failure(2) },
    { type: 'compensationScheduled', outcome: 'unknown', ...undone },
    { type: 'compensationFailed', failure: failure(3), ...undone },
    { type: 'compensated', usage: [row(4)], ...undone },
    { type: 'aggregateFailed', failure: failure(5) },
  ]);
  expect(
    usageRows(state).map(({ step: of, kind, agent, usage }) => [of, kind, agent, usage[0]?.tokens]),
  ).toEqual([
    ['plan', 'plan', 'planner', 1],
    ['v/2', 'act', 'voter', 2],
    ['a', 'undo', 'scout', 4],
    ['aggregate', 'aggregate', 'aggregator', 5],
  ]);
});

test('a resumed task goes on from what was used, a fork begins with nothing', () => {
  const snapshot = foldTask([...begun, scheduled('a'), completed('a', row(8))]);
  const from = { workflowId: 'task', runId: 'run' };
  const resumed = (origin: ResumeOrigin) => foldTask([{ type: 'taskResumed', origin, snapshot }]);
  expect(usageOf(resumed({ kind: 'continuedAsNew', ...from }))).toEqual([row(8)]);
  expect(usageOf(resumed({ kind: 'terminated', at: 1, ...from }))).toEqual([row(8)]);
  expect('usage' in resumed({ kind: 'forked', number: 3, ...from })).toBe(false);
});

test.each([
  undefined,
  null,
  [],
  {},
  'x',
  [1],
  [{ model: 'p/m' }],
  [{ ...row(1), tokens: 0.5 }],
  [{ ...row(1), model: 1 }],
])('%j is not read as usage', (value) => {
  expect(readUsage(value)).toBeUndefined();
});

test('usage survives JSON', () => {
  expect(readUsage(JSON.parse(JSON.stringify([row(1)])))).toEqual([row(1)]);
});

test('the history of a task tells who used what: steps, voters, what failed, and what was undone', async () => {
  const history = join(__dirname, '..', 'replay', 'histories', 'calls.json');
  const projection = new TaskProjection();
  for await (const fact of (await fileSource(history)).facts()) projection.next(fact);
  const { state } = projection;
  expect(
    usageRows(state)
      .map(({ step: of, kind, agent }) => `${of} ${kind} ${agent}`)
      .sort(),
  ).toEqual(['a act caller', 'a undo caller', 'b/1 act caller', 'b/2 act caller', 'c act broken-caller']);
  expect(usageOf(state)).toMatchObject([{ model: 'test/model', calls: 5, tokens: 60, unseen: 0 }]);
});

describe('what was cut off before it could say what its calls came to', () => {
  const timedOut = { type: 'TimedOut', message: 'Timed out: START_TO_CLOSE' };
  const refusal = { breaker: 'cadre', why: 'setAside', retryAfter: 1, attemptsUsed: 0, began: true } as const;
  const ended: TaskEvent = { type: 'taskTerminated', how: 'terminated' };
  const undone = { step: 'a', agent: 'scout' };
  const PLAN = 'plan planner plan';
  const RESULT = 'aggregate aggregator aggregate';

  test.each<[string, TaskEvent[], string[]]>([
    [
      'a step that timed out',
      [scheduled('a'), { type: 'stepFailed', step: 'a', failure: timedOut }],
      ['act scout a'],
    ],
    ['a step that was cancelled', [scheduled('a'), { type: 'stepCancelled', step: 'a' }], ['act scout a']],
    [
      'a step that waits',
      [scheduled('a'), { type: 'stepRefused', step: 'a', agent: 'scout', ...refusal }],
      ['act scout a'],
    ],
    ['a step that was handed back', [scheduled('a'), { type: 'stepHandedBack', step: 'a' }], ['act scout a']],
    ['no step that runs', [scheduled('a')], []],
    ['no step that is done', [scheduled('a'), completed('a')], []],
    [
      'the agents that had a step before',
      [
        scheduled('a'),
        { type: 'stepFailed', step: 'a', failure: timedOut },
        { type: 'assigned', step: 'a', agent: 'other', policy, by: 'leader', reason: '', term: 0 },
        scheduled('a'),
        completed('a'),
      ],
      ['act scout a', 'assign assigner a'],
    ],
    [
      'undoing that failed',
      [
        scheduled('a'),
        completed('a'),
        { type: 'compensationScheduled', outcome: 'completed', ...undone },
        { type: 'compensationFailed', failure: timedOut, ...undone },
      ],
      ['undo scout a'],
    ],
  ])('%s', (_what, events, keys) => {
    expect(unsaidUsage(foldTask([...begun, ...events]))).toEqual([...keys, PLAN]);
  });

  test('all that ran where the task was terminated', () => {
    const state = foldTask([...begun, scheduled('a'), ended]);
    expect(unsaidUsage(state)).toEqual(['act scout a', PLAN, RESULT]);
  });

  test('ballots of a vote that is over, where they said nothing', () => {
    const voting: TaskEvent[] = [
      {
        type: 'planned',
        plan: { steps: [{ id: 'v', instruction: '', vote: { agents: ['one', 'two'] } }] },
        policies: {},
        by: 'caller',
        term: 0,
      },
      { type: 'ballotRequested', step: 'v', voter: 1, agent: 'one', term: 0 },
      { type: 'ballotCast', step: 'v', voter: 1, agent: 'one', choice: 1, usage: [row(1)] },
    ];
    const started = begun.slice(0, 1);
    expect(unsaidUsage(foldTask([...started, ...voting]))).toEqual([]);
    const over = foldTask([...started, ...voting, { type: 'stepCancelled', step: 'v' }]);
    expect(unsaidUsage(over)).toEqual(['act two v/2', 'arbitrate arbiter v']);
  });

  test('is recorded under the key of its action', () => {
    expect(recordsOf('task/run', 'act scout a')).toEqual({
      action: 'task/run/a/act',
      agent: 'scout',
      of: 'step',
      step: 'a',
    });
    expect(recordsOf('task/run', 'undo mender/scout a')).toMatchObject({ agent: 'mender/scout' });
    expect(recordsOf('task/run', 'plan planner plan')).toMatchObject({ agent: 'leader', of: 'leader' });
  });
});
