/** A saga's file as the commands read it. */
import {
  type SagaFileProblem,
  type SagaText,
  loadSagaFile,
  problemText,
  sagaOrThrow,
} from '../client/saga-file';
import { type Plan, type PlanProblem, kindProblem, planProblems, stepNeeds } from '../core/plan';
import { type SagaInput, sagaPlan } from '../core/saga-input';
import type { AnyAgent } from '../activities/define-agent';
import type { CommonFlags } from './connection-options';
import type { Output } from './output';
import { configOf } from './session';

/** Reads a saga's file, for a team of `agents` where it is known. Throws InputInvalid or PlanInvalid, with the first problems. */
export async function readSaga(file: string, agents: readonly AnyAgent[] | undefined): Promise<SagaInput> {
  const text = await loadSagaFile(file);
  const problems = await problemsFor(text, agents);
  const { place } = text;
  return sagaOrThrow(problems.length === 0 ? text : { kind: 'refused', problems, place }, file);
}

/** The agents of the configuration that the flags name, or that is here; undefined where there is none. */
export function knownAgents(flags: CommonFlags): readonly AnyAgent[] | undefined {
  const { file, agents } = configOf(flags);
  return file === undefined ? undefined : agents;
}

/** Everything that is wrong with a saga's text, and with it for a team of `agents` where there is one. */
export async function problemsFor(
  text: SagaText,
  agents: readonly AnyAgent[] | undefined,
): Promise<readonly SagaFileProblem[]> {
  if (text.kind === 'refused' || agents === undefined) return text.problems;
  const plan = sagaPlan(text.input);
  const names = new Set(agents.map(({ name }) => name));
  const policies = Object.fromEntries(agents.map((agent) => [agent.name, agent.resolvedPolicy]));
  const unknown = planProblems(plan, names).filter(({ code }) => code === 'UnknownAgent');
  const incapable = plan.steps.flatMap((step, index) => {
    const problem = names.has(step.agent ?? '') ? kindProblem({ steps: [step] }, policies) : undefined;
    return problem === undefined ? [] : [{ ...problem, path: ['steps', index, 'kind'] }];
  });
  const refused = await inputProblems(plan, agents);
  return [...unknown, ...incapable, ...refused].map(({ code, path = [], step, message }) => ({
    code,
    ...text.place(path),
    field: path
      .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
      .join('')
      .slice(1),
    ...(step === undefined ? {} : { step }),
    message,
  }));
}

/** Inputs that their agents' schemas refuse, of the steps whose input refers to no other. */
async function inputProblems({ steps }: Plan, agents: readonly AnyAgent[]): Promise<PlanProblem[]> {
  const problems = steps.map(async (step, index): Promise<PlanProblem[]> => {
    const agent = agents.find(({ name }) => name === step.agent);
    const refers = stepNeeds({ ...step, needs: [] }).length > 0;
    if (agent === undefined || step.input === undefined || refers) return [];
    try {
      const { issues = [] } = await agent.input['~standard'].validate(step.input);
      return issues.map(({ message, path = [] }) => {
        const inner = path.map((part) => (typeof part === 'object' ? part.key : part));
        const at = inner.filter((part) => typeof part === 'string' || typeof part === 'number');
        return {
          code: 'StepInvalid',
          step: step.id,
          path: ['steps', index, 'input', ...at],
          message: `expected what agent "${agent.name}" takes: ${message}`,
        };
      });
    } catch {
      // A schema that cannot be asked here is asked by the worker.
      return [];
    }
  });
  return (await Promise.all(problems)).flat();
}

/** Writes problems, one a line. */
export function writeProblems(file: string, problems: readonly SagaFileProblem[], output: Output): void {
  for (const problem of problems) output.line(`${output.paint('red', '✗')} ${problemText(file, problem)}`);
}
