// Pure: facts as the history reader gives them. The same on real histories: test/server/task-projection.test.ts.
import type { HistoryFact } from '../../src/core/history-facts';
import { TaskProjection } from '../../src/core/task-projection';
import { step } from '../support/agents';

type Body = HistoryFact extends infer Fact
  ? Fact extends HistoryFact
    ? Omit<Fact, 'eventId' | 'time' | 'runId'>
    : never
  : never;

const envelope = (id: string, kind: string): unknown => ({
  root: 'task/run',
  step: id,
  kind,
  term: 0,
  version: 1,
});
const begun: Body = {
  kind: 'workflowStarted',
  workflowId: 'task',
  firstRunId: 'run',
  input: { goal: 'a goal' },
};
const planning: Body = {
  kind: 'activityScheduled',
  activityType: 'plan',
  input: [envelope('plan', 'plan'), { goal: 'a goal' }],
};
const plan = { steps: [step('a', 'echo'), step('b', 'echo', { needs: ['a'] })] };
const plannedBy = (scheduledEventId: number): Body => ({
  kind: 'activityCompleted',
  scheduledEventId,
  result: { plan, policies: {}, by: 'planner', term: 0 },
});
const acting = (id: string): Body => ({
  kind: 'activityScheduled',
  activityType: 'echo',
  input: [envelope(id, 'act'), {}],
});
const acted = (scheduledEventId: number, value: unknown): Body => ({
  kind: 'activityCompleted',
  scheduledEventId,
  result: { output: { value } },
});

/** Projects facts whose event ids count from 1. */
function project(facts: readonly Body[], projection = new TaskProjection()) {
  return facts.flatMap((body, index) =>
    projection.next({ eventId: index + 1, time: 1000 + index, runId: 'run', ...body }),
  );
}

test('a task from its start to its end, each event with its number, actor and cause', () => {
  const events = project([
    begun,
    planning,
    plannedBy(2),
    acting('a'),
    { kind: 'activityStarted', scheduledEventId: 4, attempt: 1, identity: 'w' },
    acted(4, 1),
    acting('b'),
    acted(7, 2),
    { kind: 'workflowCompleted' },
  ]);
  expect(events.map(({ number, type, actor, cause }) => [number, type, actor, cause])).toEqual([
    [1, 'taskStarted', 'caller', undefined],
    [2, 'planRequested', 'task', 1],
    [3, 'planned', 'planner', 2],
    [4, 'stepScheduled', 'task', 3],
    [5, 'stepStarted', 'echo', 4],
    [6, 'stepCompleted', 'echo', 4],
    [7, 'stepScheduled', 'task', 6],
    [8, 'stepCompleted', 'echo', 7],
    [9, 'taskCompleted', 'task', 8],
  ]);
  expect(events[5]).toMatchObject({ time: 1005, eventId: 6, runId: 'run' });
});

test('a retried attempt tells how many failed before, and why the last did', () => {
  const lastFailure = { type: 'Error', message: 'no' };
  const [retried, start] = project([
    begun,
    planning,
    plannedBy(2),
    acting('a'),
    { kind: 'activityStarted', scheduledEventId: 4, attempt: 3, identity: 'w', lastFailure },
  ]).slice(-2);
  expect(retried).toMatchObject({ type: 'stepRetried', attempts: 2, failure: lastFailure });
  expect(start).toMatchObject({ type: 'stepStarted', attempt: 3, worker: 'w' });
});

