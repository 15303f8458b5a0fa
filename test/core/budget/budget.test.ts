// Pure: what a task may use, with its children, and what it goes on with.
import {
  type Budget,
  type TaskBudget,
  type TaskBudgetOptions,
  budgetProblems,
  limitsOf,
  readBudget,
  readParent,
  spendingOf,
  taskAccount,
  taskBudget,
} from '../../../src/core/budget/budget';
import { raisedBudget, raisedState } from '../../../src/core/budget/raise';
import { forkOf, rooted } from '../../../src/core/log/fork';
import { parseTaskInput } from '../../../src/core/task-input';
import { startEvents } from '../../../src/core/task-projection';
import { readResume } from '../../../src/core/task-resume';
import { INITIAL_TASK_STATE, type TaskState } from '../../../src/core/task-state';

const T = 1_700_000_000_000;
const ROOT = 'task/run';
const account = taskAccount(ROOT);

test('a budget is read with its time in milliseconds, and 0 is none', () => {
  expect(readBudget({ tokens: 0, money: 0.5, calls: 3, steps: 2, depth: 1, wallTime: '10m' })).toEqual({
    tokens: 0,
    money: 0.5,
    calls: 3,
    steps: 2,
    depth: 1,
    wallTime: 600_000,
  });
});

test.each<[unknown, RegExp]>([
  [{ tokens: -1 }, /`budget\.tokens` to be a whole number from 0/],
  [{ tokens: 1.5 }, /`budget\.tokens` to be a whole number/],
  [{ money: -0.01 }, /`budget\.money` to be a number from 0/],
  [{ wallTime: 'soon' }, /`budget\.wallTime` to be milliseconds or a duration/],
  [{ depth: 11 }, /`budget\.depth`/],
  [{ token: 3 }, /`budget\.token` to be left out/],
  ['tokens=3', /`budget` to be an object/],
])('the budget %j is refused', (budget, message) => {
  expect(() => parseTaskInput({ goal: 'g', budget })).toThrow(message);
});

test('of a day there are only tokens, money and calls', () => {
  expect(budgetProblems({ tokens: 1, money: 1, calls: 1 }, true)).toEqual([]);
  expect(budgetProblems({ steps: 1 }, true)).toHaveLength(1);
});

test('a task without a budget and without a parent has none', () => {
  expect(taskBudget(ROOT, T, {})).toBeUndefined();
  const [started] = startEvents({ goal: 'g' }, ROOT, T);
  expect(started).not.toHaveProperty('budget');
});

test('a task whose parent has no budget has none', () => {
  expect(taskBudget(ROOT, T, { parent: { lines: [] } })).toBeUndefined();
});

test('money is counted in millionths of a dollar', () => {
  expect(limitsOf({ money: 0.1 + 0.2 })).toEqual({ microUsd: 300_000 });
});

test('a child uses its own account and those of its parents, the nearest first, and gets no more time than they have', () => {
  const parent = taskBudget('parent', T, { budget: { tokens: 100, wallTime: 5000, depth: 2 } });
  const child = taskBudget(ROOT, T + 1000, {
    budget: { tokens: 200, wallTime: 60_000 },
    parent: spendingOf(parent ?? { lines: [] }),
  });
  expect(child).toMatchObject({
    lines: [
      { account, limits: { tokens: 200 }, revision: 0 },
      { account: taskAccount('parent'), limits: { tokens: 100 }, revision: 0 },
    ],
    until: T + 5000,
    depth: 1,
  });
});

test('a task that may have no children refuses to start one', () => {
  expect(() => readParent({ task: 'a', lines: [], depth: 0 })).toThrow(
    expect.objectContaining({ type: 'BudgetReached', details: expect.objectContaining({ limit: 'depth' }) }),
  );
  expect(readParent({ task: 'a', lines: [], depth: 1 })).toMatchObject({ depth: 1 });
});

test('what a task says that is no parent is refused', () => {
  expect(() => parseTaskInput({ goal: 'g', parent: { task: 'a', lines: [{ account: 'mine' }] } })).toThrow(
    /`parent`/,
  );
});

test('the time of a budget is the deadline, unless the time limit comes first', () => {
  const deadline = (budget: Budget, timeLimit: number): unknown => {
    const [started] = startEvents({ goal: 'g', budget, timeLimit }, ROOT, T);
    return started !== undefined && 'deadline' in started ? started.deadline : undefined;
  };
  expect(deadline({ wallTime: 2000 }, 5000)).toBe(T + 2000);
  expect(deadline({ wallTime: 8000 }, 5000)).toBe(T + 5000);
});

