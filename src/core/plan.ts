import { CadreError } from './failures';
import { approvalProblems, type Approval } from './approval';
import { type FieldProblem, fieldMessage, isDeeperThan, isRecord, jsonBytes } from './json';
import { type ResolvedPolicy, type StepPolicy, fallbackOf, stepPolicyProblems } from './policy';
import { STEP_KINDS, type StepKind, orderProblem } from './saga';
import { INLINE_MAXIMUM_BYTES } from './stored';
import { type Vote, voteProblems } from './vote';

/** A DAG of steps. Made by the `planner` agent or given by the caller; checked before anything starts. */
export interface Plan {
  readonly steps: readonly Step[];
}

/** One part of a task: an agent's, or a vote of several. */
export type Step = AgentStep | VoteStep;

export interface AgentStep extends StepBase {
  /** Name of an agent of the roster. */
  readonly agent: string;
  readonly vote?: undefined;
  /** What may become of the step once it was done; see {@link StepKind}. */
  readonly kind?: StepKind;
  /** Who undoes it. Default: its agent's own `compensate`, where it has one; false: nobody. */
  readonly compensate?: false | CompensatingAgent;
  /** Ask a person before it starts. */
  readonly approval?: Approval;
  /** What this step changes of its agent's policy. */
  readonly policy?: StepPolicy;
}

/** Another agent, whose `act` undoes a step. */
export interface CompensatingAgent {
  readonly agent: string;
  /**
   * Its input, with references as in {@link StepBase.input}, also to the undone step itself; null stands for an output
   * that there is not. Left out, the input is `{ input, outcome, output?, reason }`, as `compensate` gets it.
   */
  readonly input?: unknown;
}

/** Several agents answer the same question; its output is a `VoteOutcome`. */
export interface VoteStep extends StepBase {
  readonly vote: Vote;
  readonly agent?: undefined;
  readonly kind?: undefined;
  readonly compensate?: undefined;
  readonly approval?: undefined;
  readonly policy?: undefined;
}

interface StepBase {
  /** Unique in the plan: letters, digits, `.`, `_`, `-`; up to 63. */
  readonly id: string;
  /** What to do, in words; shown wherever the step is. Up to 2,000 characters. */
  readonly instruction: string;
  /** Ids of the steps that must be finished before this one starts. */
  readonly needs?: readonly string[];
  /**
   * The agent's input. Anywhere in it `{ "$output": "<step id>" }` stands for that step's output; such a
   * step counts as needed. Left out, the input is `{ goal, instruction, needs: { <step id>: <output> } }`.
   */
  readonly input?: unknown;
}

export const PLAN_MAXIMUM_STEPS = 1000;
export const PLAN_MAXIMUM_BYTES = 256 * 1024;
/** Over all votes: each may leave an answer of 1 KiB in the state. */
export const PLAN_MAXIMUM_VOTERS = 200;
/** A step is sent to each of its voters: what one workflow task sends must stay under Temporal's 4 MB. */
const VOTES_MAXIMUM_BYTES = 1024 * 1024;
export const PLAN_MAXIMUM_DEPTH = 100;
/** Over all steps. Bounds what one workflow task can schedule, see {@link inlineMaximumBytes}. */
export const PLAN_MAXIMUM_NEEDS = 10_000;

/** One thing that is wrong with a plan. */
export interface PlanProblem {
  readonly code:
    | 'NotAPlan'
    | 'NoSteps'
    | 'TooManySteps'
    | 'TooManyNeeds'
    | 'TooManyVoters'
    | 'TooLarge'
    | 'StepInvalid'
    | 'DuplicateStep'
    | 'UnknownAgent'
    | 'UnknownNeed'
    | 'CyclicNeeds'
    | 'PivotMisplaced';
  /** The step it is about, where it is about one. */
  readonly step?: string;
  /** Where in the plan it is, such as `['steps', 2, 'needs']`; absent where it is the whole. */
  readonly path?: readonly (string | number)[];
  /** What is wrong, with what was expected, and what to do. */
  readonly message: string;
}

