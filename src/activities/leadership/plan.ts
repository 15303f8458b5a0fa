import { CadreError } from '../../core/failures';
import type { PlanOutcome, PlanRequest } from '../../core/leader-work';
import { agentsOf, kindProblem, validatePlan } from '../../core/plan';
import { policiesOf } from '../pin';
import { type LeaderActivity, type LeaderDependencies, leaderActivity } from './leader-activity';
import { makeRoster, rosterAgents } from './roster';

/**
 * Makes the activity that plans: has the planner make a plan from the roster (or takes the caller's), checks
 * it, and looks up the policies that its steps will run by.
 */
export function planActivity(dependencies: LeaderDependencies): LeaderActivity<PlanRequest, PlanOutcome> {
  const { agents } = dependencies;
  return leaderActivity(dependencies, 'make a plan', async (request: PlanRequest, desk) => {
    const { goal, docs } = request;
    if (request.plan === undefined && !desk.has('planner')) {
      throw new CadreError('AgentUnknown', 'The task has no plan, and no agent is named "planner"');
    }
    const { output, by } =
      request.plan === undefined
        ? await desk.ask('planner', {
            goal,
            ...(docs === undefined ? {} : { docs }),
            roster: await makeRoster(dependencies),
          })
        : { output: request.plan, by: 'caller' };
    const plan = validatePlan(output, new Set(rosterAgents(agents).map(({ name }) => name)));
    const policies = policiesOf(plan.steps.flatMap(agentsOf), agents);
    const problem = kindProblem(plan, policies);
    if (problem !== undefined) throw new CadreError('PlanInvalid', problem.message, { details: [problem] });
    return { plan, policies, by };
  });
}
