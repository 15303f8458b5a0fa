/** One cut over a whole cadre at a server time, read from histories: nothing runs, and no worker is needed. */
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { breakersQueue, taskQueue } from '../core/names';
import type { AgentReport } from '../core/agent/agent-report';
import type { AgentState } from '../core/agent/agent-state';
import type { BreakerState } from '../core/breaker/breaker';
import { entriesAt } from '../core/crdt/knowledge';
import { CRDT_TYPES, type CrdtName } from '../core/crdt/types';
import type { ElectionState } from '../core/election';
import { inputInvalid } from '../core/failures';
import type { Json } from '../core/json';
import { type CutSignals, type CutState, WorkflowCut, cutSignals } from '../core/log/fleet';
import { knownPlaces } from '../core/agent/members';
import type { TaskState } from '../core/task-state';
import { readFacts } from './history-reader';
import { inTurn } from './in-turn';

/** A cadre at one time. Times are in ms since 1970, by the server's clock. */
export interface FleetCut extends CutSignals {
  readonly cadre: string;
  readonly time: number;
  readonly reach: FleetReach;
  /** Leader and term; absent where there was no election. */
  readonly election?: ElectionState;
  /** Every replica, by name. */
  readonly agents: readonly AgentAt[];
  /** By key, those that are closed too. */
  readonly breakers: readonly BreakerAt[];
  /** Every open task and saga, and workflows of your own with sagas, the eldest first. */
  readonly tasks: readonly TaskAt[];
  /** What was open then and could not be read, or only in part. */
  readonly unread: readonly UnreadAt[];
}

/** How far back one can look. */
export interface FleetReach {
  /** What ended before this the server has forgotten: a cut before it lacks that. Undefined where the server does not say. */
  readonly from?: number;
  /** Whether the cut is after {@link from}: so it has all that was open then. */
  readonly complete: boolean;
  /** When the cut was made: what began in the second before that may be missing from a cut of the present. */
  readonly asOf: number;
  /** Ids of workflows of which earlier runs are gone: their states are whole, their signals cannot be counted. */
  readonly shortened: readonly string[];
}

export interface AgentAt {
  readonly workflow: string;
  readonly runId: string;
  /** Something had come to it that it had not taken yet. */
  readonly busy: boolean;
  /** What it had decided, its version vector, its members. */
  readonly report: AgentReport;
  /** What it knew. */
  readonly crdts: readonly {
    readonly type: CrdtName;
    readonly name: string;
    readonly value: Json | undefined;
  }[];
}

export interface BreakerAt {
  readonly key: string;
  readonly workflow: string;
  readonly runId: string;
  readonly state: BreakerState;
}

export interface TaskAt {
  readonly id: string;
  readonly runId: string;
  /** The workflow's type. */
  readonly type: string;
  /** Of the last event up to then. */
  readonly number: number;
  readonly time: number;
  readonly state: TaskState;
}

export interface UnreadAt {
  readonly workflow: string;
  readonly type: string;
  readonly why: string;
}

/** A run that ended so shortly before the cut, in ms, may be followed by one that begins after it: the chain was open. */
const BETWEEN_RUNS = 10_000;
/** How many histories are read at once. */
const CONCURRENT = 8;

/**
 * The cadre at `time`, in ms since 1970; at present where it is left out. Throws InputInvalid for a time that is to come or
 * none, and the SDK's error where the server does not list what there was.
 */
export async function readFleetAt(client: Client, cadre: string, time?: number): Promise<FleetCut> {
  const asOf = Date.now();
  const at = checkedTime(time, asOf);
  const [executions, from] = await Promise.all([openAt(client, cadre, at), retainedSince(client, asOf)]);
  const read = await inTurn(executions, CONCURRENT, (execution) => readCut(client, execution, at));
  const open = read.filter((one) => one !== undefined);
  const traffics = open.map(({ cut }) => cut.traffic);
  return {
    cadre,
    time: at,
    reach: {
      ...(from === undefined ? {} : { from }),
      complete: from === undefined || at >= from,
      asOf,
      shortened: traffics.filter(({ whole }) => !whole).map(({ workflow }) => workflow),
    },
    ...sortedOut(open),
    ...cutSignals(traffics),
  };
}

function checkedTime(time: number | undefined, now: number): number {
  if (time === undefined) return now;
  if (Number.isFinite(time) && time >= 0 && time <= now + CLOCK_TOLERANCE) return time;
  throw inputInvalid('`time`', 'a time in ms since 1970 that is not to come', time);
}

/** How far this clock and the server's may be apart, in ms. */
const CLOCK_TOLERANCE = 10_000;

