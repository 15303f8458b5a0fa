import { setDefaultSignalHandler, setHandler } from '@temporalio/workflow';
import type { AgentStart } from '../core/agent/agent-start';
import { AgentRun } from './agent-run';
import { agentQuery, gossipSignal, knowledgeQuery, leaveSignal, rememberSignal } from './messages';

/**
 * One replica of an agent's state: what the agent decided, and the knowledge that it shares with the others. Runs until it
 * leaves the cadre. Fails as InputInvalid where its input is no agent's.
 */
export async function agent(start: AgentStart): Promise<void> {
  const run = new AgentRun(start);
  const remember = (message: unknown): void => run.remember(message);
  const hear = (message: unknown): void => run.hear(message);
  const leave = (): void => run.leave();
  // What came before there were handlers would else be handed out handler by handler, and not as it came.
  setDefaultSignalHandler((name, message) => {
    if (name === rememberSignal.name) remember(message);
    else if (name === gossipSignal.name) hear(message);
    else if (name === leaveSignal.name) leave();
  });
  setHandler(rememberSignal, remember, { description: 'What one task decided and learnt in this agent' });
  setHandler(gossipSignal, hear, { description: 'What another replica knows, and what it asks for' });
  setHandler(leaveSignal, leave, { description: 'Tells the others what it knows, leaves and ends' });
  setHandler(agentQuery, () => run.report(), {
    description: 'What it decided, its version vector and its size',
  });
  setHandler(knowledgeQuery, (seen) => run.knowledge(seen), {
    description: 'Its knowledge: all, or what somebody lacks who has seen so much',
  });
  await run.execute();
}
