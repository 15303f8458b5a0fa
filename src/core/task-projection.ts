/**
 * Projects a task's events from its Temporal history. Owns the mapping from facts to events, their numbers
 * and causes; what an event means is `task-events.ts`'s.
 *
 * 1. Each fact gives the same events on every reading; nothing is guessed from wall clocks.
 * 2. Runs of a continue-as-new chain are fed one after the other and give one log, numbered through.
 * 3. A fact that is not ours, or cannot be read, gives no event and never throws.
 */
import { isAsking, readAsking } from './asking';
import { isRefusal } from './breaker/refusal';
import { type TaskBudget, readBudget, readParent, taskBudget } from './budget/budget';
import { type Envelope, isEnvelope } from './envelope';
import { type FailureInfo, isHandedBack } from './failures';
import type { HistoryFact } from './history-facts';
import { assertNever, isRecord } from './json';
import {
  ANSWER_UPDATE,
  LEADER_WORK,
  type LeaderWork,
  PIN_ACTIVITY,
  REMEMBER_ACTIVITY,
  RESOLVE_UPDATE,
  SAGA_WORKFLOW,
  TASK_WORKFLOW,
  compensatingAgent,
} from './names';
import { type AgentStep, stepNeeds } from './plan';
import { type SagaOptions, sagaOptionProblems } from './saga';
import { type SagaInput, sagaPlan, sagaProblems } from './saga-input';
import {
  type AggregateOutcome,
  type ArbitrateOutcome,
  type ArbitrateRequest,
  type AssignOutcome,
  type PlanOutcome,
  aggregateEvents,
  arbitrateEvents,
  assignEvents,
  ballotEvent,
  planEvents,
  quorumEvents,
  returnReason,
  returnedEvent,
} from './leader-work';
import {
  type ActOutcome,
  type ActRequest,
  type CompensateRequest,
  type PinOutcome,
  actEvents,
  compensatedEvent,
  stepOfSummary,
} from './task-activities';
import type { TaskEvent } from './task-events';
import { TaskFold, ballotRefusal, failureEvent, refusalEvents } from './task-fold';
import { rememberedEvent } from './task-remember';
import { type TaskState, planStep } from './task-state';
import {
  ASKED,
  type EndedAsking,
  answerEvents,
  answeringOf,
  askedEvents,
  resolvedEvent,
  resolvingOf,
  timerEvents,
} from './task-resolving';
import { findResume } from './task-resume';
import { usageField } from './usage';
import { readBallotStep } from './vote';

/** An event as it stands in the log. */
export type LoggedTaskEvent = LogEntry & TaskEvent;

export interface LogEntry {
  /** From 1, through all runs of the task. */
  readonly number: number;
  /** Server time in milliseconds since 1970. */
  readonly time: number;
  /** Who did it: an agent's name, `caller`, `task` (the workflow) or `server`. */
  readonly actor: string;
  /** Number of the event that it follows from; absent for the first. */
  readonly cause?: number;
  /** Temporal's event id within the run, where it was read from. */
  readonly eventId: number;
  readonly runId: string;
}

interface ScheduledActivity {
  readonly envelope: Envelope;
  readonly agent: string;
  /** Number of the event that scheduled it. */
  readonly number: number;
}

type EndFact = Extract<
  HistoryFact,
  {
    kind:
      | 'workflowCompleted'
      | 'workflowFailed'
      | 'workflowCancelled'
      | 'workflowTerminated'
      | 'continuedAsNew';
  }
>;

type Reading = { event: TaskEvent; actor: string; cause?: number | undefined };

/** Reads the facts of a task in order. */
export class TaskProjection {
  private readonly fold = new TaskFold();
  private count = 0;
  private lastOutcome: number | undefined;
  private begun: number | undefined;
  private cancelRequested: number | undefined;
  /** By id of the event that scheduled it, in the run being read. */
  private readonly open = new Map<number, ScheduledActivity>();
  private readonly completedBy = new Map<string, number>();
  private readonly assignedBy = new Map<string, number>();
  /** By step: the attempt that ended with a question last. */
  private readonly asked = new Map<string, EndedAsking & { readonly number: number }>();
  /** When the last workflow task began, in ms since 1970: the workflow's clock. */
  private now = 0;
  /** By id of the event that started it: what the timer is for. */
  private readonly timers = new Map<number, string>();

  /** The fold of all events so far. */
  get state(): TaskState {
    return this.fold.state;
  }

  private get current(): TaskState {
    return this.fold.passing;
  }

