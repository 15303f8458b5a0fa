import { Context } from '@temporalio/activity';
import type { Envelope } from '../core/envelope';
import { CadreError } from '../core/failures';
import { agentQueue } from '../core/names';
import { validatePlan } from '../core/plan';
import type { ResolvedPolicy, Roster, RosterEntry } from '../core/policy';
import { INLINE_MAXIMUM_BYTES } from '../core/stored';
import type { PlanOutcome, PlanRequest } from '../core/task-activities';
import { runAgent } from './agent-activity';
import type { ArtifactStore } from '../storage/artifact-store';
import { startAttempt } from './attempt';
import type { AnyAgent } from './define-agent';
import { store } from '../storage/stored-values';

/** The agent that makes plans; its output must be a plan. It is no part of the roster. */
export const PLANNER = 'planner';

/** What the server says of a task queue; absent fields where it does not say. */
export type QueueStatus = (queue: string) => Promise<Pick<RosterEntry['queue'], 'pollers' | 'backlog'>>;

export interface PlanDependencies {
  readonly cadre: string;
  readonly agents: ReadonlyMap<string, AnyAgent>;
  readonly artifacts: ArtifactStore;
  readonly queueStatus: QueueStatus;
}

export type PlanActivity = (envelope: Envelope, request: PlanRequest) => Promise<PlanOutcome>;

/**
 * Makes the activity that plans: has the planner make a plan from the roster (or takes the caller's), checks
 * it, and looks up the policies that its steps will run by.
 */
export function planActivity(dependencies: PlanDependencies): PlanActivity {
  return async (envelope, request) => {
    const { goal } = request;
    const instruction = 'make a plan';
    const attempt = startAttempt(Context.current(), envelope, { goal, instruction }, dependencies.artifacts);
    const { agents, artifacts } = dependencies;
    try {
      const candidate =
        request.plan ?? (await runAgent(planner(agents), await plannerInput(request, dependencies), attempt));
      const plan = validatePlan(candidate, new Set(rosterAgents(agents).map(({ name }) => name)));
      const by = request.plan === undefined ? PLANNER : 'caller';
      const policies = policiesOf(plan.steps, agents);
      if (attempt.decisions.length === 0) return { plan, policies, by };
      return {
        plan,
        policies,
        by,
        decisions: await store(artifacts, attempt.decisions, INLINE_MAXIMUM_BYTES),
      };
    } catch (error) {
      throw attempt.failure(error);
    } finally {
      attempt.stop();
    }
  };
}

function planner(agents: PlanDependencies['agents']): AnyAgent {
  const agent = agents.get(PLANNER);
  if (agent !== undefined) return agent;
  throw new CadreError('AgentUnknown', `The task has no plan, and no agent is named "${PLANNER}"`);
}

async function plannerInput(request: PlanRequest, dependencies: PlanDependencies): Promise<unknown> {
  const { goal, docs } = request;
  return { goal, ...(docs === undefined ? {} : { docs }), roster: await makeRoster(dependencies) };
}

/** Everyone there is, and how busy. */
export async function makeRoster({ cadre, agents, queueStatus }: PlanDependencies): Promise<Roster> {
  const listed = rosterAgents(agents);
  const names = [...new Set(listed.map((agent) => agentQueue(cadre, agent)))];
  const statuses = new Map(
    await Promise.all(names.map(async (name) => [name, await queueStatus(name)] as const)),
  );
  return {
    agents: listed.map((agent) => {
      const { name, description, skills, pool } = agent;
      const queue = agentQueue(cadre, agent);
      return {
        name,
        description,
        skills,
        ...(pool === undefined ? {} : { pool }),
        queue: { name: queue, ...statuses.get(queue) },
      };
    }),
    openBreakers: [],
  };
}

function rosterAgents(agents: PlanDependencies['agents']): AnyAgent[] {
  return [...agents.values()].filter(({ name }) => name !== PLANNER);
}

function policiesOf(
  steps: readonly { agent: string }[],
  agents: PlanDependencies['agents'],
): Record<string, ResolvedPolicy> {
  const policies: Record<string, ResolvedPolicy> = {};
  for (const { agent: name } of steps) {
    const agent = agents.get(name);
    if (agent !== undefined) policies[name] = agent.resolvedPolicy;
  }
  return policies;
}
