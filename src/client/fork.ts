/** Starts a fork: a task of its own that shares the past of another up to a point of its log, and only then runs. */
import { randomBytes } from 'node:crypto';
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { CadreError, inputInvalid } from '../core/failures';
import { isRecord } from '../core/json';
import { type Fork, type ForkOverrides, forkOf, rooted } from '../core/log/fork';
import { type Point, type TaskMoment, isAfter } from '../core/log/point';
import { SAGA_WORKFLOW, TASK_WORKFLOW, forkId, taskQueue } from '../core/names';
import { oneLine } from '../core/one-line';
import type { Resume } from '../core/resume';
import { TaskFold } from '../core/task-fold';
import { TaskProjection } from '../core/task-projection';
import { readResume } from '../core/task-resume';
import { type TaskState, INITIAL_TASK_STATE } from '../core/task-state';
import { startFindable } from './attention-attribute';
import type { TaskLog } from './task-log';

export interface ForkOptions {
  /** After which event of the log. Default `last`. */
  readonly at?: Point;
  readonly overrides?: ForkOverrides;
}

/** A fork that was started. */
export interface Forked extends Pick<Fork, 'shared' | 'sharedEffects' | 'begunBefore'> {
  readonly id: string;
  /** The task that it is a fork of, and the number of the last event that they share. */
  readonly of: string;
  readonly number: number;
}

/** The memo of a fork: whose, and from where. */
export const FORK_MEMO = 'forkOf';
/** A task has fewer forks. */
const FORKS_MAXIMUM = 1000;
const GOAL_MAXIMUM_LENGTH = 200;

/** What is at a point of a log, and what it began with. */
interface Past extends TaskMoment {
  readonly runId: string;
  readonly workflowType: string | undefined;
  readonly input: unknown;
}

/**
 * Forks the task of `log`, which may be a file, at a point of it. Throws ForkRefused, InputInvalid, PlanInvalid, TaskNotFound;
 * nothing is started then.
 */
export async function forkTask(
  client: Client,
  cadre: string,
  log: TaskLog,
  { at = 'last', overrides = {} }: ForkOptions = {},
): Promise<Forked> {
  const past = await readPast(log, at);
  if (typeof at === 'object' && 'number' in at && past.number < at.number) {
    throw inputInvalid('the event', `one of the log's: 1 to ${past.number}`, at.number);
  }
  const { id } = log;
  const { number, state, runId } = past;
  const type = past.workflowType === SAGA_WORKFLOW ? SAGA_WORKFLOW : TASK_WORKFLOW;
  const planless = state.plan === undefined;
  if (planless && (readResume(past.input) !== undefined || Object.keys(overrides).length > 0)) {
    throw new CadreError(
      'ForkRefused',
      `${id} has no plan there that could be changed: start a task instead`,
    );
  }
  const now = Date.now();
  const fork = planless ? NOTHING_SHARED : forkOf(state, overrides, now);
  const origin = { kind: 'forked', workflowId: id, runId, number } as const;
  const startOf = (root: string): unknown =>
    planless
      ? past.input
      : ({ snapshot: rooted(fork, root, now), origin, overrides } satisfies Resume<TaskState>);
  // One that the workflow would refuse must not be started.
  if (!planless && readResume(JSON.parse(JSON.stringify(startOf(id)))) === undefined) {
    throw new CadreError('ForkRefused', `The state of ${id} there is none of a task or saga`);
  }
  const goal = oneLine(fork.snapshot.goal || state.goal, GOAL_MAXIMUM_LENGTH);
  for (let index = 1; index <= FORKS_MAXIMUM; index += 1) {
    const forked = forkId(id, index);
    try {
      await startFindable(client, type, {
        workflowId: forked,
        taskQueue: taskQueue(cadre),
        args: [startOf(`${forked}/${randomBytes(8).toString('hex')}`)],
        memo: { goal, [FORK_MEMO]: { id, runId, number } },
        staticSummary: oneLine(`fork of ${id} at ${number}: ${goal}`, GOAL_MAXIMUM_LENGTH),
      });
      const { shared, sharedEffects, begunBefore } = fork;
      return { id: forked, of: id, number, shared, sharedEffects, begunBefore };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }
  throw new CadreError('ForkRefused', `${id} has ${FORKS_MAXIMUM} forks: fork one of them`);
}

const NOTHING_SHARED: Fork = {
  snapshot: INITIAL_TASK_STATE,
  shared: [],
  sharedEffects: [],
  begunBefore: [],
};

/** Whose fork a workflow is, as its memo has it; undefined for one that is none. */
export function forkMemo(
  memo: Readonly<Record<string, unknown>> | undefined,
): { id: string; runId: string; number: number } | undefined {
  const of = memo?.[FORK_MEMO];
  if (!isRecord(of)) return undefined;
  const { id, runId, number } = of;
  return typeof id === 'string' && typeof runId === 'string' && typeof number === 'number'
    ? { id, runId, number }
    : undefined;
}

async function readPast(log: TaskLog, at: Point): Promise<Past> {
  const projection = new TaskProjection();
  const fold = new TaskFold();
  let past: Past = {
    number: 0,
    time: undefined,
    state: INITIAL_TASK_STATE,
    runId: '',
    workflowType: undefined,
    input: undefined,
  };
  for await (const fact of log.facts()) {
    if (fact.kind === 'workflowStarted' && past.number === 0) {
      past = { ...past, workflowType: fact.workflowType, input: fact.input };
    }
    for (const event of projection.next(fact)) {
      if (isAfter(event, at)) return { ...past, state: fold.state };
      const { number, time, runId } = event;
      fold.next(event);
      past = { ...past, number, time, runId };
    }
  }
  return { ...past, state: fold.state };
}
