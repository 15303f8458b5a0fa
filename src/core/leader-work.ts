/**
 * What a task has its leader do: the payloads of these activities, which stand in history, and the events that they
 * leave. The workflow and the log share them.
 */
import { isRefusal, readRefusal } from './breaker/refusal';
import type { Decision } from './decision';
import { type FailureInfo, isHandedBack } from './failures';
import { isRecord } from './json';
import type { LeaderWork } from './names';
import type { Plan, Step } from './plan';
import type { ResolvedPolicy } from './policy';
import type { Stored } from './stored';
import type { ActOutcome } from './task-activities';
import type { ReturnReason, TaskEvent } from './task-events';
import { type TaskState, planStep, stepState } from './task-state';
import { type ModelUsage, usageField } from './usage';
import { type Ballot, type CastBallot, type Undecided, tallyOf, verdictOf } from './vote';

/** What every request of the leader's work may say. */
export interface LeaderRequest {
  /** Present where a breaker refused it before, and it has waited for that. */
  readonly waited?: true;
  /** For how many ms it has waited for what is set aside of a budget for others. Default 0. */
  readonly held?: number;
  /** Present where it is not asked for again if it fails. */
  readonly last?: true;
}

/** Second argument of the activity `plan`. */
export interface PlanRequest extends LeaderRequest {
  readonly goal: string;
  readonly docs?: string;
  /** The caller's own plan; the activity then only checks it and looks up the policies. */
  readonly plan?: Plan;
}

/** What every activity of the leader returns. */
export interface LeaderOutcome {
  /** The term of the leader that did it. */
  readonly term: number;
  readonly decisions?: Stored<readonly Decision[]>;
  /** What its agent's calls came to, over all attempts. Left out where there were none. */
  readonly usage?: readonly ModelUsage[];
}

/** What the activity `plan` returns. */
export interface PlanOutcome extends LeaderOutcome {
  readonly plan: Plan;
  readonly policies: Readonly<Record<string, ResolvedPolicy>>;
  /** The agent that made the plan, or `caller`. */
  readonly by: string;
}

/** Second argument of the activity `assign`. */
export interface AssignRequest extends LeaderRequest {
  readonly goal: string;
  readonly step: Pick<Step, 'id' | 'instruction' | 'input'>;
  /** Who has tried it, the last of them last. */
  readonly tried: readonly string[];
  /** What the last of them failed with. */
  readonly failure: FailureInfo;
}

/** What the activity `assign` returns; without `agent` there is nobody else. */
export interface AssignOutcome extends LeaderOutcome {
  readonly agent?: string;
  /** Present where `agent` is. */
  readonly policy?: ResolvedPolicy;
  readonly by: string;
  readonly reason: string;
}

/** Second argument of the activity `arbitrate`. */
export interface ArbitrateRequest extends LeaderRequest {
  readonly goal: string;
  readonly instruction: string;
  readonly ballots: readonly CastBallot[];
  readonly choices?: readonly unknown[];
  readonly why: Undecided;
}

/** What the activity `arbitrate` returns. */
export interface ArbitrateOutcome extends LeaderOutcome {
  readonly choice: unknown;
  readonly by: string;
  readonly reason: string;
}

/** Second argument of the activity `aggregate`. */
export interface AggregateRequest extends LeaderRequest {
  readonly goal: string;
  /** Of the final steps, by step id. */
  readonly outputs: Readonly<Record<string, Stored>>;
}

/** What the activity `aggregate` returns; without `outputs` the final steps' are the result as they are. */
export interface AggregateOutcome extends LeaderOutcome {
  readonly by: string;
  readonly outputs?: Readonly<Record<string, Stored>>;
}

/** What is recorded of leader's work that comes back undone; `details`: of its failure. */
export function returnedEvent(work: LeaderWork, why: ReturnReason, details: unknown): TaskEvent {
  const retryAfter = why === 'refused' ? { retryAfter: readRefusal(details).retryAfter } : {};
  return { type: 'leaderWorkReturned', work, why, ...retryAfter };
}

/** Why a failure of the leader's work is none of the work's; undefined where it is. */
export function returnReason(failure: FailureInfo): ReturnReason | undefined {
  if (isHandedBack(failure)) return 'handedBack';
  if (isRefusal(failure)) return 'refused';
  return failure.type === 'TimedOut' && failure.message.endsWith('HEARTBEAT') ? 'heartbeatLost' : undefined;
}

