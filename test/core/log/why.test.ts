// Pure: histories that are made here. The same of recorded ones: why-recorded.test.ts.
import { type Reason, whyOf } from '../../../src/core/log/why';
import type { Plan } from '../../../src/core/plan';
import { step } from '../../support/agents';
import { FactHistory } from '../../support/history-facts';

/** Each reason as `depth number type step: because`. */
function lines(reasons: readonly Reason[]): string[] {
  return reasons.map(({ event, because, depth }) => {
    const about = 'step' in event && typeof event.step === 'string' ? ` ${event.step}` : '';
    return `${depth} #${event.number} ${event.type}${about}: ${because.join(' ')}`.trim();
  });
}

function begun(plan: Plan): FactHistory {
  const history = new FactHistory();
  history.start({ goal: 'a goal' });
  history.plan(plan, [{ type: 'divided', rationale: 'in two' }]);
  return history;
}

const joined = { steps: [step('a', 'echo'), step('b', 'echo'), step('c', 'echo', { needs: ['a', 'b'] })] };

test('an output follows from its decisions, the outputs that it needs, the plan and the goal; each is told once', () => {
  const history = begun(joined);
  history.act('a', 'echo', 1);
  history.act('b', 'echo', 2);
  history.act('c', 'echo', 3, [{ type: 'chosen', rationale: 'so' }]);
  history.end();
  const expected = [
    '0 #13 stepCompleted c: 12 10',
    '1 #12 decisionsRecorded c: 10',
    '2 #10 stepScheduled c: 9 6 3',
    '3 #9 stepCompleted b: 7',
    '4 #7 stepScheduled b: 3',
    '5 #3 planned: 1',
    '6 #1 taskStarted:',
    '3 #6 stepCompleted a: 4',
    '4 #4 stepScheduled a: 3',
  ];
  expect(lines(whyOf(history.events, 'c'))).toEqual(expected);
  expect(lines(whyOf(history.events)).slice(0, 3)).toEqual([
    '0 #16 taskCompleted: 15',
    '1 #15 aggregated: 13',
    '2 #13 stepCompleted c: 12 10',
  ]);
});

test('what a step did not need is no reason, though it came last', () => {
  const history = begun({
    steps: [step('a', 'echo'), step('b', 'echo'), step('c', 'echo', { needs: ['a'] })],
  });
  history.act('a', 'echo', 1);
  history.act('b', 'echo', 2);
  history.act('c', 'echo', 3);
  expect(
    whyOf(history.events, 'c').map(({ event }) => ('step' in event ? event.step : 'task')),
  ).not.toContain('b');
});

test('an output that an input refers to is a reason, as one that is named in needs', () => {
  const refers = step('b', 'echo', { input: { of: { $output: 'a' } } });
  const history = begun({ steps: [step('a', 'echo'), refers] });
  history.act('a', 'echo', 1);
  history.act('b', 'echo', 2);
  expect(lines(whyOf(history.events, 'b'))).toContain('2 #6 stepCompleted a: 4');
});

test('a step that the leader gave to another agent follows from that, and from the failure before', () => {
  const history = begun({ steps: [step('a', 'unskilled'), step('b', 'echo')] });
  history.fail(history.schedule('a', 'unskilled'), 'cannot');
  // Comes between, and has nothing to do with it.
  history.act('b', 'echo', 1);
  const assigned = { agent: 'skilled', policy: {}, by: 'leader', reason: 'it can', term: 2 };
  history.complete(history.schedule('a', 'assign', 'assign'), assigned);
  history.act('a', 'skilled', 7);
  expect(lines(whyOf(history.events, 'a'))).toEqual([
    '0 #13 stepCompleted a: 11',
    '1 #11 stepScheduled a: 10 3',
    '2 #10 assigned a: 5',
    '3 #5 stepFailed a: 4',
    '4 #4 stepScheduled a: 3',
    '5 #3 planned: 1',
    '6 #1 taskStarted:',
  ]);
});

test('a vote follows from its ballots, and each of them from who was asked', () => {
  const history = begun({ steps: [{ id: 'v', instruction: 'vote', vote: { agents: ['x', 'y', 'z'] } }] });
  const asked = ['x', 'y', 'z'].map((agent, index) => history.schedule(`v/${index + 1}`, agent));
  for (const event of asked) history.complete(event, { output: { value: { choice: 'yes' } } });
  expect(lines(whyOf(history.events, 'v'))).toEqual([
    '0 #10 stepCompleted v: 9',
    '1 #9 voteDecided v: 8 7',
    '2 #8 ballotCast v: 5',
    '3 #5 ballotRequested v: 3',
    '4 #3 planned: 1',
    '5 #1 taskStarted:',
    '2 #7 ballotCast v: 4',
    '3 #4 ballotRequested v: 3',
  ]);
});

test('a vote that the leader decided follows from why it had to, and from the ballots', () => {
  const history = begun({ steps: [{ id: 'v', instruction: 'vote', vote: { agents: ['x', 'y'] } }] });
  const asked = ['x', 'y'].map((agent, index) => history.schedule(`v/${index + 1}`, agent));
  for (const [index, event] of asked.entries())
    history.complete(event, { output: { value: { choice: `answer ${index}` } } });
  const request = { ballots: [], why: 'tie' };
  const outcome = { choice: 'answer 0', reason: 'the first', by: 'leader', term: 1 };
  history.complete(history.schedule('v', 'arbitrate', 'arbitrate', request), outcome);
  expect(lines(whyOf(history.events, 'v')).slice(0, 3)).toEqual([
    '0 #10 stepCompleted v: 9 8',
    '1 #9 voteDecided v: 8 7 6',
    '2 #8 arbitrationRequested v: 7',
  ]);
});