const STEP_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const STEP_FIELDS: readonly string[] = [
  'id',
  'agent',
  'vote',
  'instruction',
  'needs',
  'input',
  'kind',
  'compensate',
  'approval',
  'policy',
] satisfies (keyof AgentStep)[];
const INSTRUCTION_MAXIMUM_LENGTH = 2000;
/** What all outputs, and again all decisions, of a task may take inline in its state. */
export const INLINE_BUDGET_BYTES = 256 * 1024;
/** A reference takes about 120 bytes, so a lower limit would save nothing. */
export const INLINE_MINIMUM_BYTES = 200;
const PROBLEMS_SHOWN = 5;

/**
 * Returns `candidate` as a plan, or throws: AgentUnknown where that is all that is wrong with it, else
 * PlanInvalid. The message names the steps and what to do; `details` is the list of {@link PlanProblem}.
 * `agents` are the names there are; undefined where the caller cannot know them (a client).
 */
export function validatePlan(candidate: unknown, agents: ReadonlySet<string> | undefined): Plan {
  const problems = planProblems(candidate, agents);
  if (problems.length === 0) return candidate as Plan;
  const more = problems.length - PROBLEMS_SHOWN;
  const shown = problems.slice(0, PROBLEMS_SHOWN).map((problem) => problem.message);
  const type = problems.every((problem) => problem.code === 'UnknownAgent') ? 'AgentUnknown' : 'PlanInvalid';
  throw new CadreError(type, shown.join('; ') + (more > 0 ? `; and ${more} more` : ''), {
    details: problems.slice(0, 50),
  });
}

/** Everything that is wrong with a candidate for a plan; empty where it is one. */
export function planProblems(candidate: unknown, agents: ReadonlySet<string> | undefined): PlanProblem[] {
  if (!isRecord(candidate) || !Array.isArray(candidate['steps'])) {
    return [{ code: 'NotAPlan', message: 'Expected a plan of the form { "steps": [...] }' }];
  }
  const steps = candidate['steps'] as unknown[];
  if (steps.length === 0) return [{ code: 'NoSteps', message: 'Expected at least one step, got none' }];
  if (steps.length > PLAN_MAXIMUM_STEPS) {
    const message = `Expected at most ${PLAN_MAXIMUM_STEPS} steps, got ${steps.length}: split the work into several tasks`;
    return [{ code: 'TooManySteps', message }];
  }
  const excess = excessOf(candidate);
  if (excess !== undefined) return [{ code: 'TooLarge', message: excess }];
  const malformed = steps.flatMap((step, index) => shapeProblems(step, index));
  return malformed.length > 0 ? malformed : graphProblems(steps as Step[], agents);
}

/**
 * What is wrong with a step that came by itself, after those that it refers to. `agents` are the names there are; default:
 * not known.
 */
export function ownStepProblem(step: unknown, agents?: ReadonlySet<string>): PlanProblem | undefined {
  return planProblems({ steps: [step] }, agents).find(({ code }) => code !== 'UnknownNeed');
}

