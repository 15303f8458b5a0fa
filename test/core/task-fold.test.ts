import fc from 'fast-check';
import { taskDetails } from '../../src/core/task-details';
import type { TaskEvent } from '../../src/core/task-events';
import { evolve, foldTask, restoreStep } from '../../src/core/task-fold';
import { type TaskState, INITIAL_TASK_STATE, isOpen, resultOf, stepState } from '../../src/core/task-state';
import { step } from '../support/agents';

const failure = { type: 'Error', message: 'no' };
const started: TaskEvent = { type: 'taskStarted', root: 'task/run', goal: 'a goal' };
const planned = (...ids: string[]): TaskEvent => ({
  type: 'planned',
  plan: { steps: ids.map((id) => step(id, 'echo')) },
  policies: {},
  by: 'planner',
  term: 0,
});
const scheduled = (id: string, term = 0): TaskEvent => ({
  type: 'stepScheduled',
  step: id,
  agent: 'echo',
  term,
});
const completed = (id: string, value: unknown = 1): TaskEvent => ({
  type: 'stepCompleted',
  step: id,
  output: { value },
});
const decided = (id: string): TaskEvent => ({
  type: 'decisionsRecorded',
  step: id,
  decisions: { value: [{ type: 'noted', rationale: 'because' }] },
});

describe('the way of a task', () => {
  test('planning, running, completed, with the outputs of its final steps', () => {
    const state = foldTask([started, { type: 'planRequested', term: 0 }]);
    expect(state.phase).toEqual({ kind: 'planning' });
    const running = foldTask([planned('a', 'b')], state);
    expect(running.phase).toEqual({ kind: 'running' });
    expect(running.steps).toEqual({ a: { kind: 'waiting' }, b: { kind: 'waiting' } });
    const done = foldTask(
      [scheduled('a'), completed('a', 1), scheduled('b'), completed('b', 2), { type: 'taskCompleted' }],
      running,
    );
    expect(done.phase).toEqual({ kind: 'completed' });
    expect(resultOf(done)).toEqual({ outputs: { a: { value: 1 }, b: { value: 2 } }, term: 0 });
    expect(isOpen(done.phase)).toBe(false);
  });

  test('a cancel makes an open task cancelling, and does nothing to one that has ended', () => {
    const cancelling = foldTask([started, { type: 'cancelRequested' }]);
    expect(cancelling.phase).toEqual({ kind: 'cancelling' });
    expect(foldTask([planned('a')], cancelling).phase).toEqual({ kind: 'cancelling' });
    const ended = foldTask([{ type: 'taskFailed', failure }, { type: 'cancelRequested' }], cancelling);
    expect(ended.phase).toEqual({ kind: 'failed', failure });
  });

  test('decisions belong to the attempt that completes', () => {
    const state = foldTask([started, planned('a'), scheduled('a'), decided('a'), completed('a')]);
    expect(state.steps['a']).toMatchObject({ kind: 'completed', decisions: { value: [{ type: 'noted' }] } });
    expect(foldTask([started, planned('a'), decided('a')]).steps['a']).toEqual({ kind: 'waiting' });
  });

  test('the term is the highest seen', () => {
    expect(foldTask([started, planned('a', 'b'), scheduled('a', 7), scheduled('b', 3)]).term).toBe(7);
  });

  test('a step that was put back or handed back waits again', () => {
    const state = foldTask([started, planned('a'), scheduled('a')]);
    expect(restoreStep(state, 'a', foldTask([started, planned('a')])).steps['a']).toEqual({
      kind: 'waiting',
    });
    expect(evolve(state, { type: 'stepHandedBack', step: 'a' }).steps['a']).toEqual({ kind: 'waiting' });
  });

  test('a step that was just added is gone where it is put back', () => {
    const before = foldTask([started, { type: 'stepAdded', step: step('a', 'echo') }]);
    const after = foldTask([{ type: 'stepAdded', step: step('b', 'echo') }, scheduled('b')], before);
    expect(restoreStep(after, 'b', before)).toEqual(before);
  });

  test('a run that goes on begins with the snapshot', () => {
    const snapshot = foldTask([started, planned('a')]);
    const origin = { kind: 'continuedAsNew', workflowId: 'task', runId: 'run' } as const;
    expect(foldTask([{ type: 'taskResumed', origin, snapshot }])).toEqual(snapshot);
  });
});

