/**
 * Why a step put out what it did: the events that it follows from, back to the goal. Owns which event follows from which;
 * the log says so of each by its cause, and here of what a step rests on also: its inputs, its decisions, its votes.
 *
 * 1. An event follows only from earlier ones, so no circle can be.
 * 2. Each event is told once, where it comes up first.
 */
import { assertNever } from '../json';
import { type Plan, finalSteps, stepNeeds } from '../plan';
import type { TaskEvent, TaskEventType } from '../task-events';
import type { LoggedTaskEvent } from '../task-projection';

/** An event, and why it came about. */
export interface Reason {
  readonly event: LoggedTaskEvent;
  /** Numbers of the events that it follows from, the latest first; each has a reason of its own. Empty for what began it all. */
  readonly because: readonly number[];
  /** How many events lie between it and the first reason, by the way on which it is told; 0 for the first. */
  readonly depth: number;
}

/**
 * The reasons of where `step` stands last: its output, its failure, or its undoing. Without `step`, of where the task
 * stands. Those of an event come after it, the latest first. Empty where the log knows no such step.
 */
export function whyOf(events: Iterable<LoggedTaskEvent>, step?: string): Reason[] {
  const causes = new Causes(events);
  const last = step === undefined ? causes.lastOfTask() : causes.lastOf(step);
  const reasons: Reason[] = [];
  const told = new Set<number>();
  const open = last === undefined ? [] : [{ event: last, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { event, depth } = next;
    if (told.has(event.number)) continue;
    told.add(event.number);
    const because = causes.of(event);
    reasons.push({ event, because: because.map(({ number }) => number), depth });
    for (const cause of because.toReversed()) open.push({ event: cause, depth: depth + 1 });
  }
  return reasons;
}

/** The events of a log, and which of them follows from which. */
class Causes {
  private readonly all = new Map<number, LoggedTaskEvent>();
  private readonly ofTask: LoggedTaskEvent[] = [];
  private readonly bySteps = new Map<string, LoggedTaskEvent[]>();
  private readonly needs = new Map<string, readonly string[]>();
  private readonly breaks: LoggedTaskEvent[] = [];
  private plan: Plan | undefined;

  constructor(events: Iterable<LoggedTaskEvent>) {
    for (const event of events) {
      this.all.set(event.number, event);
      this.learn(event);
      const step = stepOf(event);
      if (step === undefined) this.ofTask.push(event);
      else if (this.bySteps.get(step)?.push(event) === undefined) this.bySteps.set(step, [event]);
    }
  }

  /** The last that says where the step stands; of one that has not begun, what planned it. */
  lastOf(step: string): LoggedTaskEvent | undefined {
    const events = this.bySteps.get(step) ?? [];
    return (
      events.findLast((one) => !isPassing(one) && !('voter' in one)) ??
      events.findLast((one) => !isPassing(one)) ??
      (this.needs.has(step) ? this.beginning(Infinity) : undefined)
    );
  }

  /** The last that says where the task stands. */
  lastOfTask(): LoggedTaskEvent | undefined {
    return this.ofTask.findLast((one) => !isPassing(one));
  }

  /** What `event` follows from, the latest first. */
  of(event: LoggedTaskEvent): LoggedTaskEvent[] {
    const seen = new Set<LoggedTaskEvent>();
    const open = this.direct(event);
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      // Only what is earlier can have been a cause.
      if (next.number >= event.number || seen.has(next)) continue;
      seen.add(next);
      if (isPassing(next)) open.push(...this.direct(next));
    }
    return [...seen].filter((one) => !isPassing(one)).sort((a, b) => b.number - a.number);
  }

  /** What it says that it follows from, else its cause, which is only the last thing that it waited for. */
  private direct(event: LoggedTaskEvent): LoggedTaskEvent[] {
    const cause = event.cause === undefined ? undefined : this.all.get(event.cause);
    const named = this.named(event).filter((one) => one !== undefined);
    const alone = named.length === 0 || WITH_CAUSE.includes(event.type);
    return cause === undefined || !alone ? named : [...named, cause];
  }

  private named(event: LoggedTaskEvent): (LoggedTaskEvent | undefined)[] {
    const { number } = event;
    switch (event.type) {
      case 'stepScheduled':
      case 'ballotRequested':
        return [
          ...this.readiness(event.step, number),
          this.last(event.step, ['approvalAnswered'], number),
          this.last(event.step, ['questionAnswered', 'questionExpired'], number),
        ];
      case 'approvalRequested':
        return this.readiness(event.step, number);
      case 'approvalAnswered':
      case 'approvalTimedOut':
        return [this.last(event.step, ['approvalRequested'], number)];
      case 'questionAsked':
        return [this.last(event.step, ['stepScheduled'], number)];
      case 'questionAnswered':
      case 'questionExpired':
        return [this.last(event.step, ['questionAsked'], number)];
      case 'stepCompleted':
        return [
          this.last(event.step, ['decisionsRecorded'], number),
          this.last(event.step, ['voteDecided'], number),
        ];
      case 'voteDecided':
        return [this.last(event.step, ['arbitrationRequested'], number), ...this.ballots(event.step, number)];
      case 'assigned':
      case 'notAssigned':
      case 'stepResolved':
        return [this.last(event.step, ['stepFailed', 'stepParked'], number)];
      case 'stepFailed':
      case 'stepParked':
        return [this.last(event.step, BEFORE_FAILURE, number)];
      case 'stepCancelled':
        return [this.breaks.findLast((one) => one.number < number)];
      case 'compensationScheduled':
        return [this.last(event.step, OUTCOMES, number)];
      case 'compensationResolved':
        return [this.last(event.step, ['compensationFailed'], number)];
      case 'aggregated':
        return this.finals(number);
      case 'taskCompleted':
        return this.ofTask.some(({ type }) => type === 'aggregated') ? [] : this.finals(number);
      case 'taskStarted':
      case 'taskResumed':
      case 'planRequested':
      case 'planned':
      case 'planFailed':
      case 'pinned':
      case 'stepAdded':
      case 'lockRequested':
      case 'lockAcquired':
      case 'lockRefused':
      case 'approvalWithdrawn':
      case 'questionWithdrawn':
      case 'leaderWorkReturned':
      case 'assignRequested':
      case 'assignFailed':
      case 'stepStarted':
      case 'stepRetried':
      case 'decisionsRecorded':
      case 'stepRefused':
      case 'stepFellBack':
      case 'ballotRefused':
      case 'stepHandedBack':
      case 'ballotCast':
      case 'ballotSpoiled':
      case 'ballotWithdrawn':
      case 'voteTimedOut':
      case 'arbitrationRequested':
      case 'arbitrationFailed':
      case 'aggregateRequested':
      case 'aggregateFailed':
      case 'compensationStarted':
      case 'compensated':
      case 'compensationFailed':
      case 'remembered':
      case 'rememberFailed':
      case 'cancelRequested':
      case 'timeLimitReached':
      case 'continuedAsNew':
      case 'taskFailed':
      case 'taskCancelled':
      case 'taskTerminated':
        return [];
      default:
        return assertNever(event);
    }
  }

  /** What a step waited for: the outputs that it needs, who has it, and what planned it. */
  private readiness(step: string, number: number): (LoggedTaskEvent | undefined)[] {
    const needed = (this.needs.get(step) ?? []).map((need) => this.last(need, ['stepCompleted'], number));
    return [
      ...needed,
      this.last(step, ['assigned', 'stepFellBack'], number),
      this.last(step, ['stepResolved'], number),
      this.last(step, ['stepAdded'], number) ?? this.beginning(number),
    ];
  }

  /** What made the plan, or else what the log begins with. */
  private beginning(number: number): LoggedTaskEvent | undefined {
    return this.ofTask.findLast((one) => one.type === 'planned' && one.number < number) ?? this.ofTask[0];
  }

  private ballots(step: string, number: number): LoggedTaskEvent[] {
    const events = this.bySteps.get(step) ?? [];
    return events.filter((one) => one.type === 'ballotCast' && one.number < number);
  }

  private finals(number: number): (LoggedTaskEvent | undefined)[] {
    const steps = this.plan === undefined ? [] : finalSteps(this.plan);
    return steps.map(({ id }) => this.last(id, ['stepCompleted'], number));
  }

  /** The latest of the step's events of those types before `number`. */
  private last(step: string, types: readonly TaskEventType[], number: number): LoggedTaskEvent | undefined {
    const events = this.bySteps.get(step) ?? [];
    return events.findLast((one) => one.number < number && types.includes(one.type));
  }

  private learn(event: LoggedTaskEvent): void {
    if (event.type === 'planned') this.plan = event.plan;
    if (event.type === 'taskResumed') this.plan = event.snapshot.plan ?? this.plan;
    if (BREAKS.includes(event.type)) this.breaks.push(event);
    const added = event.type === 'stepAdded' ? [event.step] : [];
    const planned = event.type === 'planned' || event.type === 'taskResumed' ? this.plan?.steps : [];
    for (const step of [...added, ...(planned ?? [])]) this.needs.set(step.id, stepNeeds(step));
  }
}

