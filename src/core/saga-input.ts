import { CadreError, inputInvalid } from './failures';
import { fieldMessage, isDeeperThan, isRecord } from './json';
import {
  type AgentStep,
  type Plan,
  PLAN_MAXIMUM_DEPTH,
  type PlanProblem,
  planProblems,
  stepNeeds,
} from './plan';
import { type SagaOptions, sagaOptionProblems } from './saga';
import { INPUT_MAXIMUM_BYTES, inputBytes } from './task-input';

/** What starts the workflow `saga`: steps that happen all, or are undone. */
export interface SagaInput extends SagaOptions {
  /** What it is for, in words; shown wherever the saga is. Up to 2,000 characters; not empty. */
  readonly name: string;
  /**
   * In order: a step that says nothing of its `needs` needs the one before it; `needs: []` starts at once. Votes need a
   * leader, so they are a task's.
   */
  readonly steps: readonly SagaStep[];
}

/** A step of a {@link SagaInput}; its `instruction` may be left out. */
export type SagaStep = Omit<AgentStep, 'instruction'> & { readonly instruction?: string };

/** One thing that is wrong with the input of a saga. */
export type SagaProblem = Omit<PlanProblem, 'code'> & { readonly code: PlanProblem['code'] | 'InputInvalid' };

const FIELDS = ['name', 'steps', 'unwinding', 'timeLimit', 'lock'] satisfies (keyof SagaInput)[];
const NAME_MAXIMUM_LENGTH = 2000;
const PROBLEMS_SHOWN = 5;

/** Everything that is wrong with `candidate` as a {@link SagaInput}; empty where it is one. Paths are those of the input. */
export function sagaProblems(candidate: unknown): SagaProblem[] {
  if (!isRecord(candidate)) {
    return [
      { code: 'InputInvalid', message: 'Expected an object such as { "name": "...", "steps": [...] }' },
    ];
  }
  if (isDeeperThan(candidate, PLAN_MAXIMUM_DEPTH)) {
    const message = `Expected at most ${PLAN_MAXIMUM_DEPTH} levels of lists and objects`;
    return [{ code: 'TooLarge', message }];
  }
  const problems: SagaProblem[] = [];
  const add = (path: readonly string[], expected: string): void => {
    problems.push({ code: 'InputInvalid', path, message: fieldMessage(candidate, [path, expected]) });
  };
  for (const field of Object.keys(candidate)) {
    if (!(FIELDS as string[]).includes(field)) add([field], `left out (the fields are ${FIELDS.join(', ')})`);
  }
  const { name, steps } = candidate;
  if (typeof name !== 'string' || name.trim() === '' || name.length > NAME_MAXIMUM_LENGTH) {
    add(['name'], `a text of 1 to ${NAME_MAXIMUM_LENGTH} characters`);
  }
  for (const [path, expected] of sagaOptionProblems(candidate)) add(path, expected);
  for (const [index, step] of Array.isArray(steps) ? steps.entries() : []) {
    if (!isRecord(step) || step['vote'] === undefined) continue;
    const message = `steps[${index}] is a vote, which needs a leader: start it as a task`;
    problems.push({ code: 'InputInvalid', path: ['steps', index, 'vote'], message });
  }
  return problems.length > 0 ? problems : planProblems({ steps: withNeeds(steps) }, undefined);
}

/** Returns `candidate` as a saga's input. Throws InputTooLarge, InputInvalid or PlanInvalid; `details` has all problems. */
export function parseSagaInput(candidate: unknown): SagaInput {
  const bytes = inputBytes(candidate);
  if (bytes > INPUT_MAXIMUM_BYTES) {
    throw new CadreError(
      'InputTooLarge',
      `The saga's input is ${bytes} bytes; the limit is ${INPUT_MAXIMUM_BYTES}`,
    );
  }
  if (!isRecord(candidate)) throw inputInvalid('the input', 'an object such as { "name": "..." }', candidate);
  const problems = sagaProblems(candidate);
  if (problems.length === 0) return candidate as unknown as SagaInput;
  const type = problems.some(({ code }) => code === 'InputInvalid') ? 'InputInvalid' : 'PlanInvalid';
  const shown = problems.slice(0, PROBLEMS_SHOWN).map(({ message }) => message);
  const more = problems.length - shown.length;
  throw new CadreError(type, shown.join('; ') + (more > 0 ? `; and ${more} more` : ''), {
    details: problems.slice(0, 50),
  });
}

/** The plan of a saga: each step with its needs. */
export function sagaPlan({ steps }: SagaInput): Plan {
  return { steps: withNeeds(steps) as AgentStep[] };
}

/** The steps as a plan has them; what is no step stays as it is, to be refused. */
function withNeeds(steps: unknown): unknown {
  if (!Array.isArray(steps)) return steps;
  return steps.map((step: unknown, index) => {
    if (!isRecord(step)) return step;
    const before: unknown = steps[index - 1];
    const follows = step['needs'] === undefined && isRecord(before) && typeof before['id'] === 'string';
    const already = follows && stepNeeds(step as unknown as AgentStep).includes(before['id'] as string);
    return {
      instruction: '',
      ...step,
      ...(follows && !already ? { needs: [before['id']] } : {}),
    };
  });
}
