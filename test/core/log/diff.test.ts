// Pure: states and logs that are made here.
import { compareLogs, diffStates, firstParting } from '../../../src/core/log/diff';
import { foldTask } from '../../../src/core/task-fold';
import { type TaskState, INITIAL_TASK_STATE } from '../../../src/core/task-state';
import { step } from '../../support/agents';
import { FactHistory } from '../../support/history-facts';
import { Random } from '../../support/random';

const plan = { steps: [step('a', 'echo'), step('b', 'echo'), step('c', 'echo', { needs: ['a', 'b'] })] };

/** A task of `plan`, in which `a` and `b` end in `order`; what the steps put out is `outputs`. */
function run(
  outputs: Readonly<Record<string, unknown>>,
  { order = ['a', 'b'], runId = 'run', at = 1000, goal = 'a goal', ends = true } = {},
) {
  const history = new FactHistory(runId, at);
  history.start({ goal });
  history.plan(plan, [{ type: 'divided', rationale: 'in three' }]);
  const scheduled = new Map(order.map((id) => [id, history.schedule(id, 'echo')]));
  for (const [id, event] of scheduled) {
    const weighed = id === 'a' ? { decisions: { value: [{ type: 'weighed', rationale: 'well' }] } } : {};
    history.complete(event, { output: { value: outputs[id] }, ...weighed });
  }
  if ('c' in outputs) history.act('c', 'echo', outputs['c'], [{ type: 'chosen', rationale: 'so' }]);
  if (ends) history.end();
  return history.events;
}

const whole = { a: 1, b: 2, c: { words: ['x', 'y'] } };

describe('what differs between two states', () => {
  const state = foldTask(run(whole));

  test('nothing, where they are equal', () => {
    expect(diffStates(state, JSON.parse(JSON.stringify(state)) as TaskState)).toEqual([]);
  });

  test('a step that is of another kind, as a whole; one of the same kind, by what is in it', () => {
    const half = foldTask(run(whole).slice(0, 7));
    expect(diffStates(half, foldTask(run(whole).slice(0, 8)))).toEqual([
      {
        path: ['steps', 'b'],
        before: { kind: 'scheduled' },
        after: { kind: 'completed', output: { value: 2 } },
      },
    ]);
    const other = foldTask(run({ ...whole, c: { words: ['x', 'z', 'more'] } }));
    expect(diffStates(state, other)).toEqual([
      { path: ['steps', 'c', 'output', 'value', 'words', '1'], before: 'y', after: 'z' },
      { path: ['steps', 'c', 'output', 'value', 'words', '2'], after: 'more' },
    ]);
  });

  test('a step that a plan has before others moves none of them', () => {
    const more = { ...state, plan: { steps: [step('first', 'echo'), ...plan.steps] } };
    expect(diffStates(state, more)).toEqual([
      { path: ['plan', 'steps', 'first'], after: { agent: 'echo', instruction: 'do first' } },
    ]);
  });

  test('what was undone, by step and agent', () => {
    const one = { step: 'a', agent: 'echo', outcome: 'completed' } as const;
    const begun: TaskState = { ...state, compensations: [{ ...one, kind: 'running' }] };
    expect(diffStates(state, begun)).toEqual([
      { path: ['compensations', 'a by echo'], after: { ...one, kind: 'running' } },
    ]);
    expect(diffStates(begun, { ...state, compensations: [{ ...one, kind: 'undone' }] })).toEqual([
      {
        path: ['compensations', 'a by echo'],
        before: { ...one, kind: 'running' },
        after: { ...one, kind: 'undone' },
      },
    ]);
  });

  test('is found at any depth', () => {
    const nested = (inner: unknown): unknown => {
      let value = inner;
      for (let depth = 0; depth < 5000; depth += 1) value = [value];
      return value;
    };
    const of = (value: unknown): TaskState => ({
      ...INITIAL_TASK_STATE,
      steps: { a: { kind: 'completed', output: { value } } },
    });
    const [difference, ...others] = diffStates(of(nested(1)), of(nested(2)));
    expect(others).toEqual([]);
    expect(difference).toMatchObject({ before: 1, after: 2 });
    expect(difference?.path).toHaveLength(5004);
  });
});

