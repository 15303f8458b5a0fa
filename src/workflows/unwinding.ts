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
import { jsonBytes } from '../core/json';
import type { Step } from '../core/plan';
import { type StackEntry, type StepOutcome, nextToUndo } from '../core/saga';
import { stepInputs } from '../core/step-inputs';
import { INLINE_MAXIMUM_BYTES, type Stored } from '../core/stored';
import {
  type CompensateRequest,
  type UndoOutcome,
  type Undoes,
  compensatedEvent,
  stepSummary,
} from '../core/task-activities';
import {
  type TaskState,
  agentOf,
  planStep,
  policyOf,
  resolutionsOf,
  stepState,
  undoStep,
} from '../core/task-state';
import { callAgent } from './agent-call';
import type { Attendance } from './attendance';
import { retryPolicy } from './retry-policy';
import type { TaskRecord } from './task-record';

type CompensateActivities = Record<
  string,
  (envelope: Envelope, request: CompensateRequest) => Promise<UndoOutcome>
>;

/** The input of whoever undoes a step in another agent's place, where workflow code has one. Never rejects as a failure. */
export type InputOfUndoing = (step: Step, undoes: Undoes) => Promise<unknown>;

/** What is undone, and why. */
interface Unwinding {
  readonly includes: (entry: StackEntry) => boolean;
  readonly reasonOf: (step: string) => FailureInfo;
  readonly inputOf: InputOfUndoing | undefined;
}

/** So many compensations at once, so that what one workflow task sends stays under Temporal's 4 MB. */
const AT_ONCE = 100;
/** Of what workflow code makes of what is undone. */
const INPUTS_MAXIMUM_BYTES = 1024 * 1024;

/** Undoes all that is on the stack; resolves when it is undone, or skipped. Rejects where `inputOf` does. */
export async function unwind(
  task: TaskRecord,
  attendance: Attendance,
  reason: FailureInfo,
  inputOf?: InputOfUndoing,
): Promise<void> {
  await carryOut(task, attendance, { includes: () => true, reasonOf: () => reason, inputOf });
}

/** Undoes what may have been done of steps that the workflow went on without, before it completes. */
export async function undoGivenUp(
  task: TaskRecord,
  attendance: Attendance,
  inputOf?: InputOfUndoing,
): Promise<void> {
  // Nothing is in flight any more: a step that waited when it was cancelled was left, too.
  const includes = ({ step }: StackEntry) => stepState(task.state, step).kind !== 'completed';
  const reasonOf = (step: string): FailureInfo => {
    const now = stepState(task.state, step);
    return now.kind === 'failed' ? now.failure : { type: 'Cancelled', message: 'Cancelled' };
  };
  if (task.state.stack?.some(includes)) await carryOut(task, attendance, { includes, reasonOf, inputOf });
}

async function carryOut(task: TaskRecord, attendance: Attendance, unwinding: Unwinding): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    for (;;) {
      const { stack = [], compensations = [], options = {} } = task.state;
      const next = nextToUndo(stack.filter(unwinding.includes), compensations, options.unwinding);
      const failed = compensations.filter(({ kind }) => kind === 'failed');
      if (next.length > 0) {
        const batch = await prepared(task, next.slice(0, AT_ONCE), unwinding);
        const [only] = batch;
        // One after the other is how most sagas are undone: each promise less is 0.1 ms of the worker's CPU.
        await (only !== undefined && batch.length === 1
          ? undo(task, only)
          : Promise.all(batch.map((one) => undo(task, one))));
      } else if (failed.length > 0) {
        await Promise.race(failed.map(({ step }) => attendance.resolution(step)));
      } else return;
    }
  });
}

/** One undoing before it begins. */
interface Prepared {
  readonly planned: Step;
  readonly undoes: Undoes;
  /** Of another agent that undoes it. */
  readonly input: unknown;
  /** Whether workflow code made that. */
  readonly madeByCode: boolean;
}

/** The first of `entries`, at least one, whose inputs fit one workflow task. Rejects where `inputOf` does. */
async function prepared(
  task: TaskRecord,
  entries: readonly StackEntry[],
  unwinding: Unwinding,
): Promise<Prepared[]> {
  const batch: Prepared[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const { planned, undoes } = prepare(task, entry, unwinding);
    const { compensate } = planned;
    // A mistake in it is the code's: nothing of the undoing stands in history yet.
    const made = compensate && unwinding.inputOf ? await unwinding.inputOf(planned, undoes) : undefined;
    const input = made ?? (compensate ? compensate.input : undefined);
    bytes += jsonBytes(input);
    if (batch.length > 0 && bytes > INPUTS_MAXIMUM_BYTES) break;
    const madeByCode = unwinding.inputOf !== undefined && input !== undefined;
    batch.push({ planned, undoes, input, madeByCode });
  }
  return batch;
}

function prepare(
  task: TaskRecord,
  { step, agent }: StackEntry,
  { reasonOf }: Unwinding,
): Pick<Prepared, 'planned' | 'undoes'> {
  const planned = planStep(task.state, step) ?? { id: step, agent, instruction: '' };
  const undoes: Undoes = {
    agent,
    ...(planned.input === undefined ? {} : { input: planned.input }),
    ...outcomeOf(task.state, planned, agent),
    reason: reasonOf(step),
  };
  return { planned, undoes };
}

/** Never rejects. */
async function undo(task: TaskRecord, one: Prepared): Promise<void> {
  const { planned, undoes } = one;
  const { agent, outcome } = undoes;
  const { id: step, compensate } = planned;
  task.record({ type: 'compensationScheduled', step, agent, outcome });
  try {
    const done = await (compensate
      ? byAnother(task, compensate.agent, one)
      : byItself(task, planned, undoes));
    task.record(compensatedEvent({ step, agent }, done));
  } catch (error) {
    const failure = failureInfo(error);
    if (!isHandedBack(failure)) task.record({ type: 'compensationFailed', step, agent, failure });
  }
}

/** The agent that did the step undoes it. */
function byItself(
  task: TaskRecord,
  step: Step,
  { agent, ...undoes }: Undoes,
): Promise<UndoOutcome> | undefined {
  const policy = policyOf(task.state, agent);
  if (policy?.compensation === undefined) return undefined;
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
    ...triedAgain(task.state, step),
  };
  return (activities[name] as CompensateActivities[string])(task.envelope(step.id, 'undo'), request);
}

/** Another agent acts so that the step is undone. */
function byAnother(
  task: TaskRecord,
  agent: string,
  { planned: step, undoes, input, madeByCode }: Prepared,
): Promise<unknown> {
  const { goal, outputs } = stepInputs(task.state, step);
  return callAgent(task.state, step, {
    agent,
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
      ...(madeByCode ? { madeByCode } : {}),
      ...triedAgain(task.state, step),
    },
  });
}

/** How often a person said to try undoing the step again. */
function triedAgain(state: TaskState, { id }: Step): { resolutions?: number } {
  const resolutions = resolutionsOf(state, undoStep(id));
  return resolutions === 0 ? {} : { resolutions };
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
