import { CadreError } from '../../src/core/failures';
import { parseTaskInput } from '../../src/core/task-input';
import { newTaskId, validName, validTaskId } from '../../src/core/names';
import { jsonBytes } from '../../src/core/json';
import { step } from '../support/agents';

const refusal = (act: () => unknown): CadreError => {
  try {
    act();
  } catch (error) {
    if (error instanceof CadreError) return error;
    throw error;
  }
  throw new Error('It was not refused');
};

test('a goal alone, with documents, and with a plan are inputs', () => {
  const plan = { steps: [step('a', 'echo')] };
  expect(parseTaskInput({ goal: 'find out', docs: '/docs', plan })).toEqual({
    goal: 'find out',
    docs: '/docs',
    plan,
  });
  expect(parseTaskInput({ goal: 'find out' })).toEqual({ goal: 'find out' });
});

test.each([
  ['InputInvalid', undefined, /the input/],
  ['InputInvalid', [], /the input/],
  ['InputInvalid', {}, /`goal`/],
  ['InputInvalid', { goal: 7 }, /`goal` to be a text, got 7/],
  ['GoalEmpty', { goal: ' \n' }, /empty/],
  ['InputTooLarge', { goal: 'g'.repeat(8193) }, /8193 bytes; the limit is 8192/],
  ['InputTooLarge', { goal: 'g', docs: 'd'.repeat(1024 * 1024) }, /1048\d+ bytes; the limit is 1048576/],
  ['InputInvalid', { goal: 'g', docs: 7 }, /`docs`/],
  ['InputInvalid', { goal: 'g', dosc: '/docs' }, /`dosc`.*fields are goal, docs, plan/],
  ['PlanInvalid', { goal: 'g', plan: {} }, /Expected a plan/],
])('%s: %j is refused with the field and what was expected', (type, input, message) => {
  const error = refusal(() => parseTaskInput(input));
  expect(error.type).toBe(type);
  expect(error.message).toMatch(message);
  expect(error.fix).not.toBe('');
});

test('a goal of 8 KiB in any script is accepted to the byte', () => {
  const goal = '語'.repeat(2730);
  expect(jsonBytes(goal)).toBe(2730 * 3 + 2);
  expect(parseTaskInput({ goal })).toEqual({ goal });
  expect(refusal(() => parseTaskInput({ goal: `${goal}語` })).type).toBe('InputTooLarge');
});

test('bytes are counted as UTF-8 counts them', () => {
  for (const text of ['', 'abc', 'é', '語', '😀', '\ud800', 'a\ud800b', '"\n']) {
    expect(jsonBytes(text)).toBe(Buffer.byteLength(JSON.stringify(text)));
  }
});

test.each([
  ['When should we fail over?', 'slug', 'when-should-we-fail-over-00c0ffee'],
  ['Wie schnell heißt Größe?', 'slug', 'wie-schnell-heisst-grosse-00c0ffee'],
  ['日本語', 'slug', 'task-00c0ffee'],
  ['a secret', 'opaque', 'task-00c0ffee'],
] as const)('the id of %j (%s) is %s', (goal, ids, id) => {
  expect(newTaskId(goal, '00c0ffee', ids)).toBe(id);
  expect(validTaskId(id)).toBe(id);
});

test('an id made of a long goal stays short', () => {
  expect(newTaskId('words and '.repeat(200), '00c0ffee', 'slug').length).toBeLessThan(60);
});

test.each([['', 'a b', '-a', 'a/b', 'a'.repeat(201), 7]].flat())('%j is no task id', (id) => {
  expect(refusal(() => validTaskId(id)).type).toBe('InputInvalid');
});

test.each(['', 'A', '1a', 'a_b', 'a'.repeat(64), null])('%j is no name', (name) => {
  expect(refusal(() => validName('agent', name)).message).toContain('agent name');
});