describe('differences that are made to the first value give the second', () => {
  test.each(Array.from({ length: 200 }, (_none, index) => index + 1))('seed %i', (seed) => {
    const random = new Random(seed);
    const [before, after] = [randomJson(random, 3), randomJson(random, 3)];
    const of = (value: unknown): TaskState => ({ ...INITIAL_TASK_STATE, goal: '', docs: value as string });
    const made: unknown = structuredClone({ docs: before });
    for (const difference of diffStates(of(before), of(after)).toReversed()) apply(made, difference);
    expect(made).toEqual({ docs: after });
  });
});

function randomJson(random: Random, depth: number): unknown {
  const kind = random.oneOf(depth === 0 ? ['leaf'] : ['leaf', 'list', 'object']);
  if (kind === 'leaf') return random.oneOf<unknown>([null, true, 0, 1, '', 'text']);
  const length = Math.floor(random.between(0, 4));
  const items = Array.from({ length }, () => randomJson(random, depth - 1));
  if (kind === 'list') return items;
  return Object.fromEntries(items.map((item) => [random.oneOf(['kind', 'a', 'b', '0']), item]));
}

function apply(to: unknown, difference: ReturnType<typeof diffStates>[number]): void {
  const { path } = difference;
  let at = to as Record<string, unknown>;
  for (const name of path.slice(0, -1)) at = at[name] as Record<string, unknown>;
  const last = path.at(-1) ?? '';
  if ('after' in difference) at[last] = difference.after;
  else if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
}

describe('where two logs part', () => {
  test('nowhere, where only the order of what ran side by side, times and runs differ', () => {
    const other = run(whole, { order: ['b', 'a'], runId: 'another', at: 50_000 });
    expect(firstParting(run(whole), other)).toBeUndefined();
    expect(compareLogs(run(whole), other)).toEqual({ ends: [] });
  });

  test('at the first output that is another, with both events and what of them differs', () => {
    const parting = firstParting(run(whole), run({ a: 1, b: 3, c: 4 }, { order: ['b', 'a'] }));
    expect(parting).toMatchObject({
      part: 'b',
      first: { type: 'stepCompleted', step: 'b', number: 8 },
      second: { type: 'stepCompleted', step: 'b', number: 6 },
      differences: [{ path: ['output', 'value'], before: 2, after: 3 }],
    });
  });

  test('at the goal, where that is another', () => {
    const parting = firstParting(run(whole), run(whole, { goal: 'another' }));
    expect(parting).toMatchObject({
      part: 'task',
      first: { type: 'taskStarted' },
      differences: [{ path: ['goal'], before: 'a goal', after: 'another' }],
    });
  });

  test('at a decision, where it was made otherwise', () => {
    const other = structuredClone(run(whole)).map((event) =>
      event.type === 'decisionsRecorded' && event.step === 'c'
        ? { ...event, decisions: { value: [{ type: 'chosen', rationale: 'otherwise' }] } }
        : event,
    );
    expect(firstParting(run(whole), other)).toMatchObject({
      part: 'c',
      differences: [{ path: ['decisions', 'value', '0', 'rationale'], before: 'so', after: 'otherwise' }],
    });
  });

  test('where one says no more, if it has ended; one that still runs is only behind', () => {
    const behind = run({ a: 1, b: 2 }, { ends: false });
    expect(firstParting(run(whole), behind)).toBeUndefined();
    expect(firstParting(behind, run(whole))).toBeUndefined();
    const stopped = new FactHistory();
    stopped.start({ goal: 'a goal' });
    stopped.plan(plan, [{ type: 'divided', rationale: 'in three' }]);
    for (const id of ['a', 'b']) {
      const scheduledEventId = stopped.schedule(id, 'echo');
      stopped.add({ kind: 'activityStarted', scheduledEventId, attempt: 1, identity: 'worker' });
    }
    stopped.add({ kind: 'workflowTerminated', how: 'terminated' });
    const parting = firstParting(run(whole), stopped.events);
    expect(parting).toMatchObject({
      part: 'a',
      first: { type: 'decisionsRecorded', number: 6 },
      differences: [],
    });
    expect(parting).not.toHaveProperty('second');
  });

  test('attempts, workers and retries are no difference', () => {
    const retried = run(whole).map((event) =>
      event.type === 'stepStarted' ? { ...event, attempt: 3, worker: 'another' } : event,
    );
    expect(firstParting(run(whole), retried)).toBeUndefined();
  });

  test('a vote that ends the same in another term, after more ballots, is the same', () => {
    const outcome = {
      choice: 'yes',
      by: 'quorum',
      term: 1,
      tally: [{ choice: 'yes', ballots: 2 }],
      voters: 3,
    };
    const voted = { a: outcome, b: 2, c: 3 };
    const later = { ...outcome, term: 9, tally: [{ choice: 'yes', ballots: 3 }] };
    expect(firstParting(run(voted), run({ ...voted, a: later }))).toBeUndefined();
    expect(compareLogs(run(voted), run({ ...voted, a: later })).ends).toEqual([]);
    const no = { ...outcome, choice: 'no' };
    expect(firstParting(run(voted), run({ ...voted, a: no }))).toMatchObject({ part: 'a' });
  });
});

