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
  const line = (event: object, every: boolean): string | undefined =>
    new EventLines(new Output(false), every).words({
      number: 1,
      time: 0,
      step: 'a',
      ...event,
    } as LoggedTaskEvent);

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
