import fc from 'fast-check';
import type { FailureType } from '../../src/core/failures';
import { type PlanProblem, kindProblem, planProblems, stepNeeds } from '../../src/core/plan';
import type { ResolvedPolicy } from '../../src/core/policy';
import { sagaOptionProblems } from '../../src/core/saga';
import { parseSagaInput, sagaPlan, sagaProblems } from '../../src/core/saga-input';
import { startEvents } from '../../src/core/task-projection';
import { parseTaskInput } from '../../src/core/task-input';

const a = { id: 'a', agent: 'worker' };
const b = { id: 'b', agent: 'worker' };
const c = { id: 'c', agent: 'worker' };
const saga = (...steps: unknown[]) => ({ name: 'a saga', steps });
const YEAR = 365 * 24 * 60 * 60 * 1000;

const refusal = (candidate: unknown): { type?: FailureType; message?: string; details?: unknown } => {
  try {
    parseSagaInput(candidate);
    return {};
  } catch (error) {
    return error as { type: FailureType; message: string; details: unknown };
  }
};

describe('what follows what', () => {
  const needsOf = (...steps: unknown[]): string[][] =>
    sagaPlan(parseSagaInput(saga(...steps))).steps.map((step) => stepNeeds(step));

  test('a step that says nothing of its needs needs the one before it', () => {
    expect(needsOf(a, b, c)).toEqual([[], ['a'], ['b']]);
  });

  test('a step with needs of its own needs those only, and one with none starts at once', () => {
    expect(needsOf(a, { ...b, needs: [] }, { ...c, needs: ['a'] })).toEqual([[], [], ['a']]);
  });

  test('a step that refers to an output needs that step beside the one before it, each once', () => {
    expect(needsOf(a, b, { ...c, input: { $output: 'a' } })).toEqual([[], ['a'], ['b', 'a']]);
    expect(needsOf(a, b, { ...c, input: [{ $output: 'b' }] })).toEqual([[], ['a'], ['b']]);
  });

  test('an instruction may be left out, and nothing else is added', () => {
    expect(sagaPlan(parseSagaInput(saga(a, { ...b, instruction: 'do it' }))).steps).toEqual([
      { ...a, instruction: '' },
      { ...b, instruction: 'do it', needs: ['a'] },
    ]);
  });
});

describe('a saga that is refused', () => {
  test.each<[string, unknown, FailureType]>([
    ['nothing', undefined, 'InputInvalid'],
    ['a list', [], 'InputInvalid'],
    ['no name', { steps: [a] }, 'InputInvalid'],
    ['a blank name', { name: '  ', steps: [a] }, 'InputInvalid'],
    ['a name of 2,001 characters', { name: 'x'.repeat(2001), steps: [a] }, 'InputInvalid'],
    ['a field that there is not', { ...saga(a), step: [] }, 'InputInvalid'],
    ["a task's goal", { ...saga(a), goal: 'x' }, 'InputInvalid'],
    ['a time limit of less than a second', { ...saga(a), timeLimit: 999 }, 'InputInvalid'],
    ['an empty lock', { ...saga(a), lock: '' }, 'InputInvalid'],
    ['no steps', { name: 'a saga' }, 'PlanInvalid'],
    ['an empty list of steps', saga(), 'PlanInvalid'],
    ['a step that is none', saga(null), 'PlanInvalid'],
    ['a misspelt field of a step', saga({ ...a, need: [] }), 'PlanInvalid'],
    ['a need that there is not', saga({ ...a, needs: ['b'] }), 'PlanInvalid'],
    ['a vote', saga({ id: 'a', vote: { agents: ['worker'], quorum: 'all' } }), 'InputInvalid'],
    ['more than 1 MiB', { ...saga(a), lock: 'x'.repeat(1024 * 1024) }, 'InputTooLarge'],
  ])('%s', (_what, candidate, type) => {
    expect(refusal(candidate).type).toBe(type);
  });

  test('is told all that is wrong with it, the first five in words', () => {
    const { message, details } = refusal(saga(...['1', '2', '3', '4', '5', '6', '7'].map((id) => ({ id }))));
    expect(details).toHaveLength(7);
    expect(message).toMatch(/and 2 more$/);
  });

  test('is refused the same by its workflow, which then has no plan', () => {
    const events = startEvents(saga({ ...a, needs: ['b'] }), 'saga/run', 0);
    expect(events.map(({ type }) => type)).toEqual(['taskStarted']);
    expect(startEvents(saga(a), 'saga/run', 0).map(({ type }) => type)).toEqual(['taskStarted', 'planned']);
  });
});