test('which steps ran side by side is no difference between the ends', () => {
  const ended = (sideBySide: boolean) => {
    const history = new FactHistory();
    history.start({ goal: 'a goal' });
    const policies = { echo: { compensation: {} } };
    history.complete(history.schedule('plan', 'plan', 'plan'), { plan, policies, by: 'planner', term: 1 });
    const ids = ['a', 'b'];
    const begun = sideBySide ? ids.map((id) => history.schedule(id, 'echo')) : [];
    for (const [index, id] of ids.entries()) {
      history.complete(begun[index] ?? history.schedule(id, 'echo'), { output: { value: 1 } });
    }
    return history.events;
  };
  expect(foldTask(ended(true)).stack).not.toEqual(foldTask(ended(false)).stack);
  expect(compareLogs(ended(true), ended(false))).toEqual({ ends: [] });
});

test('an output that looks like a plan is compared as any other', () => {
  const like = (item: unknown) => run({ a: { steps: [null, item] }, b: 2, c: 3 });
  expect(firstParting(like(1), like(1))).toBeUndefined();
  expect(firstParting(like(1), like(2))).toMatchObject({
    part: 'a',
    differences: [{ path: ['output', 'value', 'steps', '1'], before: 1, after: 2 }],
  });
});

describe('a log that goes on from an earlier state', () => {
  const original = run(whole);
  const { planDecisions: _reasons, ...before } = foldTask(original.slice(0, 7));

  /** A fork of `original` where `a` is done, with `changed` of its plan. */
  function fork(output: unknown, changed = plan) {
    const history = new FactHistory('fork');
    const origin = { kind: 'forked', workflowId: 'task', runId: 'run', number: 7 };
    const a = { kind: 'completed', output: { value: whole.a } };
    const steps = { ...before.steps, a, b: { kind: 'waiting' } };
    history.start({ snapshot: { ...before, plan: changed, steps }, origin, overrides: {} });
    history.act('b', 'echo', 2);
    history.act('c', 'echo', output, [{ type: 'chosen', rationale: 'so' }]);
    history.end();
    return history.events;
  }

  test('says the same where it did the same, both ways round', () => {
    expect(firstParting(original, fork(whole.c))).toBeUndefined();
    expect(firstParting(fork(whole.c), original)).toBeUndefined();
    expect(compareLogs(original, fork(whole.c))).toEqual({ ends: [] });
  });

  test('parts where it went otherwise', () => {
    expect(compareLogs(original, fork('another')).ends).toEqual([
      { path: ['steps', 'c', 'output', 'value'], before: whole.c, after: 'another' },
    ]);
    expect(firstParting(original, fork('another'))).toMatchObject({
      part: 'c',
      second: { type: 'stepCompleted' },
    });
  });

  test('parts at what it was begun with, where that was changed', () => {
    const [a, b, c] = plan.steps;
    const changed = { steps: [a, b, { ...c, instruction: 'otherwise' }] } as typeof plan;
    expect(firstParting(original, fork('another', changed))).toMatchObject({
      part: 'task',
      first: { type: 'planned' },
      second: { type: 'taskResumed', number: 1 },
      differences: [{ path: ['plan', 'steps', 'c', 'instruction'], before: 'do c', after: 'otherwise' }],
    });
  });
});