  /** The events that `fact` adds to the log, in order. */
  next(fact: HistoryFact): LoggedTaskEvent[] {
    const logged: LoggedTaskEvent[] = [];
    for (const { event, actor, cause } of this.read(fact)) {
      this.count += 1;
      this.fold.next(event);
      this.remember(event);
      const { time, eventId, runId } = fact;
      logged.push({
        number: this.count,
        time,
        actor,
        ...(cause === undefined ? {} : { cause }),
        eventId,
        runId,
        ...event,
      });
    }
    return logged;
  }

  private *read(fact: HistoryFact): Generator<Reading> {
    switch (fact.kind) {
      case 'workflowStarted':
        yield* this.readStart(fact);
        return;
      case 'activityScheduled':
        yield* this.readScheduled(fact);
        return;
      case 'activityStarted':
        yield* this.readStarted(fact);
        return;
      case 'activityCompleted':
        yield* this.readCompleted(fact);
        return;
      case 'activityFailed':
        yield* this.readFailed(fact);
        return;
      case 'activityCancelled':
        yield* this.readCancelled(fact);
        return;
      case 'localActivityCompleted':
      case 'localActivityFailed':
        yield* this.readLocal(fact);
        return;
      case 'timerStarted':
      case 'timerFired':
        yield* this.readTimer(fact);
        return;
      case 'updateAccepted':
        yield* this.readUpdate(fact);
        return;
      case 'memoUpserted':
        yield* this.readMemo(fact);
        return;
      case 'signalled':
      case 'unread':
      case 'updateCompleted':
      case 'signalSent':
      case 'signalDelivered':
      case 'signalFailed':
      case 'workflowTaskCompleted':
      case 'workflowTaskFailed':
        return;
      case 'workflowTaskStarted':
        this.now = fact.time;
        return;
      case 'cancelRequested':
        yield { event: { type: 'cancelRequested' }, actor: 'caller', cause: this.begun };
        return;
      default:
        yield* this.readEnd(fact);
    }
  }

  private *readStart(fact: HistoryFact & { kind: 'workflowStarted' }): Generator<Reading> {
    this.open.clear();
    this.timers.clear();
    const { workflowType: type = TASK_WORKFLOW } = fact;
    const isOwn = type !== TASK_WORKFLOW && type !== SAGA_WORKFLOW;
    for (const event of startEvents(fact.input, rootOf(fact), fact.time + (fact.delay ?? 0), isOwn)) {
      if (event.type === 'taskResumed') yield { event, actor: 'task', cause: this.lastOutcome };
      else yield { event, actor: 'caller', cause: this.begun };
    }
  }

  private *readScheduled(fact: HistoryFact & { kind: 'activityScheduled' }): Generator<Reading> {
    const envelope = fact.input[0];
    if (!isEnvelope(envelope)) return;
    const request: unknown = fact.input[1];
    const event = requestedEvent(envelope, fact.activityType, request);
    if (event === undefined) return;
    if (event.type === 'stepScheduled' && planStep(this.current, event.step) === undefined) {
      const step = addedStep(event.step, event.agent, request as ActRequest);
      yield { event: { type: 'stepAdded', step }, actor: 'task', cause: this.lastOutcome ?? this.begun };
    }
    const agent = actorOf(envelope, fact.activityType, request);
    this.open.set(fact.eventId, { envelope, agent, number: this.count + 1 });
    yield { event, actor: 'task', cause: this.causeOf(envelope) };
  }

  private *readStarted(fact: HistoryFact & { kind: 'activityStarted' }): Generator<Reading> {
    const activity = this.open.get(fact.scheduledEventId);
    if (activity === undefined) return;
    const { step, kind } = activity.envelope;
    const by = { actor: activity.agent, cause: activity.number };
    if (kind === 'undo') {
      const { attempt, identity } = fact;
      const { agent } = activity;
      yield { event: { type: 'compensationStarted', step, agent, attempt, worker: identity }, ...by };
    }
    if (kind !== 'act') return;
    if (fact.attempt > 1) {
      const failure = fact.lastFailure === undefined ? {} : { failure: fact.lastFailure };
      yield { event: { type: 'stepRetried', step, attempts: fact.attempt - 1, ...failure }, ...by };
    }
    yield { event: { type: 'stepStarted', step, attempt: fact.attempt, worker: fact.identity }, ...by };
  }

