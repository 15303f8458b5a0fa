import fc from 'fast-check';
import { Frontier } from '../../src/core/frontier';
import { jsonBytes } from '../../src/core/json';
import {
  PLAN_MAXIMUM_BYTES,
  type Plan,
  type AgentStep,
  fillInput,
  finalSteps,
  inlineMaximumBytes,
  planProblems,
  stepNeeds,
  validatePlan,
} from '../../src/core/plan';
import { evolve } from '../../src/core/task-fold';
import { type TaskState, INITIAL_TASK_STATE } from '../../src/core/task-state';
import { step } from '../support/agents';

const AGENTS = new Set(['echo']);
const codes = (plan: unknown) => planProblems(plan, AGENTS).map(({ code }) => code);
const steps = (count: number, of: (index: number) => Partial<AgentStep> = () => ({})) => ({
  steps: Array.from({ length: count }, (_, index) => ({ ...step(`s${index}`, 'echo'), ...of(index) })),
});

test('a DAG of known agents is a plan', () => {
  const plan = {
    steps: [
      step('a', 'echo'),
      step('b', 'echo', { needs: ['a'] }),
      step('c', 'echo', { input: { $output: 'b' } }),
    ],
  };
  expect(validatePlan(plan, AGENTS)).toBe(plan);
});

test.each([
  ['NotAPlan', undefined],
  ['NotAPlan', 'steps'],
  ['NotAPlan', { steps: {} }],
  ['NoSteps', { steps: [] }],
  ['TooManySteps', steps(1001)],
  ['TooLarge', { steps: [step('a', 'echo', { input: 'x'.repeat(PLAN_MAXIMUM_BYTES) })] }],
  ['StepInvalid', { steps: [null] }],
  ['StepInvalid', { steps: [{ ...step('a', 'echo'), id: '__proto__' }] }],
  ['StepInvalid', { steps: [{ ...step('a', 'echo'), agent: 7 }] }],
  ['StepInvalid', { steps: [{ ...step('a', 'echo'), instruction: 'x'.repeat(2001) }] }],
  ['StepInvalid', { steps: [{ ...step('a', 'echo'), needs: 'b' }] }],
  ['StepInvalid', { steps: [{ ...step('a', 'echo'), need: ['b'] }] }],
  ['DuplicateStep', { steps: [step('a', 'echo'), step('a', 'echo')] }],
  ['UnknownAgent', { steps: [step('a', 'nobody')] }],
  ['UnknownNeed', { steps: [step('a', 'echo', { input: [{ deep: { $output: 'b' } }] })] }],
  ['CyclicNeeds', { steps: [step('a', 'echo', { needs: ['a'] })] }],
  ['CyclicNeeds', steps(1000, (index) => ({ needs: [`s${(index + 1) % 1000}`] }))],
  [
    'TooManyNeeds',
    steps(200, (index) => ({ needs: Array.from({ length: index }, (_, need) => `s${need}`) })),
  ],
])('%s is reported', (code, plan) => {
  expect(codes(plan)).toContain(code);
});

test('a step named like a member of Object is an ordinary step', () => {
  expect(codes({ steps: [step('constructor', 'echo'), step('b', 'echo', { needs: ['toString'] })] })).toEqual(
    ['UnknownNeed'],
  );
});

test('an unknown agent alone is AgentUnknown, anything else PlanInvalid, and the message names the step', () => {
  expect(() => validatePlan({ steps: [step('a', 'nobody')] }, AGENTS)).toThrow(
    expect.objectContaining({ type: 'AgentUnknown', message: expect.stringContaining('Step "a"') }),
  );
  expect(() => validatePlan({ steps: [step('a', 'nobody'), step('a', 'echo')] }, AGENTS)).toThrow(
    expect.objectContaining({ type: 'PlanInvalid', message: expect.stringContaining('id "a"') }),
  );
});

test('a circle is shown as one', () => {
  const plan = {
    steps: [
      step('a', 'echo', { needs: ['c'] }),
      step('b', 'echo', { needs: ['a'] }),
      step('c', 'echo', { needs: ['b'] }),
    ],
  };
  expect(planProblems(plan, AGENTS)[0]?.message).toContain('a → c → b → a');
});

