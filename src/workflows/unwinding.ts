/**
 * Undoes what a task did, in the reverse order of the starts. Nothing stops it: it runs outside of what a cancel
 * reaches, and a compensation that fails for good waits for a person.
 */
import {
  ActivityCancellationType,
  CancellationScope,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { Envelope } from '../core/envelope';
import { failureInfo } from '../core/failure-info';
import { type FailureInfo, isHandedBack } from '../core/failures';
import { agentQueue, compensateActivityName } from '../core/names';
import type { CompensatingAgent, Step } from '../core/plan';
import { type StackEntry, type StepOutcome, nextToUndo } from '../core/saga';
import { stepInputs } from '../core/step-inputs';
import { INLINE_MAXIMUM_BYTES, type Stored } from '../core/stored';
import { type CompensateRequest, type Undoes, stepSummary } from '../core/task-activities';
import { type TaskState, agentOf, planStep, stepState, undoStep } from '../core/task-state';
import { callAgent } from './agent-call';
import type { Attendance } from './attendance';
import { retryPolicy } from './retry-policy';
import type { TaskRecord } from './task-record';

type CompensateActivities = Record<string, (envelope: Envelope, request: CompensateRequest) => Promise<void>>;

/** The input of whoever undoes a step in another agent's place, where workflow code has one. */
export type InputOfUndoing = (step: Step, undoes: Undoes) => unknown;

/** So many compensations at once, so that what one workflow task sends stays under Temporal's 4 MB. */
const AT_ONCE = 100;

/** Undoes all that is on the stack; resolves when it is undone, or skipped. */
export async function unwind(
  task: TaskRecord,
  attendance: Attendance,
  reason: FailureInfo,
  inputOf?: InputOfUndoing,
): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    for (;;) {
      const { stack = [], compensations = [], options = {} } = task.state;
      const next = nextToUndo(stack, compensations, options.unwinding);
      const failed = compensations.filter(({ kind }) => kind === 'failed');
      if (next.length > 0) {
        await Promise.all(next.slice(0, AT_ONCE).map((entry) => undo(task, entry, reason, inputOf)));
      } else if (failed.length > 0) {
        await Promise.race(failed.map(({ step }) => attendance.resolution(step)));
      } else return;
    }
  });
}

/** Never rejects. */
async function undo(
  task: TaskRecord,
  { step, agent }: StackEntry,
  reason: FailureInfo,
  inputOf: InputOfUndoing | undefined,
): Promise<void> {
  const planned = planStep(task.state, step) ?? { id: step, agent, instruction: '' };
  const undoes: Undoes = {
    agent,
    ...(planned.input === undefined ? {} : { input: planned.input }),
    ...outcomeOf(task.state, planned, agent),
    reason,
  };
  task.record({ type: 'compensationScheduled', step, agent, outcome: undoes.outcome });
  try {
    if (planned.compensate) await byAnother(task, planned, planned.compensate, undoes, inputOf);
    else await byItself(task, planned, undoes);
    task.record({ type: 'compensated', step, agent });
  } catch (error) {
    const failure = failureInfo(error);
    if (!isHandedBack(failure)) task.record({ type: 'compensationFailed', step, agent, failure });
  }
}

/** The agent that did the step undoes it. */
async function byItself(task: TaskRecord, step: Step, { agent, ...undoes }: Undoes): Promise<void> {
  const policy = task.state.policies[agent];
  if (policy?.compensation === undefined) return;
  const { startToClose, heartbeatTimeout, retry } = policy.compensation;
  const name = compensateActivityName(agent);
  const activities = proxyActivities<CompensateActivities>({
    taskQueue: agentQueue(workflowInfo().taskQueue, policy),
    activityId: undoStep(step.id),
    startToCloseTimeout: startToClose,
    heartbeatTimeout,
    retry: retryPolicy(retry),
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: stepSummary({ id: step.id, instruction: undoing(step) }),
  });
  const request: CompensateRequest = {
    ...stepInputs(task.state, step),
    ...undoes,
    ...resolutionsOf(task.state, step),
  };
  await (activities[name] as CompensateActivities[string])(task.envelope(step.id, 'undo'), request);
}

/** Another agent acts so that the step is undone. */
async function byAnother(
  task: TaskRecord,
  step: Step,
  compensate: CompensatingAgent,
  undoes: Undoes,
  inputOf: InputOfUndoing | undefined,
): Promise<void> {
  const { goal, outputs } = stepInputs(task.state, step);
  const input = inputOf?.(step, undoes) ?? compensate.input;
  await callAgent(task.state, step, {
    agent: compensate.agent,
    envelope: task.envelope(step.id, 'undo'),
    activityId: undoStep(step.id),
    instruction: undoing(step),
    request: {
      goal,
      instruction: undoing(step),
      ...(input === undefined ? {} : { input }),
      outputs: undoes.output === undefined ? outputs : { ...outputs, [step.id]: undoes.output },
      inlineMaximum: INLINE_MAXIMUM_BYTES,
      undoes,
      ...resolutionsOf(task.state, step),
    },
  });
}

/** How often a person said to try undoing the step again. */
function resolutionsOf({ resolutions }: TaskState, { id }: Step): { resolutions?: number } {
  const said = resolutions?.[undoStep(id)];
  return said === undefined ? {} : { resolutions: said };
}

function undoing({ instruction }: Step): string {
  return `undo ${instruction}`.trim();
}

/** An agent that put out the step's output did it; of any other nobody knows. */
function outcomeOf(state: TaskState, step: Step, agent: string): { outcome: StepOutcome; output?: Stored } {
  const now = stepState(state, step.id);
  return agentOf(state, step) === agent && now.kind === 'completed'
    ? { outcome: 'completed', output: now.output }
    : { outcome: 'unknown' };
}
