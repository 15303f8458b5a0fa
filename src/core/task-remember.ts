/** What of a task its agents remember, however it ends: decisions always, knowledge of undone steps never. */
import type { Operation } from './crdt/replica';
import type { Decision } from './decision';
import type { HistoryFact } from './history-facts';
import { type Json, isRecord } from './json';
import type { Step } from './plan';
import type { Stored } from './stored';
import { AGGREGATE_STEP, PLAN_STEP } from './names';
import type { TaskEvent } from './task-events';
import { type TaskState, agentOf, stepState } from './task-state';
import type { VoteOutcome } from './vote';

/** Argument of the local activity `remember`. */
export interface RememberRequest {
  readonly root: string;
  /** The task's workflow id. */
  readonly task: string;
  readonly agents: readonly RememberedAgent[];
}

/** What one agent decided and learnt. */
export interface RememberedAgent {
  readonly agent: string;
  readonly steps: readonly RememberedStep[];
}

export interface RememberedStep {
  readonly step: string;
  readonly decisions?: Stored<readonly Decision[]>;
  readonly knowledge?: Stored<readonly Operation[]>;
}

/** What the local activity `remember` returns. */
export interface RememberOutcome {
  readonly agents: readonly string[];
}

/** The register of votes: by task and step what was decided, and in which term. */
export const VOTES = { type: 'lwwMap', name: 'votes' } as const;

/** Undefined where there is nothing to remember, or it was. */
export function rememberRequest(state: TaskState): RememberRequest | undefined {
  if (state.remembered) return undefined;
  const byAgent = new Map<string, RememberedStep[]>();
  const add = (agent: string | undefined, remembered: RememberedStep): void => {
    if (agent === undefined || (remembered.decisions ?? remembered.knowledge) === undefined) return;
    byAgent.set(agent, [...(byAgent.get(agent) ?? []), remembered]);
  };
  const task = taskOf(state.root);
  const { planDecisions, plannedBy, aggregated } = state;
  add(plannedBy, { step: PLAN_STEP, ...ifGiven('decisions', planDecisions) });
  for (const step of state.plan?.steps ?? []) addStep(state, step, add, task);
  add(aggregated?.by, { step: AGGREGATE_STEP, ...ifGiven('decisions', aggregated?.decisions) });
  const agents = [...byAgent].map(([agent, steps]) => ({ agent, steps }));
  return agents.length === 0 ? undefined : { root: toldRoot(state), task, agents };
}

/** Under which its agents are told of the task: of what comes under the same twice they take the first. */
function toldRoot({ root, budget }: TaskState): string {
  return budget === undefined || budget.revision === 0 ? root : `${root}~${budget.revision}`;
}

/** The event of a local activity `remember` that ended; undefined where its result is none. */
export function rememberedEvent(
  fact: HistoryFact & { kind: 'localActivityCompleted' | 'localActivityFailed' },
): TaskEvent | undefined {
  if (fact.kind === 'localActivityFailed') return { type: 'rememberFailed', failure: fact.failure };
  const agents = isRecord(fact.result) ? fact.result['agents'] : undefined;
  return Array.isArray(agents) ? { type: 'remembered', agents: agents as string[] } : undefined;
}

function addStep(
  state: TaskState,
  step: Step,
  add: (agent: string | undefined, remembered: RememberedStep) => void,
  task: string,
): void {
  const done = stepState(state, step.id);
  if (done.kind !== 'completed') return;
  const undone = state.compensations?.some((one) => one.step === step.id) ?? false;
  if (step.vote !== undefined) {
    const decided =
      undone || done.skipped !== undefined ? undefined : votePublished(task, step.id, done.output);
    if (decided !== undefined) add(step.vote.agents[0], { step: step.id, knowledge: { value: [decided] } });
    return;
  }
  add(agentOf(state, step), {
    step: step.id,
    ...ifGiven('decisions', done.decisions),
    ...(undone ? {} : ifGiven('knowledge', done.knowledge)),
  });
}

/** What a vote decided, under the term it was decided in: a leader that was replaced does not write over it. */
function votePublished(task: string, step: string, output: Stored): Operation | undefined {
  if (!('value' in output)) return undefined;
  const { choice, by, term } = output.value as VoteOutcome;
  return { ...VOTES, set: `${task}/${step}`, value: { choice: choice as Json, by, term }, term };
}

/** The workflow id in a root. */
function taskOf(root: string): string {
  const end = root.lastIndexOf('/');
  return end < 0 ? root : root.slice(0, end);
}

function ifGiven<Field extends string, Value>(
  field: Field,
  value: Value | undefined,
): Partial<Record<Field, Value>> {
  return (value === undefined ? {} : { [field]: value }) as Partial<Record<Field, Value>>;
}
