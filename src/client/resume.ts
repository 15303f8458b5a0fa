/**
 * Goes on where executions were ended from outside, by a terminate or a timeout, after which nothing of them runs: what
 * they did is undone, or after a pivot finished, in `<id>.resume`. Owns what may be gone on with and under which id; what
 * is done then is the workflow's.
 *
 * 1. The history decides. Lists only find, and what they find is looked at again.
 * 2. An id is given once: of many who resume the same execution at once, one starts `<id>.resume`, and all get it.
 * 3. A cut-off `<id>.resume` is itself an execution that is gone on with, in `<id>.resume.resume`.
 */
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionDescription,
  type WorkflowExecutionInfo,
} from '@temporalio/client';
import { failureInfo } from '../core/failure-info';
import { CadreError, type FailureInfo } from '../core/failures';
import type { LockState } from '../core/lock';
import { SAGA_WORKFLOW, SERVICE_WORKFLOWS, TASK_WORKFLOW, resumeId, taskQueue } from '../core/names';
import { oneLine } from '../core/one-line';
import type { Resume } from '../core/resume';
import { needsResume, quietAt } from '../core/saga-resume';
import type { TaskEventType } from '../core/task-events';
import type { TaskState } from '../core/task-state';
import { TaskProjection, rootOf } from '../core/task-projection';
import { readResume } from '../core/task-resume';
import { startFindable } from './attention-attribute';
import { isNotFound } from './grpc-status';
import { readFacts } from './history-reader';
import { listed } from './listed';
import { staleLocks } from './locks';

/** What a sweep found of an execution that was terminated or timed out. */
export type SweptExecution = { readonly id: string; readonly runId: string } & (
  | { readonly kind: 'resumed'; readonly as: string }
  /** By somebody else, or an earlier sweep. */
  | { readonly kind: 'resumedBefore'; readonly as: string }
  | { readonly kind: 'nothingToResume' }
  /** It could not be looked at or gone on with; the next sweep tries again. */
  | { readonly kind: 'failed'; readonly failure: FailureInfo }
);

/** What a sweep did. */
export interface SweepReport {
  /** Newest first. */
  readonly executions: readonly SweptExecution[];
  /** The keys that were freed, since their holders have ended. */
  readonly locks: readonly LockState[];
  /** Why the keys could not be looked at. */
  readonly locksFailure?: FailureInfo;
}

/** What goes on with an execution. */
export interface Resumed {
  readonly id: string;
  /** The execution that it goes on with. */
  readonly of: string;
  /** False where it had been started before. */
  readonly started: boolean;
}

/** So many ended executions a sweep looks at, the newest. */
const SWEPT_MAXIMUM = 1000;
const GOAL_MAXIMUM_LENGTH = 200;
/** The memo of what goes on with an execution: the run that was cut off. */
export const RESUMES = 'resumes';

/**
 * Starts what goes on with the execution `id`, any workflow whose steps are Cadre's. Where one that went on with it was
 * cut off too, the last of them is gone on with; where one runs or has ended by itself it is that. Throws NothingToResume,
 * TaskNotFound, InputInvalid (another cadre's, or unreadable).
 */
export async function resumeExecution(client: Client, cadre: string, id: string): Promise<Resumed> {
  let last = await describe(client, id);
  if (last === undefined) throw notFound(client, id);
  refuseUnlessCutOff(last);
  for (;;) {
    const next = await resumeOf(client, last);
    if (next === undefined) return start(client, cadre, last);
    if (!isCutOff(next)) return { id: next.workflowId, of: last.workflowId, started: false };
    last = next;
  }
}

/**
 * Goes on with all of the cadre's executions that were terminated or timed out and have something to undo or to finish,
 * then frees the keys whose holders have ended. Looks at the {@link SWEPT_MAXIMUM} that ended last; finds what the server
 * lists, about a second behind, and none where it cannot list. What fails at one stops no other. To repeat it, or many
 * at once, is harmless. `signal` ends it early. Throws where the server cannot be reached.
 */
