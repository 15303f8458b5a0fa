import { AgentProjection } from '../../src/core/agent/agent-projection';
import { type AgentState, restoreAgent, snapshotOf } from '../../src/core/agent/agent-state';
import type { HistoryFact } from '../../src/core/history-facts';
import { isRecord } from '../../src/core/json';
import { runsOf } from './agent-replicas';

/** What stands after a workflow task has completed. */
export interface Boundary {
  readonly runId: string;
  /** Event id of the completion. */
  readonly eventId: number;
  /** As JSON: later events change a state in place. */
  readonly state: string;
}

/** The states that `facts` fold to, one for each workflow task that completed. */
export function boundariesOf(facts: readonly HistoryFact[]): Boundary[] {
  const projection = new AgentProjection();
  const boundaries: Boundary[] = [];
  for (const fact of facts) {
    projection.next(fact);
    if (fact.kind !== 'workflowTaskCompleted' || projection.state === undefined) continue;
    const state = textOf(snapshotOf(projection.state));
    boundaries.push({ runId: fact.runId, eventId: fact.eventId, state });
  }
  return boundaries;
}

export function stateAt({ state }: Boundary): AgentState {
  return restoreAgent(JSON.parse(state));
}

/**
 * Where the fold from a run's checkpoint is not the fold from the first run on, or a run's checkpoint is not what the run
 * before it folds to. `compared`: how many states were.
 */
export function rebuildProblems(facts: readonly HistoryFact[]): { problems: string[]; compared: number } {
  const whole = boundariesOf(facts);
  const runs = runsOf(facts);
  const problems: string[] = [];
  let compared = 0;
  for (const [index, runId] of runs.entries()) {
    const begins = facts.findIndex((fact) => fact.runId === runId);
    const before = whole.findLast((one) => one.runId === runs[index - 1]);
    if (before === undefined) continue;
    if (checkpointOf(facts[begins]) !== before.state) {
      problems.push(`The checkpoint of run ${index} is not where run ${index - 1} ended`);
    }
    const expected = whole.slice(whole.indexOf(before) + 1);
    for (const [place, { eventId, state }] of boundariesOf(facts.slice(begins)).entries()) {
      compared += 1;
      if (state === expected[place]?.state) continue;
      problems.push(`From run ${index} on it is another at event ${eventId}`);
      break;
    }
  }
  return { problems, compared };
}

function checkpointOf(fact: HistoryFact | undefined): string {
  const input = fact?.kind === 'workflowStarted' ? fact.input : undefined;
  const snapshot = isRecord(input) ? input['snapshot'] : undefined;
  const agent = isRecord(snapshot) ? snapshot['agent'] : undefined;
  return isRecord(agent) ? textOf(agent) : '';
}

/** The same for equal states: what is deeper than their fields is in order already, or is as it came. */
function textOf(state: object): string {
  return JSON.stringify(Object.fromEntries(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1))));
}
