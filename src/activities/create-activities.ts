import { Context } from '@temporalio/activity';
import { crossingFailure } from '../core/failure-info';
import { CadreError } from '../core/failures';
import type { Locks } from '../core/lock';
import { LOAD_ACTIVITY, LOCK_ACTIVITY, PIN_ACTIVITY, compensateActivityName } from '../core/names';
import {
  type AgentActivity,
  type AgentSurroundings,
  type CompensateActivity,
  agentActivity,
  compensateActivity,
} from './agent-activity';
import { agentsByName } from './agents-by-name';
import { afterEarlier } from './attempt';
import type { AnyAgent } from './define-agent';
import { type LoadActivity, loadActivity } from './load';
import { type LockActivity, lockActivity } from './lock';
import { type PinActivity, pinActivity } from './pin';

type Activity = AgentActivity | CompensateActivity | LoadActivity | LockActivity | PinActivity;

export interface ActivityDependencies extends AgentSurroundings {
  readonly agents: readonly AnyAgent[];
  /** Where sagas claim keys; without it the activity `lock` is not there. */
  readonly locks?: Locks | undefined;
}

/** Every activity of a cadre's agents, by name. Throws ConfigInvalid where two agents share a name. */
export function createActivities({
  agents,
  locks,
  ...around
}: ActivityDependencies): Record<string, Activity> {
  const known = agentsByName(agents);
  const activities: Record<string, Activity> = {
    default: refuseUnknown,
    [PIN_ACTIVITY]: pinActivity(known),
    [LOAD_ACTIVITY]: loadActivity(around.artifacts),
  };
  if (locks !== undefined) activities[LOCK_ACTIVITY] = lockActivity(locks);
  for (const [name, agent] of known) {
    activities[name] = agentActivity(agent, around);
    if (agent.compensate !== undefined) {
      activities[compensateActivityName(name)] = compensateActivity(agent, around);
    }
  }
  return activities;
}

/** What the SDK calls for an activity it does not know. No retry here helps: the leader is to name another agent. */
const refuseUnknown: AgentActivity = () => {
  const { activityType, taskQueue, attempt } = Context.current().info;
  const error = new CadreError('AgentUnknown', `The worker on ${taskQueue} has no agent "${activityType}"`);
  return Promise.reject(crossingFailure(afterEarlier(error, attempt)));
};
