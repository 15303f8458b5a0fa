/** What a terminated execution leaves to do, and when it may be done. */
import type { Resume } from './resume';
import { policyOfStep } from './policy';
import type { StackEntry } from './saga';
import { type TaskState, agentOf, goesForward, planStep, policyOf, stepState } from './task-state';

/** True where something is left to undo, or to finish after a pivot, or a lock may be held. */
export function needsResume(state: TaskState): boolean {
  const { stack = [], compensations = [] } = state;
  const settled = compensations.filter(({ kind }) => kind === 'undone' || kind === 'skipped').length;
  if (settled < stack.length || state.options?.lock !== undefined) return true;
  return (
    goesForward(state) &&
    state.plan?.steps.some(({ id }) => stepState(state, id).kind !== 'completed') === true
  );
}

/**
 * When nothing of a terminated execution can be running any more, in ms since 1970: what was in flight has its time
 * limit from then.
 */
export function quietAt({ snapshot, origin }: Resume<TaskState>): number {
  if (origin.kind !== 'terminated') return 0;
  const { compensations = [] } = snapshot;
  const acting = Object.entries(snapshot.steps).flatMap(([id, step]) => {
    const planned = planStep(snapshot, id);
    if (step.kind !== 'scheduled' || planned?.agent === undefined) return [];
    const policy = policyOf(snapshot, agentOf(snapshot, planned) ?? planned.agent);
    return policy === undefined ? [] : [policyOfStep(policy, planned.policy).startToClose];
  });
  const undoing = compensations.flatMap((one) => (one.kind === 'running' ? [undoLimit(snapshot, one)] : []));
  const limits = [...acting, ...undoing];
  return limits.length === 0 ? 0 : origin.at + Math.max(...limits);
}

function undoLimit(state: TaskState, { step, agent }: StackEntry): number {
  const compensate = planStep(state, step)?.compensate;
  const policy = compensate ? policyOf(state, compensate.agent) : policyOf(state, agent)?.compensation;
  return policy?.startToClose ?? 0;
}
