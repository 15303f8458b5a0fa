/** Reads who leads a cadre, and asks the leader to hand over. */
import {
  type Client,
  type WorkflowExecutionDescription,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  isGrpcServiceError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time';
import { temporal } from '@temporalio/proto';
import type { Announcement, ElectionState, PastTerm, Resignation } from '../core/election';
import { ElectionProjection } from '../core/election-projection';
import { CadreError, isCadreError } from '../core/failures';
import { LEAD_ACTIVITY, RESIGN_UPDATE, candidatesQueue, electionId } from '../core/names';
import { GRPC_STATUS, answers } from './grpc-status';
import { readFacts } from './history-reader';
import { describeQueue } from './queue';
import { type WatchOptions, watchChanges } from './watch';

/** Who leads a cadre, who stands, and how earlier terms ended. */
export interface LeaderReport {
  readonly cadre: string;
  /** The election's workflow id. */
  readonly election: string;
  /** `none`: there is no election, or it was ended; a worker that stands for leader starts it again. */
  readonly status: 'running' | 'none';
  /** The present term, or the last; 0 before the first. */
  readonly term: number;
  /** Absent while nobody leads. */
  readonly leader?: {
    readonly identity: string;
    /** Milliseconds since 1970. */
    readonly since: number;
  };
  /** The leader first, then whoever polled for a term in the last 70 s. */
  readonly candidates: readonly Candidacy[];
  /** The last terms that ended, latest first. */
  readonly past: readonly PastTerm[];
}

export interface Candidacy {
  readonly identity: string;
  readonly leads: boolean;
  /** Milliseconds since it last asked for a term; of the leader, since it last renewed its lease. */
  readonly age: number;
}

/** How long a request to resign may take where no worker runs workflows, in ms. */
const RESIGN_TIME_LIMIT = 5000;
/** How far this clock and the server's may be apart, in ms. */
const CLOCK_TOLERANCE = 10_000;

/** Who leads `cadre`. Needs no worker. */
export async function readLeader(client: Client, cadre: string): Promise<LeaderReport> {
  const election = electionId(cadre);
  const description = await describeElection(client, election);
  const polled = await readCandidates(client, cadre);
  if (description === undefined)
    return { cadre, election, status: 'none', term: 0, candidates: polled, past: [] };
  const { term, past } = await readElection(client, description);
  const candidates = polled.filter((candidate) => !hasLeft(candidate, past));
  const running = description.status.name === 'RUNNING';
  const holder = running ? holderOf(description) : undefined;
  return {
    cadre,
    election,
    status: running ? 'running' : 'none',
    term,
    ...(holder === undefined ? {} : { leader: { identity: holder.identity, since: holder.since } }),
    candidates: [
      ...(holder === undefined ? [] : [{ identity: holder.identity, leads: true, age: holder.age }]),
      ...candidates.filter(({ identity }) => identity !== holder?.identity),
    ],
    past,
  };
}

/** Reports at first, and whenever the term or the leader changes. Looks every `interval` ms (default 500). */
export function watchLeader(
  client: Client,
  cadre: string,
  options: WatchOptions = {},
): AsyncGenerator<LeaderReport> {
  return watchChanges(
    () => readLeader(client, cadre),
    ({ term, leader, status }) => [term, leader?.identity, status],
    options,
  );
}

/**
 * Asks the leader to hand over, and returns whom. Throws NoLeader where nobody leads, or no worker has passed it on
 * within 5 s; it is void soon after. Throws ServerUnreachable.
 */
export async function resignLeader(client: Client, cadre: string): Promise<Announcement> {
  const by = Date.now() + RESIGN_TIME_LIMIT;
  try {
    const { term, leader, status, election } = await client.withDeadline(by, () => readLeader(client, cadre));
    if (leader === undefined) {
      const why = status === 'none' ? 'it has no election' : `term ${term} is not held`;
      throw new CadreError('NoLeader', `Nobody leads "${cadre}": ${why}`);
    }
    const args: [Resignation] = [{ term, until: by + CLOCK_TOLERANCE }];
    return await client.withDeadline(by, () =>
      client.workflow.getHandle(election).executeUpdate<Announcement, [Resignation]>(RESIGN_UPDATE, { args }),
    );
  } catch (error) {
    throw await refusal(error, client, cadre);
  }
}

async function refusal(error: unknown, client: Client, cadre: string): Promise<unknown> {
  if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
    return new CadreError('NoLeader', error.cause.message, { cause: error });
  }
  if (error instanceof WorkflowNotFoundError) {
    return new CadreError('NoLeader', `Nobody leads "${cadre}": it has no election`, { cause: error });
  }
  if (isCadreError(error)) return error;
  if (!(await answers(client))) {
    return new CadreError('ServerUnreachable', 'Lost the Temporal server', { cause: error });
  }
  // At the deadline the server's word that it is over (CANCELLED) may come before the client's own (DEADLINE_EXCEEDED).
  if (!(error instanceof WorkflowUpdateRPCTimeoutOrCancelledError)) return error;
  return new CadreError(
    'NoLeader',
    `No worker that runs workflows of "${cadre}" has passed the request on: start one with \`cadre worker\``,
    { cause: error },
  );
}

