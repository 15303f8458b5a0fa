import { isDeeperThan } from '../../src/core/json';
import { planProblems } from '../../src/core/plan';
import { parseTaskInput } from '../../src/core/task-input';
import { step } from '../support/agents';

function nested(levels: number, wrap: (inner: unknown) => unknown = (inner) => [inner]): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = wrap(value);
  return value;
}

const problems = (input: unknown): string[] =>
  planProblems({ steps: [step('a', 'echo', { input })] }, undefined).map(({ message }) => message);

test.each([0, 1, 5])('%d levels are deeper than fewer, and not than as many', (levels) => {
  expect(isDeeperThan(nested(levels), levels)).toBe(false);
  expect(isDeeperThan(nested(levels + 1), levels)).toBe(true);
  expect(isDeeperThan({ a: [nested(levels)] }, levels + 1)).toBe(true);
});

test('a million levels are measured, not walked into', () => {
  expect(isDeeperThan(nested(1_000_000), 100)).toBe(true);
});

test.each<[string, (inner: unknown) => unknown]>([
  ['lists', (inner) => [inner]],
  ['objects', (inner) => ({ inner })],
])('a plan of 90 levels of %s is one, and of 110 is refused', (_what, wrap) => {
  expect(problems(nested(90, wrap))).toEqual([]);
  expect(problems(nested(110, wrap))).toEqual([expect.stringContaining('levels')]);
});

test('what is no JSON at all is refused as such', () => {
  const circle: unknown[] = [];
  circle.push(circle);
  for (const input of [circle, 1n, nested(100_000)]) {
    expect(problems(input)).toEqual([expect.stringContaining('JSON')]);
    const act = (): unknown => parseTaskInput({ goal: 'g', plan: { steps: [step('a', 'echo', { input })] } });
    expect(act).toThrow(
      expect.objectContaining({ type: expect.stringMatching(/^(Input|Plan)Invalid$/) as string }),
    );
  }
});
