import { type Budget, type ParentTask, readBudget, readParent } from './budget/budget';
import { CadreError, inputInvalid } from './failures';
import { fieldMessage, isRecord, jsonBytes, utf8Bytes } from './json';
import { type Plan, validatePlan } from './plan';
import { type SagaOptions, sagaOptionProblems } from './saga';

/** What starts a task. Everything but the goal is optional. */
export interface TaskInput extends SagaOptions {
  /** What the team is to find out or do. 1 byte to 8 KiB; documents travel by path. */
  readonly goal: string;
  /** Folder of documents to work on: an absolute path, or relative to the worker's working directory. */
  readonly docs?: string;
  /** A plan to carry out as it is; without one the `planner` agent makes it. */
  readonly plan?: Plan;
  /** What it may use, with its children. Default: no limit of its own. */
  readonly budget?: Budget;
  /** The task that starts it, whose budget it uses too: an agent's `context.parent`. */
  readonly parent?: ParentTask;
}

/** No task input is larger: Temporal refuses 2 MB, and every replay reads it again. */
export const INPUT_MAXIMUM_BYTES = 1024 * 1024;
const GOAL_MAXIMUM_BYTES = 8 * 1024;
const FIELDS = [
  'goal',
  'docs',
  'plan',
  'budget',
  'parent',
  'unwinding',
  'timeLimit',
  'lock',
] satisfies (keyof TaskInput)[];

/**
 * Returns `candidate` as a task's input.
 * Throws CadreError: InputTooLarge, InputInvalid (names the field), GoalEmpty, PlanInvalid, or BudgetReached where its
 * parent may have no children.
 */
export function parseTaskInput(candidate: unknown): TaskInput {
  const bytes = inputBytes(candidate);
  if (bytes > INPUT_MAXIMUM_BYTES) {
    throw new CadreError(
      'InputTooLarge',
      `The task's input is ${bytes} bytes; the limit is ${INPUT_MAXIMUM_BYTES}`,
    );
  }
  if (!isRecord(candidate)) throw inputInvalid('the input', 'an object such as { "goal": "..." }', candidate);
  for (const field of Object.keys(candidate)) {
    if (!(FIELDS as string[]).includes(field))
      throw inputInvalid(`\`${field}\``, `left out (the fields are ${FIELDS.join(', ')})`, candidate[field]);
  }
  const { goal, docs, plan, budget, parent } = candidate;
  if (typeof goal !== 'string') throw inputInvalid('`goal`', 'a text', goal);
  if (goal.trim() === '') throw new CadreError('GoalEmpty', 'The goal is empty');
  const goalBytes = utf8Bytes(goal);
  if (goalBytes > GOAL_MAXIMUM_BYTES) {
    throw new CadreError(
      'InputTooLarge',
      `The goal is ${goalBytes} bytes; the limit is ${GOAL_MAXIMUM_BYTES}`,
    );
  }
  if (docs !== undefined && (typeof docs !== 'string' || docs === ''))
    throw inputInvalid('`docs`', "a folder's path", docs);
  const [problem] = sagaOptionProblems(candidate);
  if (problem !== undefined) throw new CadreError('InputInvalid', fieldMessage(candidate, problem));
  const { unwinding, timeLimit, lock } = candidate as SagaOptions;
  return {
    goal,
    ...(unwinding === undefined ? {} : { unwinding }),
    ...(timeLimit === undefined ? {} : { timeLimit }),
    ...(lock === undefined ? {} : { lock }),
    ...(docs === undefined ? {} : { docs }),
    ...(plan === undefined ? {} : { plan: validatePlan(plan, undefined) }),
    ...(budget === undefined ? {} : { budget: readBudget(budget) }),
    ...(parent === undefined ? {} : { parent: readParent(parent) }),
  };
}

/** The length of `candidate` as JSON. Throws InputInvalid where it is none. */
export function inputBytes(candidate: unknown): number {
  try {
    return jsonBytes(candidate);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError('InputInvalid', `The input is not JSON: ${reason}`, { cause });
  }
}
