import { CadreError, isCadreError } from '../core/failures';
import { plain } from './agent-words';
import type { Session } from './session';

/**
 * What `read` says of the agent `name`; undefined where that has no replica, and is one of the configuration. Throws
 * AgentNotFound, with the names there are, for one of which nobody knows, and what else `read` throws.
 */
export async function readIfTold<Value>(
  name: string,
  session: Session,
  read: () => Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isCadreError(error) || error.type !== 'AgentNotFound') throw error;
    if (session.config.agents.some((agent) => agent.name === name)) return undefined;
    throw await unknownAgent(name, session);
  }
}

/** What to say of an agent of the configuration that has no replica. */
export function notToldWords(name: string): string {
  return `${name} has no replica: no task has told it yet what it decided or learnt, or it has left. A task tells it at its end.`;
}

async function unknownAgent(name: string, { client, config }: Session): Promise<CadreError> {
  const told = await client.agents();
  const names = [...new Set([...config.agents.map((one) => one.name), ...told.map(({ agent }) => agent)])];
  const there = names.length === 0 ? 'there are none' : `there are: ${names.sort().map(plain).join(', ')}`;
  return new CadreError(
    'AgentNotFound',
    `The agent "${name}" has no replica, and this configuration has none of that name; ${there}`,
  );
}
