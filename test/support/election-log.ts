import type { Client } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time';
import { temporal } from '@temporalio/proto';
import { readFacts } from '../../src/client/history-reader';
import { ElectionProjection } from '../../src/core/election-projection';
import type { ElectionState, TermEnd } from '../../src/core/election';
import { isEnvelope } from '../../src/core/envelope';
import type { HistoryFact } from '../../src/core/history-facts';
import { candidatesQueue, electionId } from '../../src/core/names';
import { until } from './cli';

/** A term, as the server's history has it. Times are the server's, in ms since 1970. */
export interface LoggedTerm {
  readonly term: number;
  readonly run: string;
  /** Absent while nobody took it. */
  readonly taken?: number;
  /** Of who took it, by the server's word and not by its own. */
  readonly takenBy?: string;
  /** Who announced itself while the term lasted. */
  readonly announced: readonly string[];
  readonly ended?: number;
  readonly how?: TermEnd;
  readonly reason?: string;
}

/** Every term of all runs that the server has of a cadre's elections, as offered; of ended elections too. */
export async function termsOf(client: Client, cadre: string): Promise<LoggedTerm[]> {
  const terms: LoggedTerm[] = [];
  for (const run of await runsOf(client, cadre)) terms.push(...(await termsOfRun(client, cadre, run)));
  const last = terms.pop();
  if (last !== undefined) terms.push({ ...last, ...(await presentHolder(client, cadre, last)) });
  return terms;
}

/** History has who took a term only once it is over. */
async function presentHolder(
  client: Client,
  cadre: string,
  { term, run }: LoggedTerm,
): Promise<Partial<LoggedTerm>> {
  const { raw } = await client.workflow.getHandle(electionId(cadre), run).describe();
  const pending = raw.pendingActivities?.find(({ activityId }) => activityId === `term-${term}`);
  if (!pending?.lastStartedTime) return {};
  return { taken: tsToMs(pending.lastStartedTime), takenBy: pending.lastWorkerIdentity ?? '' };
}

/** How many events each run has, in the order of their start. */
export async function runLengths(client: Client, cadre: string): Promise<number[]> {
  const lengths: number[] = [];
  for (const run of await runsOf(client, cadre)) {
    lengths.push((await client.workflow.getHandle(electionId(cadre), run).describe()).historyLength);
  }
  return lengths;
}

/** Where the election stands, from its history: no worker need answer. Undefined where there is no election. */
export async function electionState(client: Client, cadre: string): Promise<ElectionState | undefined> {
  try {
    const { runId, status } = await client.workflow.getHandle(electionId(cadre)).describe();
    if (status.name !== 'RUNNING') return undefined;
    const projection = new ElectionProjection();
    for await (const fact of readFacts(client, electionId(cadre), { firstRunId: runId }))
      projection.next(fact);
    return projection.state;
  } catch {
    return undefined;
  }
}

/**
 * What must hold of any election: terms rise over all runs, none is offered or taken twice, and the next is taken only
 * when one is over.
 */
export function expectOneHolderATerm(terms: readonly LoggedTerm[]): void {
  for (const [index, { term, taken, announced }] of terms.entries()) {
    expect(announced.length).toBeLessThanOrEqual(1);
    const before = terms[index - 1];
    if (before === undefined) continue;
    expect(term).toBeGreaterThan(before.term);
    if (taken === undefined || before.taken === undefined) continue;
    // What an election that was ended by hand leaves open is over when the next election starts.
    if (before.run === terms[index]?.run) expect(before.ended).toBeLessThanOrEqual(taken);
  }
}

/** Waits until a candidate whose identity begins with `identity` has asked for a term later than `since` (ms since 1970). */
export async function stands(client: Client, cadre: string, identity: string, since: number): Promise<void> {
  const request = {
    namespace: client.options.namespace,
    taskQueue: { name: candidatesQueue(cadre) },
    taskQueueType: temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
  };
  await until(async () => {
    const { pollers } = await client.workflowService.describeTaskQueue(request);
    return (pollers ?? []).some(
      (poller) => poller.identity?.startsWith(identity) === true && tsToMs(poller.lastAccessTime) > since,
    );
  });
}

async function runsOf(client: Client, cadre: string): Promise<string[]> {
  const { namespace } = client.options;
  const present = await client.workflow.getHandle(electionId(cadre)).describe();
  const runs = new Map([[present.runId, present.startTime.getTime()]]);
  const query = `WorkflowId = "${electionId(cadre)}"`;
  for await (const { runId, startTime } of client.workflow.list({ query }))
    runs.set(runId, startTime.getTime());
  // The list is behind by up to a second; each run says which came before it.
  for (const runId of runs.keys()) {
    const { history } = await client.workflowService.getWorkflowExecutionHistory({
      namespace,
      execution: { workflowId: electionId(cadre), runId },
      maximumPageSize: 1,
    });
    const before = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
    if (before && !runs.has(before)) {
      runs.set(
        before,
        (await client.workflow.getHandle(electionId(cadre), before).describe()).startTime.getTime(),
      );
    }
  }
  return [...runs].sort(([, a], [, b]) => a - b).map(([runId]) => runId);
}

async function termsOfRun(client: Client, cadre: string, run: string): Promise<LoggedTerm[]> {
  const terms: LoggedTerm[] = [];
  const projection = new ElectionProjection();
  const offeredBy = new Map<number, number>();
  const change = (at: number, fields: Partial<LoggedTerm>): void => {
    const before = terms[at];
    if (before !== undefined) terms[at] = { ...before, ...fields };
  };
  for await (const fact of readFacts(client, electionId(cadre), { firstRunId: run })) {
    if (fact.runId !== run) break;
    const event = projection.next(fact);
    const last = terms.length - 1;
    if (event?.type === 'termOffered') {
      offeredBy.set(fact.eventId, terms.length);
      terms.push({ term: offeredTerm(fact), run, announced: [] });
    }
    if (event?.type === 'leaderElected' && event.term === terms[last]?.term) {
      change(last, { announced: [...new Set([...(terms[last]?.announced ?? []), event.identity])] });
    }
    if (event?.type === 'termEnded') {
      const { time, how, reason } = event;
      change(last, { ended: time, how, ...(reason === undefined ? {} : { reason }) });
    }
    if (fact.kind === 'activityStarted') {
      change(offeredBy.get(fact.scheduledEventId) ?? -1, { taken: fact.time, takenBy: fact.identity });
    }
  }
  return terms;
}

/** The term of an offer, read from what was offered and not from what the election made of it. */
function offeredTerm(fact: HistoryFact): number {
  const envelope = fact.kind === 'activityScheduled' ? fact.input[0] : undefined;
  if (!isEnvelope(envelope)) throw new Error('An offer without an envelope');
  return envelope.term;
}
