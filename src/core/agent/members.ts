/** The replicas of a cadre's agents, as they know of each other. */
import type { Knowledge, Place } from '../crdt/knowledge';
import { places } from '../crdt/knowledge-json';
import type { ReplicaId } from '../crdt/causal-context';

/** Name of an agent's replica among the others: the agent's own, and `<agent>.<index>` beyond the first. */
export type Member = string;

/** Where the members stand: a map that is shared like all knowledge, so that who joins and leaves is merged like it. */
export const MEMBERS = { type: 'lwwMap', name: '@members' } as const satisfies Place;

/** Where there is knowledge; who the members are is none. */
export function knownPlaces(knowledge: Knowledge): Place[] {
  return places(knowledge).filter(({ name }) => name !== MEMBERS.name);
}

export const REPLICAS_MAXIMUM = 100;

export function memberOf(agent: string, index: number): Member {
  return index === 0 ? agent : `${agent}.${index}`;
}

/** The agent and the index of a {@link memberOf}; undefined for what is none. */
export function readMember(member: Member): { agent: string; index: number } | undefined {
  const [, agent, index = '0'] = /^([a-z][a-z0-9-]{0,62})(?:\.([1-9][0-9]?))?$/.exec(member) ?? [];
  return agent === undefined ? undefined : { agent, index: Number(index) };
}

/** The id under which a member mints dots. One that lost its state gets another, by its first run. */
export function replicaIdOf(member: Member, firstRunId: string): ReplicaId {
  return `${member}:${firstRunId.slice(-8)}`;
}

/** Who writes under `replica`: a member, or the name of a replica outside. */
export function writerOf(replica: ReplicaId): string {
  return replica.split(':', 1)[0] as string;
}

/** Which of an agent's replicas a task remembers in: the same for all of a task. */
export function replicaIndex(root: string, replicas: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < root.length; index++) {
    hash = Math.imul(hash ^ root.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % replicas;
}

/** The replica that remembers the task `root` for an agent. */
export function memberFor(
  { name, replicas }: { readonly name: string; readonly replicas: number },
  root: string,
): Member {
  return memberOf(name, replicaIndex(root, replicas));
}

/** All replicas of agents that have so many. */
export function membersOf(agents: readonly { readonly name: string; readonly replicas: number }[]): Member[] {
  return agents.flatMap(({ name, replicas }) =>
    Array.from({ length: replicas }, (_none, index) => memberOf(name, index)),
  );
}
