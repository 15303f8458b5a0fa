/** What the calls of a task's steps came to: whose each report is, and what they are together. */
import { type EnvelopeKind, idempotencyKey } from './envelope';
import { assertNever } from './json';
import { AGGREGATE_STEP, LEADER_WORK, PLAN_STEP } from './names';
import type { Step, VoteStep } from './plan';
import type { StackEntry } from './saga';
import type { TaskEvent } from './task-events';
import {
  type StepState,
  type TaskState,
  agentOf,
  assignmentOf,
  isOpen,
  planStep,
  stepState,
} from './task-state';
import { type ModelUsage, addUsage } from './usage';
import { ballotStep } from './vote';

/** What one agent's calls in one piece of work came to, over all its attempts. */
export interface UsageRow {
  /** As the envelope has it: the step's id, for a ballot `<id>/<number>`, for the leader's work on the whole `plan` or `aggregate`. */
  readonly step: string;
  readonly kind: EnvelopeKind;
  readonly agent: string;
  readonly usage: readonly ModelUsage[];
}

/** What an event says of usage. A later report by the same key takes the place of an earlier one: it has that in it. */
export interface UsageReport {
  readonly key: string;
  readonly usage: readonly ModelUsage[];
}

/** What all calls came to: one row a model. */
export function usageOf({ usage = {} }: Pick<TaskState, 'usage'>): ModelUsage[] {
  return addUsage(...Object.values(usage));
}

/** The same, by whose calls they were, in the order in which they were first reported. */
export function usageRows({ usage = {} }: Pick<TaskState, 'usage'>): UsageRow[] {
  return Object.entries(usage).map(([key, rows]) => {
    const { kind, actor, step } = readKey(key);
    const [agent = ''] = actor.split('/');
    return { step, kind, agent, usage: rows };
  });
}

/** What `event` reports, given the state before it. */
export function usageReport(state: TaskState, event: TaskEvent): UsageReport | undefined {
  const usage = usageIn(event);
  if (usage === undefined) return undefined;
  const key = keyOf(state, event);
  return key === undefined ? undefined : { key, usage };
}

/** What an event says that all attempts of its work came to. */
export function usageIn(event: TaskEvent): readonly ModelUsage[] | undefined {
  if ('usage' in event) return event.usage;
  // What these failed with says it of an attempt before the last, or again.
  if (event.type === 'stepRetried' || event.type === 'taskFailed') return undefined;
  return 'failure' in event ? event.failure?.usage : undefined;
}

function keyOf(state: TaskState, event: TaskEvent): string | undefined {
  switch (event.type) {
    case 'questionAsked':
    case 'stepCompleted':
    case 'stepFailed':
    case 'stepParked': {
      const { step } = event;
      const planned = planStep(state, step);
      return usageKey('act', (planned && agentOf(state, planned)) ?? '', step);
    }
    case 'ballotCast':
    case 'ballotSpoiled':
      return usageKey('act', event.agent, ballotStep(event.step, event.voter));
    case 'compensated':
    case 'compensationFailed':
      return undoKey(state, event);
    case 'planned':
    case 'planFailed':
      return usageKey('plan', 'planner', PLAN_STEP);
    case 'assigned':
    case 'notAssigned':
    case 'assignFailed':
      return usageKey('assign', 'assigner', event.step);
    case 'voteDecided':
    case 'arbitrationFailed':
      return usageKey('arbitrate', 'arbiter', event.step);
    case 'aggregated':
    case 'aggregateFailed':
      return usageKey('aggregate', 'aggregator', AGGREGATE_STEP);
  }
  return undefined;
}

/** The parts of a {@link usageKey}. */
function readKey(key: string): { kind: EnvelopeKind; actor: string; step: string } {
  const [kind = '', actor = '', ...step] = key.split(' ');
  return { kind: kind as EnvelopeKind, actor, step: step.join(' ') };
}

function usageKey(kind: EnvelopeKind, actor: string, step: string): string {
  return `${kind} ${actor} ${step}`;
}