/**
 * What the leader's work leaves when its activity succeeds; the same for the workflow and the log. What was done in a
 * lower term than the task has seen is the work of a leader that was replaced, and comes back.
 */
function unlessStale(
  work: LeaderWork,
  outcome: LeaderOutcome,
  state: TaskState,
  events: TaskEvent[],
): TaskEvent[] {
  return outcome.term < state.term ? [{ type: 'leaderWorkReturned', work, why: 'staleTerm' }] : events;
}

/** The events that a plan's making leaves, in order. */
export function planEvents(outcome: PlanOutcome, state: TaskState): TaskEvent[] {
  const { plan, policies, by, term, decisions } = outcome;
  const planned: TaskEvent = {
    type: 'planned',
    plan,
    policies,
    by,
    term,
    ...ifAny({ decisions }),
    ...usageField(outcome),
  };
  return unlessStale('plan', outcome, state, [planned]);
}

/** The events that the leader's choice of another agent leaves, in order. */
export function assignEvents(step: string, outcome: AssignOutcome, state: TaskState): TaskEvent[] {
  const { agent, policy, by, reason, term, decisions } = outcome;
  const more = { ...ifAny({ decisions }), ...usageField(outcome) };
  const event: TaskEvent =
    agent === undefined || policy === undefined
      ? { type: 'notAssigned', step, reason, term, ...more }
      : { type: 'assigned', step, agent, policy, by, reason, term, ...more };
  return unlessStale('assign', outcome, state, [event]);
}

/** The events that the leader's decision of a vote leaves, in order. */
export function arbitrateEvents(step: string, outcome: ArbitrateOutcome, state: TaskState): TaskEvent[] {
  const { choice, reason, term, decisions } = outcome;
  const before = stepState(state, step);
  const ballots = before.kind === 'arbitrating' ? before.ballots : [];
  return unlessStale(
    'arbitrate',
    outcome,
    state,
    decided(step, { choice, by: 'leader', term, reason }, ballots, state, {
      ...ifAny({ decisions }),
      ...usageField(outcome),
    }),
  );
}

/** The events that the making of the result leaves, in order. */
export function aggregateEvents(outcome: AggregateOutcome, state: TaskState): TaskEvent[] {
  const { by, term, outputs, decisions } = outcome;
  return unlessStale('aggregate', outcome, state, [
    { type: 'aggregated', by, term, ...ifAny({ outputs }), ...ifAny({ decisions }), ...usageField(outcome) },
  ]);
}

/** The events that a vote leaves by itself when `state` has its last ballot: none, or its decision by quorum. */
export function quorumEvents(step: string, state: TaskState): TaskEvent[] {
  const vote = planStep(state, step)?.vote;
  const before = stepState(state, step);
  if (vote === undefined || before.kind !== 'voting') return [];
  const verdict = verdictOf(vote, before.ballots, before.spoiled);
  if (verdict.kind !== 'decided') return [];
  const { choice } = verdict;
  return decided(step, { choice, by: 'quorum', term: state.term }, before.ballots, state);
}

function decided(
  step: string,
  how: { choice: unknown; by: 'quorum' | 'leader'; term: number; reason?: string },
  ballots: readonly CastBallot[],
  state: TaskState,
  more: Pick<LeaderOutcome, 'decisions' | 'usage'> = {},
): TaskEvent[] {
  const voters = planStep(state, step)?.vote?.agents.length ?? ballots.length;
  const outcome = { ...how, tally: tallyOf(ballots), voters };
  return [
    { type: 'voteDecided', step, outcome, ...more },
    { type: 'stepCompleted', step, output: { value: outcome } },
  ];
}

/** The event of a ballot that was cast. */
export function ballotEvent(
  { step, voter }: { step: string; voter: number },
  agent: string,
  outcome: ActOutcome,
  state: TaskState,
): TaskEvent {
  const { choice, reason } = readBallot(outcome);
  const late = stepState(state, step).kind === 'voting' ? {} : { late: true as const };
  return {
    type: 'ballotCast',
    step,
    voter,
    agent,
    choice,
    ...ifAny({ reason }),
    ...late,
    ...ifAny({ decisions: outcome.decisions }),
    ...usageField(outcome),
  };
}

function readBallot({ output }: ActOutcome): Ballot {
  const value = 'value' in output ? output.value : undefined;
  return isRecord(value) && 'choice' in value ? (value as unknown as Ballot) : { choice: null };
}

function ifAny<Field extends string, Value>(
  fields: Record<Field, Value | undefined>,
): Partial<Record<Field, Value>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<
    Record<Field, Value>
  >;
}