  private *readCompleted(fact: HistoryFact & { kind: 'activityCompleted' }): Generator<Reading> {
    const activity = this.close(fact.scheduledEventId);
    if (activity === undefined) return;
    const { envelope, agent, number } = activity;
    if (envelope.kind === 'act') {
      yield* this.readActed(envelope.step, agent, actOutcome(fact.result), number);
      return;
    }
    if (envelope.kind === 'undo') {
      const event = compensatedEvent({ step: envelope.step, agent }, fact.result);
      yield { event, actor: agent, cause: number };
    }
    if (envelope.kind === 'lock') {
      const key = this.current.options?.lock ?? '';
      yield { event: { type: 'lockAcquired', key }, actor: agent, cause: number };
    }
    if (!isRecord(fact.result) || typeof fact.result['term'] !== 'number') return;
    const by = typeof fact.result['by'] === 'string' ? fact.result['by'] : agent;
    for (const event of this.leaderEvents(envelope, fact.result)) yield { event, actor: by, cause: number };
  }

  private leaderEvents({ kind, step }: Envelope, result: unknown): TaskEvent[] {
    switch (kind) {
      case 'plan':
        return isPlanOutcome(result) ? planEvents(result, this.current) : [];
      case 'assign':
        return assignEvents(step, result as AssignOutcome, this.current);
      case 'arbitrate':
        return arbitrateEvents(step, result as ArbitrateOutcome, this.current);
      case 'aggregate':
        return aggregateEvents(result as AggregateOutcome, this.current);
      case 'act':
      case 'undo':
      case 'lock':
      case 'lead':
        return [];
      default:
        return assertNever(kind);
    }
  }

  private *readActed(step: string, agent: string, outcome: ActOutcome, cause: number): Generator<Reading> {
    const ballot = readBallotStep(step);
    if (ballot === undefined) {
      for (const event of actEvents(step, outcome)) yield { event, actor: agent, cause };
      return;
    }
    const event = ballotEvent(ballot, agent, outcome, this.current);
    yield { event, actor: agent, cause };
    yield* this.readQuorum(ballot.step);
  }

  /** What the workflow concludes by itself from the ballot just read. */
  private *readQuorum(step: string): Generator<Reading> {
    for (const event of quorumEvents(step, this.current)) yield { event, actor: 'task', cause: this.count };
  }

  private *readFailed(fact: HistoryFact & { kind: 'activityFailed' }): Generator<Reading> {
    const activity = this.close(fact.scheduledEventId);
    if (activity === undefined) return;
    const { envelope, agent, number } = activity;
    const { failure, details } = fact;
    if (envelope.kind === 'act') {
      yield* this.readActFailed(envelope.step, agent, { failure, details }, number);
      return;
    }
    if (envelope.kind === 'undo') {
      const { step } = envelope;
      if (isHandedBack(failure)) return;
      yield { event: { type: 'compensationFailed', step, agent, failure }, actor: agent, cause: number };
      return;
    }
    const why = returnReason(failure);
    const event: TaskEvent | undefined =
      why !== undefined && isLeaderWork(envelope.kind)
        ? returnedEvent(envelope.kind, why, details)
        : failedEvent(envelope, failure, this.current);
    if (event !== undefined) yield { event, actor: agent, cause: number };
  }

  private *readActFailed(
    step: string,
    agent: string,
    { failure, details }: { failure: FailureInfo; details?: unknown },
    cause: number,
  ): Generator<Reading> {
    const ballot = readBallotStep(step);
    const asked = isAsking(failure) ? readAsking(details) : undefined;
    if (asked !== undefined && ballot === undefined) {
      // Until when it asks, the workflow says in its memo.
      this.asked.set(step, { agent, number: cause, asked, ...usageField(failure) });
    } else if (isHandedBack(failure)) {
      if (ballot === undefined) yield { event: { type: 'stepHandedBack', step }, actor: agent, cause };
    } else if (isRefusal(failure) && ballot === undefined) {
      for (const event of refusalEvents(this.current, step, agent, failure, details)) {
        yield { event, actor: agent, cause };
      }
    } else if (isRefusal(failure) && ballot !== undefined) {
      const event = ballotRefusal(this.current, ballot, agent, failure, details);
      yield { event, actor: agent, cause };
      yield* this.readQuorum(ballot.step);
    } else if (ballot === undefined) {
      yield { event: failureEvent(this.current, step, failure), actor: agent, cause };
    } else {
      yield { event: { type: 'ballotSpoiled', ...ballot, agent, failure }, actor: agent, cause };
      yield* this.readQuorum(ballot.step);
    }
  }

