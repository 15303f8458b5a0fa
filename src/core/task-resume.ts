import { isRecord } from './json';
import { ownStepProblem, planProblems } from './plan';
import type { Resume } from './resume';
import type { StepState, TaskPhase, TaskState } from './task-state';

const PHASES: readonly TaskPhase['kind'][] = [
  'planning',
  'running',
  'aggregating',
  'awaitingApproval',
  'awaitingAnswer',
  'cancelling',
  'compensating',
  'needsAttention',
  'compensated',
  'completed',
  'failed',
  'cancelled',
  'terminated',
];
const STEP_KINDS: readonly StepState['kind'][] = [
  'waiting',
  'awaitingApproval',
  'asking',
  'refused',
  'scheduled',
  'voting',
  'arbitrating',
  'completed',
  'failed',
  'parked',
  'cancelled',
];

/** `value` as a task's resume; undefined where it is none, or its snapshot is no state of a task. */
export function readResume(value: unknown): Resume<TaskState> | undefined {
  if (!isRecord(value) || !isRecord(value['origin']) || !isRecord(value['overrides'])) return undefined;
  return isTaskState(value['snapshot']) ? (value as unknown as Resume<TaskState>) : undefined;
}

/** A task's resume: `value` itself, or one of its fields; undefined where there is none. */
export function findResume(value: unknown): Resume<TaskState> | undefined {
  const whole = readResume(value);
  if (whole !== undefined || !isRecord(value)) return whole;
  for (const field of Object.values(value)) {
    const resume = readResume(field);
    if (resume !== undefined) return resume;
  }
  return undefined;
}

function isTaskState(value: unknown): value is TaskState {
  if (!isRecord(value) || value['version'] !== 1) return false;
  const { root, goal, phase, term, plan, policies, steps } = value;
  return (
    typeof root === 'string' &&
    typeof goal === 'string' &&
    isRecord(phase) &&
    PHASES.some((kind) => kind === phase['kind']) &&
    typeof term === 'number' &&
    isRecord(policies) &&
    isRecord(steps) &&
    Object.values(steps).every(
      (step) => isRecord(step) && STEP_KINDS.some((kind) => kind === step['kind']),
    ) &&
    (plan === undefined ||
      (value['own'] === true ? hasSteps(plan) : planProblems(plan, undefined).length === 0))
  );
}

/** Of steps that came one by one there is no plan that could be checked as a whole. */
function hasSteps(plan: unknown): boolean {
  if (!isRecord(plan) || !Array.isArray(plan['steps'])) return false;
  return plan['steps'].every((step: unknown) => ownStepProblem(step) === undefined);
}