/** The server's word on an election; undefined where it knows of none. */
export async function describeElection(
  client: Client,
  election: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(election).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** The election when it was described: what came since would not fit who is described as the holder. */
export async function readElection(
  client: Client,
  { workflowId, runId, historyLength }: WorkflowExecutionDescription,
): Promise<ElectionState> {
  const projection = new ElectionProjection();
  for await (const fact of readFacts(client, workflowId, { firstRunId: runId })) {
    if (fact.runId !== runId || fact.eventId > historyLength) break;
    projection.next(fact);
  }
  return projection.state;
}

/** Whoever has the activity `lead`: known to the server before the leader announced itself. */
function holderOf(
  description: WorkflowExecutionDescription,
): { identity: string; since: number; age: number } | undefined {
  const pending = (description.raw.pendingActivities ?? []).find(isHeld);
  if (pending === undefined) return undefined;
  const since = pending.lastStartedTime ? tsToMs(pending.lastStartedTime) : 0;
  const heardAt = pending.lastHeartbeatTime ? tsToMs(pending.lastHeartbeatTime) : since;
  return {
    identity: pending.lastWorkerIdentity ?? '',
    since,
    age: Math.max(0, Date.now() - Math.max(heardAt, since)),
  };
}

function isHeld({ activityType, state }: temporal.api.workflow.v1.IPendingActivityInfo): boolean {
  const { PendingActivityState } = temporal.api.enums.v1;
  switch (state) {
    case PendingActivityState.PENDING_ACTIVITY_STATE_STARTED:
    // Until it is handed over, or given back to be paused, it is held all the same.
    case PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED:
    case PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED:
      return activityType?.name === LEAD_ACTIVITY;
    default:
      return false;
  }
}

/** True for one that led after it last asked for a term, and has not asked again. */
function hasLeft({ identity, age }: Candidacy, past: readonly PastTerm[]): boolean {
  return past.some(({ leader, to }) => leader === identity && to > Date.now() - age);
}

async function readCandidates(client: Client, cadre: string): Promise<Candidacy[]> {
  const { pollers } = await describeQueue(client, candidatesQueue(cadre), 'activity').catch(
    (error: unknown) => {
      // The test server whose clock skips waits does not say who polls.
      if (isGrpcServiceError(error) && error.code === GRPC_STATUS.unimplemented) return { pollers: [] };
      throw error;
    },
  );
  return pollers
    .map(({ identity, age }) => ({ identity, leads: false, age }))
    .sort((a, b) => (a.identity < b.identity ? -1 : 1));
}