/** How the plan is too large to travel; undefined where it is not. */
function excessOf(candidate: Record<string, unknown>): string | undefined {
  let bytes: number;
  try {
    bytes = jsonBytes(candidate);
  } catch (error) {
    return `Expected the plan to be JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (bytes > PLAN_MAXIMUM_BYTES) {
    return `Expected a plan of at most ${PLAN_MAXIMUM_BYTES} bytes, got ${bytes}: pass large inputs by path`;
  }
  const deep = isDeeperThan(candidate, PLAN_MAXIMUM_DEPTH);
  return deep ? `Expected a plan of at most ${PLAN_MAXIMUM_DEPTH} levels of lists and objects` : undefined;
}

function shapeProblems(step: unknown, index: number): PlanProblem[] {
  const path = ['steps', index] as const;
  if (!isRecord(step)) {
    return [{ code: 'StepInvalid', path, message: `Expected steps[${index}] to be an object` }];
  }
  const problems: PlanProblem[] = [];
  const at = typeof step['id'] === 'string' ? { step: step['id'] } : {};
  const expect = (holds: boolean, field: string | readonly string[], expected: string): void => {
    if (holds) return;
    const inner = typeof field === 'string' ? [field] : field;
    const message = fieldMessage(step, [inner, expected], `steps[${index}].`);
    problems.push({ code: 'StepInvalid', ...at, path: [...path, ...inner], message });
  };
  const { id, agent, vote, instruction, needs } = step;
  expect(typeof id === 'string' && STEP_ID.test(id), 'id', 'up to 63 letters, digits, ".", "_" or "-"');
  if (vote === undefined) expect(typeof agent === 'string', 'agent', "an agent's name (or give `vote`)");
  else {
    for (const field of NOT_OF_A_VOTE) expect(step[field] === undefined, field, 'left out beside `vote`');
    for (const [field, expected] of voteProblems(vote)) {
      const message = `Expected steps[${index}].${field} to be ${expected}`;
      problems.push({ code: 'StepInvalid', ...at, path: [...path, 'vote'], message });
    }
  }
  expect(
    typeof instruction === 'string' && instruction.length <= INSTRUCTION_MAXIMUM_LENGTH,
    'instruction',
    `a text of at most ${INSTRUCTION_MAXIMUM_LENGTH} characters`,
  );
  expect(
    needs === undefined || (Array.isArray(needs) && needs.every((need) => typeof need === 'string')),
    'needs',
    'a list of step ids',
  );
  for (const [field, expected] of sagaProblems(step)) expect(false, field, expected);
  // A misspelt `needs` would start the step too early.
  for (const field of Object.keys(step)) {
    expect(
      STEP_FIELDS.includes(field),
      field,
      `left out (the fields of a step are ${STEP_FIELDS.join(', ')})`,
    );
  }
  return problems;
}

const NOT_OF_A_VOTE = ['agent', 'kind', 'compensate', 'approval', 'policy'] satisfies (keyof AgentStep)[];

/** What is wrong with what a step says of its undoing. */
function sagaProblems(step: Record<string, unknown>): FieldProblem[] {
  const { kind, compensate, approval, policy } = step;
  const problems: FieldProblem[] = [];
  if (kind !== undefined && !STEP_KINDS.some((one) => one === kind)) {
    problems.push([['kind'], STEP_KINDS.join(', ')]);
  }
  if (compensate !== undefined && compensate !== false) {
    const expected = 'false or { "agent": "<name>", "input"?: ... }';
    const known = isRecord(compensate) && Object.keys(compensate).every((key) => /^(agent|input)$/.test(key));
    if (!known || typeof compensate['agent'] !== 'string') problems.push([['compensate'], expected]);
    else if (kind !== undefined && kind !== 'compensable') {
      problems.push([
        ['compensate'],
        `left out of a step of the kind ${JSON.stringify(kind)}, which is never undone`,
      ]);
    }
  } else if (compensate === false && kind === 'compensable') {
    problems.push([['compensate'], 'left out, or an agent, of a step of the kind compensable']);
  }
  if (approval !== undefined) problems.push(...nested('approval', approvalProblems(approval)));
  if (policy !== undefined) problems.push(...nested('policy', stepPolicyProblems(policy)));
  return problems;
}

function nested(field: string, problems: readonly FieldProblem[]): FieldProblem[] {
  return problems.map(([path, expected]) => [[field, ...path], expected]);
}

function graphProblems(steps: readonly Step[], agents: ReadonlySet<string> | undefined): PlanProblem[] {
  const problems: PlanProblem[] = [];
  const indexOf = new Map<string, number>();
  const add = (code: PlanProblem['code'], step: string, field: string, message: string): void => {
    problems.push({ code, step, path: ['steps', indexOf.get(step) ?? 0, field], message });
  };
  for (const [index, { id }] of steps.entries()) {
    if (indexOf.has(id)) {
      const message = `Two steps have the id "${id}": give each its own`;
      problems.push({ code: 'DuplicateStep', step: id, path: ['steps', index, 'id'], message });
    } else indexOf.set(id, index);
  }
  const needs = new Map(steps.map((step) => [step.id, stepNeeds(step)]));
  problems.push(...sizeProblems(steps));
  for (const step of steps) {
    for (const agent of agents === undefined ? [] : agentsOf(step)) {
      if (agents?.has(agent)) continue;
      const message = `Step "${step.id}" names the agent "${agent}", which is not in the roster (${[...(agents ?? [])].join(', ')})`;
      add('UnknownAgent', step.id, stepAgents(step).includes(agent) ? 'agent' : 'compensate', message);
    }
    for (const need of needs.get(step.id) ?? []) {
      if (indexOf.has(need)) continue;
      const message = `Step "${step.id}" needs "${need}", which is not a step of the plan: add it or drop the need`;
      add('UnknownNeed', step.id, step.needs?.includes(need) ? 'needs' : 'input', message);
    }
    for (const need of undoNeeds(step)) {
      if (indexOf.has(need) && (need === step.id || needs.get(step.id)?.includes(need))) continue;
      const message = `What undoes the step "${step.id}" refers to "${need}": it may refer to its own step and to what that needs`;
      add('UnknownNeed', step.id, 'compensate', message);
    }
  }
  const unique = indexOf.size === steps.length;
  const cycle = unique ? findCycle(needs) : undefined;
  if (cycle !== undefined) {
    const message = `Steps need each other in a circle (${cycle.join(' → ')}): remove one of these needs`;
    add('CyclicNeeds', cycle[0] ?? '', 'needs', message);
  } else if (unique) {
    const misplaced = orderProblem(steps, needs);
    if (misplaced !== undefined) add('PivotMisplaced', misplaced.step, 'kind', misplaced.message);
  }
  return problems;
}

/** What is wrong with a plan whose agents' policies are known: a step is to be undone, and nobody can. */
export function kindProblem(
  plan: Plan | undefined,
  policies: Readonly<Record<string, ResolvedPolicy>>,
): PlanProblem | undefined {
  for (const [index, step] of (plan?.steps ?? []).entries()) {
    const { id, agent, kind, compensate } = step;
    if (kind !== 'compensable' || compensate || agent === undefined) continue;
    const unable = withFallbacks(agent, policies).find((name) => policies[name]?.compensation === undefined);
    if (unable === undefined) continue;
    const whose = unable === agent ? 'its agent' : 'the fallback of its agent,';
    const message = `Step "${id}" is compensable, but ${whose} "${unable}" has no \`compensate\`: give it one, or let the step name who undoes it`;
    return { code: 'StepInvalid', step: id, path: ['steps', index, 'kind'], message };
  }
  return undefined;
}