/**
 * Keys of {@link TaskState.usage}: of the work that was cut off, or failed, before it could say what all its calls came to.
 * Not of what is under way.
 */
export function unsaidUsage(state: TaskState): string[] {
  const open = isOpen(state.phase);
  const steps = state.plan?.steps ?? [];
  const said = (key: string): boolean => state.usage !== undefined && Object.hasOwn(state.usage, key);
  const ofLeader = [
    ...(state.plannedBy === 'caller' || (open && state.phase.kind === 'planning') ? [] : [PLAN_KEY]),
    ...steps.flatMap((step) => (step.vote === undefined ? [] : ballotKeys(state, step, open))),
    ...(open ? [] : [usageKey('aggregate', 'aggregator', AGGREGATE_STEP)]),
  ];
  return [
    ...steps.flatMap((step) => (step.vote === undefined ? stepKeys(state, step, open) : [])),
    ...undoKeys(state, open),
    ...ofLeader.filter((key) => key === PLAN_KEY || !said(key)),
  ];
}

/** Where the calls of a key of {@link TaskState.usage} are recorded in the artifact store: under which action and agent. */
export interface UsageRecords {
  readonly action: string;
  readonly agent: string;
  /** Whose work it is: the step's, or the leader's. */
  readonly of: 'step' | 'leader';
  readonly step: string;
}

/** `root`: see the envelope. */
export function recordsOf(root: string, key: string): UsageRecords {
  const { kind, actor, step } = readKey(key);
  const of = LEADER_WORK.some((work) => work === kind) ? 'leader' : 'step';
  return {
    action: idempotencyKey({ root, step, kind }),
    agent: of === 'leader' ? 'leader' : actor,
    of,
    step,
  };
}

const PLAN_KEY = usageKey('plan', 'planner', PLAN_STEP);

function stepKeys(state: TaskState, step: Step, open: boolean): string[] {
  const { before = [] } = assignmentOf(state, step.id) ?? {};
  const agent = agentOf(state, step) ?? '';
  const now = stepState(state, step.id);
  const tried = isUnsaid(now, open, state.attempted?.[step.id] === true) ? [agent] : [];
  const assigned = before.length === 0 ? [] : [usageKey('assign', 'assigner', step.id)];
  return [...[...before, ...tried].map((one) => usageKey('act', one, step.id)), ...assigned];
}

/** `attempted`: whether an attempt of it has begun that ended without an output. */
function isUnsaid(now: StepState, open: boolean, attempted: boolean): boolean {
  switch (now.kind) {
    case 'failed':
    case 'parked':
    case 'cancelled':
    case 'refused':
      return true;
    case 'completed':
      return now.skipped !== undefined;
    case 'scheduled':
      return !open;
    case 'waiting':
    case 'awaitingApproval':
      return attempted;
    case 'asking':
    case 'voting':
    case 'arbitrating':
      return false;
    default:
      return assertNever(now);
  }
}

/** Of a vote that is over: a ballot that was withdrawn says nothing. */
function ballotKeys(state: TaskState, { id, vote }: VoteStep, open: boolean): string[] {
  const { kind } = stepState(state, id);
  if (kind === 'waiting' || (open && kind !== 'completed' && kind !== 'cancelled')) return [];
  return [
    ...vote.agents.map((agent, index) => usageKey('act', agent, ballotStep(id, index + 1))),
    usageKey('arbitrate', 'arbiter', id),
  ];
}

function undoKeys(state: TaskState, open: boolean): string[] {
  return (state.compensations ?? []).flatMap((one) =>
    one.kind === 'undone' || (open && one.kind === 'running') ? [] : [undoKey(state, one)],
  );
}

/** One agent may undo what several have tried. */
function undoKey(state: TaskState, { step, agent }: StackEntry): string {
  const other = planStep(state, step)?.compensate;
  return usageKey('undo', other ? `${other.agent}/${agent}` : agent, step);
}
