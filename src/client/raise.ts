/**
 * Goes on with a task that has reached its budget, with more. Owns what may be gone on with and under which id; what its
 * state is then is `core/budget/raise.ts`'s.
 */
import { randomUUID } from 'node:crypto';
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowExecutionDescription,
} from '@temporalio/client';
import { type Budget, type TaskBudget, limitsOf, readBudget, taskAccount } from '../core/budget/budget';
import { raisedBudget, raisedState } from '../core/budget/raise';
import { CadreError, inputInvalid } from '../core/failures';
import { TASK_WORKFLOW, resumeId } from '../core/names';
import { oneLine } from '../core/one-line';
import type { Resume } from '../core/resume';
import { TaskProjection } from '../core/task-projection';
import { type TaskState, isOpen } from '../core/task-state';
import { startFindable } from './attention-attribute';
import { TemporalBudgets } from './budgets';
import { isNotFound } from './grpc-status';
import { readFacts } from './history-reader';
import { RESUMES } from './resume';

/** What goes on with a task. */
export interface Raised {
  /** Of what goes on: `<id>.resume`, or the task itself while it has not ended. */
  readonly id: string;
  /** The task that it goes on with. */
  readonly of: string;
  /** False where it runs already. */
  readonly started: boolean;
  /** What it may use now. */
  readonly budget: TaskBudget;
}

const GOAL_MAXIMUM_LENGTH = 200;

/**
 * Goes on with the task `id`, or with what resumed it last, where that ended as BudgetReached. One that has not ended may use
 * more from now on. `more`: what it may use in all, with what it has used; the rest stays as it was given. Throws
 * NothingToResume, InputInvalid, TaskNotFound.
 */
export async function raiseBudget(client: Client, id: string, more: Budget = {}): Promise<Raised> {
  const raise = readBudget(more);
  const last = await lastOf(client, id);
  const { workflowId } = last;
  const state = await stateOf(client, workflowId);
  const budgets = new TemporalBudgets(client, last.taskQueue);
  const now = Date.now();
  if (isOpen(state.phase)) refuseUnlessWatched(state, raise);
  else refuseUnlessMore(state, raise);
  const revision = await nextRevision(budgets, state);
  const budget = raisedBudget(state, raise, revision, now);
  const snapshot = isOpen(state.phase) ? undefined : raisedState(state, budget, now);
  await tell(budgets, state, budget);
  if (snapshot === undefined) return { id: workflowId, of: workflowId, started: false, budget };
  const started = await start(client, last, snapshot, now);
  return { id: resumeId(workflowId), of: workflowId, started, budget };
}

/** The task, or what goes on with it last. */
async function lastOf(client: Client, id: string): Promise<WorkflowExecutionDescription> {
  let last = await describe(client, id);
  if (last === undefined) throw new CadreError('TaskNotFound', `There is no task "${id}"`);
  if (last.type !== TASK_WORKFLOW) {
    throw new CadreError('NothingToResume', `${id} is no task, and has no budget`);
  }
  for (;;) {
    const next = await describe(client, resumeId(last.workflowId));
    if (next === undefined) return last;
    last = next;
  }
}

async function describe(client: Client, id: string): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(id).describe();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** From the history of its last run: every run begins with all that is known. */
async function stateOf(client: Client, id: string): Promise<TaskState> {
  const projection = new TaskProjection();
  for await (const fact of readFacts(client, id)) projection.next(fact);
  return projection.state;
}

/** Of a task that has not ended only what its account watches can be changed. */
function refuseUnlessWatched(state: TaskState, more: Budget): void {
  const own = limitsOf(state.budget?.given ?? {});
  const limits = Object.keys(limitsOf(more)).every((unit) => Object.hasOwn(own, unit));
  if (limits && Object.keys(more).length > 0 && more.depth === undefined && more.wallTime === undefined)
    return;
  const expected = 'more of tokens, money, calls or steps that the task was given, since it has not ended';
  throw inputInvalid('`budget`', expected, more);
}

/** More of what it has reached, where that is its own account's. */
function refuseUnlessMore(state: TaskState, more: Budget): void {
  const { phase, budget, root } = state;
  const short = phase.kind === 'failed' ? phase.failure.short : undefined;
  if (short === undefined || short.limit === 'wallTime' || short.account !== taskAccount(root)) return;
  const given = { ...budget?.given, ...more }[short.limit];
  if (Number(given) > short.allowed) return;
  throw inputInvalid(`\`budget.${short.limit}\``, `more than ${short.allowed}, which it has reached`, given);
}

async function nextRevision(budgets: TemporalBudgets, { root, budget }: TaskState): Promise<number> {
  const { state } = await budgets.read(taskAccount(root));
  return Math.max(state.revision, budget?.revision ?? 0) + 1;
}

/** Tells the task's own account what may be used from now on. */
async function tell(budgets: TemporalBudgets, { root }: TaskState, { lines }: TaskBudget): Promise<void> {
  const own = lines.find(({ account }) => account === taskAccount(root));
  if (own === undefined) return;
  const { account, limits, revision } = own;
  await budgets.exchange(account, { worker: randomUUID(), turn: 1, limits, revision, operations: [] });
}

/** True where it was not started before. */
async function start(
  client: Client,
  { workflowId, runId, taskQueue }: WorkflowExecutionDescription,
  snapshot: TaskState,
  now: number,
): Promise<boolean> {
  const origin = { kind: 'raised', workflowId, runId, at: now } as const;
  const resume: Resume<TaskState> = { snapshot, origin, overrides: {} };
  const goal = oneLine(snapshot.goal, GOAL_MAXIMUM_LENGTH) || workflowId;
  try {
    await startFindable(client, TASK_WORKFLOW, {
      workflowId: resumeId(workflowId),
      taskQueue,
      args: [resume],
      memo: { goal, [RESUMES]: runId },
      staticSummary: goal,
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}