test('references to outputs are needs, and are filled in', () => {
  const of = step('c', 'echo', {
    needs: ['a'],
    input: { list: [{ $output: 'b' }, 1], own: { $output: 'b', more: 1 } },
  });
  expect(stepNeeds(of)).toEqual(['a', 'b']);
  expect(fillInput(of.input, new Map([['b', { x: 1 }]]))).toEqual({
    list: [{ x: 1 }, 1],
    own: { $output: 'b', more: 1 },
  });
});

/** Any DAG: each step needs some of those before it, and the list is shuffled. */
const anyPlan: fc.Arbitrary<Plan> = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 30 })
  .chain((needs) => {
    const list = needs.map((picks, index) =>
      step(`s${index}`, 'echo', {
        needs: index === 0 ? [] : [...new Set(picks.map((pick) => `s${pick % index}`))],
      }),
    );
    return fc.shuffledSubarray(list, { minLength: list.length }).map((shuffled) => ({ steps: shuffled }));
  });

test('every DAG is accepted, and its frontier gives each step once, after what it needs', () => {
  fc.assert(
    fc.property(anyPlan, (plan) => {
      expect(planProblems(plan, AGENTS)).toEqual([]);
      const state = evolve(INITIAL_TASK_STATE, {
        type: 'planned',
        plan,
        policies: {},
        by: 'caller',
        term: 0,
      });
      const order = runFrontier(plan, state);
      expect([...order].sort()).toEqual(plan.steps.map(({ id }) => id).sort());
      for (const of of plan.steps) {
        for (const need of stepNeeds(of)) expect(order.indexOf(need)).toBeLessThan(order.indexOf(of.id));
      }
    }),
  );
});

function runFrontier(plan: Plan, state: TaskState): string[] {
  const frontier = new Frontier(plan, state);
  const order: string[] = [];
  for (let next = frontier.take(); next !== undefined; next = frontier.take()) {
    order.push(next);
    frontier.complete(next);
  }
  return order;
}

test('a frontier made in the middle goes on with what is left', () => {
  const plan = {
    steps: [step('a', 'echo'), step('b', 'echo', { needs: ['a'] }), step('c', 'echo', { needs: ['b'] })],
  };
  let state = evolve(INITIAL_TASK_STATE, { type: 'planned', plan, policies: {}, by: 'caller', term: 0 });
  state = evolve(state, { type: 'stepScheduled', step: 'a', agent: 'echo', term: 0 });
  state = evolve(state, { type: 'stepCompleted', step: 'a', output: { value: 1 } });
  expect(runFrontier(plan, state)).toEqual(['b', 'c']);
});

test('the final steps are those that no step needs', () => {
  const plan = {
    steps: [
      step('a', 'echo'),
      step('b', 'echo', { needs: ['a'] }),
      step('c', 'echo', { input: { $output: 'a' } }),
    ],
  };
  expect(finalSteps(plan).map(({ id }) => id)).toEqual(['b', 'c']);
});

test('the largest plan with outputs at the inline limit stays under the 1 MiB of a Resume', () => {
  const plan = steps(1000, (index) => ({
    instruction: 'i'.repeat(150),
    needs: index === 0 ? [] : [`s${index - 1}`],
  }));
  expect(planProblems(plan, AGENTS)).toEqual([]);
  const limit = inlineMaximumBytes(plan);
  const value = 'x'.repeat(limit - 2);
  let state = evolve(INITIAL_TASK_STATE, { type: 'planned', plan, policies: {}, by: 'caller', term: 0 });
  for (const { id } of plan.steps) {
    state = evolve(state, { type: 'stepScheduled', step: id, agent: 'echo', term: 0 });
    state = evolve(state, {
      type: 'decisionsRecorded',
      step: id,
      decisions: { artifact: `sha256:${'0'.repeat(64)}`, bytes: 99_999 },
    });
    state = evolve(state, { type: 'stepCompleted', step: id, output: { value } });
  }
  expect(jsonBytes(state)).toBeLessThan(1024 * 1024);
});