export async function sweepExecutions(
  client: Client,
  cadre: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<SweepReport> {
  const executions: SweptExecution[] = [];
  for await (const found of cutOffExecutions(client, cadre)) {
    if (signal?.aborted) break;
    const { workflowId: id, runId } = found;
    try {
      executions.push({ id, runId, ...(await sweepOne(client, cadre, found)) });
    } catch (error) {
      const failure = failureInfo(error);
      const kind = failure.type === 'NothingToResume' ? 'nothingToResume' : 'failed';
      executions.push(kind === 'failed' ? { id, runId, kind, failure } : { id, runId, kind });
    }
  }
  if (signal?.aborted) return { executions, locks: [] };
  try {
    return { executions, locks: await staleLocks(client, cadre) };
  } catch (error) {
    return { executions, locks: [], locksFailure: failureInfo(error) };
  }
}

type Found = { readonly kind: 'resumed' | 'resumedBefore'; readonly as: string };

/** A `.resume` that was cut off is found by itself, so only the next link is looked for. */
async function sweepOne(client: Client, cadre: string, found: WorkflowExecutionInfo): Promise<Found> {
  const resumed = await resumeOf(client, found);
  if (resumed !== undefined) return { kind: 'resumedBefore', as: resumed.workflowId };
  await refuseUnlessLast(client, found);
  const { id, started } = await start(client, cadre, found);
  return { kind: started ? 'resumed' : 'resumedBefore', as: id };
}

/** A reset ends a run too; its successor has what it did. That of Temporal's own retry, or of a cron, begins anew. */
async function refuseUnlessLast(client: Client, { workflowId, runId }: Cut): Promise<void> {
  const present = await describe(client, workflowId);
  if (present === undefined) throw notFound(client, workflowId);
  if (present.runId === runId) return;
  if ((await rootOfRun(client, workflowId, runId)) !== (await rootOfRun(client, workflowId, present.runId)))
    return;
  throw new CadreError('NothingToResume', `${workflowId} goes on in the run ${present.runId}`);
}

async function* cutOffExecutions(client: Client, cadre: string): AsyncGenerator<WorkflowExecutionInfo> {
  const query = [
    `TaskQueue = "${taskQueue(cadre)}"`,
    'ExecutionStatus IN ("Terminated", "TimedOut")',
    ...SERVICE_WORKFLOWS.map((type) => `WorkflowType != "${type}"`),
  ].join(' AND ');
  let left = SWEPT_MAXIMUM;
  for await (const found of listed(client, { query, pageSize: 200 })) {
    if (left-- <= 0) return;
    yield found;
  }
}

/** What is known of an execution that was cut off, from a list or a description. */
type Cut = Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'type' | 'taskQueue'>;

/** What goes on with `cut`, where somebody has started it. Throws TaskExists where the id is another run's. */
async function resumeOf(client: Client, cut: Cut): Promise<WorkflowExecutionDescription | undefined> {
  const id = resumeId(cut.workflowId);
  const found = await describe(client, id);
  const of = found?.memo?.[RESUMES];
  if (of === undefined || of === cut.runId) return found;
  throw new CadreError(
    'TaskExists',
    `${id} went on with an earlier use of the id ${cut.workflowId}; undo by hand what the run ${cut.runId} did`,
  );
}

async function start(client: Client, cadre: string, cut: Cut): Promise<Resumed> {
  const { workflowId, runId, type, taskQueue: queue } = cut;
  if (queue !== taskQueue(cadre)) {
    throw new CadreError('InputInvalid', `${workflowId} belongs to the cadre "${queue}", not to "${cadre}"`);
  }
  const resume = await readResumeOf(client, cut);
  const id = resumeId(workflowId);
  const goal = oneLine(resume.snapshot.goal, GOAL_MAXIMUM_LENGTH) || workflowId;
  try {
    await startFindable(client, type === TASK_WORKFLOW ? TASK_WORKFLOW : SAGA_WORKFLOW, {
      workflowId: id,
      taskQueue: queue,
      args: [resume],
      memo: { goal, [RESUMES]: runId },
      staticSummary: goal,
    });
    return { id, of: workflowId, started: true };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    return { id, of: workflowId, started: false };
  }
}

/** What `cut` left, read from the history of its last run: every run begins with all that is known. */
async function readResumeOf(client: Client, cut: Cut): Promise<Resume<TaskState>> {
  const { workflowId, runId } = cut;
  const projection = new TaskProjection();
  const types = new Set<TaskEventType>();
  let at = 0;
  let input: unknown;
  try {
    for await (const fact of readFacts(client, workflowId, { firstRunId: runId })) {
      if (fact.kind === 'workflowStarted') input = fact.input;
      at = fact.time;
      for (const { type } of projection.next(fact)) types.add(type);
    }
  } catch (error) {
    throw isNotFound(error) ? notFound(client, workflowId) : error;
  }
  if (isOurs(cut) && input === undefined) {
    throw unreadable(workflowId, 'what it was started with cannot be decoded here');
  }
  const before = readResume(input);
  // It had only waited for what was running at the terminate before: so must what goes on with it.
  if (before?.origin.kind === 'terminated' && at < quietAt(before)) return before;
  const snapshot = projection.state;
  if (!types.has('taskTerminated') || !(isOurs(cut) || hasSteps(types)) || !needsResume(snapshot)) {
    throw new CadreError('NothingToResume', `${workflowId} left nothing to undo and no key locked`);
  }
  const origin = { kind: 'terminated', workflowId, runId, at } as const;
  const resume: Resume<TaskState> = { snapshot, origin, overrides: {} };
  // One that the workflow would refuse must not take the id.
  if (readResume(JSON.parse(JSON.stringify(resume))) !== undefined) return resume;
  throw unreadable(workflowId, 'it is none of a task or saga');
}

function isOurs({ type }: Cut): boolean {
  return type === TASK_WORKFLOW || type === SAGA_WORKFLOW;
}

/** What any workflow was started with may look like a saga's options; steps and locks only a saga has. */
function hasSteps(types: ReadonlySet<TaskEventType>): boolean {
  return (['stepAdded', 'lockRequested', 'taskResumed'] as const).some((type) => types.has(type));
}

function refuseUnlessCutOff(execution: WorkflowExecutionDescription): void {
  if (isCutOff(execution)) return;
  const { workflowId, status } = execution;
  const message =
    status.name === 'RUNNING'
      ? `${workflowId} has not ended: to have it undone, cancel it with \`cadre cancel ${workflowId}\``
      : `${workflowId} ended by itself (${status.name.toLowerCase()}): there is nothing to go on with`;
  throw new CadreError('NothingToResume', message);
}

function isCutOff({ status }: WorkflowExecutionDescription): boolean {
  return status.name === 'TERMINATED' || status.name === 'TIMED_OUT';
}

/** What the keys of a run's steps begin with. Throws TaskNotFound. */
async function rootOfRun(client: Client, workflowId: string, runId: string): Promise<string | undefined> {
  try {
    for await (const fact of readFacts(client, workflowId, { firstRunId: runId })) {
      return fact.kind === 'workflowStarted' ? rootOf(fact) : undefined;
    }
  } catch (error) {
    throw isNotFound(error) ? notFound(client, workflowId) : error;
  }
  return undefined;
}

async function describe(
  client: Client,
  workflowId: string,
  runId?: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function notFound(client: Client, id: string): CadreError {
  const { namespace } = client.options;
  return new CadreError(
    'TaskNotFound',
    `There is no "${id}" in namespace "${namespace}", or its history is past the server's retention`,
  );
}

function unreadable(id: string, why: string): CadreError {
  return new CadreError('InputInvalid', `The history of ${id} cannot be read: ${why}`);
}