test('the deadline counts from the start', () => {
  expect(startEvents({ ...saga(a), timeLimit: 5000 }, 'saga/run', 1000)).toMatchObject([
    { type: 'taskStarted', deadline: 6000, options: { timeLimit: 5000 } },
    { type: 'planned' },
  ]);
});

describe('what a step says of its undoing', () => {
  const codesOf = (...steps: unknown[]): PlanProblem['code'][] =>
    sagaProblems(saga(...steps)).map(({ code }) => code as PlanProblem['code']);
  const pivot = { ...b, kind: 'pivot' };

  test.each<[string, unknown[]]>([
    ['a step that nobody undoes', [{ ...a, compensate: false }]],
    ['another agent that undoes it', [{ ...a, compensate: { agent: 'helper' } }]],
    [
      'an undoing that refers to its step',
      [{ ...a, compensate: { agent: 'helper', input: { $output: 'a' } } }],
    ],
    [
      'an undoing that refers to a need',
      [a, { ...b, compensate: { agent: 'helper', input: { $output: 'a' } } }],
    ],
    ['a pivot between', [a, pivot, { ...c, kind: 'retryable' }]],
    [
      'a pivot with steps beside each other before it',
      [a, { ...c, needs: [] }, { ...pivot, needs: ['a', 'c'] }],
    ],
    ['a pivot of which some is needed indirectly', [a, c, pivot]],
    ['steps without a kind after a pivot', [pivot, a, { ...c, needs: ['b'], compensate: false }]],
    ['a retryable step before a pivot', [{ ...a, kind: 'retryable' }, pivot]],
    ['a policy and an approval', [{ ...a, approval: {}, policy: { retry: { maximumAttempts: 0 } } }]],
  ])('%s is fine', (_what, steps) => {
    expect(sagaProblems(saga(...steps))).toEqual([]);
  });

  test.each<[string, unknown[], PlanProblem['code'], readonly (string | number)[]]>([
    ['a kind that there is not', [{ ...a, kind: 'final' }], 'StepInvalid', ['steps', 0, 'kind']],
    ['an undoing by a name', [{ ...a, compensate: 'helper' }], 'StepInvalid', ['steps', 0, 'compensate']],
    ['an undoing that is wanted', [{ ...a, compensate: true }], 'StepInvalid', ['steps', 0, 'compensate']],
    [
      'an undoing with more to it',
      [{ ...a, compensate: { agent: 'x', needs: [] } }],
      'StepInvalid',
      ['steps', 0, 'compensate'],
    ],
    [
      'a compensable step that nobody undoes',
      [{ ...a, kind: 'compensable', compensate: false }],
      'StepInvalid',
      ['steps', 0, 'compensate'],
    ],
    [
      'a retryable step that is undone',
      [{ ...a, kind: 'retryable', compensate: { agent: 'x' } }],
      'StepInvalid',
      ['steps', 0, 'compensate'],
    ],
    [
      'a pivot that is undone',
      [{ ...a, kind: 'pivot', compensate: { agent: 'x' } }],
      'StepInvalid',
      ['steps', 0, 'compensate'],
    ],
    ['two pivots', [{ ...a, kind: 'pivot' }, pivot], 'PivotMisplaced', ['steps', 1, 'kind']],
    ['a step beside the pivot', [pivot, { ...c, needs: [] }], 'PivotMisplaced', ['steps', 1, 'kind']],
    [
      'a step beside the pivot, and another before it',
      [a, pivot, { ...c, needs: ['a'] }],
      'PivotMisplaced',
      ['steps', 2, 'kind'],
    ],
    [
      'a compensable step after it',
      [pivot, { ...c, kind: 'compensable' }],
      'PivotMisplaced',
      ['steps', 1, 'kind'],
    ],
    [
      'a step after it that is undone',
      [pivot, { ...c, compensate: { agent: 'x' } }],
      'PivotMisplaced',
      ['steps', 1, 'kind'],
    ],
    [
      'an undoing that refers to a later step',
      [{ ...a, compensate: { agent: 'x', input: { $output: 'b' } } }, b],
      'UnknownNeed',
      ['steps', 0, 'compensate'],
    ],
    [
      'an undoing that refers to a step beside it',
      [a, { ...b, needs: [], compensate: { agent: 'x', input: [{ $output: 'a' }] } }],
      'UnknownNeed',
      ['steps', 1, 'compensate'],
    ],
    ['an approval that is none', [{ ...a, approval: true }], 'StepInvalid', ['steps', 0, 'approval']],
    [
      'an approval with a wrong time',
      [{ ...a, approval: { validFor: 1 } }],
      'StepInvalid',
      ['steps', 0, 'approval', 'validFor'],
    ],
    ['a policy that is none', [{ ...a, policy: [] }], 'StepInvalid', ['steps', 0, 'policy']],
    [
      'a policy with a field that there is not',
      [{ ...a, policy: { local: true } }],
      'StepInvalid',
      ['steps', 0, 'policy', 'local'],
    ],
    [
      'a policy of half an attempt',
      [{ ...a, policy: { retry: { maximumAttempts: 1.5 } } }],
      'StepInvalid',
      ['steps', 0, 'policy', 'retry', 'maximumAttempts'],
    ],
    ['needs in a circle', [{ ...a, needs: ['b'] }, b], 'CyclicNeeds', ['steps', 0, 'needs']],
  ])('%s is refused', (_what, steps, code, path) => {
    expect(sagaProblems(saga(...steps))).toContainEqual(expect.objectContaining({ code, path }));
    expect(codesOf(...steps)).toHaveLength(1);
  });

  test('an agent that undoes and that there is not is named where it stands', () => {
    const plan = { steps: [{ ...a, instruction: '', compensate: { agent: 'nobody' } }] };
    expect(planProblems(plan, new Set(['worker']))).toMatchObject([
      { code: 'UnknownAgent', step: 'a', path: ['steps', 0, 'compensate'] },
    ]);
  });

  const retry = { maximumAttempts: 1, initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1 };
  const policy: ResolvedPolicy = { startToClose: 1, heartbeatTimeout: 1, retry, local: false };
  const undoable = { ...policy, compensation: { startToClose: 1, heartbeatTimeout: 1, retry } };

  test('a compensable step wants somebody who can undo it', () => {
    const plan = sagaPlan(parseSagaInput(saga(a, { ...b, kind: 'compensable' })));
    expect(kindProblem(plan, { worker: policy })).toMatchObject({ step: 'b', path: ['steps', 1, 'kind'] });
    expect(kindProblem(plan, { worker: undoable })).toBeUndefined();
    const helped = sagaPlan(parseSagaInput(saga({ ...b, kind: 'compensable', compensate: { agent: 'x' } })));
    expect(kindProblem(helped, { worker: policy })).toBeUndefined();
    expect(kindProblem(undefined, {})).toBeUndefined();
  });
});

