/**
 * What undoes a task's steps: the stack of compensations, and what became of them.
 *
 * 1. A step is on the stack before it starts, since one whose end nobody saw may have happened.
 * 2. A step that surely never began is not on it.
 * 3. They are undone in the reverse order of their starts, those that ran side by side together; nothing is undone
 *    twice.
 */
import type { FailureInfo, FailureType } from './failures';
import { type FieldProblem, isRecord } from './json';
import { isKey } from './key';

/**
 * What may become of a step once it was done.
 *
 * `compensable`: it is undone where the saga fails. `pivot`: the point of no return; once it is done the saga only goes
 * forward. `retryable`: it is never undone; where it fails for good a person is asked, and the saga does not fail.
 * Steps after a pivot are retryable. A step without a kind is undone where its agent can.
 */
export const STEP_KINDS = ['compensable', 'pivot', 'retryable'] as const;
export type StepKind = (typeof STEP_KINDS)[number];

/** How a saga is undone. */
export interface UnwindingOptions {
  /** Steps that ran side by side: undone side by side (default), or one at a time. */
  readonly groups?: 'together' | 'oneByOne';
  /** A compensation that failed for good: wait for a person before the next (default), or go on with the others. */
  readonly onFailure?: 'hold' | 'goOn';
}

/** What of a task or saga is not in its steps. */
export interface SagaOptions {
  readonly unwinding?: UnwindingOptions;
  /** After so many milliseconds what was done is undone. From 1 second to 365 days. Default: no limit of its own. */
  readonly timeLimit?: number;
  /** A key that no other saga of the cadre may have at the same time, such as `order-42`. 1 to 200 characters. */
  readonly lock?: string;
}

/** A step that was started and can be undone. */
export interface StackEntry {
  readonly step: string;
  readonly agent: string;
}

/** An entry as it stands on the stack: those of one group were in flight at the same time. */
export interface StackedEntry extends StackEntry {
  readonly group: number;
}

/** What is known of the step that is undone: it put out its output, or nobody knows what happened. */
export type StepOutcome = 'completed' | 'unknown';

/** What became of the undoing of one step. */
export type Compensation = StackEntry & { readonly outcome: StepOutcome } & (
    | { readonly kind: 'running' }
    | { readonly kind: 'undone' }
    /** All attempts failed: a person is to say what now. */
    | { readonly kind: 'failed'; readonly failure: FailureInfo }
    /** A person said to try it again. */
    | { readonly kind: 'retry' }
    /** A person said to go on without it. */
    | { readonly kind: 'skipped'; readonly failure: FailureInfo; readonly note: string }
  );

/**
 * What a person may say of what failed for good: try it again, or go on without it. `fail` is for a step only that
 * surely had no effect: what came before it is undone.
 */
export const RESOLUTIONS = ['retry', 'skip', 'fail'] as const;
export type Resolution = (typeof RESOLUTIONS)[number];

/**
 * The stack with `entry` on top, unless it is on it already. It joins the group on top where none of that has ended:
 * `inFlight` says so of a step.
 */
export function pushEntry(
  stack: readonly StackedEntry[],
  { step, agent }: StackEntry,
  inFlight: (step: string) => boolean,
): readonly StackedEntry[] {
  if (stack.some((one) => sameEntry(one, { step, agent }))) return stack;
  const top = stack.at(-1)?.group ?? 0;
  const beside = stack.filter((one) => one.group === top);
  const joins = beside.length > 0 && beside.every((one) => one.step !== step && inFlight(one.step));
  return [...stack, { step, agent, group: joins ? top : top + 1 }];
}

/** The stack without `entry`. */
export function dropEntry(stack: readonly StackedEntry[], entry: StackEntry): readonly StackedEntry[] {
  return stack.filter((one) => !sameEntry(one, entry));
}

/**
 * What is to be undone next, the latest start first: the unsettled entries of one group, or one of them; empty where
 * nothing is left to begin. What failed and waits for a person holds what is below it, or is passed over.
 */
export function nextToUndo(
  stack: readonly StackedEntry[],
  compensations: readonly Compensation[],
  { groups = 'together', onFailure = 'hold' }: UnwindingOptions = {},
): readonly StackEntry[] {
  const stateOf = (entry: StackEntry): Compensation['kind'] | undefined =>
    compensations.find((one) => sameEntry(one, entry))?.kind;
  const left = stack.filter((entry) => {
    const kind = stateOf(entry);
    return kind !== 'undone' && kind !== 'skipped' && !(kind === 'failed' && onFailure === 'goOn');
  });
  const top = left.at(-1);
  if (top === undefined) return [];
  const next = groups === 'oneByOne' ? [top] : left.filter(({ group }) => group === top.group);
  return next
    .filter((entry) => stateOf(entry) !== 'failed')
    .map(({ step, agent }) => ({ step, agent }))
    .toReversed();
}

