// Pure: the ladder of a saga, from the events of its log.
import { type Rung, sagaLadder } from '../../src/core/saga-ladder';
import type { TaskEvent } from '../../src/core/task-events';
import { foldTask } from '../../src/core/task-fold';
import type { LoggedTaskEvent } from '../../src/core/task-projection';
import { step } from '../support/agents';

const failure = { type: 'Error', message: 'no' };

/** The events as a log: one each 100 ms, from 1000 on. */
function logOf(...events: (TaskEvent & { actor?: string })[]): LoggedTaskEvent[] {
  return events.map((event, index) => ({
    number: index + 1,
    time: 1000 + index * 100,
    actor: 'task',
    eventId: index + 1,
    runId: 'run',
    ...event,
  }));
}

const begun: TaskEvent[] = [
  { type: 'taskStarted', root: 'trip/run', goal: 'a trip' },
  {
    type: 'planned',
    plan: {
      steps: [
        { ...step('train', 'booker'), kind: 'compensable' },
        { ...step('pay', 'payer'), kind: 'pivot' },
        step('last', 'booker'),
      ],
    },
    policies: {},
    by: 'caller',
    term: 0,
  },
];
const scheduled = (id: string, agent: string): TaskEvent => ({
  type: 'stepScheduled',
  step: id,
  agent,
  term: 0,
});
const started = (id: string, actor: string, attempt: number): TaskEvent & { actor: string } => ({
  type: 'stepStarted',
  step: id,
  attempt,
  worker: 'w',
  actor,
});
const completed = (id: string): TaskEvent => ({ type: 'stepCompleted', step: id, output: { value: 1 } });
const undoing = (id: string, agent: string): TaskEvent => ({
  type: 'compensationScheduled',
  step: id,
  agent,
  outcome: 'completed',
});
const undoAttempt = (id: string, agent: string, attempt: number): TaskEvent => ({
  type: 'compensationStarted',
  step: id,
  agent,
  attempt,
  worker: 'w',
});

const up = (...events: (TaskEvent & { actor?: string })[]): readonly Rung[] =>
  sagaLadder(logOf(...begun, ...events)).up;
const down = (...events: TaskEvent[]): readonly Rung[] => sagaLadder(logOf(...begun, ...events)).down;

test('a step that is done has its kind, attempts, times and key', () => {
  expect(up(scheduled('train', 'booker'), started('train', 'booker', 3), completed('train'))).toEqual([
    {
      direction: 'up',
      step: 'train',
      agent: 'booker',
      kind: 'compensable',
      state: 'completed',
      attempts: 3,
      startedAt: 1200,
      endedAt: 1400,
      key: 'trip/run/train/act',
    },
  ]);
});

test('steps that were not begun have no rung, and one that asks for approval has', () => {
  expect(up()).toEqual([]);
  const asks: TaskEvent = { type: 'approvalRequested', step: 'pay', hash: 'h' };
  expect(up(asks)).toMatchObject([{ step: 'pay', kind: 'pivot', state: 'awaitingApproval', attempts: 0 }]);
  const yes: TaskEvent = { type: 'approvalAnswered', step: 'pay', answer: 'yes', hash: 'h', note: '' };
  expect(up(asks, yes)).toMatchObject([{ state: 'waiting' }]);
  // The time that it waited for a person is none of its own.
  expect(up(asks, yes, scheduled('pay', 'payer'))).toMatchObject([{ state: 'running', startedAt: 1400 }]);
});

test('the attempts of a step that was handed back or parked add up, without the one that was cut short', () => {
  const events = [
    scheduled('train', 'booker'),
    started('train', 'booker', 2),
    { type: 'stepHandedBack', step: 'train', actor: 'booker' } as const,
    scheduled('train', 'booker'),
    started('train', 'booker', 1),
    { type: 'stepParked', step: 'train', failure } as const,
  ];
  expect(up(...events)).toMatchObject([
    { state: 'parked', attempts: 2, failure, startedAt: 1200, endedAt: 1700 },
  ]);
  const retried = [
    ...events,
    { type: 'stepResolved', step: 'train', how: 'retry', note: '' } as const,
    scheduled('train', 'booker'),
    started('train', 'booker', 1),
    completed('train'),
  ];
  const [rung] = up(...retried);
  expect(rung).toMatchObject({ state: 'completed', attempts: 3, startedAt: 1200 });
  expect(rung).not.toHaveProperty('failure');
});

test.each([
  ['skip', 'skipped'],
  ['fail', 'failed'],
  ['retry', 'waiting'],
] as const)('a parked step that a person says %s of is %s', (how, state) => {
  const events: TaskEvent[] = [
    scheduled('train', 'booker'),
    { type: 'stepParked', step: 'train', failure },
    { type: 'stepResolved', step: 'train', how, note: 'so be it' },
  ];
  expect(up(...events)).toMatchObject([{ state, note: 'so be it' }]);
});