  private *readCancelled(fact: HistoryFact & { kind: 'activityCancelled' }): Generator<Reading> {
    const activity = this.close(fact.scheduledEventId);
    if (activity === undefined) return;
    const { agent, number, envelope } = activity;
    if (envelope.kind === 'act' || envelope.kind === 'arbitrate')
      yield cancelledReading(envelope, agent, number);
  }

  private *readUpdate({ name, input }: HistoryFact & { kind: 'updateAccepted' }): Generator<Reading> {
    const by = { actor: 'caller', cause: this.lastOutcome ?? this.begun };
    if (name === RESOLVE_UPDATE) {
      const resolving = resolvingOf(input[0]);
      if (resolving !== undefined) yield { event: resolvedEvent(this.current, resolving), ...by };
    } else if (name === ANSWER_UPDATE) {
      const answering = answeringOf(input[0]);
      for (const event of answering === undefined ? [] : answerEvents(this.current, answering, this.now)) {
        yield { event, ...by };
      }
    }
  }

  /** Whom the workflow asks is in its memo. */
  private *readMemo({ memo }: HistoryFact & { kind: 'memoUpserted' }): Generator<Reading> {
    if (!(ASKED in memo)) return;
    const cause = this.lastOutcome ?? this.begun;
    for (const event of askedEvents(this.current, memo[ASKED], (step) => this.asked.get(step))) {
      const ended = event.type === 'questionAsked' ? this.asked.get(event.step) : undefined;
      if (ended === undefined) yield { event, actor: 'task', cause };
      else yield { event, actor: ended.agent, cause: ended.number };
    }
  }

  private *readTimer(fact: HistoryFact & { kind: 'timerStarted' | 'timerFired' }): Generator<Reading> {
    if (fact.kind === 'timerStarted') {
      this.timers.set(fact.eventId, fact.summary);
      return;
    }
    const summary = this.timers.get(fact.startedEventId) ?? '';
    for (const event of timerEvents(this.current, summary)) yield { event, actor: 'task', cause: this.begun };
  }

  /** History has no event for the schedule of a local activity: both are read from the marker of its end. */
  private *readLocal(
    fact: HistoryFact & { kind: 'localActivityCompleted' | 'localActivityFailed' },
  ): Generator<Reading> {
    if (fact.activityType === PIN_ACTIVITY) {
      if (fact.kind === 'localActivityFailed' || !isRecord(fact.result)) return;
      const pinned = fact.result as unknown as PinOutcome;
      yield { event: { type: 'pinned', ...pinned }, actor: 'task', cause: this.begun };
      return;
    }
    if (fact.activityType === REMEMBER_ACTIVITY) {
      const event = rememberedEvent(fact);
      if (event !== undefined) yield { event, actor: 'task', cause: this.lastOutcome ?? this.begun };
      return;
    }
    const step = stepOfSummary(fact.summary);
    const agent = fact.activityType;
    const { policies } = this.current;
    // A workflow of a user's own may have local activities that are none of ours.
    if (step === undefined || !Object.hasOwn(policies, agent) || policies[agent]?.local !== true) return;
    const number = this.count + 1;
    const envelope: Envelope = { root: '', step, kind: 'act', term: this.current.term, version: 1 };
    const event = requestedEvent(envelope, agent, undefined);
    if (event !== undefined) yield { event, actor: 'task', cause: this.causeOf(envelope) };
    if (fact.kind === 'localActivityFailed') {
      if (fact.failure.type === 'Cancelled') yield cancelledReading(envelope, agent, number);
      else yield* this.readActFailed(step, agent, fact, number);
    } else yield* this.readActed(step, agent, actOutcome(fact.result), number);
  }

  private *readEnd(fact: EndFact): Generator<Reading> {
    const cause = this.lastOutcome ?? this.begun;
    switch (fact.kind) {
      case 'workflowCompleted':
        yield { event: { type: 'taskCompleted' }, actor: 'task', cause };
        return;
      case 'workflowFailed':
        yield { event: { type: 'taskFailed', failure: fact.failure }, actor: 'task', cause };
        return;
      case 'workflowCancelled':
        yield { event: { type: 'taskCancelled' }, actor: 'task', cause: this.cancelRequested };
        return;
      case 'workflowTerminated':
        yield { event: { type: 'taskTerminated', how: fact.how }, actor: 'server', cause };
        return;
      case 'continuedAsNew':
        yield { event: { type: 'continuedAsNew' }, actor: 'task', cause };
    }
  }

