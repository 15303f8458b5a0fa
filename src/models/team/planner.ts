import { z } from 'zod';
import { planFor, planner, plannerInput, surveyFor } from '../../activities/agents/planner';
import type { AgentContext } from '../../activities/agent-context';
import { defineAgent } from '../../activities/define-agent';
import type { Survey } from '../../activities/threads/survey';
import type { Decision } from '../../core/decision';
import { isRecord } from '../../core/json';
import { type Plan, planProblems } from '../../core/plan';
import type { Roster } from '../../core/policy';
import { generate } from '../generate';
import { modelPolicy } from '../policy';

/**
 * Has a model make the plan, from who there is and how busy they are. A plan that cannot be carried out goes back to the
 * model with the reason; after two of these the fallback plans.
 */
export function modelPlanner(model: string, fallback: string, hidden: readonly string[]) {
  return defineAgent({
    name: planner.name,
    description: 'Plans how the team reaches the goal',
    input: plannerInput,
    output: planner.output,
    skills: planner.skills,
    policy: modelPolicy(model, { onOpen: { fallback } }),
    async act({ goal, docs, roster }, context) {
      const { ready, example, decisions } = await groundOf(goal, docs, context);
      const agents = roster.agents.filter(({ name }) => !hidden.includes(name));
      const names = new Set(agents.map(({ name }) => name));
      // How busy they are changes by the second: a retry that asked anew would pay for the same plan again.
      const team = await context.calls.run<Roster>({
        kind: 'tool',
        name: 'roster',
        request: { goal },
        run: () => Promise.resolve({ ...roster, agents }),
      });
      const said = await generate(context, {
        model,
        system: SYSTEM,
        prompt: promptOf(goal, docs, team, example),
        output: SAID,
        check: (plan) => problemsOf(plan, ready, names),
      });
      for (const decision of decisions) context.decide(decision);
      return expanded(said, ready) as Plan;
    },
  });
}

/** What stands for values that a model need not see, by name. */
type Ready = ReadonlyMap<string, unknown>;

interface Ground {
  readonly ready: Ready;
  /** A plan for a question on the documents; absent where the task names none. */
  readonly example?: Plan;
  readonly decisions: readonly Decision[];
}

/** What there is to plan with. What was decided on the way counts only where the model's plan does. */
async function groundOf(goal: string, docs: string | undefined, context: AgentContext): Promise<Ground> {
  if (docs === undefined) return { ready: new Map(), decisions: [] };
  const decisions: Decision[] = [];
  const survey = await surveyFor(goal, docs, { ...context, decide: (one) => void decisions.push(one) });
  return { ready: readyOf(docs, survey), example: exampleOf(goal, survey), decisions };
}

function readyOf(docs: string, { shards, statistics }: Survey): Ready {
  return new Map<string, unknown>([
    ['docs', docs],
    ['statistics', statistics],
    ...shards.map(({ shard }) => [shardName(shard.index), shard] as const),
  ]);
}

function shardName(index: number): string {
  return `shard-${index + 1}`;
}

/** The embedded planner's plan, with names in place of the values that are ready. */
function exampleOf(goal: string, survey: Survey): Plan {
  const { steps } = planFor(goal, '', survey);
  return {
    steps: steps.map((step) => {
      if (!isRecord(step.input)) return step;
      const { shard, statistics, docs, ...input } = step.input;
      return {
        ...step,
        input: {
          ...input,
          ...(docs === undefined ? {} : { docs: { $ready: 'docs' } }),
          ...(isRecord(shard) ? { shard: { $ready: shardName(Number(shard['index'])) }, searches: [] } : {}),
          ...(statistics === undefined ? {} : { statistics: { $ready: 'statistics' } }),
        },
      };
    }),
  };
}

const SYSTEM = `You plan how a team of agents reaches a goal. You get the goal, the team, and where the task names a folder of documents, a plan that answers a question from them.
Answer with a plan: steps that each name an agent of the team.
- id: letters, digits, "-"; one of its own.
- agent: the name of an agent of the team. Prefer agents without an open breaker, with workers ("pollers") and a short queue ("backlog").
- instruction: what the step is to do, in a sentence.
- needs: ids of the steps that must be finished before it; steps that need nothing of each other run side by side.
- input: what the agent's input schema asks for. Anywhere in it {"$output": "<step id>"} stands for the output of another step, and {"$ready": "<name>"} for one of the values that are ready. Left out, the agent gets the goal, the instruction and the outputs of what it needs.
The output of the last steps, which no other step needs, is the result of the task. Plan no step that the goal does not need.
For a question on the documents keep the steps of the given plan: give its researchers up to four "searches", the question in other words that the documents may use, and make "question" a clearer one where the goal is not clear. Add steps of other agents only where the goal asks for more than the documents say.`;

const SAID = z.object({
  steps: z.array(
    z.strictObject({
      id: z.string(),
      agent: z.string(),
      instruction: z.string(),
      needs: z.array(z.string()).optional(),
      input: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
});

function promptOf(
  goal: string,
  docs: string | undefined,
  { agents, openBreakers }: Roster,
  example: Plan | undefined,
): string {
  const team = agents.map((agent) => JSON.stringify(agent)).join('\n');
  const breakers = openBreakers.map((one) => JSON.stringify(one)).join('\n') || 'none';
  const documents =
    example === undefined
      ? 'The task names no documents.'
      : `The documents are in ${JSON.stringify(docs)}. This plan answers a question from them:\n${JSON.stringify(example, null, 1)}`;
  return `Goal: ${goal}\n\nTeam, an agent a line:\n${team}\n\nBreakers that are not closed:\n${breakers}\n\n${documents}`;
}

/** What is wrong with the plan; undefined where it can be carried out. */
function problemsOf(said: unknown, ready: Ready, names: ReadonlySet<string>): string | undefined {
  const unknown = namesIn(said).filter((name) => !ready.has(name));
  if (unknown.length > 0) {
    const known = [...ready.keys()].join(', ') || 'none';
    return `No value that is ready is named ${unknown.join(', ')} (there are: ${known})`;
  }
  const problems = planProblems(expanded(said, ready), names);
  return problems.length === 0 ? undefined : problems.map(({ message }) => message).join('; ');
}

/** The names of the values that it asks for. */
function namesIn(value: unknown): string[] {
  const name = nameOf(value);
  if (name !== undefined) return [name];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(namesIn) : [];
}

/** The same with the values in place of their names. */
function expanded(value: unknown, ready: Ready): unknown {
  const name = nameOf(value);
  if (name !== undefined) return ready.get(name);
  if (Array.isArray(value)) return value.map((one) => expanded(one, ready));
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, expanded(one, ready)]));
}

function nameOf(value: unknown): string | undefined {
  if (!isRecord(value) || Object.keys(value).length !== 1) return undefined;
  const { $ready: name } = value;
  return typeof name === 'string' ? name : undefined;
}
