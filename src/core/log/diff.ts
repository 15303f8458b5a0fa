/**
 * What differs between two states, and where two logs part. Owns what of an event counts: what was planned, decided and put
 * out; not times, runs, workers, attempts, terms, nor the order of what ran side by side.
 */
import { isRecord } from '../json';
import type { Plan } from '../plan';
import type { StackEntry } from '../saga';
import type { TaskEvent, TaskEventType } from '../task-events';
import { foldTask } from '../task-fold';
import type { LoggedTaskEvent } from '../task-projection';
import { type StepState, type TaskState, isOpen, undoStep } from '../task-state';
import { type VoteOutcome, ballotStep } from '../vote';

/** One place at which two values differ. Where they are of another `kind`, it is the whole of them. */
export interface Difference {
  /** Names of fields; of a list its indices from 0, of a plan's steps their ids. */
  readonly path: readonly string[];
  /** Absent where there is nothing. */
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Where two logs first say something else. */
export interface Parting {
  /** A step's id, `<step>/<voter>` for a ballot, `<step>/undo` for its undoing, or `task`. */
  readonly part: string;
  /** The event of each log; absent where it has none there. */
  readonly first?: LoggedTaskEvent;
  readonly second?: LoggedTaskEvent;
  /** What of them differs; empty where one of them is absent. */
  readonly differences: readonly Difference[];
}

/** How two logs compare. */
export interface LogComparison {
  /** Absent where they say the same, as far as they go. */
  readonly parting?: Parting;
  /** The states after the last event of each; without what two runs never have in common (root, deadline, terms, attempts). */
  readonly ends: readonly Difference[];
}

/** What differs between two states of a task, in the order of their fields. Empty where they are equal. */
export function diffStates(before: TaskState, after: TaskState): Difference[] {
  return diffJson(keyed(before), keyed(after));
}

/** Where `first` and `second` part, and how their ends differ. Both are read whole. */
export function compareLogs(
  first: readonly LoggedTaskEvent[],
  second: readonly LoggedTaskEvent[],
): LogComparison {
  const parting = firstParting(first, second);
  const known = knownOf([first, second]);
  const ends = diffJson(common(foldTask(first), known), common(foldTask(second), known));
  return { ...(parting === undefined ? {} : { parting }), ends };
}

/**
 * The first event in which two logs say something else; undefined where they do not. Parts that run side by side are
 * compared each by itself, so that their order is no difference. What a log that has not ended does not say yet is none. Of a
 * log that goes on from an earlier state, such as a fork's, that state stands for what came before.
 */
export function firstParting(
  first: readonly LoggedTaskEvent[],
  second: readonly LoggedTaskEvent[],
): Parting | undefined {
  const known = knownOf([first, second]);
  const [ours, theirs] = [partsOf(first, known), partsOf(second, known)];
  const ended = [hasEnded(first), hasEnded(second)] as const;
  let found: Parting | undefined;
  for (const part of new Set([...ours.keys(), ...theirs.keys()])) {
    const parting = partingOf(part, ours.get(part) ?? [], theirs.get(part) ?? [], ended);
    if (parting !== undefined && (found === undefined || placeOf(parting) < placeOf(found))) found = parting;
  }
  return found;
}

/** What an event says of its part. */
interface Said {
  readonly event: LoggedTaskEvent;
  readonly says: Readonly<Record<string, unknown>>;
}

function partingOf(
  part: string,
  first: readonly Said[],
  second: readonly Said[],
  [firstEnded, secondEnded]: readonly [boolean, boolean],
): Parting | undefined {
  for (let index = 0; index < Math.max(first.length, second.length); index += 1) {
    const [one, other] = [first[index], second[index]];
    if (one === undefined) {
      return firstEnded && other !== undefined ? { part, second: other.event, differences: [] } : undefined;
    }
    if (other === undefined) return secondEnded ? { part, first: one.event, differences: [] } : undefined;
    const differences = diffJson(one.says, other.says);
    if (differences.length > 0) return { part, first: one.event, second: other.event, differences };
  }
  return undefined;
}

/** How early it is: by the numbers of both logs, of which nothing with a lower one parts. */
function placeOf({ first, second }: Parting): number {
  return Math.min(first?.number ?? Infinity, second?.number ?? Infinity);
}

function hasEnded(events: readonly LoggedTaskEvent[]): boolean {
  return !isOpen(foldTask(events).phase);
}

/** The steps that were done before one of the logs begins, and `plan` where that was made before; none where all begin anew. */
function knownOf(logs: readonly (readonly LoggedTaskEvent[])[]): ReadonlySet<string> {
  const known = new Set<string>();
  for (const [event] of logs) {
    if (event?.type !== 'taskResumed') continue;
    known.add(PLAN);
    for (const [id, { kind }] of Object.entries(event.snapshot.steps))
      if (kind === 'completed') known.add(id);
  }
  return known;
}

/** No step's id. */
const PLAN = '/plan';

/** What a log says, by part. Of the steps in `known` only what they put out: one of the logs does not have the rest. */
function partsOf(
  events: readonly LoggedTaskEvent[],
  known: ReadonlySet<string>,
): ReadonlyMap<string, readonly Said[]> {
  const parts = new Map<string, Said[]>();
  for (const [index, event] of events.entries()) {
    const all = index === 0 ? opening(event) : [event];
    for (const one of all.map((each) => withoutReasons(each, known))) {
      const saying = isUnknownTo(one, known) ? undefined : sayingOf(one);
      if (saying === undefined) continue;
      const { part, says } = saying;
      parts.set(part, parts.get(part) ?? []);
      parts.get(part)?.push({ event, says });
    }
  }
  return parts;
}

/** True for what led to the output of a step that one of the logs knows only as done. */
function isUnknownTo(event: TaskEvent, known: ReadonlySet<string>): boolean {
  if (!('step' in event) || typeof event.step !== 'string') return false;
  return known.has(event.step) && event.type !== 'stepCompleted' && !event.type.startsWith('compensat');
}

/** A state does not always have why its plan is as it is. */
function withoutReasons(event: TaskEvent, known: ReadonlySet<string>): TaskEvent {
  if (event.type !== 'planned' || !known.has(PLAN)) return event;
  const { decisions: _reasons, ...planned } = event;
  return planned;
}

/** The events that would leave the state that a log goes on from. */
function opening(event: LoggedTaskEvent): TaskEvent[] {
  if (event.type !== 'taskResumed') return [event];
  const { goal, docs, options, plan, plannedBy: by = '', policies, term, root, steps } = event.snapshot;
  const started: TaskEvent = {
    type: 'taskStarted',
    root,
    goal,
    ...(docs === undefined ? {} : { docs }),
    ...(options === undefined ? {} : { options }),
  };
  if (plan === undefined) return [started];
  const done = Object.entries(steps).flatMap(([step, now]): TaskEvent[] =>
    now.kind === 'completed' ? [{ type: 'stepCompleted', step, output: now.output }] : [],
  );
  return [started, { type: 'planned', plan, policies, by, term }, ...done];
}

/** What an event says of its part; undefined where nothing of it counts. */
function sayingOf(event: TaskEvent): { part: string; says: Said['says'] } | undefined {
  const fields: readonly string[] | undefined = COUNTED[event.type];
  if (fields === undefined) return undefined;
  const values: Readonly<Record<string, unknown>> = { ...event };
  const says = Object.fromEntries(fields.map((field) => [field, counted(values[field])]));
  const plan = event.type === 'planned' ? { plan: planById(event.plan) } : {};
  return { part: partOf(event), says: { type: event.type, ...says, ...plan } };
}

function partOf(event: TaskEvent): string {
  if (!('step' in event)) return 'task';
  if (typeof event.step !== 'string') return event.step.id;
  if (event.type.startsWith('compensat')) return undoStep(event.step);
  return 'voter' in event ? ballotStep(event.step, event.voter) : event.step;
}

/** A vote's outcome without what the order of its ballots and the terms make of it; any other value as it is. */
function counted(value: unknown): unknown {
  if (!isRecord(value)) return value;
  if ('value' in value) return { ...value, value: counted(value['value']) };
  if (!VOTE_OUTCOME.every((field) => field in value)) return value;
  const { term: _term, tally: _tally, ...outcome } = value;
  return outcome;
}

const VOTE_OUTCOME = ['choice', 'by', 'term', 'tally', 'voters'] satisfies (keyof VoteOutcome)[];

/** Without what no two runs have in common, and of what is in `known` without why it is so: one of them does not have that. */
function common(state: TaskState, known: ReadonlySet<string>): Record<string, unknown> {
  const { root: _root, deadline: _deadline, attempted: _attempted, term: _term, ...rest } = keyed(state);
  const { planDecisions, ...others } = rest;
  const steps = Object.entries(state.steps).map(([id, step]) => [id, commonStep(step, known.has(id))]);
  const aggregated = state.aggregated === undefined ? {} : { aggregated: { ...state.aggregated, term: 0 } };
  return {
    ...others,
    ...(known.has(PLAN) ? {} : { planDecisions }),
    steps: Object.fromEntries(steps) as unknown,
    ...aggregated,
    stack: byEntry((state.stack ?? []).map((entry) => ({ ...entry, group: 0 }))),
  };
}

function commonStep(step: StepState, isKnown: boolean): unknown {
  if (step.kind !== 'completed') return step;
  const { decisions, knowledge, ...rest } = step;
  return { ...rest, output: counted(step.output), ...(isKnown ? {} : { decisions, knowledge }) };
}

/** The state with its lists by what their entries are known by, so that one that comes or goes moves no other. */
function keyed(state: TaskState): Record<string, unknown> {
  const { plan, stack = [], compensations = [], ...rest } = state;
  return {
    ...rest,
    plan: planById(plan ?? { steps: [] }),
    stack: byEntry(stack),
    compensations: byEntry(compensations),
  };
}

function planById({ steps }: Plan): Record<string, unknown> {
  return { steps: Object.fromEntries(steps.map(({ id, ...step }) => [id, step])) };
}

function byEntry(entries: readonly StackEntry[]): Record<string, unknown> {
  return Object.fromEntries(
    entries.map(({ step, agent, ...entry }) => [`${step} by ${agent}`, { step, agent, ...entry }]),
  );
}

/** What differs between two JSON values, in the order of their fields. Does not recurse, so that no depth harms it. */
function diffJson(before: unknown, after: unknown): Difference[] {
  const differences: Difference[] = [];
  const open: Difference[] = [{ path: [], before, after }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { path, before: one, after: other } = next;
    if (Object.is(one, other)) continue;
    const inner = comparable(one, other);
    if (inner === undefined) {
      const was = one === undefined ? {} : { before: one };
      differences.push({ path, ...was, ...(other === undefined ? {} : { after: other }) });
      continue;
    }
    const names = new Set(inner.flatMap((fields) => Object.keys(fields)));
    for (const name of [...names].toReversed()) {
      const [was, is] = inner.map((fields) => (Object.hasOwn(fields, name) ? fields[name] : undefined));
      open.push({ path: [...path, name], before: was, after: is });
    }
  }
  return differences;
}

type Fields = Readonly<Record<string, unknown>>;

/** Two lists, or two objects that are not of another kind: what differs is in them. Undefined for any other two values. */
function comparable(one: unknown, other: unknown): [Fields, Fields] | undefined {
  if (Array.isArray(one) && Array.isArray(other))
    return [Object.fromEntries(one.entries()), Object.fromEntries(other.entries())];
  return isRecord(one) && isRecord(other) && one['kind'] === other['kind'] ? [one, other] : undefined;
}

type CountedFields = {
  readonly [Type in TaskEventType]: readonly (keyof Extract<TaskEvent, { type: Type }>)[] | undefined;
};

/** By type of event: the fields that count; undefined for what only says when, where and how often. */
const COUNTED = {
  taskStarted: ['goal', 'docs', 'options'],
  taskResumed: undefined,
  planRequested: undefined,
  planned: ['by', 'plan', 'decisions'],
  planFailed: ['failure'],
  pinned: undefined,
  stepAdded: ['step'],
  lockRequested: undefined,
  lockAcquired: undefined,
  lockRefused: ['failure'],
  approvalRequested: ['hash'],
  approvalAnswered: ['answer'],
  approvalTimedOut: [],
  approvalWithdrawn: undefined,
  questionAsked: ['question', 'hash'],
  questionAnswered: ['answer', 'by'],
  questionExpired: [],
  questionWithdrawn: undefined,
  leaderWorkReturned: undefined,
  assignRequested: undefined,
  assigned: ['agent', 'reason'],
  notAssigned: ['reason'],
  assignFailed: ['failure'],
  stepScheduled: undefined,
  stepStarted: undefined,
  stepRetried: undefined,
  decisionsRecorded: ['decisions'],
  stepCompleted: ['output'],
  stepFailed: ['failure'],
  stepParked: ['failure'],
  stepResolved: ['how'],
  stepCancelled: [],
  stepRefused: undefined,
  stepFellBack: ['agent', 'from'],
  ballotRefused: undefined,
  stepHandedBack: undefined,
  ballotRequested: undefined,
  ballotCast: ['agent', 'choice', 'reason'],
  ballotSpoiled: ['agent', 'failure'],
  ballotWithdrawn: undefined,
  voteTimedOut: [],
  arbitrationRequested: ['why'],
  arbitrationFailed: ['failure'],
  voteDecided: ['outcome'],
  aggregateRequested: undefined,
  aggregated: ['outputs', 'decisions'],
  aggregateFailed: ['failure'],
  compensationScheduled: ['agent', 'outcome'],
  compensationStarted: undefined,
  compensated: ['agent'],
  compensationFailed: ['agent', 'failure'],
  compensationResolved: ['how'],
  remembered: undefined,
  rememberFailed: undefined,
  cancelRequested: [],
  timeLimitReached: [],
  continuedAsNew: undefined,
  taskCompleted: [],
  taskFailed: ['failure'],
  taskCancelled: [],
  taskTerminated: ['how'],
} as const satisfies CountedFields;

/** The types of a task's events. */
export const TASK_EVENT_TYPES: readonly string[] = Object.keys(COUNTED);