test('a result follows from all the outputs that no other step needs', () => {
  const history = begun({ steps: [step('a', 'echo'), step('b', 'echo')] });
  history.act('a', 'echo', 1);
  history.act('b', 'echo', 2);
  history.end();
  expect(lines(whyOf(history.events)).slice(0, 2)).toEqual([
    '0 #12 taskCompleted: 11',
    '1 #11 aggregated: 9 6',
  ]);
});

test('a step that was cancelled follows from what was asked', () => {
  const history = begun({ steps: [step('a', 'echo')] });
  const scheduledEventId = history.schedule('a', 'echo');
  history.add({ kind: 'cancelRequested' });
  history.add({ kind: 'activityCancelled', scheduledEventId });
  expect(lines(whyOf(history.events, 'a')).slice(0, 2)).toEqual([
    '0 #6 stepCancelled a: 5 4',
    '1 #5 cancelRequested: 3',
  ]);
});

test('what is no earlier event is no reason, whatever a log says', () => {
  const history = begun({ steps: [step('a', 'echo')] });
  history.act('a', 'echo', 1);
  const events = history.events.map((event) => (event.type === 'planned' ? { ...event, cause: 6 } : event));
  expect(lines(whyOf(events, 'a')).at(-1)).toBe('2 #3 planned:');
  const circle = history.events.map((event) =>
    event.type === 'planRequested' ? { ...event, cause: 2 } : event,
  );
  expect(lines(whyOf(circle, 'a')).at(-1)).toBe('2 #3 planned:');
});

describe('a saga that is undone', () => {
  const undoable = { policy: {}, compensation: {} };
  const history = new FactHistory();
  history.start({
    goal: 'undo',
    plan: { steps: [step('a', 'echo'), step('b', 'broken', { needs: ['a'] })] },
  });
  history.complete(history.schedule('plan', 'plan', 'plan'), {
    plan: { steps: [step('a', 'echo'), step('b', 'broken', { needs: ['a'] })] },
    policies: { echo: undoable },
    by: 'caller',
    term: 1,
  });
  history.act('a', 'echo', 1);
  history.fail(history.schedule('b', 'broken'), 'for good');
  history.complete(history.schedule('a', 'echo/compensate', 'undo', { outcome: 'completed' }), {});
  history.add({ kind: 'workflowFailed', failure: { type: 'StepFailed', message: 'b' } });

  test('says of the undone step that another failed, and what it had put out', () => {
    const told = lines(whyOf(history.events, 'a'));
    expect(told.slice(0, 3)).toEqual([
      '0 #10 compensated a: 9',
      '1 #9 compensationScheduled a: 8 6',
      '2 #8 stepFailed b: 7',
    ]);
    expect(told).toContain('4 #6 stepCompleted a: 4');
  });

  test('says of the task what it says of the last that was undone', () => {
    expect(lines(whyOf(history.events)).slice(0, 2)).toEqual([
      '0 #11 taskFailed: 10',
      '1 #10 compensated a: 9',
    ]);
  });
});

test('a step that has not begun follows from the plan; of one that there is not, nothing is known', () => {
  const history = begun(joined);
  expect(lines(whyOf(history.events, 'c'))).toEqual(['0 #3 planned: 1', '1 #1 taskStarted:']);
  expect(whyOf(history.events, 'd')).toEqual([]);
  expect(whyOf([])).toEqual([]);
});

test('what was done before the log begins follows from where it goes on', () => {
  const history = begun(joined);
  history.act('a', 'echo', 1);
  history.act('b', 'echo', 2);
  const fork = new FactHistory('fork');
  const steps = {
    a: { kind: 'completed', output: { value: 1 } },
    b: { kind: 'completed', output: { value: 2 } },
  };
  const snapshot = { version: 1, root: 'fork/run', goal: 'a goal', phase: { kind: 'running' }, term: 0 };
  fork.start({
    snapshot: { ...snapshot, plan: joined, policies: {}, steps: { ...steps, c: { kind: 'waiting' } } },
    origin: { kind: 'forked', workflowId: 'task', runId: 'run', number: 9 },
    overrides: {},
  });
  expect(lines(whyOf(fork.events, 'c'))).toEqual(['0 #1 taskResumed:']);
  fork.act('c', 'echo', 3);
  expect(lines(whyOf(fork.events, 'c'))).toEqual([
    '0 #4 stepCompleted c: 2',
    '1 #2 stepScheduled c: 1',
    '2 #1 taskResumed:',
  ]);
});

test('a chain of a thousand steps is followed to its beginning', () => {
  const ids = Array.from({ length: 1000 }, (_none, index) => `s${index}`);
  const steps = ids.map((id, index) =>
    step(id, 'echo', index === 0 ? {} : { needs: [ids[index - 1] ?? ''] }),
  );
  const history = begun({ steps });
  for (const id of ids) history.act(id, 'echo', id);
  const reasons = whyOf(history.events, 's999');
  expect(reasons).toHaveLength(2002);
  expect(reasons.filter(({ because }) => because.length === 0).map(({ event }) => event.number)).toEqual([1]);
});
