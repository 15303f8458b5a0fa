import { crossingFailure } from '../core/failure-info';
import { CadreError } from '../core/failures';
import { type ResolvedPolicy, fallbackOf } from '../core/policy';
import type { PinOutcome, PinRequest } from '../core/task-activities';
import type { AnyAgent } from './define-agent';

/** The local activity by which a saga learns the policies of its agents. Fails as AgentUnknown. */
export type PinActivity = (request: PinRequest) => Promise<PinOutcome>;

/** Makes the activity `pin`: the policies of the agents that are asked for, else of all. */
export function pinActivity(agents: ReadonlyMap<string, AnyAgent>): PinActivity {
  return ({ agents: names = [...agents.keys()], ...pinned }) => {
    const unknown = names.filter((name) => !agents.has(name));
    if (unknown.length === 0) return Promise.resolve({ policies: policiesOf(names, agents), ...pinned });
    const message = `No agent is named ${unknown.join(', ')} (agents: ${[...agents.keys()].join(', ')})`;
    return Promise.reject(crossingFailure(new CadreError('AgentUnknown', message)));
  };
}

/** The policies of those of `names` that there are, and of their fallbacks. */
export function policiesOf(
  names: readonly string[],
  agents: ReadonlyMap<string, AnyAgent>,
): Record<string, ResolvedPolicy> {
  const policies: Record<string, ResolvedPolicy> = {};
  const left = [...names];
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const policy = agents.get(name)?.resolvedPolicy;
    if (policy === undefined || Object.hasOwn(policies, name)) continue;
    policies[name] = policy;
    const fallback = fallbackOf(policy);
    if (fallback !== undefined) left.push(fallback);
  }
  return policies;
}
