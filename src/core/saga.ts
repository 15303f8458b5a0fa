/**
 * What undoes a task's steps: the stack of compensations, and what became of them.
 *
 * 1. A step is on the stack before it starts, since one whose end nobody saw may have happened.
 * 2. A step that surely never began is not on it.
 * 3. They are undone in the reverse order of their starts; nothing is undone twice.
 */
import type { FailureInfo, FailureType } from './failures';

/** A step that was started by an agent that can undo it. */
export interface StackEntry {
  readonly step: string;
  readonly agent: string;
}

/** What is known of the step that is undone: it put out its output, or nobody knows what happened. */
export type StepOutcome = 'completed' | 'unknown';

/** What became of the undoing of one step. */
export type Compensation = StackEntry & { readonly outcome: StepOutcome } & (
    | { readonly kind: 'running' }
    | { readonly kind: 'undone' }
    /** All attempts failed: a person is to say what now. */
    | { readonly kind: 'failed'; readonly failure: FailureInfo }
    /** A person said to go on without it. */
    | { readonly kind: 'skipped'; readonly failure: FailureInfo; readonly note: string }
  );

/** What a person may say of a compensation that failed. */
export const RESOLUTIONS = ['retry', 'skip'] as const;
export type Resolution = (typeof RESOLUTIONS)[number];

/** The stack with `entry` on top, unless it is on it already. */
export function pushEntry(stack: readonly StackEntry[], entry: StackEntry): readonly StackEntry[] {
  return stack.some((one) => sameEntry(one, entry)) ? stack : [...stack, entry];
}

/** The stack without `entry`. */
export function dropEntry(stack: readonly StackEntry[], entry: StackEntry): readonly StackEntry[] {
  return stack.filter((one) => !sameEntry(one, entry));
}

/** What is to be undone next; undefined where all is undone or skipped. */
export function nextToUndo(
  stack: readonly StackEntry[],
  compensations: readonly Compensation[],
): StackEntry | undefined {
  const settled = (entry: StackEntry): boolean =>
    compensations.some((one) => sameEntry(one, entry) && (one.kind === 'undone' || one.kind === 'skipped'));
  return stack.findLast((entry) => !settled(entry));
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

/** True for a failure by which the agent surely never began. */
export function neverBegan({ type, message }: FailureInfo): boolean {
  return (
    BEFORE_THE_AGENT.some((before) => before === type) ||
    (type === 'TimedOut' && /SCHEDULE_TO_START/.test(message))
  );
}

const BEFORE_THE_AGENT: readonly FailureType[] = ['AgentUnknown', 'AgentInputInvalid'];

export function sameEntry(a: StackEntry, b: StackEntry): boolean {
  return a.step === b.step && a.agent === b.agent;
}