test('a step that two agents tried has a rung of each', () => {
  const policy = {
    startToClose: 1,
    heartbeatTimeout: 1,
    local: false,
    retry: { maximumAttempts: 1, initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1 },
  };
  const rungs = up(
    scheduled('last', 'booker'),
    { type: 'stepFailed', step: 'last', failure },
    { type: 'assigned', step: 'last', agent: 'other', policy, by: 'leader', reason: '', term: 1 },
    scheduled('last', 'other'),
    completed('last'),
  );
  expect(rungs).toMatchObject([
    { agent: 'booker', state: 'failed', failure, key: 'trip/run/last/act' },
    { agent: 'other', state: 'completed', key: 'trip/run/last/act' },
  ]);
});

test('what is undone comes in the order in which that was begun, with what is known of the step', () => {
  expect(
    down(
      undoing('last', 'booker'),
      undoAttempt('last', 'booker', 2),
      { type: 'compensated', step: 'last', agent: 'booker' },
      undoing('train', 'booker'),
      undoAttempt('train', 'booker', 10),
      { type: 'compensationFailed', step: 'train', agent: 'booker', failure },
    ),
  ).toMatchObject([
    {
      direction: 'down',
      step: 'last',
      state: 'undone',
      attempts: 2,
      outcome: 'completed',
      startedAt: 1200,
      endedAt: 1400,
      key: 'trip/run/last/undo',
    },
    { step: 'train', state: 'failed', attempts: 10, failure, key: 'trip/run/train/undo' },
  ]);
});

test('a compensation that is tried again, or handed back, goes on in its rung', () => {
  const failed: TaskEvent[] = [
    undoing('train', 'booker'),
    undoAttempt('train', 'booker', 10),
    { type: 'compensationFailed', step: 'train', agent: 'booker', failure },
  ];
  const again: TaskEvent[] = [
    { type: 'compensationResolved', step: 'train', how: 'retry', note: '' },
    undoing('train', 'booker'),
    undoAttempt('train', 'booker', 1),
    // Handed back: the log has no event of it.
    undoing('train', 'booker'),
    undoAttempt('train', 'booker', 1),
    { type: 'compensated', step: 'train', agent: 'booker' },
  ];
  const rungs = down(...failed, ...again);
  expect(rungs).toMatchObject([{ state: 'undone', attempts: 11 }]);
  expect(rungs[0]).not.toHaveProperty('failure');
  expect(
    down(...failed, { type: 'compensationResolved', step: 'train', how: 'skip', note: 'paid by hand' }),
  ).toMatchObject([{ state: 'skipped', note: 'paid by hand' }]);
});

test('what goes on from a terminated execution has its rungs too, without their times', () => {
  const snapshot = foldTask([
    ...begun,
    scheduled('train', 'booker'),
    completed('train'),
    scheduled('pay', 'payer'),
  ]);
  const origin = { kind: 'terminated', workflowId: 'trip', runId: 'run', at: 1 } as const;
  const ladder = sagaLadder(logOf({ type: 'taskResumed', origin, snapshot }, undoing('train', 'booker')));
  expect(ladder.up).toEqual([
    expect.objectContaining({ step: 'train', state: 'completed', attempts: 0, key: 'trip/run/train/act' }),
    expect.objectContaining({ step: 'pay', state: 'parked' }),
  ]);
  expect(ladder.up[0]).not.toHaveProperty('startedAt');
  expect(ladder.down).toMatchObject([{ step: 'train', state: 'running' }]);
});

test('a run that goes on from the one before repeats nothing', () => {
  const events: TaskEvent[] = [
    ...begun,
    scheduled('train', 'booker'),
    { type: 'stepParked', step: 'train', failure },
    { type: 'stepResolved', step: 'train', how: 'skip', note: 'by hand' },
  ];
  const snapshot = foldTask(events);
  const origin = { kind: 'continuedAsNew', workflowId: 'trip', runId: 'run' } as const;
  const ladder = sagaLadder(
    logOf(
      ...events,
      { type: 'continuedAsNew' },
      { type: 'taskResumed', origin, snapshot },
      scheduled('last', 'booker'),
    ),
  );
  expect(ladder.up).toMatchObject([
    { step: 'train', state: 'skipped', note: 'by hand', startedAt: 1200, endedAt: 1300 },
    { step: 'last', state: 'running' },
  ]);
  expect(sagaLadder(logOf({ type: 'taskResumed', origin, snapshot })).up).toMatchObject([
    { step: 'train', state: 'skipped', note: 'by hand' },
  ]);
});