/** What was read of an execution. */
interface ReadCut {
  readonly execution: WorkflowExecutionInfo;
  readonly cut: WorkflowCut;
  /** Why it ended before its end. */
  readonly failure?: string;
}

/** The executions that may have been open at `at`, one a workflow id. */
async function openAt(client: Client, cadre: string, at: number): Promise<WorkflowExecutionInfo[]> {
  const iso = (time: number): string => JSON.stringify(new Date(time).toISOString());
  const ended = iso(Math.max(0, at - BETWEEN_RUNS));
  const queues = [taskQueue(cadre), breakersQueue(cadre)].map((queue) => JSON.stringify(queue));
  const query = `TaskQueue IN (${queues.join(', ')}) AND StartTime <= ${iso(at)} AND (ExecutionStatus = "Running" OR CloseTime > ${ended})`;
  const byId = new Map<string, WorkflowExecutionInfo>();
  for await (const execution of client.workflow.list({ query })) {
    const before = byId.get(execution.workflowId);
    if (before === undefined || before.startTime < execution.startTime)
      byId.set(execution.workflowId, execution);
  }
  return [...byId.values()].sort((a, b) => a.startTime.getTime() - b.startTime.getTime());
}

/** Undefined where it was not open at `at`. */
async function readCut(
  client: Client,
  execution: WorkflowExecutionInfo,
  at: number,
): Promise<ReadCut | undefined> {
  const { workflowId, runId, type } = execution;
  const cut = new WorkflowCut(workflowId, type, at);
  try {
    // It need not be of the present chain: the id may have been used again, or the workflow reset.
    const facts = readFacts(client, workflowId, { lastRunId: runId });
    for await (const fact of facts) if (!cut.next(fact)) break;
  } catch (error) {
    return { execution, cut, failure: error instanceof Error ? error.message : String(error) };
  }
  return cut.isOpen ? { execution, cut } : undefined;
}

/** Since when the server has all that ended; undefined where it does not say. */
async function retainedSince(client: Client, now: number): Promise<number | undefined> {
  const { namespace } = client.options;
  const { config } = await client.workflowService
    .describeNamespace({ namespace })
    .catch(() => ({ config: undefined }));
  const seconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0);
  return seconds > 0 ? now - seconds * 1000 : undefined;
}

/** What each was, by its kind. */
function sortedOut(read: readonly ReadCut[]): Omit<FleetCut, keyof CutSignals | 'cadre' | 'time' | 'reach'> {
  const found = read
    .filter(({ failure }) => failure === undefined)
    .map(({ execution, cut }): Found => ({ execution, state: cut.state }));
  const election = found.map(electionAt).find((state) => state !== undefined);
  return {
    ...(election === undefined ? {} : { election }),
    agents: found.flatMap(agentAt).sort(by(({ report }) => report.member)),
    breakers: found.flatMap(breakerAt).sort(by(({ key }) => key)),
    tasks: found.flatMap(taskAt),
    unread: read.flatMap(unreadAt),
  };
}

interface Found {
  readonly execution: WorkflowExecutionInfo;
  readonly state: CutState;
}

function electionAt({ state }: Found): ElectionState | undefined {
  return state.kind === 'election' ? state.state : undefined;
}

function agentAt({ execution: { workflowId: workflow, runId }, state }: Found): AgentAt[] {
  if (state.kind !== 'agent') return [];
  const { report, busy } = state;
  return [{ workflow, runId, busy, report, crdts: crdtsOf(state.state) }];
}

function crdtsOf({ replica: { knowledge } }: AgentState): AgentAt['crdts'] {
  return knownPlaces(knowledge).map((place) => ({
    ...place,
    value: CRDT_TYPES[place.type].value(entriesAt(knowledge, place) ?? new Map()),
  }));
}

function breakerAt({ execution: { workflowId: workflow, runId }, state }: Found): BreakerAt[] {
  return state.kind === 'breaker' ? [{ key: state.key, workflow, runId, state: state.state }] : [];
}

function taskAt({ execution: { workflowId: id, runId, type }, state }: Found): TaskAt[] {
  if (state.kind !== 'task') return [];
  const { number, time, state: task } = state;
  return [{ id, runId, type, number, time, state: task }];
}

function unreadAt({ execution: { workflowId: workflow, type }, cut, failure }: ReadCut): UnreadAt[] {
  if (failure !== undefined) return [{ workflow, type, why: failure }];
  if (cut.unread === 0) return [];
  const why = `${cut.unread} of its events could not be read, or not whole`;
  return [{ workflow, type, why }];
}

function by<Value>(key: (value: Value) => string): (a: Value, b: Value) => number {
  return (a, b) => (key(a) < key(b) ? -1 : 1);
}