  private close(scheduledEventId: number): ScheduledActivity | undefined {
    const activity = this.open.get(scheduledEventId);
    this.open.delete(scheduledEventId);
    return activity;
  }

  /** What made the work ready: for a step the latest of its needs' completions; else what was last. */
  private causeOf({ kind, step }: Envelope): number | undefined {
    if (kind !== 'act') return kind === 'plan' ? this.begun : (this.lastOutcome ?? this.begun);
    const id = readBallotStep(step)?.step ?? step;
    const definition = planStep(this.current, id);
    const needs = definition === undefined ? [] : stepNeeds(definition);
    const assigned = this.assignedBy.get(id);
    const causes = [
      ...needs.flatMap((need) => this.completedBy.get(need) ?? []),
      ...(assigned === undefined ? [] : [assigned]),
    ];
    return causes.length === 0 ? this.begun : Math.max(...causes);
  }

  private remember(event: TaskEvent): void {
    const number = this.count;
    switch (event.type) {
      case 'taskStarted':
      case 'taskResumed':
      case 'planned':
        this.begun = number;
        return;
      case 'cancelRequested':
        this.cancelRequested = number;
        return;
      case 'stepCompleted':
        this.completedBy.set(event.step, number);
        this.lastOutcome = number;
        return;
      case 'assigned':
      case 'stepFellBack':
        this.assignedBy.set(event.step, number);
        return;
      case 'continuedAsNew':
      case 'planFailed':
      case 'stepFailed':
      case 'stepCancelled':
      case 'ballotCast':
      case 'ballotSpoiled':
      case 'voteTimedOut':
      case 'aggregated':
      case 'compensated':
      case 'compensationFailed':
      case 'compensationResolved':
      case 'lockAcquired':
      case 'approvalAnswered':
      case 'questionAnswered':
      case 'questionExpired':
      case 'stepParked':
      case 'stepResolved':
      case 'timeLimitReached':
        this.lastOutcome = number;
    }
  }
}

/**
 * A run's first events, the same for the workflow and the log; of an input that is about to be refused, what can be
 * read. `at`: when the run started, in ms since 1970. `isOwn`: of workflow code, whose input's `budget` and `parent` are its
 * own affair.
 */
export function startEvents(input: unknown, root: string, at: number, isOwn = false): TaskEvent[] {
  const resume = findResume(input);
  if (resume !== undefined)
    return [{ type: 'taskResumed', origin: resume.origin, snapshot: resume.snapshot }];
  const given = isRecord(input) ? input : {};
  const { goal, name, docs } = given;
  const options = optionsOf(given);
  const title = goal ?? name;
  const budget = isOwn ? undefined : budgetOf(given, root, at);
  const deadline = earliest(
    options?.timeLimit === undefined ? undefined : at + options.timeLimit,
    budget?.until,
  );
  const begun: TaskEvent = {
    type: 'taskStarted',
    root,
    goal: typeof title === 'string' ? title : '',
    ...(typeof docs === 'string' ? { docs } : {}),
    ...(options === undefined ? {} : { options }),
    ...(deadline === undefined ? {} : { deadline }),
    ...(budget === undefined ? {} : { budget }),
  };
  if (!Array.isArray(given['steps']) || sagaProblems(given).length > 0) return [begun];
  const plan = sagaPlan(given as unknown as SagaInput);
  return [begun, { type: 'planned', plan, policies: {}, by: 'caller', term: 0 }];
}

function budgetOf(
  { budget, parent }: Record<string, unknown>,
  root: string,
  at: number,
): TaskBudget | undefined {
  if (budget === undefined && parent === undefined) return undefined;
  try {
    return taskBudget(root, at, {
      budget: budget === undefined ? undefined : readBudget(budget),
      parent: parent === undefined ? undefined : readParent(parent),
    });
  } catch {
    return undefined;
  }
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : Math.min(a, b ?? a);
}

function optionsOf(input: Record<string, unknown>): SagaOptions | undefined {
  if (sagaOptionProblems(input).length > 0) return undefined;
  const { unwinding, timeLimit, lock } = input as SagaOptions;
  if (unwinding === undefined && timeLimit === undefined && lock === undefined) return undefined;
  return {
    ...(unwinding === undefined ? {} : { unwinding }),
    ...(timeLimit === undefined ? {} : { timeLimit }),
    ...(lock === undefined ? {} : { lock }),
  };
}

/** The step of a saga in workflow code, as its request says. */
export function addedStep(id: string, agent: string, request: ActRequest): AgentStep {
  const { instruction, input, added = {} } = request;
  return { id, agent, instruction, ...(input === undefined ? {} : { input }), ...added };
}

