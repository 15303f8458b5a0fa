// Pure: random sagas with random ends of their attempts, cancels and terminates, driven as the workflow drives them.
import fc from 'fast-check';
import { type AgentStep, planProblems } from '../../src/core/plan';
import type { ResolvedPolicy } from '../../src/core/policy';
import type { UnwindingOptions } from '../../src/core/saga';
import type { SagaInput } from '../../src/core/saga-input';
import { needsResume } from '../../src/core/saga-resume';
import { isUndoable, pivotPassed, stepState } from '../../src/core/task-state';
import {
  type Choices,
  type Hazards,
  type Presence,
  SimulatedSaga,
  type Undoing,
} from '../support/simulated-saga';

const retry = { maximumAttempts: 1, initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1 };
const policy: ResolvedPolicy = { startToClose: 1, heartbeatTimeout: 1, retry, local: false };
const policies = {
  final: policy,
  helper: policy,
  undoable: { ...policy, compensation: { startToClose: 1, heartbeatTimeout: 1, retry } },
};

const HAZARDS: Hazards = { terminates: 3, cancels: true };
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
  if (where === 'after')
    return oneOf<Pick<AgentStep, 'agent' | 'kind'>>({ agent, kind: 'retryable' }, { agent });
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

/** What could never begin, and what nobody can undo, is left alone. */
function expectOnlyNecessary(saga: SimulatedSaga): void {
  const can = undoable(saga);
  const begun = new Set(saga.presence.keys());
  for (const { step } of saga.undoings) {
    expect(can).toContain(step);
    expect(begun).toContain(step);
  }
  for (const { id } of saga.plan.steps) {
    const failures = saga.log.filter((event) => event.type === 'stepFailed' && event.step === id);
    const undone = saga.undoings.some(({ step }) => step === id);
    if (failures.length > 0 && !saga.mayHaveBegun.has(id)) expect([id, undone]).toEqual([id, false]);
  }
}

/** The first undoing of each step, in the order in which they were begun. */
function firstUndoings({ undoings }: SimulatedSaga): Undoing[] {
  const ordered = undoings.toSorted((a, b) => a.from - b.from);
  return ordered.filter(({ step }, index) => ordered.findIndex((one) => one.step === step) === index);
}

/** What was begun later is undone earlier, one at a time or beside what ran at the same time. */
function expectReverse(saga: SimulatedSaga, count: (what: string) => void): void {
  const order = firstUndoings(saga);
  const groups = saga.state.options?.unwinding?.groups;
  const oneByOne = groups === 'oneByOne';
  for (const [index, undoing] of order.entries()) {
    const ran = presenceOf(saga, undoing.step);
    for (const later of order.slice(index + 1)) {
      const itsRun = presenceOf(saga, later.step);
      const beside = later.from < undoing.to;
      if (beside) count(`undone together${groups === undefined ? ' by default' : ''}`);
      expect(beside && oneByOne).toBe(false);
      expect(ran.order > itsRun.order || (!oneByOne && overlap(ran, itsRun))).toBe(true);
      if (beside) expect(overlap(ran, itsRun)).toBe(true);
    }
  }
}

function presenceOf({ presence }: SimulatedSaga, step: string): Presence {
  const found = presence.get(step);
  if (found === undefined) throw new Error(`${step} was undone and never ran`);
  return found;
}

const overlap = (a: Presence, b: Presence): boolean => a.from <= b.to && b.from <= a.to;

/** What a step needs is undone after it. */
function expectNeedsLater(saga: SimulatedSaga): void {
  const first = new Map(firstUndoings(saga).map((undoing) => [undoing.step, undoing]));
  for (const { id, needs = [] } of saga.plan.steps) {
    for (const need of needs) {
      const [undone, needed] = [first.get(id), first.get(need)];
      if (undone !== undefined && needed !== undefined) expect(needed.from).toBeGreaterThanOrEqual(undone.to);
    }
  }
}

/** A compensation that failed holds those of what was begun before it, until a person has said something. */
function expectHeld(saga: SimulatedSaga, count: (what: string) => void): void {
  const goOn = saga.state.options?.unwinding?.onFailure === 'goOn';
  const groups = new Map(saga.state.stack?.map(({ step, group }) => [step, group]));
  const groupOf = (step: string): number => groups.get(step) ?? 0;
  for (const { step, to } of saga.undoings.filter(({ how }) => how === 'failed')) {
    const said = saga.saidOf.find((one) => one.step === step && one.at >= to)?.at ?? Infinity;
    // After a terminate it is tried again without a word.
    const again = saga.undoings.find((one) => one.step === step && one.from >= to)?.from ?? Infinity;
    const until = Math.min(said, again);
    const below = saga.undoings.filter(
      ({ from, step: other }) => from > to && from < until && groupOf(other) < groupOf(step),
    );
    if (!goOn) expect(below).toEqual([]);
    else if (below.length > 0) count('went on');
  }
}

/** No step is on the stack that cannot be undone, and none once the pivot is done. */
function expectStack({ state }: SimulatedSaga): void {
  for (const entry of state.stack ?? []) expect(isUndoable(state, entry)).toBe(true);
  if (pivotPassed(state)) expect(state.stack).toBeUndefined();
}

const anySaga = (hazards: Hazards, check: (saga: SimulatedSaga) => void) =>
  fc.property(fc.gen(), (generate) => check(simulate(hazards, generate)));

test('every saga ends whole, or as if it had never been: each effect net once, undone in reverse, and nothing twice', () => {
  const counts = new Map<string, number>();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  fc.assert(
    anySaga(HAZARDS, (saga) => {
      expect(saga.violations).toEqual([]);
      expectWhole(saga);
      expectOnlyNecessary(saga);
      expectReverse(saga, count);
      expectNeedsLater(saga);
      expectHeld(saga, count);
      expectStack(saga);
      count(saga.end ?? 'open');
      for (const type of new Set(saga.log.map((event) => event.type))) count(type);
    }),
    { numRuns: CASES },
  );
  // The cases have what the laws are about.
  expect(Object.fromEntries(counts)).toMatchObject(
    Object.fromEntries(REACHED.map((what) => [what, expect.any(Number) as number])),
  );
});

const REACHED = [
  'completed',
  'failed',
  'cancelled',
  'broken',
  'went on',
  'undone together',
  'undone together by default',
  'taskResumed',
  'timeLimitReached',
  'cancelRequested',
  'approvalTimedOut',
  'approvalWithdrawn',
  'stepParked',
  'stepResolved',
  'stepHandedBack',
  'stepCancelled',
  'compensationResolved',
];