describe('options', () => {
  test.each<[Record<string, unknown>]>([
    [{}],
    [{ timeLimit: 1000, lock: 'order-42', unwinding: {} }],
    [{ timeLimit: YEAR, lock: '订单'.repeat(100) }],
    [{ unwinding: { groups: 'together', onFailure: 'goOn' } }],
    [{ unwinding: { groups: 'oneByOne', onFailure: 'hold' } }],
    [{ name: 'what is not an option is not its business' }],
  ])('%j are fine', (options) => {
    expect(sagaOptionProblems(options)).toEqual([]);
  });

  test.each<[Record<string, unknown>, string[]]>([
    [{ timeLimit: 999 }, ['timeLimit']],
    [{ timeLimit: YEAR + 1 }, ['timeLimit']],
    [{ timeLimit: '1 hour' }, ['timeLimit']],
    [{ timeLimit: NaN }, ['timeLimit']],
    [{ timeLimit: null }, ['timeLimit']],
    [{ lock: '' }, ['lock']],
    [{ lock: 7 }, ['lock']],
    [{ lock: 'x'.repeat(201) }, ['lock']],
    [{ lock: 'a\nb' }, ['lock']],
    [{ unwinding: null }, ['unwinding']],
    [{ unwinding: 'together' }, ['unwinding']],
    [{ unwinding: { groups: 'reverse' } }, ['unwinding.groups']],
    [{ unwinding: { onFailure: true } }, ['unwinding.onFailure']],
    [{ unwinding: { group: 'together' } }, ['unwinding.group']],
    [{ unwinding: { constructor: 'together' } }, ['unwinding.constructor']],
    [{ timeLimit: 0, lock: 0, unwinding: 0 }, ['timeLimit', 'lock', 'unwinding']],
  ])('%j are refused, field by field', (options, fields) => {
    expect(sagaOptionProblems(options).map(([path]) => path.join('.'))).toEqual(fields);
    expect(refusal({ ...saga(a), ...options }).type).toBe('InputInvalid');
    expect(() => parseTaskInput({ goal: 'a goal', ...options })).toThrow(
      expect.objectContaining({ type: 'InputInvalid' }),
    );
  });
});

