import { CadreError } from '../core/failures';
import type { AnyAgent } from './define-agent';

/** Throws ConfigInvalid where two agents share a name. */
export function agentsByName(agents: readonly AnyAgent[]): ReadonlyMap<string, AnyAgent> {
  const byName = new Map<string, AnyAgent>();
  for (const agent of agents) {
    if (byName.has(agent.name)) throw new CadreError('ConfigInvalid', `Two agents are named "${agent.name}"`);
    byName.set(agent.name, agent);
  }
  return byName;
}
