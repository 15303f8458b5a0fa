// Pure: what a run says at its end of what was done without the model.
import { Output } from '../../src/cli/output';
import { WithoutModel } from '../../src/cli/without-model';
import type { LoggedTaskEvent } from '../../src/core/task-projection';

function linesAfter(events: readonly object[]): string[] {
  const written: string[] = [];
  const output = new Output(false);
  output.line = (text) => void written.push(text ?? '');
  const withoutModel = new WithoutModel();
  for (const event of events)
    withoutModel.add({ number: 1, time: 0, ...event } as unknown as LoggedTaskEvent);
  withoutModel.write(output);
  return written;
}

const WHY = 'p/m answered 401: no';
const planned = (by: string) => ({
  type: 'planned',
  by,
  decisions: { value: [{ type: 'fellBack', rationale: `embedded-planner instead of planner: ${WHY}` }] },
});
const failed = (step: string, message = WHY) => ({
  type: 'stepFailed',
  step,
  failure: { type: 'Any', message },
});
const assigned = (step: string, agent = 'embedded-research') => ({
  type: 'assigned',
  step,
  agent,
  reason: 'shares read',
  term: 1,
});

test('it is told once for each reason, the plan too', () => {
  const why = 'open';
  expect(
    linesAfter([
      planned('embedded-planner'),
      failed('a'),
      assigned('a'),
      failed('b', 'another reason'),
      assigned('b'),
      { type: 'stepFellBack', step: 'c', from: 'writer', agent: 'embedded-writer', breaker: 'p/m', why },
    ]),
  ).toEqual([
    '! Without the model: the plan, a. p/m answered 401: no',
    '! Without the model: b. another reason',
    '! Without the model: c. Of the breaker p/m, it is open',
    '  → `cadre doctor` asks the model once, and says what is wrong.',
  ]);
});

test('a plan whose decisions are in the artifact store is told without a reason', () => {
  const decisions = { artifact: 'a', bytes: 1 };
  expect(linesAfter([{ ...planned('embedded-planner'), decisions }])[0]).toBe(
    '! Without the model: the plan. embedded-planner made the plan',
  );
});

test('eight are named, and how many more there were', () => {
  const steps = Array.from({ length: 10 }, (_none, index) => `s${index}`);
  expect(linesAfter(steps.flatMap((step) => [failed(step), assigned(step)]))[0]).toBe(
    '! Without the model: s0, s1, s2, s3, s4, s5, s6, s7, and 2 more. p/m answered 401: no',
  );
});

test('nothing is told where another agent took over, or none was needed', () => {
  expect(linesAfter([planned('planner'), failed('a'), assigned('a', 'other')])).toEqual([]);
});
