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

test("a plan's line says nothing of the time where the planner does not", () => {
  expect(words([{ type: 'documentsDivided', rationale: '12 documents for 3 researchers' }])).toBe(
    '1 step: 1 research (term 7)',
  );
});
