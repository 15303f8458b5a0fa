// What a fork begins with.
import { type ForkOverrides, forkOf } from '../../../src/core/log/fork';
import type { TaskState } from '../../../src/core/task-state';
import { step } from '../../support/agents';

const FAILURE = { type: 'CityUnknown', message: 'no such city' };
const PLAN = {
  steps: [step('a', 'one'), step('a.b', 'two', { needs: ['a'] }), step('c', 'two', { needs: ['a.b'] })],
};
const STATE: TaskState = {
  version: 1,
  root: 'task/a-run',
  goal: 'a goal',
  docs: './docs',
  options: { lock: 'desk', timeLimit: 5000 },
  deadline: 1000,
  locked: true,
  phase: { kind: 'running' },
  term: 7,
  plan: PLAN,
  planDecisions: { value: [] },
  plannedBy: 'planner',
  policies: {},
  steps: {
    a: { kind: 'completed', output: { value: 1 }, decisions: { value: [] }, knowledge: { value: [] } },
    'a.b': { kind: 'scheduled' },
    c: { kind: 'waiting' },
  },
  assignments: { 'a.b': { agent: 'three', before: ['two'] }, c: { agent: 'four', before: ['two'] } },
  attempted: { 'a.b': true },
  resolutions: { a: 1 },
  stack: [{ step: 'a', agent: 'one', group: 1 }],
  remembered: true,
};

test('what is done stays done, all else waits; locks, terms, attempts and what is to undo are left behind', () => {
  const { snapshot, shared, begunBefore } = forkOf(STATE, {}, 100_000);
  expect(snapshot).toEqual({
    version: 1,
    root: '',
    goal: 'a goal',
    docs: './docs',
    options: STATE.options,
    deadline: 105_000,
    phase: { kind: 'running' },
    term: 0,
    plan: PLAN,
    plannedBy: 'planner',
    policies: {},
    steps: {
      a: { kind: 'completed', output: { value: 1 } },
      'a.b': { kind: 'waiting' },
      c: { kind: 'waiting' },
    },
    assignments: STATE.assignments,
  });
  expect([shared, begunBefore]).toEqual([['a'], ['a.b']]);
});

test('the longest id that fits a path is meant, and an agent that is given replaces one that was assigned', () => {
  const { snapshot } = forkOf(STATE, { 'steps.a.b.agent': 'five', 'steps.c.instruction': 'do more' }, 0);
  expect(snapshot.plan?.steps[1]).toMatchObject({ id: 'a.b', agent: 'five' });
  expect(snapshot.plan?.steps[2]).toMatchObject({ id: 'c', instruction: 'do more' });
  expect(snapshot.assignments).toEqual({ c: STATE.assignments?.['c'] });
  expect(PLAN.steps[1]).toMatchObject({ agent: 'two' });
});

test('a path makes what is on its way, and a field may have any name', () => {
  const { snapshot } = forkOf(STATE, { 'steps.c.input.deep.__proto__': 1, 'steps.c.input.deep.er': 2 }, 0);
  expect(JSON.stringify(snapshot.plan?.steps[2]?.input)).toBe('{"deep":{"__proto__":1,"er":2}}');
  expect(({} as Record<string, unknown>)['er']).toBeUndefined();
});

test.each(['failed', 'parked'] as const)('a step that %s waits again', (kind) => {
  const { snapshot, begunBefore } = forkOf(
    { ...STATE, steps: { ...STATE.steps, c: { kind, failure: FAILURE } } },
    {},
    0,
  );
  expect(snapshot.steps['c']).toEqual({ kind: 'waiting' });
  expect(begunBefore).toContain('c');
});

test.each<[string, object, number[]]>([
  ['an agent that can undo', { policies: { one: { compensation: {} } } }, [1]],
  ['a kind', { plan: { steps: [{ ...PLAN.steps[0], kind: 'pivot' }, ...PLAN.steps.slice(1)] } }, [1]],
  ['nothing of the sort', {}, [0]],
  [
    'an agent that can undo, and need not',
    {
      policies: { one: { compensation: {} } },
      plan: { steps: [{ ...PLAN.steps[0], compensate: false }, ...PLAN.steps.slice(1)] },
    },
    [0],
  ],
])('a shared step of %s is one that may have had an effect, or not', (_what, more, [count]) => {
  expect(forkOf({ ...STATE, ...more }, {}, 0).sharedEffects).toHaveLength(count ?? 0);
});

const ALL = {
  a: { kind: 'completed', output: { value: 1 } },
  'a.b': { kind: 'completed', output: { value: 1 } },
  c: { kind: 'completed', output: { value: 1 } },
} as const;

test.each<[string, Partial<TaskState>, ForkOverrides, string]>([
  ['nothing is left to do', { steps: ALL }, {}, 'ForkRefused'],
  ['it is being undone', { compensations: [] }, {}, 'ForkRefused'],
  ['its steps are workflow code', { own: true }, {}, 'ForkRefused'],
  ['what is done is changed', {}, { 'steps.a.input': 1 }, 'ForkRefused'],
  ['a path leads nowhere', {}, { 'step.c.input': 1 }, 'InputInvalid'],
  ['the goal is no text', {}, { goal: '' }, 'InputInvalid'],
  ['an id is changed', {}, { 'steps.c.id': 'd' }, 'InputInvalid'],
  ['the plan would be none', {}, { 'steps.c.needs': ['z'] }, 'PlanInvalid'],
])('it is refused where %s', (_why, more, overrides, type) => {
  expect(() => forkOf({ ...STATE, ...more }, overrides, 0)).toThrow(expect.objectContaining({ type }));
});
