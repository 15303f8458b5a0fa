/** A saga's file as the commands read it. */
import {
  type SagaFileProblem,
  type SagaText,
  loadSagaFile,
  problemText,
  sagaOrThrow,
} from '../client/saga-file';
import { kindProblem, planProblems } from '../core/plan';
import { type SagaInput, sagaPlan } from '../core/saga-input';
import type { AnyAgent } from '../activities/define-agent';
import type { Output } from './output';

/** Reads a saga's file. Throws InputInvalid or PlanInvalid, with the first problems. */
export async function readSaga(file: string): Promise<SagaInput> {
  return sagaOrThrow(await loadSagaFile(file), file);
}

/** Everything that is wrong with a saga's text, and with it for a team of `agents` where there is one. */
export function problemsFor(
  text: SagaText,
  agents: readonly AnyAgent[] | undefined,
): readonly SagaFileProblem[] {
  if (text.kind === 'refused' || agents === undefined) return text.problems;
  const plan = sagaPlan(text.input);
  const names = new Set(agents.map(({ name }) => name));
  const policies = Object.fromEntries(agents.map((agent) => [agent.name, agent.resolvedPolicy]));
  const unknown = planProblems(plan, names).filter(({ code }) => code === 'UnknownAgent');
  const incapable = plan.steps.flatMap((step, index) => {
    const problem = names.has(step.agent ?? '') ? kindProblem({ steps: [step] }, policies) : undefined;
    return problem === undefined ? [] : [{ ...problem, path: ['steps', index, 'kind'] }];
  });
  return [...unknown, ...incapable].map(({ code, path = [], step, message }) => ({
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

/** Writes problems, one a line. */
export function writeProblems(file: string, problems: readonly SagaFileProblem[], output: Output): void {
  for (const problem of problems) output.line(`${output.paint('red', '✗')} ${problemText(file, problem)}`);
}
