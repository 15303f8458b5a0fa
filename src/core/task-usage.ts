/** What the calls of a task's steps came to: whose each report is, and what they are together. */
import { type ModelUsage, addUsage } from './usage';
import { AGGREGATE_STEP, PLAN_STEP } from './names';
import type { EnvelopeKind } from './envelope';
import type { TaskEvent } from './task-events';
import { type TaskState, agentOf, planStep } from './task-state';
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
    const [kind = '', actor = '', ...step] = key.split(' ');
    const [agent = ''] = actor.split('/');
    return { step: step.join(' '), kind: kind as EnvelopeKind, agent, usage: rows };
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
    case 'compensationFailed': {
      const { step, agent } = event;
      const other = planStep(state, step)?.compensate;
      // One agent may undo what several have tried.
      return usageKey('undo', other ? `${other.agent}/${agent}` : agent, step);
    }
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

function usageKey(kind: EnvelopeKind, actor: string, step: string): string {
  return `${kind} ${actor} ${step}`;
}
