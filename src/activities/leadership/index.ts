import type { LeaderWork } from '../../core/names';
import { agentsByName } from '../agents-by-name';
import type { AnyAgent } from '../define-agent';
import { aggregateActivity } from './aggregate';
import { arbitrateActivity } from './arbitrate';
import { assignActivity } from './assign';
import type { LeaderDependencies } from './leader-activity';
import { planActivity } from './plan';

export type { LeaderTerm } from './leader-activity';

export interface LeaderActivitiesOptions extends Omit<LeaderDependencies, 'agents'> {
  readonly agents: readonly AnyAgent[];
}

/** Every activity of the leader's worker, by name. Throws ConfigInvalid where two agents share a name. */
export function createLeaderActivities(dependencies: LeaderActivitiesOptions) {
  const all: LeaderDependencies = { ...dependencies, agents: agentsByName(dependencies.agents) };
  return {
    plan: planActivity(all),
    assign: assignActivity(all),
    arbitrate: arbitrateActivity(all),
    aggregate: aggregateActivity(all),
  } satisfies Record<LeaderWork, unknown>;
}
