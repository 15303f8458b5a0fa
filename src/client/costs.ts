/**
 * What calls of models came to. What has ended says it in its memo; of what runs, or was cut off, the history says it; and of
 * one task's steps that could say nothing of it the records of their calls do.
 *
 * 1. Nothing is counted twice: what goes on with a task has the costs of that in its own, and they are taken off there.
 * 2. What could not be looked at is named, never left out in silence.
 */
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import {
  type Cost,
  type CostKey,
  type TaskUsage,
  type UsageByAgent,
  addCosts,
  addRows,
  readUsageMemo,
  totalCost,
  usageBeyond,
  usageByAgent,
} from '../core/cost';
import { isCadreError } from '../core/failures';
import { SERVICE_WORKFLOWS, USAGE_MEMO, resumeId, taskQueue } from '../core/names';
import { TaskProjection } from '../core/task-projection';
import { type TaskState, isOpen } from '../core/task-state';
import { type UsageRecords, recordsOf, unsaidUsage, usageRows } from '../core/task-usage';
import { type ModelUsage, totalOf } from '../core/usage';
import type { ArtifactStore } from '../storage/artifact-store';
import { CallJournal } from '../storage/call-journal';
import { executionStatus } from './execution-status';
import { isNotFound } from './grpc-status';
import { PRESENT_RUN, readFacts } from './history-reader';
import { inTurn } from './in-turn';

/** What one task's calls came to, as far as its steps have ended. */
export interface TaskCost {
  readonly id: string;
  /** True while it runs: what its present steps have used is counted when they end. */
  readonly running: boolean;
  /** By step, for the leader's work on the whole `plan` or `aggregate`; in the order in which they ended. */
  readonly steps: readonly StepCost[];
  readonly agents: readonly Cost[];
  readonly models: readonly Cost[];
  /** With what the tasks came to that it goes on with: it has their calls from its start. */
  readonly total: Cost;
  /** Absent where it goes on with no other, and no other with it. */
  readonly chain?: CostChain;
  /** Steps that were cut off, and of whose calls the artifact store here says nothing that can be relied on: they may be missing. */
  readonly unread: readonly string[];
}

/** What the tasks came to of which each goes on with the one before, the first one first. */
export interface CostChain {
  /** Each by what is new in it; `key` is its id. A call that is recorded counts where it was paid. */
  readonly tasks: readonly Cost[];
  readonly total: Cost;
}

/** One task of a chain. */
export interface ChainLink {
  readonly id: string;
  readonly state: TaskState;
  /** Id of what goes on with it. */
  readonly resumedAs?: string;
}

/** What the calls of one agent in one piece of work came to, by one model. Its `key` is the model. */
export interface StepCost extends Cost {
  readonly step: string;
  readonly agent: string;
}

/** What a cadre's calls came to. */
export interface CadreCost {
  readonly by: CostKey;
  /** From when on what has ended counts, in ms since 1970. Absent: as far back as the server has it. */
  readonly since?: number;
  /** Sorted by their key. */
  readonly costs: readonly Cost[];
  readonly total: Cost;
  /** How many tasks called models. */
  readonly tasks: number;
  /** Ids of what runs, or was cut off, beyond the {@link HISTORIES_MAXIMUM} whose histories are read. Not in the costs. */
  readonly unread: readonly string[];
}

export interface CostOptions {
  /** Default `agent`. The day is that on which a task ended, in UTC; what runs is of today. */
  readonly by?: CostKey;
  /** In ms since 1970. Default: ever. */
  readonly since?: number;
}

/** Of so many executions that do not say in their memo what they used, the latest, the histories are read. */
const HISTORIES_MAXIMUM = 200;
const READ_AT_ONCE = 8;
const DAY_LENGTH = 'yyyy-mm-dd'.length;

/** What is known of a task's usage. */
export interface KnownUsage {
  /** With what the artifact store knows. */
  readonly state: TaskState;
  readonly unread: TaskCost['unread'];
}

/**
 * Of work that was cut off, by a time limit, a cancel or a terminate, no event says all that its calls came to: the records
 * of its calls do. Asks for them in the artifact store, which must be the workers'. Never rejects.
 */
