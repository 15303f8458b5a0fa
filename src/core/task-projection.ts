/**
 * Projects a task's events from its Temporal history. Owns the mapping from facts to events, their numbers
 * and causes; what an event means is `task-events.ts`'s.
 *
 * 1. Each fact gives the same events on every reading; nothing is guessed from wall clocks.
 * 2. Runs of a continue-as-new chain are fed one after the other and give one log, numbered through.
 * 3. A fact that is not ours, or cannot be read, gives no event and never throws.
 */
import { type Envelope, isEnvelope } from './envelope';
import { isHandedBack } from './failures';
import type { HistoryFact } from './history-facts';
import { isRecord } from './json';
import { stepNeeds } from './plan';
import {
  type ActOutcome,
  type PlanOutcome,
  type PlanRequest,
  actEvents,
  planEvents,
  stepOfSummary,
} from './task-activities';
import { INITIAL_TASK_STATE, type TaskEvent, type TaskState, evolve } from './task-events';
import { readResume } from './task-resume';

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
  private current: TaskState = INITIAL_TASK_STATE;
  private count = 0;
  private lastOutcome: number | undefined;
  private begun: number | undefined;
  private cancelRequested: number | undefined;
  /** By id of the event that scheduled it, in the run being read. */
  private readonly open = new Map<number, ScheduledActivity>();
  private readonly completedBy = new Map<string, number>();

  /** The fold of all events so far. */
  get state(): TaskState {
    return this.current;
  }

  /** The events that `fact` adds to the log, in order. */
  next(fact: HistoryFact): LoggedTaskEvent[] {
    const logged: LoggedTaskEvent[] = [];
    for (const { event, actor, cause } of this.read(fact)) {
      this.count += 1;
      this.current = evolve(this.current, event);
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
      case 'activityCancelled': {
        const activity = this.close(fact.scheduledEventId);
        if (activity?.envelope.kind === 'act') {
          const { agent, number, envelope } = activity;
          yield { event: { type: 'stepCancelled', step: envelope.step }, actor: agent, cause: number };
        }
        return;
      }
      case 'localActivityCompleted':
      case 'localActivityFailed':
        yield* this.readLocal(fact);
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
    const event = startEvent(fact.input, taskRoot(fact.workflowId, fact.firstRunId));
    if (event.type === 'taskResumed') yield { event, actor: 'task', cause: this.lastOutcome };
    else yield { event, actor: 'caller' };
  }

  private *readScheduled(fact: HistoryFact & { kind: 'activityScheduled' }): Generator<Reading> {
    const envelope = fact.input[0];
    if (!isEnvelope(envelope)) return;
    const { step, term } = envelope;
    const number = this.count + 1;
    if (envelope.kind === 'plan') {
      const given = (fact.input[1] as Partial<PlanRequest> | undefined)?.plan !== undefined;
      this.open.set(fact.eventId, { envelope, agent: given ? 'caller' : 'planner', number });
      yield { event: { type: 'planRequested', term }, actor: 'task', cause: this.begun };
    } else if (envelope.kind === 'act') {
      const agent = fact.activityType;
      this.open.set(fact.eventId, { envelope, agent, number });
      yield { event: { type: 'stepScheduled', step, agent, term }, actor: 'task', cause: this.causeOf(step) };
    }
  }

  private *readStarted(fact: HistoryFact & { kind: 'activityStarted' }): Generator<Reading> {
    const activity = this.open.get(fact.scheduledEventId);
    if (activity?.envelope.kind !== 'act') return;
    const { step } = activity.envelope;
    const by = { actor: activity.agent, cause: activity.number };
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
    if (envelope.kind === 'plan' && isPlanOutcome(fact.result)) {
      for (const event of planEvents(fact.result, envelope.term)) {
        yield { event, actor: fact.result.by, cause: number };
      }
    } else if (envelope.kind === 'act') {
      for (const event of actEvents(envelope.step, actOutcome(fact.result))) {
        yield { event, actor: agent, cause: number };
      }
    }
  }

  private *readFailed(fact: HistoryFact & { kind: 'activityFailed' }): Generator<Reading> {
    const activity = this.close(fact.scheduledEventId);
    if (activity === undefined) return;
    const { envelope, agent, number } = activity;
    const { failure } = fact;
    if (isHandedBack(failure)) {
      const { step, kind } = envelope;
      if (kind === 'act') yield { event: { type: 'stepHandedBack', step }, actor: agent, cause: number };
      return;
    }
    const event: TaskEvent =
      envelope.kind === 'plan'
        ? { type: 'planFailed', failure }
        : { type: 'stepFailed', step: envelope.step, failure };
    yield { event, actor: agent, cause: number };
  }

  private *readLocal(
    fact: HistoryFact & { kind: 'localActivityCompleted' | 'localActivityFailed' },
  ): Generator<Reading> {
    const step = stepOfSummary(fact.summary);
    if (step === undefined) return;
    const agent = fact.activityType;
    const number = this.count + 1;
    const { term } = this.current;
    yield { event: { type: 'stepScheduled', step, agent, term }, actor: 'task', cause: this.causeOf(step) };
    const events: TaskEvent[] =
      fact.kind === 'localActivityFailed'
        ? [{ type: 'stepFailed', step, failure: fact.failure }]
        : actEvents(step, actOutcome(fact.result));
    for (const event of events) yield { event, actor: agent, cause: number };
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

  /** The completion that made `step` ready: the latest of its needs', else the plan's. */
  private causeOf(step: string): number | undefined {
    const definition = this.current.plan?.steps.find(({ id }) => id === step);
    const needs = definition === undefined ? [] : stepNeeds(definition);
    const causes = needs.flatMap((need) => this.completedBy.get(need) ?? []);
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
      case 'continuedAsNew':
      case 'planFailed':
      case 'stepFailed':
      case 'stepCancelled':
        this.lastOutcome = number;
    }
  }
}

/** A run's first event, the same for the workflow and the log; of an input that is about to be refused, what can be read. */
export function startEvent(input: unknown, root: string): TaskEvent {
  const resume = readResume(input);
  if (resume !== undefined) return { type: 'taskResumed', origin: resume.origin, snapshot: resume.snapshot };
  const { goal, docs } = isRecord(input) ? input : {};
  return {
    type: 'taskStarted',
    root,
    goal: typeof goal === 'string' ? goal : '',
    ...(typeof docs === 'string' ? { docs } : {}),
  };
}

/** The `root` of a task's envelopes: readable, and unique also where an id is used again. */
export function taskRoot(workflowId: string, firstRunId: string): string {
  return `${workflowId}/${firstRunId}`;
}

function isPlanOutcome(result: unknown): result is PlanOutcome {
  return isRecord(result) && isRecord(result['plan']) && isRecord(result['policies']);
}

function actOutcome(result: unknown): ActOutcome {
  return isRecord(result) && isRecord(result['output'])
    ? (result as unknown as ActOutcome)
    : { output: { value: null } };
}
