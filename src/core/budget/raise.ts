/** What goes on with a task that has reached its budget, with more. */
import { CadreError } from '../failures';
import { type StepState, type TaskState, isOpen } from '../task-state';
import { type Budget, type TaskBudget, taskBudget } from './budget';

/**
 * The state from which a task goes on that ended as BudgetReached: its steps that are not done are tried again, under the
 * same keys, so that no recorded call is paid again. `now`: in ms since 1970; times count from then. `revision`: that of its
 * budget. Throws NothingToResume where it ended otherwise, or what it had done is undone.
 */
export function raisedState(state: TaskState, budget: TaskBudget, now: number): TaskState {
  const { phase, options } = state;
  if (phase.kind !== 'failed' || phase.failure.type !== 'BudgetReached') throw cannotGoOn(state);
  // Both were let go at its end, and its time begins anew.
  const { locked: _locked, remembered, deadline: _deadline, planDecisions, ...rest } = state;
  const told = remembered === true;
  const timeLimit = options?.timeLimit === undefined ? undefined : now + options.timeLimit;
  const ends = [timeLimit, budget.until].filter((end) => end !== undefined);
  const steps = Object.entries(state.steps).map(([id, step]) => [id, again(step, told)]);
  return {
    ...rest,
    ...(told || planDecisions === undefined ? {} : { planDecisions }),
    phase: state.plan === undefined ? { kind: 'planning' } : { kind: 'running' },
    budget,
    ...(ends.length === 0 ? {} : { deadline: Math.min(...ends) }),
    steps: Object.fromEntries(steps) as TaskState['steps'],
  };
}

/** The budget of a task with more: what `more` does not say stays as it was given. `now`: in ms since 1970. */
export function raisedBudget(state: TaskState, more: Budget, revision: number, now: number): TaskBudget {
  const { given, parent } = state.budget ?? {};
  const budget = taskBudget(state.root, now, { budget: { ...given, ...more }, parent, revision });
  return budget ?? { given: more, revision, lines: [] };
}

/** A step that is done stays so; its agent was `told` of it. */
function again(step: StepState, told: boolean): StepState {
  if (step.kind !== 'completed') return { kind: 'waiting' };
  if (!told) return step;
  const { decisions: _decisions, knowledge: _knowledge, ...rest } = step;
  return rest;
}

function cannotGoOn({ phase }: TaskState): CadreError {
  const reached = 'failure' in phase && phase.failure.type === 'BudgetReached';
  if (phase.kind === 'compensated' && reached) {
    return new CadreError(
      'NothingToResume',
      'It had reached its budget, and what it had done is undone: fork it before that with `cadre fork`',
    );
  }
  const how = isOpen(phase) ? 'has not ended' : `ended otherwise (${phase.kind})`;
  return new CadreError('NothingToResume', `A task goes on with more that has reached its budget; it ${how}`);
}
