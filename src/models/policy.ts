import type { AgentPolicy } from '../activities/define-agent';

/**
 * How Temporal runs an agent that asks `model`: 5 minutes an attempt, 5 attempts, and the breaker of the model, which all
 * agents of the fleet that ask it share. `changes` come before it, field by field. Undefined: the breaker is the agent's own.
 */
export function modelPolicy(model: string | undefined, changes: AgentPolicy = {}): AgentPolicy {
  return {
    startToClose: '5 minutes',
    ...changes,
    retry: { maximumAttempts: 5, ...changes.retry },
    breaker: { ...(model === undefined ? {} : { key: model }), ...changes.breaker },
  };
}
