import { setHandler } from '@temporalio/workflow';
import type { AgentStart } from '../core/agent/agent-start';
import { AgentRun } from './agent-run';
import { agentQuery, gossipSignal, knowledgeQuery, leaveSignal, rememberSignal } from './messages';

/**
 * One replica of an agent's state: what the agent decided, and the knowledge that it shares with the others. Runs until it
 * leaves the cadre. Fails as InputInvalid where its input is no agent's.
 */
export async function agent(start: AgentStart): Promise<void> {
  const run = new AgentRun(start);
  setHandler(rememberSignal, (message) => run.remember(message), {
    description: 'What one task decided and learnt in this agent',
  });
  setHandler(gossipSignal, (message) => run.hear(message), {
    description: 'What another replica knows, and what it asks for',
  });
  setHandler(leaveSignal, () => run.leave(), {
    description: 'Tells the others what it knows, leaves and ends',
  });
  setHandler(agentQuery, () => run.report(), {
    description: 'What it decided, its version vector and its size',
  });
  setHandler(knowledgeQuery, (seen) => run.knowledge(seen), {
    description: 'Its knowledge: all, or what somebody lacks who has seen so much',
  });
  await run.execute();
}
