import { CadreError } from '../../core/failures';
import { isRecord } from '../../core/json';
import type { AssignOutcome, AssignRequest } from '../../core/leader-work';
import type { Roster, RosterEntry } from '../../core/policy';
import { type LeaderActivity, type LeaderDependencies, leaderActivity } from './leader-activity';
import { makeRoster } from './roster';

type Choice = Omit<AssignOutcome, 'term' | 'decisions'>;

/**
 * Makes the activity that gives a step to another agent: the cadre's `assigner` chooses where there is one, else the
 * agent that shares most skills with those that tried, before it those whose breakers are closed.
 */
export function assignActivity(
  dependencies: LeaderDependencies,
): LeaderActivity<AssignRequest, AssignOutcome> {
  const { agents } = dependencies;
  return leaderActivity(dependencies, 'name another agent', async (request: AssignRequest, desk) => {
    const roster = await makeRoster(dependencies);
    const choice = desk.has('assigner')
      ? choiceOf((await desk.ask('assigner', { ...request, roster })).output, request, roster)
      : mostSkilled(request, roster);
    const policy = agents.get(choice.agent ?? '')?.resolvedPolicy;
    return policy === undefined ? choice : { ...choice, policy };
  });
}

/** What an `assigner` puts out: `{ agent?, reason? }`. */
function choiceOf(output: unknown, { tried }: AssignRequest, roster: Roster): Choice {
  const { agent, reason } = isRecord(output) ? output : {};
  const because = typeof reason === 'string' ? reason : 'the assigner gave no reason';
  if (agent === undefined || agent === null) return { by: 'assigner', reason: because };
  const others = roster.agents.filter(({ name }) => !tried.includes(name));
  if (typeof agent === 'string' && others.some(({ name }) => name === agent)) {
    return { agent, by: 'assigner', reason: because };
  }
  throw new CadreError(
    'AgentOutputInvalid',
    `Expected the assigner to name an agent of the roster that has not tried it, got ${JSON.stringify(agent).slice(0, 80)}`,
  );
}

function mostSkilled({ tried }: AssignRequest, roster: Roster): Choice {
  const wanted = new Set(
    roster.agents.filter(({ name }) => tried.includes(name)).flatMap(({ skills }) => skills),
  );
  const shared = ({ skills }: RosterEntry): string[] => skills.filter((skill) => wanted.has(skill));
  const [best] = roster.agents
    .filter((entry) => !tried.includes(entry.name) && shared(entry).length > 0)
    .sort(
      (a, b) =>
        callable(b) - callable(a) || shared(b).length - shared(a).length || readiness(b) - readiness(a),
    );
  if (best === undefined) {
    return { by: 'leader', reason: `no other agent has a skill of ${tried.join(', ')}` };
  }
  return {
    agent: best.name,
    by: 'leader',
    reason: `shares ${shared(best).join(', ')} with ${tried.join(', ')}`,
  };
}

/** Lower for an agent whose breaker would let the step wait. */
function callable({ breaker }: RosterEntry): number {
  return breaker === undefined ? 1 : 0;
}

/** Higher for an agent that has workers, and of these for the shorter queue. */
function readiness({ queue }: RosterEntry): number {
  return queue.pollers === 0 ? Number.NEGATIVE_INFINITY : -(queue.backlog ?? 0);
}
