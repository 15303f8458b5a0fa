import { CadreError } from '../core/failures';
import { PLAN_ACTIVITY } from '../core/names';
import { type AgentActivity, agentActivity } from './agent-activity';
import type { ArtifactStore } from '../storage/artifact-store';
import type { AnyAgent } from './define-agent';
import { type PlanActivity, type QueueStatus, planActivity } from './plan-activity';

export interface ActivityDependencies {
  readonly cadre: string;
  readonly agents: readonly AnyAgent[];
  readonly artifacts: ArtifactStore;
  readonly queueStatus: QueueStatus;
}

/** Every activity of a cadre's worker, by name. Throws ConfigInvalid where two agents share a name. */
export function createActivities(
  dependencies: ActivityDependencies,
): Record<string, AgentActivity | PlanActivity> {
  const { artifacts } = dependencies;
  const agents = new Map<string, AnyAgent>();
  for (const agent of dependencies.agents) {
    if (agents.has(agent.name)) throw new CadreError('ConfigInvalid', `Two agents are named "${agent.name}"`);
    agents.set(agent.name, agent);
  }
  const activities: Record<string, AgentActivity | PlanActivity> = {
    [PLAN_ACTIVITY]: planActivity({ ...dependencies, agents }),
  };
  for (const [name, agent] of agents) activities[name] = agentActivity(agent, artifacts);
  return activities;
}
