/** What a fork begins with: the past of another task up to a point of its log. */
import { CadreError, inputInvalid } from '../failures';
import { taskBudget } from '../budget/budget';
import { validatePlan } from '../plan';
import { type TaskState, agentOf, isUnwinding, pivotPassed, policyOf, stepState } from '../task-state';

/**
 * What a fork changes, by path: `goal`, or a field of a step that is not done, such as `steps.analysis.instruction` or
 * `steps.analysis.input.depth`.
 */
export type ForkOverrides = Readonly<Record<string, unknown>>;

/** A fork's first state. */
export interface Fork {
  /** See {@link rooted}. */
  readonly snapshot: TaskState;
  /** The steps whose outputs it shares; they do not run again. */
  readonly shared: readonly string[];
  /** Those of them that may have had an effect: the fork neither repeats nor undoes it. */
  readonly sharedEffects: readonly string[];
  /** Steps that were begun and not done: they run again under keys of their own, and may have had an effect before. */
  readonly begunBefore: readonly string[];
}

/** A fork's first state with its root, at the time `now` (ms since 1970): what it uses is charged to an account of its own. */
export function rooted({ snapshot }: Fork, root: string, now: number): TaskState {
  const { budget: original, deadline, ...rest } = snapshot;
  const budget = original && taskBudget(root, now, { budget: original.given, parent: original.parent });
  const ends = [deadline, budget?.until].filter((end) => end !== undefined);
  return {
    ...rest,
    root,
    ...(ends.length === 0 ? {} : { deadline: Math.min(...ends) }),
    ...(budget === undefined ? {} : { budget }),
  };
}

/**
 * The fork of `state`, which has a plan. It gets idempotency keys of its own (a root), begins in term 0, holds no lock, undoes
 * nothing that was done before it, and has its time limit from `now` (ms since 1970). Throws ForkRefused where what was
 * done is being undone, the steps are workflow code's, or nothing is left to do; InputInvalid and PlanInvalid for an
 * override.
 */
export function forkOf(state: TaskState, overrides: ForkOverrides, now: number): Fork {
  refuseUnlessForkable(state);
  const changed = withOverrides(state, overrides);
  const { goal, docs, options, plan, plannedBy, policies } = changed;
  const steps = (plan?.steps ?? []).map(({ id }) => [id, forkedStep(changed, id)] as const);
  if (steps.every(([, { kind }]) => kind === 'completed')) {
    throw refused('Every step is done there: fork at an earlier event');
  }
  const snapshot: TaskState = {
    version: 1,
    root: '',
    goal,
    ...(docs === undefined ? {} : { docs }),
    ...(options === undefined ? {} : { options }),
    ...(options?.timeLimit === undefined ? {} : { deadline: now + options.timeLimit }),
    ...(state.budget === undefined ? {} : { budget: state.budget }),
    phase: { kind: 'running' },
    term: 0,
    ...(plan === undefined ? {} : { plan }),
    ...(plannedBy === undefined ? {} : { plannedBy }),
    policies,
    steps: Object.fromEntries(steps),
    ...(changed.assignments === undefined ? {} : { assignments: changed.assignments }),
  };
  const isBegun = (id: string): boolean =>
    ['scheduled', 'failed', 'parked', 'cancelled', 'voting', 'arbitrating'].includes(
      stepState(state, id).kind,
    ) || state.attempted?.[id] === true;
  const shared = steps.flatMap(([id, { kind }]) => (kind === 'completed' ? [id] : []));
  return {
    snapshot,
    shared,
    sharedEffects: shared.filter((id) => mayHaveEffect(state, id)),
    begunBefore: steps.flatMap(([id, { kind }]) => (kind !== 'completed' && isBegun(id) ? [id] : [])),
  };
}

/** What the agents remember of a step that is shared, they have from the original. */
function forkedStep(state: TaskState, id: string): TaskState['steps'][string] {
  const step = stepState(state, id);
  if (step.kind !== 'completed') return { kind: 'waiting' };
  const { output, skipped } = step;
  return { kind: 'completed', output, ...(skipped === undefined ? {} : { skipped }) };
}

/** Whoever is to undo a step thinks that it has one; so has a pivot. */
function mayHaveEffect(state: TaskState, id: string): boolean {
  const step = state.plan?.steps.find((one) => one.id === id);
  if (step?.agent === undefined || step.compensate === false) return step?.kind === 'pivot';
  const agent = agentOf(state, step) ?? step.agent;
  return (
    step.kind !== undefined ||
    step.compensate !== undefined ||
    policyOf(state, agent)?.compensation !== undefined
  );
}

function refuseUnlessForkable(state: TaskState): void {
  if (state.own) {
    throw refused(
      'Its steps come from workflow code of your own, which a fork cannot enter half-way: use `temporal workflow reset`',
    );
  }
  if (isUnwinding(state) && !pivotPassed(state)) {
    throw refused('What was done is being undone there, or was: fork at an event before that');
  }
}

/** `state` with the overrides in its plan. Throws InputInvalid, PlanInvalid. */
function withOverrides(state: TaskState, overrides: ForkOverrides): TaskState {
  let { goal, assignments = {} } = state;
  const steps = structuredClone(state.plan?.steps ?? []) as unknown as Record<string, unknown>[];
  for (const [path, value] of Object.entries(overrides)) {
    if (path === 'goal') {
      if (typeof value !== 'string' || value === '') throw inputInvalid('`goal`', 'a text', value);
      goal = value;
      continue;
    }
    const found = stepAt(path, state);
    if (found === undefined) {
      const ids = (state.plan?.steps ?? []).map(({ id }) => id).join(', ');
      throw inputInvalid('an override', `\`goal\` or \`steps.<id>.<field>\`, of the steps ${ids}`, path);
    }
    const { id, fields } = found;
    const { kind } = stepState(state, id);
    if (kind === 'completed')
      throw refused(`The step "${id}" is done there: fork before it started to change it`);
    if (fields[0] === 'id') throw inputInvalid('an override', 'of another field: ids stay', path);
    assign(steps.find((one) => one['id'] === id) ?? {}, fields, value);
    if (fields[0] === 'agent') {
      const { [id]: _before, ...others } = assignments;
      assignments = others;
    }
  }
  const { assignments: _before, ...rest } = state;
  const plan = validatePlan({ steps }, undefined);
  return { ...rest, goal, plan, ...(Object.keys(assignments).length === 0 ? {} : { assignments }) };
}

/** Ids may have dots: the longest that fits is meant. */
function stepAt(path: string, { plan }: TaskState): { id: string; fields: string[] } | undefined {
  const ids = (plan?.steps ?? []).map(({ id }) => id).sort((a, b) => b.length - a.length);
  const id = ids.find((one) => path.startsWith(`steps.${one}.`));
  return id === undefined ? undefined : { id, fields: path.slice(`steps.${id}.`.length).split('.') };
}

/** Sets a field of an object, or one further in, of which what is on the way is made. */
function assign(
  into: Record<string, unknown>,
  [field = '', ...inner]: readonly string[],
  value: unknown,
): void {
  const put = (next: unknown): void => {
    Object.defineProperty(into, field, { value: next, enumerable: true, configurable: true, writable: true });
  };
  if (inner.length === 0) return put(value);
  const there = Object.hasOwn(into, field) ? into[field] : undefined;
  const next = typeof there === 'object' && there !== null ? (there as Record<string, unknown>) : {};
  assign(next, inner, value);
  put(next);
}

function refused(message: string): CadreError {
  return new CadreError('ForkRefused', message);
}
