import { z } from 'zod';
import { type AgentDefinition, type AnyAgent, defineAgent } from '../../src/activities/define-agent';
import type { AgentContext } from '../../src/activities/agent-context';

/** An agent that takes and gives anything, and does what the test says. */
export function agent(
  name: string,
  act: (input: unknown, context: AgentContext) => unknown,
  options: Partial<
    Pick<
      AgentDefinition<unknown, unknown>,
      'policy' | 'pool' | 'skills' | 'compensate' | 'compensation' | 'budget'
    >
  > = {},
): AnyAgent {
  return defineAgent({
    name,
    description: `the agent ${name}`,
    input: z.unknown(),
    output: z.unknown(),
    act: async (input, context) => act(input, context),
    ...options,
  });
}

/** A plan's step, with an instruction made of its id. */
export function step(id: string, agentName: string, more: { needs?: string[]; input?: unknown } = {}) {
  return { id, agent: agentName, instruction: `do ${id}`, ...more } as const;
}
