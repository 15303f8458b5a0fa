import { agentQueue } from '../../core/names';
import type { Roster, RosterEntry } from '../../core/policy';
import type { AnyAgent } from '../define-agent';
import { jsonSchemaOf } from '../json-schema';
import { policiesOf } from '../pin';
import type { LeaderDependencies } from './leader-activity';

/** The agents by which the leader thinks: they act on the leader's worker, and plans cannot name them. */
export const LEADER_AGENTS = ['planner', 'assigner', 'arbiter', 'aggregator'] as const;
export type LeaderAgent = (typeof LEADER_AGENTS)[number];

/** What the server says of a task queue; absent fields where it does not say. */
export type QueueStatus = (queue: string) => Promise<Pick<RosterEntry['queue'], 'pollers' | 'backlog'>>;

/** Everyone who can be given a step, and how busy. */
export async function makeRoster({
  cadre,
  agents,
  queueStatus,
  breakers,
}: Pick<LeaderDependencies, 'cadre' | 'agents' | 'queueStatus' | 'breakers'>): Promise<Roster> {
  const openBreakers = (await breakers?.notClosed()) ?? [];
  const listed = rosterAgents(agents);
  const names = [...new Set(listed.map((agent) => agentQueue(cadre, agent)))];
  const statuses = new Map(
    await Promise.all(names.map(async (name) => [name, await queueStatus(name)] as const)),
  );
  return {
    agents: listed.map((agent) => {
      const { name, description, skills, pool } = agent;
      const queue = agentQueue(cadre, agent);
      const { key } = agent.resolvedPolicy.breaker ?? {};
      const breaker = openBreakers.find((open) => open.key === key);
      return {
        name,
        description,
        skills,
        ...(pool === undefined ? {} : { pool }),
        ...inputOf(agent),
        queue: { name: queue, ...statuses.get(queue) },
        ...(breaker === undefined ? {} : { breaker }),
      };
    }),
    openBreakers,
  };
}

/** Plans come often, and what an agent takes stays. */
const inputs = new WeakMap<AnyAgent, Pick<RosterEntry, 'input'>>();

function inputOf(agent: AnyAgent): Pick<RosterEntry, 'input'> {
  const known = inputs.get(agent);
  if (known !== undefined) return known;
  const schema = jsonSchemaOf(agent.input);
  const said = schema === undefined ? {} : { input: schema };
  inputs.set(agent, said);
  return said;
}

/** The agents that a plan may name: all but the leader's, and the fallbacks of these. */
export function rosterAgents(agents: ReadonlyMap<string, AnyAgent>): AnyAgent[] {
  const leaders = policiesOf(LEADER_AGENTS, agents);
  return [...agents.values()].filter(({ name }) => !Object.hasOwn(leaders, name));
}