export async function knownUsage(
  { state, resumedAs }: Omit<ChainLink, 'id'>,
  artifacts: ArtifactStore,
): Promise<KnownUsage> {
  // The records are of all tasks of a chain: what it left counts in the one that goes on with it.
  if (resumedAs !== undefined) return { state, unread: [] };
  const { root, usage: told = {} } = state;
  const read = async (key: string): Promise<RecordedUsage> => {
    const records = recordsOf(root, key);
    const { action, agent } = records;
    const usage = await new CallJournal(artifacts, action, agent).usage().catch(() => undefined);
    return { key, ...records, ...(usage === undefined ? {} : { usage }) };
  };
  const all = await inTurn(unsaidUsage(state), READ_AT_ONCE, read);
  const has = (one: RecordedUsage): boolean =>
    calls(one.usage) > 0 && calls(one.usage) >= calls(told[one.key]);
  const found = all.filter(has);
  // Where it has none of what was told either, it is another store than the workers'.
  const [known] = Object.keys(told);
  const other = found.length === 0 && known !== undefined && all.length > 0 && !has(await read(known));
  const unread = all.filter(
    (one) => one.of === 'step' && !has(one) && (other || one.usage === undefined || calls(told[one.key]) > 0),
  );
  const usage = { ...told, ...Object.fromEntries(found.map((one) => [one.key, one.usage ?? []])) };
  return {
    state: found.length === 0 ? state : { ...state, usage },
    unread: [...new Set(unread.map(({ step }) => step))],
  };
}

/** What the artifact store knows of the calls of one piece of work; without `usage` it could not be asked. */
interface RecordedUsage extends UsageRecords {
  readonly key: string;
  readonly usage?: readonly ModelUsage[];
}

function calls(usage: readonly ModelUsage[] = []): number {
  return totalOf(usage).calls;
}

/** What the calls of a task came to. */
export function costOfTask(id: string, { state, unread }: KnownUsage): TaskCost {
  const rows = usageRows(state);
  const models = addRows(rows, (_row, model) => model);
  return {
    id,
    running: isOpen(state.phase),
    steps: rows.flatMap((row) =>
      addRows([row], (_row, model) => model).map((cost) => ({ step: row.step, agent: row.agent, ...cost })),
    ),
    agents: addRows(rows, ({ agent }) => agent),
    models,
    total: totalCost(models),
    unread,
  };
}

/**
 * What the calls came to of the tasks that `one` goes on with, of it, and of those that go on with it; undefined where it is
 * alone. `look` throws TaskNotFound.
 */
export async function chainCost(
  one: ChainLink,
  look: (id: string) => Promise<ChainLink>,
): Promise<CostChain | undefined> {
  const linkOf = async (id: string): Promise<ChainLink[]> => {
    const found = await look(id).catch((error: unknown) => {
      // Past its retention.
      if (isCadreError(error) && error.type === 'TaskNotFound') return undefined;
      throw error;
    });
    // Else it is another use of the id.
    return found?.state.root === one.state.root ? [found] : [];
  };
  const chain = [one];
  for (let link: ChainLink | undefined = one; link !== undefined; ) {
    [link] = link.id.endsWith(RESUMED) ? await linkOf(link.id.slice(0, -RESUMED.length)) : [];
    if (link !== undefined) chain.unshift(link);
  }
  for (let link = chain.at(-1); link?.resumedAs !== undefined; ) {
    [link] = await linkOf(link.resumedAs);
    if (link !== undefined) chain.push(link);
  }
  if (chain.length === 1) return undefined;
  const tasks = chain.map(({ id, state }, index) => {
    const before = chain[index - 1];
    const usage = usageBeyond(
      usageByAgent(state),
      before === undefined ? new Map() : usageByAgent(before.state),
    );
    return { ...totalCost(addCosts([{ day: '', usage }], 'model')), key: id };
  });
  return { tasks, total: totalCost(tasks) };
}

/** What the calls of the cadre's tasks came to. Needs no worker. About a second behind. */
export async function readCost(
  client: Client,
  cadre: string,
  { by = 'agent', since }: CostOptions = {},
): Promise<CadreCost> {
  const { said, silent } = await find(client, cadre, since);
  const tasks = [
    ...(await inTurn(said, READ_AT_ONCE, (one) => ofMemo(client, one))),
    ...(await inTurn(silent.slice(0, HISTORIES_MAXIMUM), READ_AT_ONCE, (one) => ofHistory(client, one))),
  ].filter(({ usage }) => usage.size > 0);
  const costs = addCosts(tasks, by);
  return {
    by,
    ...(since === undefined ? {} : { since }),
    costs,
    total: totalCost(costs),
    tasks: tasks.length,
    unread: silent.slice(HISTORIES_MAXIMUM).map(({ workflowId }) => workflowId),
  };
}

