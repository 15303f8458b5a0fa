import { fillInput, outputReferences, type Step, stepNeeds } from './plan';
import type { Stored } from './stored';
import type { ActRequest, StepInputs } from './task-activities';
import { type TaskState, actorOf, stepState } from './task-state';

/** What a step's agent is sent, to do it or to undo it. */
export function stepInputs(state: TaskState, step: Step): StepInputs {
  const { instruction, input } = step;
  const outputs: Record<string, Stored> = {};
  for (const need of stepNeeds(step)) {
    const needed = stepState(state, need);
    if (needed.kind === 'completed') outputs[need] = needed.output;
  }
  return { goal: state.goal, instruction, ...(input === undefined ? {} : { input }), outputs };
}

/** What a person approves of a step: who does it, and with what. Its `inputHash` is the one that is asked about. */
export function approvalSubject(state: TaskState, step: Step): StepInputs & { readonly agent: string } {
  return { agent: actorOf(state, step), ...stepInputs(state, step) };
}

/** The input that `act` gets; `outputs` by step id, fetched already. */
export function actInput(
  { goal, instruction, input }: Omit<StepInputs, 'outputs'>,
  outputs: Readonly<Record<string, unknown>>,
): unknown {
  return input === undefined
    ? { goal, instruction, needs: outputs }
    : fillInput(input, new Map(Object.entries(outputs)));
}

/** Among {@link inputSteps}, for an input that workflow code made: nobody knows whose outputs it put there. No step has this id. */
export const WORKFLOW_CODE = 'workflow code';

/**
 * The steps whose outputs are in the input that `act` gets. `undone`: the step that is undone with an input that tells what
 * became of it, or why it is undone.
 */
export function inputSteps({
  input,
  outputs = {},
  madeByCode,
  undone,
}: Partial<StepInputs> &
  Pick<ActRequest, 'madeByCode'> & { readonly undone?: string | undefined }): readonly string[] {
  const steps = input === undefined ? Object.keys(outputs) : outputReferences(input);
  const more = [...(undone === undefined ? [] : [undone]), ...(madeByCode === true ? [WORKFLOW_CODE] : [])];
  return more.length === 0 ? steps : [...new Set([...steps, ...more])];
}
