// Pure: random sagas with random ends of their attempts, cancels and terminates, driven as the workflow drives them.
import fc from 'fast-check';
import { type AgentStep, planProblems } from '../../src/core/plan';
import type { ResolvedPolicy } from '../../src/core/policy';
import type { UnwindingOptions } from '../../src/core/saga';
import type { SagaInput } from '../../src/core/saga-input';
import { needsResume } from '../../src/core/saga-resume';
import { isUndoable, pivotPassed, stepState } from '../../src/core/task-events';
import { type Choices, type Hazards, SimulatedSaga, type Undoing } from '../support/simulated-saga';

const retry = { maximumAttempts: 1, initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1 };
const policy: ResolvedPolicy = { startToClose: 1, heartbeatTimeout: 1, retry, local: false };
const policies = {
  final: policy,
  helper: policy,
  undoable: { ...policy, compensation: { startToClose: 1, heartbeatTimeout: 1, retry } },
};

const HAZARDS: Hazards = {
  terminates: 3,
  cancels: true,
  neverBeganLate: false,
  refusedLate: false,
  cancelledLate: false,
};
const CASES = 1000;

/** A saga of up to 9 steps: anything before its pivot, where it has one; what comes after it is never undone. */
function makeSaga({ oneOf, chance }: Choices): SagaInput {
  const count = oneOf(1, 2, 3, 4, 5, 6, 7, 8, 9);
  const pivot = chance(40) ? oneOf(0, ...Array.from({ length: count }, (_, index) => index)) : undefined;
  const steps: AgentStep[] = [];
  for (let index = 0; index < count; index += 1) {
    const earlier = steps.map(({ id }) => id);
    const after = pivot !== undefined && index > pivot;
    const needs = index === pivot ? earlier : earlier.filter(() => chance(30));
    if (after && !needs.includes(`s${pivot}`)) needs.push(`s${pivot}`);
    steps.push({
      id: `s${index}`,
      instruction: '',
      needs,
      ...(chance(25) ? { approval: { answerWithin: 1000 } } : {}),
      ...undoingOf(index === pivot ? 'pivot' : after ? 'after' : 'before', { oneOf, chance }),
    });
  }
  const unwinding = makeUnwinding(oneOf);
  return { name: 'a saga', steps, ...(unwinding === undefined ? {} : { unwinding }) };
}

function undoingOf(
  where: 'before' | 'pivot' | 'after',
  { oneOf }: Choices,
): Pick<AgentStep, 'agent' | 'kind' | 'compensate'> {
  const agent = oneOf('undoable', 'final');
  if (where === 'pivot') return { agent, kind: 'pivot' };
  if (where === 'after') return oneOf<Pick<AgentStep, 'agent' | 'kind'>>({ agent, kind: 'retryable' }, { agent });
  const helper = { agent: 'helper' };
  return oneOf<Pick<AgentStep, 'agent' | 'kind' | 'compensate'>>(
    { agent: 'undoable' },
    { agent: 'undoable' },
    { agent: 'undoable', kind: 'compensable' },
    { agent: 'final', kind: 'compensable', compensate: helper },
    { agent, compensate: helper },
    { agent: 'undoable', compensate: false },
    { agent: 'final' },
    { agent, kind: 'retryable' },
  );
}

function makeUnwinding(oneOf: Choices['oneOf']): UnwindingOptions | undefined {
  return oneOf<UnwindingOptions | undefined>(
    undefined,
    {},
    { groups: 'oneByOne' },
    { onFailure: 'goOn' },
    { groups: 'together', onFailure: 'hold' },
    { groups: 'oneByOne', onFailure: 'goOn' },
  );
}

/** One saga from its start to its end, and what became of it. */
function simulate(hazards: Hazards, generate: fc.GeneratorValue): SimulatedSaga {
  const choices: Choices = {
    oneOf: (...values) => {
      const chosen = values[generate(fc.nat, { max: values.length - 1 })];
      return chosen === undefined ? values[0] : chosen;
    },
    chance: (percent) => generate(fc.nat, { max: 99 }) >= 100 - percent,
  };
  const saga = new SimulatedSaga(makeSaga(choices), policies, choices, hazards);
  expect(planProblems(saga.plan, new Set(Object.keys(policies)))).toEqual([]);
  saga.run();
  return saga;
}

function always(hazards: Hazards, law: (saga: SimulatedSaga) => void, seed?: number): void {
  fc.assert(
    fc.property(fc.gen(), (generate) => law(simulate(hazards, generate))),
    { numRuns: CASES, ...(seed === undefined ? {} : { seed }) },
  );
}

/** The steps whose effect is taken back where the saga does not come to its end. */
const undoable = ({ plan }: SimulatedSaga): string[] =>
  plan.steps
    .filter(({ agent, kind, compensate }) => {
      if (kind === 'pivot' || kind === 'retryable' || compensate === false) return false;
      return compensate !== undefined || agent === 'undoable';
    })
    .map(({ id }) => id);

const isPivotDone = ({ plan, effects }: SimulatedSaga): boolean =>
  plan.steps.some(({ id, kind }) => kind === 'pivot' && effects.has(id));