interface Found {
  /** Those whose memo says what they used. */
  readonly said: readonly WorkflowExecutionInfo[];
  /** Those of which only the history does, if anything. */
  readonly silent: readonly WorkflowExecutionInfo[];
}

async function find(client: Client, cadre: string, since: number | undefined): Promise<Found> {
  const said: WorkflowExecutionInfo[] = [];
  const silent: WorkflowExecutionInfo[] = [];
  const resumes = new Set<string>();
  for await (const execution of client.workflow.list({ query: queryOf(cadre, since), pageSize: 200 })) {
    const { workflowId } = execution;
    if (workflowId.endsWith(RESUMED)) resumes.add(workflowId);
    if (memoOf(execution) !== undefined) said.push(execution);
    // What ended by itself has said in its memo what it used.
    else if (executionStatus(execution) === 'running' || isCutOff(execution)) silent.push(execution);
  }
  const isGoneOnWith = (one: WorkflowExecutionInfo) => isCutOff(one) && resumes.has(resumeId(one.workflowId));
  return { said, silent: silent.filter((one) => !isGoneOnWith(one)) };
}

/** Of the cadre's workflows all whose steps are agents': tasks, sagas, and those of your own. */
function queryOf(cadre: string, since: number | undefined): string {
  const ended = since === undefined ? [] : [`CloseTime >= "${new Date(since).toISOString()}"`];
  return [
    `TaskQueue = "${taskQueue(cadre)}"`,
    'ExecutionStatus != "ContinuedAsNew"',
    ...SERVICE_WORKFLOWS.map((type) => `WorkflowType != "${type}"`),
    ...ended.map((one) => `(ExecutionStatus = "Running" OR ${one})`),
  ].join(' AND ');
}

function memoOf({ memo }: { readonly memo?: Record<string, unknown> }): UsageByAgent | undefined {
  return readUsageMemo(memo?.[USAGE_MEMO]);
}

function isCutOff(execution: WorkflowExecutionInfo): boolean {
  const status = executionStatus(execution);
  return status === 'terminated' || status === 'timedOut';
}

async function ofMemo(client: Client, execution: WorkflowExecutionInfo): Promise<TaskUsage> {
  return usageOfItsOwn(client, execution, memoOf(execution) ?? new Map());
}

/** Every run begins with all that was before, so the last one has it all. */
async function ofHistory(client: Client, execution: WorkflowExecutionInfo): Promise<TaskUsage> {
  const { workflowId, runId } = execution;
  const runs = isCutOff(execution) ? { firstRunId: runId, lastRunId: runId } : { firstRunId: PRESENT_RUN };
  const projection = new TaskProjection();
  try {
    for await (const fact of readFacts(client, workflowId, runs)) projection.next(fact);
  } catch (error) {
    // Past its retention since it was listed.
    if (!isNotFound(error)) throw error;
  }
  return usageOfItsOwn(client, execution, usageByAgent(projection.state));
}

async function usageOfItsOwn(
  client: Client,
  { workflowId, closeTime }: WorkflowExecutionInfo,
  usage: UsageByAgent,
): Promise<TaskUsage> {
  const day = (closeTime ?? new Date()).toISOString().slice(0, DAY_LENGTH);
  const before = usage.size === 0 ? undefined : await usageBefore(client, workflowId);
  return { day, usage: before === undefined ? usage : usageBeyond(usage, before) };
}

/**
 * What the task had used with which `id` goes on, and which counts by itself; undefined where there is none. One that was cut
 * off counts in what goes on with it, so there it is the one before that.
 */
async function usageBefore(client: Client, id: string): Promise<UsageByAgent | undefined> {
  for (let before = id; before.endsWith(RESUMED); ) {
    before = before.slice(0, -RESUMED.length);
    const said = await memoOfTask(client, before);
    if (said !== undefined) return said;
  }
  return undefined;
}

/** Undefined also where it is past its retention. */
async function memoOfTask(client: Client, id: string): Promise<UsageByAgent | undefined> {
  try {
    return memoOf(await client.workflow.getHandle(id).describe());
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

const RESUMED = resumeId('');