/** The compensations with `change` in the place of what was known of the same step and agent. */
export function withCompensation(
  compensations: readonly Compensation[],
  change: Compensation,
): readonly Compensation[] {
  const known = compensations.some((one) => sameEntry(one, change));
  return known
    ? compensations.map((one) => (sameEntry(one, change) ? change : one))
    : [...compensations, change];
}

/** True for a failure by which the agent surely never began, in none of the attempts that the server made. */
export function neverBegan({ type, message, began, short }: FailureInfo): boolean {
  const before =
    BEFORE_THE_AGENT.some((one) => one === type) ||
    short?.limit === 'steps' ||
    (type === 'TimedOut' && /SCHEDULE_TO_START/.test(message));
  return before && began !== true;
}

/** What an attempt fails with before its agent begins. */
export const BEFORE_THE_AGENT: readonly FailureType[] = ['AgentUnknown', 'AgentInputInvalid', 'BreakerOpen'];

export function sameEntry(a: StackEntry, b: StackEntry): boolean {
  return a.step === b.step && a.agent === b.agent;
}

/** The parts of a plan's step that say what may become of it. */
interface Kinded {
  readonly id: string;
  readonly kind?: StepKind | undefined;
  readonly compensate?: unknown;
}

/**
 * What is wrong with where a plan has its pivot: nothing may run beside it, and nothing after it can be undone.
 * `needs` has no circle.
 */
export function orderProblem(
  steps: readonly Kinded[],
  needs: ReadonlyMap<string, readonly string[]>,
): { step: string; message: string } | undefined {
  const pivots = steps.filter(({ kind }) => kind === 'pivot');
  const [pivot, second] = pivots;
  if (pivot === undefined) return undefined;
  if (second !== undefined) {
    const message = `Two steps are pivots ("${pivot.id}" and "${second.id}"): after the first nothing is undone, so make the second retryable`;
    return { step: second.id, message };
  }
  const before = reachable(pivot.id, needs);
  for (const step of steps) {
    if (step === pivot || before.has(step.id)) continue;
    if (!reachable(step.id, needs).has(pivot.id)) {
      const message = `Step "${step.id}" may run beside the pivot "${pivot.id}": let one of them need the other`;
      return { step: step.id, message };
    }
    if (step.kind === 'compensable' || step.compensate) {
      const message = `Step "${step.id}" comes after the pivot "${pivot.id}" and is never undone: make it retryable`;
      return { step: step.id, message };
    }
  }
  return undefined;
}

/** All that `from` needs, directly or not. */
function reachable(from: string, needs: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [...(needs.get(from) ?? [])];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    open.push(...(needs.get(id) ?? []));
  }
  return found;
}

const TIME_LIMIT_RANGE = [1000, 365 * 24 * 60 * 60 * 1000] as const;

/** What is wrong with `candidate` as {@link SagaOptions}, of which it may have more fields. */
export function sagaOptionProblems(candidate: Readonly<Record<string, unknown>>): FieldProblem[] {
  const { unwinding, timeLimit, lock } = candidate;
  const problems: FieldProblem[] = [];
  const [least, most] = TIME_LIMIT_RANGE;
  if (
    timeLimit !== undefined &&
    !(typeof timeLimit === 'number' && timeLimit >= least && timeLimit <= most)
  ) {
    problems.push([['timeLimit'], `milliseconds from ${least} to ${most}`]);
  }
  if (lock !== undefined && !isKey(lock)) {
    problems.push([['lock'], '1 to 200 characters without control characters']);
  }
  if (unwinding === undefined) return problems;
  if (!isRecord(unwinding)) return [...problems, [['unwinding'], 'an object']];
  for (const [field, value] of Object.entries(unwinding)) {
    const choices = Object.hasOwn(UNWINDING, field) ? UNWINDING[field as keyof UnwindingOptions] : undefined;
    const expected =
      choices === undefined
        ? `left out (the fields are ${Object.keys(UNWINDING).join(', ')})`
        : choices.join(' or ');
    if (!choices?.some((choice) => choice === value)) problems.push([['unwinding', field], expected]);
  }
  return problems;
}

const UNWINDING = {
  groups: ['together', 'oneByOne'],
  onFailure: ['hold', 'goOn'],
} as const satisfies Record<keyof UnwindingOptions, readonly string[]>;