/** It is whole, or it is as if it had never been; what a person said to go on without is that person's. */
function expectWhole(saga: SimulatedSaga): void {
  const { plan, effects, skipped, state, end, undoings } = saga;
  if (end === 'completed') {
    expect(plan.steps.filter(({ id }) => stepState(state, id).kind !== 'completed')).toEqual([]);
    expect(plan.steps.filter(({ id }) => !effects.has(id) && !skipped.has(id))).toEqual([]);
    expect(undoings).toEqual([]);
    return;
  }
  expect(undoable(saga).filter((id) => effects.has(id) && !skipped.has(id))).toEqual([]);
  // All of what comes after a pivot waits for it, so its effect would be half of the saga.
  expect(isPivotDone(saga)).toBe(false);
  expect(needsResume(state)).toBe(false);
}

test('a saga ends whole, or as if it had never been', () => {
  const ends = new Map<string, number>();
  always(HAZARDS, (saga) => {
    expectWhole(saga);
    ends.set(saga.end ?? '', (ends.get(saga.end ?? '') ?? 0) + 1);
  });
  expect([...ends.keys()].sort()).toEqual(['broken', 'cancelled', 'completed', 'failed']);
  expect(Math.min(...ends.values())).toBeGreaterThan(10);
});

test('nothing is undone twice, tried after it was undone, or undone past the pivot, and every state is JSON', () => {
  always(HAZARDS, ({ violations }) => expect(violations).toEqual([]));
});

test('what surely never began is not undone, and what nobody can undo is not', () => {
  always(HAZARDS, (saga) => {
    const can = undoable(saga);
    for (const { step } of saga.undoings) {
      expect(can).toContain(step);
      expect(saga.presence.has(step)).toBe(true);
    }
    const never = saga.plan.steps.filter(({ id }) => !saga.presence.has(id)).map(({ id }) => id);
    expect(saga.state.compensations?.filter(({ step }) => never.includes(step)) ?? []).toEqual([]);
  });
});

/** The first undoing of each step, in the order in which they were begun. */
function firstUndoings({ undoings }: SimulatedSaga): Undoing[] {
  const ordered = undoings.toSorted((a, b) => a.from - b.from);
  return ordered.filter(({ step }, index) => ordered.findIndex((one) => one.step === step) === index);
}

test('what was begun later is undone earlier, one at a time or beside what ran at the same time', () => {
  let together = 0;
  always(HAZARDS, (saga) => {
    const order = firstUndoings(saga);
    const oneByOne = saga.state.options?.unwinding?.groups === 'oneByOne';
    for (const [index, undoing] of order.entries()) {
      const ran = saga.presence.get(undoing.step);
      for (const later of order.slice(index + 1)) {
        const itsRun = saga.presence.get(later.step);
        if (ran === undefined || itsRun === undefined) throw new Error('A step was undone that never ran');
        if (later.from < undoing.to) {
          together += 1;
          expect(oneByOne).toBe(false);
          // They ran side by side.
          expect(itsRun.from <= ran.to && ran.from <= itsRun.to).toBe(true);
        } else expect(ran.from >= itsRun.from || overlaps(ran, itsRun)).toBe(true);
      }
    }
  });
  expect(together).toBeGreaterThan(100);
});

const overlaps = (a: { from: number; to: number }, b: { from: number; to: number }): boolean =>
  a.from <= b.to && b.from <= a.to;

test('what a step needs is undone after it', () => {
  always(HAZARDS, (saga) => {
    const first = new Map(firstUndoings(saga).map((undoing) => [undoing.step, undoing]));
    for (const { id, needs = [] } of saga.plan.steps) {
      for (const need of needs) {
        const [undone, neededs] = [first.get(id), first.get(need)];
        if (undone !== undefined && neededs !== undefined) {
          expect(neededs.from).toBeGreaterThanOrEqual(undone.to);
        }
      }
    }
  });
});

test('what waits for a person holds what was begun before it, unless the saga says to go on', () => {
  let wentOn = 0;
  always({ ...HAZARDS, terminates: 0 }, (saga) => {
    const goOn = saga.state.options?.unwinding?.onFailure === 'goOn';
    const groups = new Map(saga.state.stack?.map(({ step, group }) => [step, group]));
    const groupOf = (step: string): number => groups.get(step) ?? 0;
    const failures = saga.undoings.filter(({ how }) => how === 'failed');
    for (const { step, to } of failures) {
      const again = saga.undoings.find((one) => one.step === step && one.from >= to)?.from ?? Infinity;
      const below = saga.undoings.filter((one) => one.from > to && one.from < again && groupOf(one.step) < groupOf(step));
      if (goOn) wentOn += below.length;
      else if (!saga.skipped.has(step)) expect(below).toEqual([]);
    }
  });
  expect(wentOn).toBeGreaterThan(10);
});

test('no step is on the stack that cannot be undone, and none once the pivot is done', () => {
  always(HAZARDS, ({ state }) => {
    for (const entry of state.stack ?? []) expect(isUndoable(state, entry)).toBe(true);
    if (pivotPassed(state)) expect(state.stack).toBeUndefined();
  });
});