/** The id of the step that an event is about; undefined where it is about the task. */
function stepOf(event: TaskEvent): string | undefined {
  if (!('step' in event)) return undefined;
  return typeof event.step === 'string' ? event.step : event.step.id;
}

/** True for what only says that something was asked for or goes on: what it follows from is told in its place. */
function isPassing({ type, cause }: LoggedTaskEvent): boolean {
  return PASSING.includes(type) || (type === 'taskResumed' && cause !== undefined);
}

const PASSING: readonly TaskEventType[] = [
  'planRequested',
  'pinned',
  'lockRequested',
  'leaderWorkReturned',
  'assignRequested',
  'aggregateRequested',
  'stepStarted',
  'stepRetried',
  'compensationStarted',
  'remembered',
  'rememberFailed',
  'continuedAsNew',
];
/** These follow from their cause besides. */
const WITH_CAUSE: readonly TaskEventType[] = [
  'stepCompleted',
  'stepCancelled',
  'compensationScheduled',
  'taskCompleted',
];
/** What a step's failure follows from, the latest of them. */
const BEFORE_FAILURE: readonly TaskEventType[] = [
  'stepScheduled',
  'approvalAnswered',
  'approvalTimedOut',
  'ballotSpoiled',
  'arbitrationFailed',
];
const OUTCOMES: readonly TaskEventType[] = ['stepCompleted', 'stepFailed', 'stepCancelled', 'stepScheduled'];
/** What ends steps that run beside it. */
const BREAKS: readonly TaskEventType[] = ['cancelRequested', 'timeLimitReached', 'stepFailed'];
