import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { approvalProblems, inputHash, readAnswering } from '../../src/core/approval';
import { approvalSubject } from '../../src/core/step-inputs';
import { evolve, foldTask } from '../../src/core/task-fold';
import type { TaskState } from '../../src/core/task-state';
import { sagaPlan } from '../../src/core/saga-input';
import type { AgentStep } from '../../src/core/plan';

const DAY = 24 * 60 * 60 * 1000;

/** The same value with the fields of every object in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [key, shuffled(item)]);
  return Object.fromEntries(entries.toReversed());
}

const crossed = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const anyJson = fc.jsonValue({ maxDepth: 4, noUnicodeString: false }).map(crossed);

describe('inputHash', () => {
  test('is the SHA-256 of the JSON with sorted keys, in hex', () => {
    const expected = createHash('sha256').update('{"a":[1,{"b":2,"c":"é"}],"z":null}').digest('hex');
    expect(inputHash({ z: null, a: [1, { c: 'é', b: 2 }] })).toBe(expected);
  });

  test('is the same whatever the order of keys, and after crossing as JSON', () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        expect(inputHash(shuffled(value))).toBe(inputHash(value));
        expect(inputHash(crossed(value))).toBe(inputHash(value));
      }),
    );
  });

  test('differs for values that differ', () => {
    fc.assert(
      fc.property(anyJson, anyJson, (one, other) => {
        fc.pre(JSON.stringify(sorted(one)) !== JSON.stringify(sorted(other)));
        expect(inputHash(one)).not.toBe(inputHash(other));
      }),
    );
  });

  test.each<[string, unknown, unknown]>([
    ['a list in another order', [1, 2], [2, 1]],
    ['a number as a text', { amount: 1 }, { amount: '1' }],
    ['nothing and null', {}, { amount: null }],
    ['an empty list and an empty object', [], {}],
    ['a field moved one level down', { a: 1, b: {} }, { b: { a: 1 } }],
    ['composed and decomposed letters', 'é', 'e\u0301'],
    ['a surrogate pair and another', '😀', '😁'],
  ])('tells %s apart', (_what, one, other) => {
    expect(inputHash(one)).not.toBe(inputHash(other));
  });

  test.each([['0'], ['10'], ['__proto__'], ['constructor'], ['é'], ['😀']])(
    'sees what the field %j holds',
    (key) => {
      const of = (item: unknown): unknown =>
        JSON.parse(`{"b":1,${JSON.stringify(key)}:${JSON.stringify(item)}}`);
      expect(inputHash(of(1))).not.toBe(inputHash(of(2)));
      expect(inputHash(of(1))).toBe(inputHash(JSON.parse(`{${JSON.stringify(key)}:1,"b":1}`)));
    },
  );
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [key, sorted(item)]);
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}

describe('what is approved of a step', () => {
  const pay: AgentStep = {
    id: 'pay',
    agent: 'payer',
    instruction: 'pay the bill',
    input: { amount: { $output: 'price' }, to: 'us' },
    needs: ['price'],
    approval: {},
  };

  /** A saga whose step `price` has put out `price`, and whose step `pay` is to run. */
  const stateOf = (price: unknown, step: AgentStep = pay, goal = 'a saga'): TaskState =>
    foldTask([
      { type: 'taskStarted', root: 'saga/run', goal },
      {
        type: 'planned',
        plan: sagaPlan({ name: goal, steps: [{ id: 'price', agent: 'teller', instruction: '' }, step] }),
        policies: {},
        by: 'caller',
        term: 0,
      },
      { type: 'stepCompleted', step: 'price', output: { value: price } },
    ]);
  const hashOf = (state: TaskState): string => {
    const step = state.plan?.steps[1];
    if (step === undefined) throw new Error('No step');
    return inputHash(approvalSubject(state, step));
  };
  const hash = hashOf(stateOf(7));

  test('is the same however often it is asked about', () => {
    expect(hashOf(stateOf(7))).toBe(hash);
    expect(hashOf(crossed(stateOf(7)) as TaskState)).toBe(hash);
  });

  test.each<[string, TaskState]>([
    ['another amount', stateOf(8)],
    ['an amount that is a text', stateOf('7')],
    ['another receiver', stateOf(7, { ...pay, input: { amount: { $output: 'price' }, to: 'you' } })],
    [
      'the output in another place',
      stateOf(7, { ...pay, input: { amount: 'us', to: { $output: 'price' } } }),
    ],
    ['another instruction', stateOf(7, { ...pay, instruction: 'pay the bill twice' })],
    ['another agent', stateOf(7, { ...pay, agent: 'thief' })],
    ['another goal', stateOf(7, pay, 'another saga')],
    [
      'another artifact',
      evolve(stateOf(7), {
        type: 'stepCompleted',
        step: 'price',
        output: { artifact: { hash: 'b'.repeat(64), bytes: 9 } } as never,
      }),
    ],
    [
      'an agent whom the leader named',
      evolve(stateOf(7), {
        type: 'assigned',
        step: 'pay',
        agent: 'another',
        policy: {
          startToClose: 1,
          heartbeatTimeout: 1,
          retry: { maximumAttempts: 1, initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1 },
          local: false,
        },
        by: 'leader',
        reason: 'it can',
        term: 1,
      }),
    ],
  ])('is not %s', (_what, state) => {
    expect(hashOf(state)).not.toBe(hash);
  });

  test('does not change with what does not run', () => {
    expect(hashOf(stateOf(7, { ...pay, approval: { validFor: DAY }, policy: { startToClose: 1 } }))).toBe(
      hash,
    );
  });
});

