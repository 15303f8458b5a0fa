/** How a workflow calls an agent: what the activity is sent, and how Temporal is to run it. */
import {
  ActivityCancellationType,
  type ActivityOptions,
  type LocalActivityOptions,
  proxyActivities,
  proxyLocalActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { Envelope } from '../core/envelope';
import { CadreError } from '../core/failures';
import { agentQueue } from '../core/names';
import type { Step } from '../core/plan';
import { type ResolvedPolicy, policyOfStep } from '../core/policy';
import { type ActOutcome, type ActRequest, stepSummary } from '../core/task-activities';
import { type TaskState, policyOf } from '../core/task-state';
import { retryPolicy } from './retry-policy';

type AgentActivities = Record<string, (envelope: Envelope, request: ActRequest) => Promise<ActOutcome>>;

/** One call of an agent. */
export interface AgentCall {
  readonly agent: string;
  readonly envelope: Envelope;
  readonly activityId: string;
  /** What the summary says beside the step's id. */
  readonly instruction: string;
  readonly request: ActRequest;
}

/** Calls an agent by the policy that `state` has of it and `step` changes. Throws AgentUnknown where it has none. */
export function callAgent(state: TaskState, step: Step, call: AgentCall): Promise<ActOutcome> {
  const { agent, envelope, activityId, instruction, request } = call;
  const pinned = policyOf(state, agent);
  if (pinned === undefined) throw new CadreError('AgentUnknown', `No policy for the agent "${agent}"`);
  const policy = envelope.kind === 'act' ? policyOfStep(pinned, step.policy) : pinned;
  const summary = stepSummary({ id: envelope.step, instruction });
  const attemptsUsed = request.handedBack?.attemptsUsed ?? 0;
  // Of a local activity that runs at a terminate nothing is in history.
  const local = policy.local && envelope.kind === 'act' && step.kind !== 'pivot' && !request.undoable;
  const agents = local
    ? proxyLocalActivities<AgentActivities>({ ...localOptions(policy, attemptsUsed), summary })
    : proxyActivities<AgentActivities>({ ...activityOptions(policy, attemptsUsed), activityId, summary });
  return (agents[agent] as AgentActivities[string])(envelope, request);
}

function activityOptions(policy: ResolvedPolicy, attemptsUsed: number): ActivityOptions {
  return {
    ...(policy.pool === undefined ? {} : { taskQueue: agentQueue(workflowInfo().taskQueue, policy) }),
    ...localOptions(policy, attemptsUsed),
    heartbeatTimeout: policy.heartbeatTimeout,
    ...(policy.scheduleToStart === undefined ? {} : { scheduleToStartTimeout: policy.scheduleToStart }),
  };
}

function localOptions(policy: ResolvedPolicy, attemptsUsed: number): LocalActivityOptions {
  return {
    startToCloseTimeout: policy.startToClose,
    ...(policy.scheduleToClose === undefined ? {} : { scheduleToCloseTimeout: policy.scheduleToClose }),
    retry: retryPolicy(policy.retry, attemptsUsed),
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  };
}