describe('any candidate', () => {
  const ids = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
  const reference = fc.record({ $output: ids });
  const anyInput = fc.oneof(reference, fc.array(reference, { maxLength: 2 }), fc.constant({ x: 1 }));
  const anyStep = fc.record(
    {
      agent: fc.constant('worker'),
      needs: fc.uniqueArray(ids, { maxLength: 1 }),
      input: anyInput,
      kind: fc.constantFrom('compensable', 'pivot', 'retryable'),
      compensate: fc.constantFrom<unknown[]>(false, { agent: 'x' }, { agent: 'x', input: { $output: 'a' } }),
      approval: fc.constant({ validFor: 5000 }),
      policy: fc.constant({ startToClose: 5000, retry: { maximumAttempts: 0 } }),
    },
    { requiredKeys: ['agent'] },
  );
  const FIELDS = ['id', 'agent', 'instruction', 'needs', 'input', 'kind', 'compensate', 'approval', 'policy'];
  const junk = fc.constantFrom<unknown[]>(
    undefined,
    null,
    0,
    true,
    'a',
    'a',
    'x',
    '__proto__',
    [],
    [7],
    {},
    { agent: 7 },
    { agent: 'x', y: 1 },
    { retry: 7 },
    { retry: { maximumAttempts: 0.5 } },
    { startToClose: 0 },
    { validFor: 1 },
    { no: 1 },
  );
  const spoilt = fc.record({
    index: fc.nat({ max: 5 }),
    field: fc.constantFrom(...FIELDS, 'vote', 'misspelt'),
    value: junk,
  });
  const anySaga = fc
    .record({
      steps: fc.array(anyStep, { minLength: 1, maxLength: 6 }),
      distinct: fc.constantFrom(6, 6, 6, 6, 6, 6, 3),
      spoils: fc.array(spoilt, { maxLength: 2 }),
      more: fc.oneof(
        { weight: 5, arbitrary: fc.constant({}) },
        {
          weight: 1,
          arbitrary: fc.dictionary(
            fc.constantFrom('name', 'steps', 'timeLimit', 'lock', 'unwinding', 'misspelt'),
            junk,
            { maxKeys: 1 },
          ),
        },
      ),
    })
    .map(({ steps, distinct, spoils, more }) => {
      const spoiltSteps = steps.map((step, index) => {
        const changes = spoils.filter((spoil) => spoil.index === index);
        const id = String.fromCodePoint(97 + (index % distinct));
        return { id, ...step, ...Object.fromEntries(changes.map(({ field, value }) => [field, value])) };
      });
      return { name: 'a saga', steps: spoiltSteps, ...more };
    });

  /** What stands at `path` in `value`; undefined where there is nothing. */
  const at = (value: unknown, path: readonly (string | number)[]): unknown =>
    path.reduce<unknown>(
      (of, key) =>
        typeof of === 'object' && of !== null && Object.hasOwn(of, key) ? of[key as never] : undefined,
      value,
    );

  test('gets problems whose paths lead to where they are, or to what lacks them', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(anySaga, (candidate) => {
        for (const { code, path = [], step, message } of sagaProblems(candidate)) {
          seen.add(code);
          expect(message).not.toBe('');
          expect(at(candidate, path.slice(0, -1))).toBeDefined();
          if (step !== undefined) expect(at(candidate, [...path.slice(0, 2), 'id'])).toBe(step);
        }
      }),
      { numRuns: 2000 },
    );
    expect([...seen]).toEqual(
      expect.arrayContaining([
        'CyclicNeeds',
        'DuplicateStep',
        'InputInvalid',
        'PivotMisplaced',
        'StepInvalid',
        'UnknownNeed',
      ]),
    );
  });

  test('is a saga exactly where nothing is wrong with it, and its plan is then one', () => {
    let sound = 0;
    fc.assert(
      fc.property(anySaga, (candidate) => {
        if (sagaProblems(candidate).length > 0) expect(refusal(candidate).type).toBeDefined();
        else {
          sound += 1;
          expect(planProblems(sagaPlan(parseSagaInput(candidate)), undefined)).toEqual([]);
        }
      }),
      { numRuns: 2000 },
    );
    expect(sound).toBeGreaterThan(50);
  });

  test('leaves no more than one pivot, with all other steps before or after it', () => {
    const kinds = fc.constantFrom(undefined, undefined, 'pivot', 'retryable', 'compensable');
    const anySteps = fc.array(
      fc.record({ needs: fc.array(fc.nat({ max: 9 }), { maxLength: 3 }), kind: kinds }),
      {
        minLength: 1,
        maxLength: 7,
      },
    );
    let pivots = 0;
    fc.assert(
      fc.property(anySteps, (drawn) => {
        const steps = drawn.map(({ needs, kind }, index) => ({
          id: `s${index}`,
          agent: 'worker',
          needs: index === 0 ? [] : [...new Set(needs.map((need) => `s${need % index}`))],
          ...(kind === undefined ? {} : { kind }),
        }));
        const sound = sagaProblems(saga(...steps)).length === 0;
        const pivotsAt = steps.flatMap(({ kind }, index) => (kind === 'pivot' ? [index] : []));
        if (pivotsAt.length === 0) return expect(sound).toBe(true);
        const [pivot = 0] = pivotsAt;
        const needed = closure(steps.map(({ needs }) => needs));
        const ordered = steps.every(({ kind }, index) => {
          if (index === pivot || needed[pivot]?.has(`s${index}`)) return true;
          return needed[index]?.has(`s${pivot}`) === true && kind !== 'compensable';
        });
        if (sound) pivots += 1;
        expect(sound).toBe(pivotsAt.length === 1 && ordered);
      }),
      { numRuns: 1000 },
    );
    expect(pivots).toBeGreaterThan(20);
  });

  /** All that each step needs, directly or not; steps need earlier ones only. */
  function closure(needs: readonly (readonly string[])[]): Set<string>[] {
    const all: Set<string>[] = [];
    for (const own of needs) {
      all.push(new Set(own.flatMap((need) => [need, ...(all[Number(need.slice(1))] ?? [])])));
    }
    return all;
  }
});

/** Lists in each other, `levels` deep. */
function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

test('a step that is too deep is refused, in whatever order it is looked at', () => {
  const candidate = saga(a, { ...b, input: deep(100_000) });
  expect(sagaProblems(candidate)).toMatchObject([{ code: 'TooLarge' }]);
  expect(startEvents(candidate, 'saga/run', 0)).toMatchObject([{ type: 'taskStarted' }]);
});

test('a misspelt field with a dot in its name is named where it is', () => {
  const candidates = [
    saga({ ...a, 'policy.retry': 1 }),
    { ...saga(a), unwinding: { 'groups.x': 1 } },
    { ...saga(a), 'a.b': 1 },
  ];
  const paths = candidates.map((candidate) => sagaProblems(candidate)[0]?.path);
  expect(paths).toEqual([['steps', 0, 'policy.retry'], ['unwinding', 'groups.x'], ['a.b']]);
});

test('a field of a policy that is written with a dot is refused', () => {
  expect(sagaProblems(saga({ ...a, policy: { 'retry.maximumAttempts': 5 } }))).toHaveLength(1);
});