test('runs of a chain give one log; what was open in the run before is not mixed up with the next', () => {
  const projection = new TaskProjection();
  const ended: Body = { kind: 'continuedAsNew', newRunId: 'run-2' };
  const first = project(
    [begun, planning, plannedBy(2), acting('a'), acted(4, 1), acting('b'), ended],
    projection,
  );
  const { state: snapshot } = projection;
  const origin = { kind: 'continuedAsNew', workflowId: 'task', runId: 'run' };
  const resumed: Body = { ...begun, input: { snapshot, origin, overrides: {} } };
  const second = project([resumed, acting('b'), acted(6, 'of the run before'), acted(2, 2)], projection);
  expect([...first, ...second].map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(second.map(({ type }) => type)).toEqual(['taskResumed', 'stepScheduled', 'stepCompleted']);
  expect(projection.state.steps['b']).toEqual({ kind: 'completed', output: { value: 2 } });
});

test.each<[string, Body]>([
  ['an activity that is not ours', { kind: 'activityScheduled', activityType: 'other', input: ['hello'] }],
  ['an activity without input', { kind: 'activityScheduled', activityType: 'other', input: [] }],
  [
    'an activity of a version to come',
    {
      kind: 'activityScheduled',
      activityType: 'echo',
      input: [{ ...(envelope('a', 'act') as object), version: 2 }],
    },
  ],
  ['a lead', { kind: 'activityScheduled', activityType: 'echo', input: [envelope('a', 'lead')] }],
  ['a completion of nobody', acted(99, 1)],
  ['a start of nobody', { kind: 'activityStarted', scheduledEventId: 99, attempt: 1, identity: 'w' }],
  [
    'a failure of nobody',
    { kind: 'activityFailed', scheduledEventId: 99, failure: { type: 'Error', message: '' } },
  ],
  ['a cancellation of nobody', { kind: 'activityCancelled', scheduledEventId: 99 }],
  [
    'a local activity that is not ours',
    { kind: 'localActivityCompleted', activityType: 'x', summary: 'hello', result: 1 },
  ],
])('%s gives no event and does no harm', (_what, fact) => {
  const projection = new TaskProjection();
  project([begun], projection);
  const before = projection.state;
  expect(projection.next({ eventId: 2, time: 0, runId: 'run', ...fact })).toEqual([]);
  expect(projection.state).toBe(before);
});

test.each<[string, unknown]>([
  ['nothing', undefined],
  ['a number', 7],
  ['a list', []],
  ['a plan without policies', { plan }],
  ['a plan that is none', { plan: 7, policies: {} }],
])('a plan activity whose result is %s gives no event', (_what, result) => {
  const events = project([begun, planning, { kind: 'activityCompleted', scheduledEventId: 2, result }]);
  expect(events.map(({ type }) => type)).toEqual(['taskStarted', 'planRequested']);
});

test.each<[unknown]>([[undefined], [7], [{}], [{ output: 7 }]])(
  'a step whose result is %j counts as completed, with nothing',
  (result) => {
    const projection = new TaskProjection();
    project(
      [
        begun,
        planning,
        plannedBy(2),
        acting('a'),
        { kind: 'activityCompleted', scheduledEventId: 4, result },
      ],
      projection,
    );
    expect(projection.state.steps['a']).toEqual({ kind: 'completed', output: { value: null } });
  },
);

test.each<[unknown, string]>([
  [undefined, ''],
  [null, ''],
  [{ goal: 7 }, ''],
  [{ goal: 'a goal', docs: 7 }, 'a goal'],
  [{ snapshot: {}, origin: {}, overrides: {} }, ''],
  [{ snapshot: null, origin: null, overrides: null }, ''],
])('a start with %j can be read', (input, goal) => {
  const events = project([{ kind: 'workflowStarted', workflowId: 'task', firstRunId: 'run', input }]);
  expect(events).toMatchObject([{ type: 'taskStarted', goal, root: 'task/run' }]);
});

test('a failed planning, a termination and a timeout stand in the log with who did it', () => {
  const failure = { type: 'PlanInvalid', message: 'no' };
  const failed = project([
    begun,
    planning,
    { kind: 'activityFailed', scheduledEventId: 2, failure },
    { kind: 'workflowFailed', failure },
  ]);
  expect(failed.slice(-2)).toMatchObject([
    { type: 'planFailed', actor: 'planner', cause: 2, failure },
    { type: 'taskFailed', actor: 'task', cause: 3, failure },
  ]);
  const ended = project([begun, { kind: 'workflowTerminated', how: 'timedOut' }]);
  expect(ended.at(-1)).toMatchObject({ type: 'taskTerminated', actor: 'server', how: 'timedOut', cause: 1 });
});

test.each([
  [undefined, true],
  ['task', true],
  ['saga', true],
  ['booking', false],
])('of a workflow of type %s the fields "budget" and "parent" are Cadre\'s: %s', (workflowType, cadres) => {
  const input = {
    budget: { money: 1500, wallTime: '2h' },
    parent: { task: 'above', lines: [], until: 5000 },
  };
  const type = workflowType === undefined ? {} : { workflowType };
  const [started] = project([
    { kind: 'workflowStarted', workflowId: 'task', firstRunId: 'run', input, ...type },
  ]);
  expect(started).toMatchObject({ type: 'taskStarted' });
  const limits = cadres ? { deadline: 5000, budget: { given: { money: 1500 } } } : {};
  const { deadline, budget } = started as { deadline?: number; budget?: unknown };
  expect({ deadline, budget }).toMatchObject({ deadline: undefined, budget: undefined, ...limits });
});