test('an answer is read field by field', () => {
  const answer = { step: 'pay', answer: 'yes', hash: 'a', note: 'fine' };
  expect(readAnswering(answer)).toEqual(answer);
  expect(readAnswering({ step: 'pay', answer: 'no', hash: 'a' })).toEqual({
    ...answer,
    answer: 'no',
    note: '',
  });
  expect(readAnswering({ ...answer, answer: 'forty', by: 'ada' })).toEqual({
    ...answer,
    answer: 'forty',
    by: 'ada',
  });
});

test.each<[string, unknown]>([
  ['step', undefined],
  ['step', 'pay'],
  ['step', { answer: 'yes', hash: 'a' }],
  ['answer', { step: 'pay', answer: '', hash: 'a' }],
  ['answer', { step: 'pay', answer: true, hash: 'a' }],
  ['answer', { step: 'pay', answer: 'x'.repeat(10_001), hash: 'a' }],
  ['hash', { step: 'pay', answer: 'yes' }],
  ['by', { step: 'pay', answer: 'yes', hash: 'a', by: 'x'.repeat(201) }],
  ['note', { step: 'pay', answer: 'yes', hash: 'a', note: 7 }],
  ['note', { step: 'pay', answer: 'yes', hash: 'a', note: 'x'.repeat(501) }],
])('an answer with a wrong %s is refused: %j', (field, candidate) => {
  expect(() => readAnswering(candidate)).toThrow(
    expect.objectContaining({
      type: 'InputInvalid',
      message: expect.stringContaining(`\`${field}\``) as string,
    }),
  );
});

test.each<[unknown]>([[{}], [{ answerWithin: 1000 }], [{ answerWithin: 365 * DAY, validFor: 1000 }]])(
  '%j asks for approval',
  (approval) => expect(approvalProblems(approval)).toEqual([]),
);

test.each<[unknown, string[]]>([
  [true, ['']],
  [null, ['']],
  [[], ['']],
  [{ answerWithin: 999 }, ['answerWithin']],
  [{ answerWithin: 365 * DAY + 1 }, ['answerWithin']],
  [{ validFor: '1 day' }, ['validFor']],
  [{ validFor: NaN }, ['validFor']],
  [{ validFor: Infinity }, ['validFor']],
  [{ answerWithin: 0, validFor: -1 }, ['answerWithin', 'validFor']],
  [{ answerwithin: 5000 }, ['answerwithin']],
])('%j is refused as an approval, field by field', (candidate, fields) => {
  expect(approvalProblems(candidate).map(([path]) => path.join('.'))).toEqual(fields);
});
