import { Context } from '@temporalio/activity';
import { crossingFailure } from '../core/failure-info';
import { CadreError } from '../core/failures';
import type { ArtifactStore } from '../storage/artifact-store';
import { compensateActivityName } from '../core/names';
import {
  type AgentActivity,
  type CompensateActivity,
  agentActivity,
  compensateActivity,
} from './agent-activity';
import { agentsByName } from './agents-by-name';
import type { AnyAgent } from './define-agent';

export interface ActivityDependencies {
  readonly agents: readonly AnyAgent[];
  readonly artifacts: ArtifactStore;
}

/** Every activity of a cadre's agents, by name. Throws ConfigInvalid where two agents share a name. */
export function createActivities({
  agents,
  artifacts,
}: ActivityDependencies): Record<string, AgentActivity | CompensateActivity> {
  const activities: Record<string, AgentActivity | CompensateActivity> = { default: refuseUnknown };
  for (const [name, agent] of agentsByName(agents)) {
    activities[name] = agentActivity(agent, artifacts);
    if (agent.compensate !== undefined) {
      activities[compensateActivityName(name)] = compensateActivity(agent, artifacts);
    }
  }
  return activities;
}

/** What the SDK calls for an activity it does not know. No retry here helps: the leader is to name another agent. */
const refuseUnknown: AgentActivity = () => {
  const { activityType, taskQueue } = Context.current().info;
  const error = new CadreError('AgentUnknown', `The worker on ${taskQueue} has no agent "${activityType}"`);
  return Promise.reject(crossingFailure(error));
};
