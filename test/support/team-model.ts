/** A model that does what the team's prompts ask for, well enough for a report. */
import type { Script, ScriptedRequest } from '../../src/testing/scripted-model';

/** Who of the team asks. */
export type Asking = 'planner' | 'research' | 'analysis' | 'writer';

const BEGINS: Readonly<Record<Asking, string>> = {
  planner: 'You plan',
  research: 'You choose',
  analysis: 'You weigh',
  writer: 'You write',
};

/** What is asked in the first message of the call. */
export function promptOf({ messages }: ScriptedRequest): string {
  return messages[0]?.text ?? '';
}

export function askingOf({ system }: ScriptedRequest): Asking {
  const found = Object.entries(BEGINS).find(([, begin]) => system.startsWith(begin));
  if (found === undefined) throw new Error(`Nobody of the team asks like this: ${system.slice(0, 80)}`);
  return found[0] as Asking;
}

/** What is numbered in a prompt: sentences, or passages. */
export function numberedIn(prompt: string): { id: number; text: string }[] {
  return [...prompt.matchAll(/^\[(\d+)\] (.*)$/gm)].map(([, id, text = '']) => ({ id: Number(id), text }));
}

/** The plan that the planner's prompt shows. */
export function shownPlan(prompt: string): { steps: { id: string; agent: string; input: object }[] } {
  return JSON.parse(prompt.slice(prompt.indexOf('{\n "steps"'))) as ReturnType<typeof shownPlan>;
}

const ANSWERS: Readonly<Record<Asking, (prompt: string) => unknown>> = {
  planner: shownPlan,
  research: (prompt) => ({ passages: numberedIn(prompt).map(({ id }) => id) }),
  analysis: (prompt) => ({
    findings: numberedIn(prompt)
      .slice(0, 4)
      .map(({ id, text }) => ({ part: 1, statement: text, sentences: [id] })),
    differences: [],
    gaps: [],
  }),
  writer: (prompt) => ({
    answer: numberedIn(prompt).map(({ id, text }) => ({ text, sentences: [id] })),
    sections: [],
  }),
};

/** The script of such a model. `answers`: what it says instead, by who asks and how often they have before. */
export function teamScript(
  answers: Partial<Record<Asking, (prompt: string, turn: number) => unknown>> = {},
): Script {
  return (request) => {
    const asking = askingOf(request);
    const prompt = promptOf(request);
    const output = answers[asking]?.(prompt, request.turn) ?? ANSWERS[asking](prompt);
    return { kind: 'answer', output };
  };
}
