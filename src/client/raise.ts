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
import { type Limits, neededFor, shownAmount } from '../core/budget/account';
import { type Budget, type TaskBudget, readBudget, taskAccount } from '../core/budget/budget';
import { raisedBudget, raisedState } from '../core/budget/raise';
import { amountWords } from '../core/budget/words';
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
import { unanswered } from './no-worker';
import { RESUMES } from './resume';

const GOAL_MAXIMUM_LENGTH = 200;

/** A task as it stands. */
interface Standing {
  readonly execution: WorkflowExecutionDescription;
  readonly state: TaskState;
  /** How often its limits were changed. */
  readonly revision: number;
  /** What it may use now: what it was given, and what its account was told since. */
  readonly present: Budget;
}

/**
 * Goes on with the task `id`, or with what resumed it last, where that ended as BudgetReached. One that has not ended may use
 * more from now on. `more`: what it may use in all, with what it has used; the rest stays as it is. Of those who go on with it
 * at the same time one starts it, and what the others ask for holds for that too, where it is more. Returns the id of what
 * goes on: `<id>.resume`, or the task's while it has not ended. Throws NothingToResume, InputInvalid, NoWorker, TaskNotFound.
 */
export async function raiseBudget(client: Client, id: string, more: Budget = {}): Promise<string> {
  const raise = readBudget(more);
  const task = await look(client, id);
  if (isOpen(task.state.phase)) return raiseRunning(client, task, raise);
  refuseUnlessMore(task, raise);
  const now = Date.now();
  const budget = raised(task, raise, now);
  const snapshot = raisedState(task.state, budget, now);
  await tell(client, task, budget);
  const { workflowId } = task.execution;
  const resumed = resumeId(workflowId);
  return (await start(client, task.execution, snapshot, now)) ? resumed : join(client, resumed, raise);
}

/** Throws InputInvalid where that is no more than it has, or nothing that its account watches. */
async function raiseRunning(client: Client, task: Standing, raise: Budget): Promise<string> {
  refuseUnlessWatched(task, raise);
  await tell(client, task, raised(task, raise, Date.now()));
  return task.execution.workflowId;
}

/** Goes on with `id` too, which somebody else has started at the same time. */
async function join(client: Client, id: string, raise: Budget): Promise<string> {
  const task = await look(client, id);
  const { phase } = task.state;
  if (phase.kind === 'failed' && phase.failure.short !== undefined) return raiseBudget(client, id, raise);
  const present = new Map(Object.entries(task.present));
  const other = Object.entries(raise).filter(([field, value]) => value !== present.get(field));
  if (!isOpen(phase) || other.length === 0) return task.execution.workflowId;
  return raiseRunning(client, task, Object.fromEntries(other));
}

/** How the task stands, or what goes on with it last. */
async function look(client: Client, id: string): Promise<Standing> {
  const execution = await lastOf(client, id);
  const state = await stateOf(client, execution.workflowId);
  const account = await new TemporalBudgets(client, execution.taskQueue).state(taskAccount(state.root));
  const { given = {}, revision = 0 } = state.budget ?? {};
  const told = account.revision >= revision ? amountsOf(account.limits) : {};
  return {
    execution,
    state,
    revision: Math.max(account.revision, revision),
    present: { ...given, ...told },
  };
}

function amountsOf({ tokens, microUsd, calls, steps }: Limits): Budget {
  return {
    ...(tokens === undefined ? {} : { tokens }),
    ...(microUsd === undefined ? {} : { money: shownAmount('microUsd', microUsd) }),
    ...(calls === undefined ? {} : { calls }),
    ...(steps === undefined ? {} : { steps }),
  };
}

function raised({ state, present, revision }: Standing, raise: Budget, now: number): TaskBudget {
  return raisedBudget(state, { ...present, ...raise }, revision + 1, now);
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

/** Of a task that has not ended only what its account watches can be changed, and only to more. */
function refuseUnlessWatched({ execution: { workflowId }, present }: Standing, raise: Budget): void {
  const fields = Object.keys(raise) as (keyof Budget)[];
  if (fields.length === 0 || !fields.every((field) => WATCHED.has(field) && present[field] !== undefined)) {
    const expected = `more of tokens, money, calls or steps that ${workflowId} was given, since it has not ended`;
    throw inputInvalid('`budget`', expected, raise);
  }
  const less = fields.find((field) => Number(raise[field]) < Number(present[field]));
  if (less === undefined) return;
  const expected = `at least ${present[less]}, which ${workflowId} may use already`;
  throw inputInvalid(`\`budget.${less}\``, expected, raise[less]);
}

const WATCHED: ReadonlySet<keyof Budget> = new Set(['tokens', 'money', 'calls', 'steps'] as const);

/** More of what it has reached, where that is its own account's. */
function refuseUnlessMore({ state: { phase, root }, present }: Standing, raise: Budget): void {
  const short = phase.kind === 'failed' ? phase.failure.short : undefined;
  if (short === undefined || short.limit === 'wallTime' || short.account !== taskAccount(root)) return;
  const { limit, allowed, used, asked } = short;
  const given = { ...present, ...raise }[limit];
  if (Number(given) > allowed) return;
  const words = (amount: number): string => amountWords(limit, amount);
  const expected = `more than ${words(allowed)}, which it has reached (used ${words(used)}, asked for ${words(asked)} more: it takes \`--budget ${limit}=${neededFor(short)}\`)`;
  throw inputInvalid(`\`budget.${limit}\``, expected, raise[limit]);
}

/** Tells the task's own account what may be used from now on. Throws NoWorker, ServerUnreachable. */
async function tell(client: Client, { execution, state }: Standing, { lines }: TaskBudget): Promise<void> {
  const own = lines.find(({ account }) => account === taskAccount(state.root));
  if (own === undefined) return;
  const { account, limits, revision } = own;
  const message = { worker: randomUUID(), turn: 1, limits, revision, operations: [] };
  try {
    await new TemporalBudgets(client, execution.taskQueue).exchange(account, message);
  } catch (error) {
    throw await unanswered(error, client, `the budget "${account}"`, '; it may still get more once one does');
  }
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