/** The `root` of a task's envelopes: readable, and unique also where an id is used again. */
export function taskRoot(workflowId: string, firstRunId: string, continuedFrom?: string): string {
  return `${workflowId}/${firstRunId}${continuedFrom === undefined ? '' : `~${continuedFrom}`}`;
}

/** The root of an execution by how it began. */
export function rootOf(fact: HistoryFact & { kind: 'workflowStarted' }): string {
  const { workflowId, firstRunId, continuedFrom, input } = fact;
  return findResume(input)?.snapshot.root ?? taskRoot(workflowId, firstRunId, continuedFrom);
}

/** The event of an activity's being scheduled; undefined for one that is none of a task's. */
function requestedEvent(
  { kind, step, term }: Envelope,
  agent: string,
  request: unknown,
): TaskEvent | undefined {
  switch (kind) {
    case 'plan':
      return { type: 'planRequested', term };
    case 'assign':
      return { type: 'assignRequested', step, term };
    case 'arbitrate': {
      const why = (request as Partial<ArbitrateRequest> | undefined)?.why ?? 'noQuorum';
      return { type: 'arbitrationRequested', step, why, term };
    }
    case 'aggregate':
      return { type: 'aggregateRequested', term };
    case 'act': {
      const ballot = readBallotStep(step);
      return ballot === undefined
        ? { type: 'stepScheduled', step, agent, term }
        : { type: 'ballotRequested', ...ballot, agent, term };
    }
    case 'undo': {
      const { outcome, undoes } = (request ?? {}) as Partial<CompensateRequest & ActRequest>;
      return {
        type: 'compensationScheduled',
        step,
        agent: undoneAgent(agent, request),
        outcome: outcome ?? undoes?.outcome ?? 'unknown',
      };
    }
    case 'lock': {
      const { key } = (request ?? {}) as { key?: string };
      return { type: 'lockRequested', key: key ?? '' };
    }
    case 'lead':
      return undefined;
    default:
      return assertNever(kind);
  }
}

/** The event of the leader's work, or of a claim, failing for good or for now. */
function failedEvent(
  { kind, step }: Envelope,
  failure: FailureInfo,
  { options }: TaskState,
): TaskEvent | undefined {
  switch (kind) {
    case 'plan':
      return { type: 'planFailed', failure };
    case 'assign':
      return { type: 'assignFailed', step, failure };
    case 'arbitrate':
      return { type: 'arbitrationFailed', step, failure };
    case 'aggregate':
      return { type: 'aggregateFailed', failure };
    case 'lock':
      return { type: 'lockRefused', key: options?.lock ?? '', failure };
    case 'act':
    case 'undo':
    case 'lead':
      return undefined;
    default:
      return assertNever(kind);
  }
}

/** Who did the step that an activity undoes. */
function undoneAgent(activityType: string, request: unknown): string {
  const { undoes } = (request ?? {}) as Partial<ActRequest>;
  return undoes?.agent ?? compensatingAgent(activityType);
}

/** An agent's part was cut off, or the leader's decision of a vote. */
function cancelledReading({ kind, step }: Envelope, agent: string, cause: number): Reading {
  const ballot = kind === 'act' ? readBallotStep(step) : undefined;
  return ballot === undefined
    ? { event: { type: 'stepCancelled', step }, actor: agent, cause }
    : { event: { type: 'ballotWithdrawn', ...ballot, agent }, actor: agent, cause };
}

function actorOf({ kind }: Envelope, activityType: string, request: unknown): string {
  if (kind === 'act') return activityType;
  if (kind === 'undo') return undoneAgent(activityType, request);
  if (kind === 'lock') return 'task';
  const given = kind === 'plan' && isRecord(request) && request['plan'] !== undefined;
  return given ? 'caller' : kind === 'plan' ? 'planner' : 'leader';
}

function isLeaderWork(kind: Envelope['kind']): kind is LeaderWork {
  return LEADER_WORK.some((work) => work === kind);
}

function isPlanOutcome(result: unknown): result is PlanOutcome {
  return (
    isRecord(result) &&
    isRecord(result['plan']) &&
    Array.isArray(result['plan']['steps']) &&
    isRecord(result['policies'])
  );
}

function actOutcome(result: unknown): ActOutcome {
  return isRecord(result) && isRecord(result['output'])
    ? (result as unknown as ActOutcome)
    : { output: { value: null } };
}