/** Who may come to have a step of `agent` by breakers: it, and its fallbacks. */
function withFallbacks(agent: string, policies: Readonly<Record<string, ResolvedPolicy>>): string[] {
  const chain: string[] = [];
  for (let next: string | undefined = agent; next !== undefined && !chain.includes(next); ) {
    chain.push(next);
    next = fallbackOf(Object.hasOwn(policies, next) ? policies[next] : undefined);
  }
  return chain;
}

function sizeProblems(steps: readonly Step[]): PlanProblem[] {
  const problems: PlanProblem[] = [];
  const total = steps.reduce((sum, step) => sum + usesOf(step), 0);
  if (total > PLAN_MAXIMUM_NEEDS) {
    const message = `Expected at most ${PLAN_MAXIMUM_NEEDS} needs over all steps, got ${total}: gather results in steps between`;
    problems.push({ code: 'TooManyNeeds', message });
  }
  const asked = steps.reduce((sum, step) => sum + jsonBytes(step) * stepAgents(step).length, 0);
  if (asked > VOTES_MAXIMUM_BYTES) {
    const message = `Expected what the voters are asked to be at most ${VOTES_MAXIMUM_BYTES} bytes in all, got ${asked}: pass large inputs by path`;
    problems.push({ code: 'TooLarge', message });
  }
  const voters = steps.reduce((sum, step) => sum + (step.vote?.agents.length ?? 0), 0);
  if (voters > PLAN_MAXIMUM_VOTERS) {
    const message = `Expected at most ${PLAN_MAXIMUM_VOTERS} voters over all votes, got ${voters}: split the work into several tasks`;
    problems.push({ code: 'TooManyVoters', message });
  }
  return problems;
}

