import { EventLines } from '../../src/cli/event-lines';
import { Output } from '../../src/cli/output';
import type { Decision } from '../../src/core/decision';
import type { LoggedTaskEvent } from '../../src/core/task-projection';

const planned = (decisions: readonly Decision[]): LoggedTaskEvent =>
  ({
    type: 'planned',
    number: 1,
    time: 0,
    plan: { steps: [{ id: 'research-1', agent: 'research', instruction: '' }] },
    policies: {},
    by: 'planner',
    term: 7,
    decisions: { value: decisions },
  }) as unknown as LoggedTaskEvent;

/** What is said of an event of the step `a`. */
const line = (event: object, every: boolean): string | undefined =>
  new EventLines(new Output(false), every).words({
    number: 1,
    time: 0,
    step: 'a',
    ...event,
  } as LoggedTaskEvent);

const words = (decisions: readonly Decision[]): string | undefined =>
  new EventLines(new Output(false), false).words(planned(decisions));

test("a plan's line has how long the planner expects it to take", () => {
  expect(
    words([
      { type: 'documentsDivided', rationale: '20000 documents for 8 researchers' },
      { type: 'timeExpected', rationale: 'about 25 s on one worker, 20000 not indexed yet' },
    ]),
  ).toBe('1 step: 1 research (term 7); about 25 s on one worker, 20000 not indexed yet');
});

test("a plan's line has who made it in whose place, and why", () => {
  const rationale = 'embedded-planner instead of planner: the model answered 404';
  expect(words([{ type: 'fellBack', rationale }])).toBe(`1 step: 1 research (term 7); ${rationale}`);
});

test("a plan's line says nothing of the time where the planner does not", () => {
  expect(words([{ type: 'documentsDivided', rationale: '12 documents for 3 researchers' }])).toBe(
    '1 step: 1 research (term 7)',
  );
});

describe('what is told elsewhere is left out, but where every event is asked for', () => {
  test('what a budget allowed, which the end of the task says', () => {
    const short = { account: 'cadre', limit: 'calls', allowed: 1, used: 1, reserved: 0, asked: 1 };
    const failure = { type: 'BudgetReached', message: 'allows 1 call: used 1 call', short };
    const failed = { type: 'stepFailed', failure };
    expect(line(failed, false)).toContain('failed: it would use more than its budget allows');
    expect(line(failed, true)).toContain('failed: allows 1 call: used 1 call');
  });

  test('that nobody else can do a step', () => {
    const nobody = { type: 'notAssigned', reason: 'no other agent has a skill of alone', term: 1 };
    expect(line(nobody, false)).toBeUndefined();
    expect(line(nobody, true)).toBe('notAssigned nobody else: no other agent has a skill of alone');
  });
});

describe('what calls came to', () => {
  const usage = [
    {
      model: 'p/m',
      tokens: 1234,
      microUsd: 12_300,
      calls: 3,
      inputTokens: 1000,
      cachedTokens: 0,
      outputTokens: 234,
      unseen: 0,
    },
  ];
  const failure = { type: 'Error', message: 'no', usage };
  test('stands behind the event that ends a step', () => {
    const completed = { type: 'stepCompleted', output: { value: 1 }, usage };
    expect(line(completed, false)).toBe('done (3 calls, 1,234 tokens, $0.0123)');
    expect(line(completed, true)).toBe('stepCompleted done (3 calls, 1,234 tokens, $0.0123)');
    expect(line({ type: 'stepFailed', failure }, false)).toContain('failed: no');
    expect(line({ type: 'stepFailed', failure }, false)).toContain('(3 calls, 1,234 tokens, $0.0123)');
  });

  test('does not stand behind what a later event says again', () => {
    expect(line({ type: 'stepRetried', attempts: 1, failure }, true)).not.toContain('tokens');
    expect(line({ type: 'taskFailed', failure }, true)).not.toContain('tokens');
  });
});

describe('a call that may have been paid twice is said where its work ends:', () => {
  const rationale = 'Call 1 (p/m) was begun once and its end was not recorded; it was made again';
  const repeated = [{ type: 'callRepeated', rationale }];
  const decisions = { value: repeated };
  const failure = { type: 'Error', message: 'no', repeated };

  test.each<[string, object]>([
    ['a vote', { type: 'ballotCast', voter: 1, agent: 'one', choice: 'yes', decisions }],
    ['a vote that is none', { type: 'ballotSpoiled', voter: 1, agent: 'one', failure }],
    ['a step that failed', { type: 'stepFailed', failure }],
    ['an undoing', { type: 'compensated', agent: 'one', decisions }],
    ['an undoing that failed', { type: 'compensationFailed', agent: 'one', failure }],
    ['the choice of another agent', { type: 'assigned', agent: 'two', reason: 'able', term: 1, decisions }],
  ])('%s', (_what, event) => {
    for (const every of [false, true]) {
      const lines = new EventLines(new Output(false), every);
      expect(lines.words({ number: 1, time: 0, step: 'a', ...event } as LoggedTaskEvent)).toContain(
        `; ${rationale}`,
      );
    }
  });

  test('but not where the task ends with what a step failed with', () => {
    const lines = new EventLines(new Output(false), true);
    const ended = { number: 2, time: 0, type: 'taskFailed', failure } as unknown as LoggedTaskEvent;
    expect(lines.words(ended)).not.toContain(rationale);
  });
});
