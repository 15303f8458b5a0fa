import { Context } from '@temporalio/activity';
import { crossingFailure } from '../core/failure-info';
import { CadreError } from '../core/failures';
import type { Replicas } from '../core/agent/replicas';
import type { Locks } from '../core/lock';
import {
  ENSURE_AGENT_ACTIVITY,
  LOAD_ACTIVITY,
  LOCK_ACTIVITY,
  PIN_ACTIVITY,
  REMEMBER_ACTIVITY,
  compensateActivityName,
} from '../core/names';
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
import { Memory } from './knowledge/memory';
import {
  type EnsureAgentActivity,
  type RememberActivity,
  ensureAgentActivity,
  rememberActivity,
} from './knowledge/remember';
import { type LoadActivity, loadActivity } from './load';
import { type LockActivity, lockActivity } from './lock';
import { type PinActivity, pinActivity } from './pin';

type Activity =
  | AgentActivity
  | CompensateActivity
  | EnsureAgentActivity
  | LoadActivity
  | LockActivity
  | PinActivity
  | RememberActivity;

export interface ActivityDependencies extends Omit<AgentSurroundings, 'memory'> {
  readonly agents: readonly AnyAgent[];
  /** Where sagas claim keys; without it the activity `lock` is not there. */
  readonly locks?: Locks | undefined;
  /** Where agents remember; without it nothing is kept of their tasks. */
  readonly replicas?: Replicas | undefined;
}

/** Every activity of a cadre's agents, by name. Throws ConfigInvalid where two agents share a name. */
export function createActivities({
  agents,
  locks,
  replicas,
  ...rest
}: ActivityDependencies): Record<string, Activity> {
  const known = agentsByName(agents);
  const around = { ...rest, memory: replicas === undefined ? undefined : new Memory(replicas) };
  const activities: Record<string, Activity> = {
    default: refuseUnknown,
    [PIN_ACTIVITY]: pinActivity(known),
    [LOAD_ACTIVITY]: loadActivity(around.artifacts),
  };
  if (locks !== undefined) activities[LOCK_ACTIVITY] = lockActivity(locks);
  if (replicas !== undefined) {
    activities[REMEMBER_ACTIVITY] = rememberActivity(known, around.artifacts, replicas);
    activities[ENSURE_AGENT_ACTIVITY] = ensureAgentActivity(known, replicas);
  }
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