function budgetOf(options: TaskBudgetOptions): TaskBudget {
  return taskBudget(ROOT, T, options) ?? { lines: [], revision: 0 };
}

/** A task with two steps of which the second has reached the budget. */
function reached(more: Partial<TaskState> = {}): TaskState {
  const short = { account, limit: 'tokens', allowed: 10, used: 8, reserved: 0, asked: 5 } as const;
  const failure = { type: 'BudgetReached', message: 'm', short };
  const steps = ['one', 'two', 'three'].map((id) => ({ id, agent: 'a', instruction: '', input: {} }));
  return {
    ...INITIAL_TASK_STATE,
    root: ROOT,
    goal: 'g',
    term: 4,
    phase: { kind: 'failed', failure },
    plan: { steps },
    budget: budgetOf({ budget: { tokens: 10, calls: 3 } }),
    attempted: { two: true },
    steps: {
      one: { kind: 'completed', output: { value: 1 }, decisions: { value: [] } },
      two: { kind: 'failed', failure },
      three: { kind: 'cancelled' },
    },
    ...more,
  };
}

test('what goes on with more has the same root, what is done, and its other steps to do', () => {
  const state = reached();
  const budget = raisedBudget(state, { tokens: 50 }, 1, T);
  expect(budget).toMatchObject({
    given: { tokens: 50, calls: 3 },
    revision: 1,
    lines: [{ account, limits: { tokens: 50, calls: 3 }, revision: 1 }],
  });
  const raised = raisedState(state, budget, T);
  expect(raised).toMatchObject({
    root: ROOT,
    term: 4,
    phase: { kind: 'running' },
    attempted: { two: true },
    steps: { one: state.steps['one'], two: { kind: 'waiting' }, three: { kind: 'waiting' } },
  });
  const origin = { kind: 'raised', workflowId: 'a', runId: 'b', at: T } as const;
  expect(readResume(JSON.parse(JSON.stringify({ snapshot: raised, origin, overrides: {} })))).toBeDefined();
});

test('what its agents were told of at the end is not told again', () => {
  const state = reached({ remembered: true, planDecisions: { value: [] }, locked: true });
  const raised = raisedState(state, raisedBudget(state, {}, 1, T), T);
  expect(raised.steps['one']).toEqual({ kind: 'completed', output: { value: 1 } });
  expect(raised).not.toHaveProperty('planDecisions');
  expect(raised).not.toHaveProperty('remembered');
  expect(raised).not.toHaveProperty('locked');
});

test('its times begin anew', () => {
  const budget = budgetOf({ budget: { wallTime: 5000 } });
  const state = reached({ budget, deadline: T + 5000, options: { timeLimit: 9000 } });
  const raised = raisedState(state, raisedBudget(state, {}, 1, T + 60_000), T + 60_000);
  expect(raised).toMatchObject({ deadline: T + 65_000, budget: { until: T + 65_000 } });
});

test('a task without a plan plans anew', () => {
  const { plan: _plan, ...planless } = reached({ steps: {} });
  expect(raisedState(planless, raisedBudget(planless, {}, 1, T), T).phase).toEqual({ kind: 'planning' });
});

test.each<[string, TaskState['phase'], RegExp]>([
  ['that is undone', { kind: 'compensated', failure: { type: 'BudgetReached', message: '' } }, /fork it/],
  [
    'that failed otherwise',
    { kind: 'failed', failure: { type: 'StepFailed', message: '' } },
    /ended otherwise/,
  ],
  ['that runs', { kind: 'running' }, /has not ended/],
])('a task %s is not gone on with', (_what, phase, message) => {
  const state = reached({ phase });
  expect(() => raisedState(state, raisedBudget(state, {}, 1, T), T)).toThrow(message);
});

test('a fork has an account of its own, its time from then on, and the parents of the original', () => {
  const parent = { lines: [{ account: taskAccount('parent'), limits: { tokens: 1 }, revision: 0 }] };
  const budget = budgetOf({ budget: { tokens: 10, wallTime: 5000 }, parent });
  const state = reached({ budget, phase: { kind: 'running' } });
  const fork = rooted(forkOf(state, {}, T + 60_000), 'fork', T + 60_000);
  expect(fork.deadline).toBe(T + 65_000);
  expect(fork.budget?.lines.map((line) => line.account)).toEqual([
    taskAccount('fork'),
    taskAccount('parent'),
  ]);
});
