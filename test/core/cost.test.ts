import {
  type UsageByAgent,
  addCosts,
  addRows,
  readUsageMemo,
  totalCost,
  usageBeyond,
  usageByAgent,
  usageMemo,
} from '../../src/core/cost';
import type { TaskEvent } from '../../src/core/task-events';
import { evolve } from '../../src/core/task-fold';
import { INITIAL_TASK_STATE, type TaskState } from '../../src/core/task-state';
import { usageRows } from '../../src/core/task-usage';
import type { ModelUsage } from '../../src/core/usage';

/** A call of `tokens` in and one out, at a millionth of a dollar each. */
function used(model: string, tokens: number, more: Partial<ModelUsage> = {}): ModelUsage {
  const counted = { tokens: tokens + 1, microUsd: tokens + 1, calls: 1 };
  const rest = { inputTokens: tokens, cachedTokens: 0, outputTokens: 1, unseen: 0 };
  return { model, ...counted, ...rest, ...more };
}

const completed = (step: string, ...usage: ModelUsage[]): TaskEvent => ({
  type: 'stepCompleted',
  step,
  output: { value: null },
  usage,
});

/** Of a task in which research calls two models in two steps, and the writer one. */
function state(): TaskState {
  const plan = {
    steps: [
      { id: 'a', agent: 'research', instruction: '', needs: [], input: 1 },
      { id: 'b', agent: 'research', instruction: '', needs: [], input: 1 },
      { id: 'c', agent: 'writer', instruction: '', needs: [], input: 1 },
    ],
  };
  const planned: TaskEvent = {
    type: 'planned',
    plan,
    policies: {},
    by: 'planner',
    term: 1,
    usage: [used('x/big', 5)],
  };
  const events = [
    planned,
    completed('a', used('x/big', 100), used('x/small', 10)),
    completed('b', used('x/big', 200)),
    completed('c', used('x/small', 1)),
  ];
  return events.reduce(evolve, INITIAL_TASK_STATE);
}

const rows = (usage: UsageByAgent | undefined) =>
  [...(usage ?? [])].map(([agent, models]) => [agent, models.map(({ model, tokens }) => [model, tokens])]);

describe('the memo of what a task used', () => {
  it('has one row an agent and model, over all its steps', () => {
    expect(rows(usageByAgent(state()))).toEqual([
      ['planner', [['x/big', 6]]],
      [
        'research',
        [
          ['x/big', 302],
          ['x/small', 11],
        ],
      ],
      ['writer', [['x/small', 2]]],
    ]);
  });

  it('is what was written, once it is read', () => {
    expect(readUsageMemo(JSON.parse(JSON.stringify(usageMemo(state()))))).toEqual(usageByAgent(state()));
  });

  it('is left out where there were no calls', () => {
    expect(usageMemo(INITIAL_TASK_STATE)).toBeUndefined();
  });

  it('takes the name of any agent', () => {
    const plan = { steps: [{ id: 'a', agent: 'constructor', instruction: '', needs: [], input: 1 }] };
    const planned: TaskEvent = { type: 'planned', plan, policies: {}, by: 'caller', term: 1 };
    const after = [planned, completed('a', used('x/big', 1))].reduce(evolve, INITIAL_TASK_STATE);
    expect(rows(readUsageMemo(usageMemo(after)))).toEqual([['constructor', [['x/big', 2]]]]);
  });

  it.each([undefined, null, 'usage', [], { writer: 3 }, { writer: [{ model: 'x/big' }] }, { writer: [] }])(
    'is not read from %j',
    (value) => expect(readUsageMemo(value)).toBeUndefined(),
  );
});

describe('what goes on with a task', () => {
  const before = usageByAgent(state());

  it('has used nothing by what that had used', () => {
    expect(usageBeyond(before, before).size).toBe(0);
  });

  it('has used what came since, by model', () => {
    const later = new Map([
      ...before,
      ['writer', [used('x/big', 40), used('x/small', 11, { calls: 3 })]],
      ['critic', [used('x/big', 1)]],
    ] as const);
    expect([...usageBeyond(later, before)]).toEqual([
      [
        'writer',
        [used('x/big', 40), used('x/small', 10, { tokens: 10, microUsd: 10, calls: 2, outputTokens: 0 })],
      ],
      ['critic', [used('x/big', 1)]],
    ]);
  });
});

describe('costs', () => {
  const tasks = [
    { day: '2026-11-21', usage: new Map([['research', [used('x/big', 9), used('x/small', 1)]]]) },
    { day: '2026-11-22', usage: new Map([['writer', [used('x/big', 99, { unseen: 1 })]]]) },
    {
      day: '2026-11-22',
      usage: new Map([['research', [used('y/own', 4, { microUsd: 0, unpriced: true })]]]),
    },
  ];

  it('are added up by agent, model or day, each sorted', () => {
    const sums = (key: 'agent' | 'model' | 'day') =>
      addCosts(tasks, key).map((cost) => [cost.key, cost.calls, cost.tokens, cost.microUsd]);
    expect(sums('agent')).toEqual([
      ['research', 3, 17, 12],
      ['writer', 1, 100, 100],
    ]);
    expect(sums('model')).toEqual([
      ['x/big', 2, 110, 110],
      ['x/small', 1, 2, 2],
      ['y/own', 1, 5, 0],
    ]);
    expect(sums('day')).toEqual([
      ['2026-11-21', 2, 12, 12],
      ['2026-11-22', 2, 105, 100],
    ]);
  });

  it('come to the same in all, whatever they are added up by', () => {
    const totals = (['agent', 'model', 'day'] as const).map((key) => totalCost(addCosts(tasks, key)));
    expect(totals[0]).toMatchObject({ calls: 4, tokens: 117, microUsd: 112, unseen: 1, unpriced: true });
    expect(totals[1]).toEqual(totals[0]);
    expect(totals[2]).toEqual(totals[0]);
  });

  it('say of which the price is not known, and of no other', () => {
    expect(addCosts(tasks, 'model').map(({ key, unpriced }) => [key, unpriced])).toEqual([
      ['x/big', undefined],
      ['x/small', undefined],
      ['y/own', true],
    ]);
  });

  it('are none in all where nothing was called', () => {
    expect(totalCost([])).toMatchObject({ calls: 0, tokens: 0, microUsd: 0 });
  });

  it('of one task are those of its steps', () => {
    const byStep = addRows(usageRows(state()), ({ step }) => step);
    expect(byStep.map(({ key, tokens }) => [key, tokens])).toEqual([
      ['a', 112],
      ['b', 201],
      ['c', 2],
      ['plan', 6],
    ]);
  });
});