/** Kahn's algorithm; what it cannot remove holds a circle, which is then walked. */
function findCycle(needs: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const waiting = new Map([...needs].map(([id, list]) => [id, list.filter((need) => needs.has(need))]));
  const dependants = new Map<string, string[]>([...needs.keys()].map((id) => [id, []]));
  for (const [id, list] of waiting) for (const need of list) dependants.get(need)?.push(id);
  const open = new Map([...waiting].map(([id, list]) => [id, list.length]));
  const ready = [...open].filter(([, count]) => count === 0).map(([id]) => id);
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    open.delete(id);
    for (const dependant of dependants.get(id) ?? []) {
      const count = (open.get(dependant) ?? 0) - 1;
      open.set(dependant, count);
      if (count === 0) ready.push(dependant);
    }
  }
  let at = open.keys().next().value;
  if (at === undefined) return undefined;
  const path: string[] = [];
  while (at !== undefined && !path.includes(at)) {
    path.push(at);
    at = waiting.get(at)?.find((need) => open.has(need));
  }
  return at === undefined ? path : [...path.slice(path.indexOf(at)), at];
}

/** The agents that the plan has for `step`: one, or those that vote. */
export function stepAgents(step: Step): readonly string[] {
  return step.vote === undefined ? [step.agent] : step.vote.agents;
}

/** Whom the plan has do or undo `step`. */
export function agentsOf(step: Step): readonly string[] {
  const { compensate } = step;
  return compensate ? [...stepAgents(step), compensate.agent] : stepAgents(step);
}

/** The steps whose outputs are referred to by what undoes `step`. */
function undoNeeds({ compensate }: Step): string[] {
  const needs = new Set<string>();
  if (compensate) collectOutputReferences(compensate.input, needs);
  return [...needs];
}

/** Who does `step`, in a word or few. */
export function stepActor(step: Step): string {
  return step.vote === undefined ? step.agent : `vote of ${step.vote.agents.length}`;
}

/** The steps that `step` waits for: its `needs` and those whose outputs its input refers to; each once. */
export function stepNeeds(step: Step): string[] {
  const needs = new Set(step.needs ?? []);
  collectOutputReferences(step.input, needs);
  return [...needs];
}

function collectOutputReferences(value: unknown, into: Set<string>): void {
  if (Array.isArray(value)) {
    for (const item of value) collectOutputReferences(item, into);
  } else if (isRecord(value)) {
    const reference = outputReference(value);
    if (reference !== undefined) into.add(reference);
    else for (const item of Object.values(value)) collectOutputReferences(item, into);
  }
}

/** The steps whose outputs `value` refers to; each once. */
export function outputReferences(value: unknown): string[] {
  const references = new Set<string>();
  collectOutputReferences(value, references);
  return [...references];
}

/** The step id of `{ "$output": "<step id>" }`; undefined for any other value. */
export function outputReference(value: unknown): string | undefined {
  if (!isRecord(value)) return undefined;
  const step = value['$output'];
  return typeof step === 'string' && Object.keys(value).length === 1 ? step : undefined;
}

/** `input` with each `{ "$output": id }` replaced by `outputs.get(id)`. */
export function fillInput(input: unknown, outputs: ReadonlyMap<string, unknown>): unknown {
  if (Array.isArray(input)) return input.map((item) => fillInput(item, outputs));
  if (!isRecord(input)) return input;
  const reference = outputReference(input);
  if (reference !== undefined) return outputs.get(reference);
  return Object.fromEntries(Object.entries(input).map(([key, value]) => [key, fillInput(value, outputs)]));
}

/** The steps that no other step needs: their outputs are the task's result. */
export function finalSteps(plan: Plan): Step[] {
  const needed = new Set(plan.steps.flatMap(stepNeeds));
  return plan.steps.filter((step) => !needed.has(step.id));
}

/** How often outputs of other steps are sent for `step`: each need once a voter. */
function usesOf(step: Step): number {
  return stepNeeds(step).length * stepAgents(step).length;
}

/**
 * The largest output that a step of this plan may leave in history, in bytes: small enough that all outputs
 * fit a `Resume`, and that what 100 steps need fits one workflow task (4 MB on the wire).
 */
export function inlineMaximumBytes(plan: Plan): number {
  const uses = plan.steps.reduce((sum, step) => sum + usesOf(step), 0);
  const share = Math.floor(INLINE_BUDGET_BYTES / Math.max(plan.steps.length, uses));
  return Math.min(Math.max(share, INLINE_MINIMUM_BYTES), INLINE_MAXIMUM_BYTES);
}