test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
  'a step that the plan does not have, such as %s, waits',
  (id) => {
    expect(stepState(foldTask([started, planned('a')]), id)).toEqual({ kind: 'waiting' });
  },
);

test('what history keeps only of the last attempt never changes the state', () => {
  const state = foldTask([started, planned('a'), scheduled('a')]);
  for (const event of [
    { type: 'stepStarted', step: 'a', attempt: 3, worker: 'w' },
    { type: 'stepRetried', step: 'a', attempts: 2, failure },
    { type: 'planRequested', term: 9 },
    { type: 'planFailed', failure },
    { type: 'continuedAsNew' },
  ] as const satisfies readonly TaskEvent[]) {
    expect(evolve(state, event)).toBe(state);
  }
});

test('an event that there is not is a mistake of the program, not silence', () => {
  expect(() => evolve(INITIAL_TASK_STATE, { type: 'unheardOf' } as unknown as TaskEvent)).toThrow(
    'unheardOf',
  );
});

const anyStep = fc.constantFrom('a', 'b', 'c', 'constructor');
const anyEvent: fc.Arbitrary<TaskEvent> = fc.oneof(
  fc.constant(started),
  fc.uniqueArray(anyStep, { minLength: 1 }).map((ids) => planned(...ids)),
  fc.tuple(anyStep, fc.nat({ max: 9 })).map(([id, term]) => scheduled(id, term)),
  fc.tuple(anyStep, fc.jsonValue()).map(([id, value]) => completed(id, value)),
  anyStep.map(decided),
  anyStep.map((id): TaskEvent => ({ type: 'stepFailed', step: id, failure })),
  anyStep.map((id): TaskEvent => ({ type: 'stepCancelled', step: id })),
  anyStep.map((id): TaskEvent => ({ type: 'stepHandedBack', step: id })),
  fc.constantFrom<TaskEvent>(
    { type: 'cancelRequested' },
    { type: 'taskCompleted' },
    { type: 'taskFailed', failure },
    { type: 'taskCancelled' },
    { type: 'taskTerminated', how: 'timedOut' },
  ),
);

test('after any events the state is plain JSON, the fold is pure, and it may be cut anywhere', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 20 }), fc.nat({ max: 20 }), (events, at) => {
      const before = JSON.stringify(events);
      const state = foldTask(events);
      expect(JSON.stringify(events)).toBe(before);
      const revived = JSON.parse(JSON.stringify(foldTask(events.slice(0, at)))) as TaskState;
      expect(JSON.stringify(foldTask(events.slice(at), revived))).toBe(JSON.stringify(state));
      expect(taskDetails(state)).toContain('**');
    }),
  );
});

test('the details for the Web UI show goal, progress and plan in a short table', () => {
  const ids = Array.from({ length: 25 }, (_, index) => `s${index}`);
  const state = foldTask([
    { type: 'taskStarted', root: 'task/run', goal: 'a | *goal*\n<b>' },
    planned(...ids),
    scheduled('s0'),
    completed('s0'),
    scheduled('s1'),
  ]);
  const lines = taskDetails(state).split('\n');
  expect(lines[0]).toBe('**a \\| \\*goal\\* \\<b\\>**');
  expect(lines[2]).toBe('running · 1 of 25 steps');
  expect(lines).toContain('| s0 | echo | do s0 | completed |');
  expect(lines).toContain('| s1 | echo | do s1 | running |');
  expect(lines).toContain('and 5 more steps');
});
