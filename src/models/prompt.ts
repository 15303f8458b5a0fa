import type { AgentContext } from '../activities/agent-context';
import { isRecord } from '../core/json';
import { WORKFLOW_CODE } from '../core/step-inputs';
import { untrusted } from './untrusted';

/**
 * What the model of a step is asked: the goal and the step's part of it, which are the user's and the plan's words, and the
 * input. Outputs of other steps in it are marked as text of others.
 */
export function stepPrompt(
  input: unknown,
  { goal, instruction, inputFrom }: Pick<AgentContext, 'goal' | 'instruction' | 'inputFrom'>,
): string {
  return [`Goal: ${goal}`, `Your part of it: ${instruction}`, ...inputText(input, inputFrom)].join('\n\n');
}

function inputText(input: unknown, inputFrom: readonly string[]): string[] {
  const needs = needsOf(input);
  if (needs !== undefined) {
    return Object.entries(needs).map(
      ([step, output]) => `Output of step ${step}:\n${untrusted(`step ${step}`, textOf(output))}`,
    );
  }
  if (input === undefined || input === null) return [];
  if (inputFrom.length === 0) return [`Input:\n${textOf(input)}`];
  return [`Input:\n${untrusted(originOf(inputFrom), textOf(input))}`];
}

function originOf(inputFrom: readonly string[]): string {
  const steps = inputFrom.filter((step) => step !== WORKFLOW_CODE);
  if (steps.length === 0) return WORKFLOW_CODE;
  return `${steps.length === 1 ? 'step' : 'steps'} ${steps.join(', ')}`;
}

/** What a step gets whose plan says no input: the outputs of the steps that it needs, beside what is known already. */
function needsOf(input: unknown): Record<string, unknown> | undefined {
  if (!isRecord(input) || Object.keys(input).join() !== 'goal,instruction,needs') return undefined;
  return isRecord(input['needs']) ? input['needs'] : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
