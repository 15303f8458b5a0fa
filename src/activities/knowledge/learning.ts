/**
 * What one attempt of an agent does to its knowledge, and what it reads of it. Operations are intents: they leave the
 * attempt with its success, and the agent's replica applies them once the task has ended.
 */
import { type KnowledgeOf, type Port, dotsAt, knowledgeOf } from '../../core/crdt/handles';
import type { Place } from '../../core/crdt/knowledge';
import { decodeKnowledge } from '../../core/crdt/knowledge-json';
import { elementKey } from '../../core/crdt/collection';
import { type Operation, ReplicaState, checkOperation } from '../../core/crdt/replica';
import type { Entries } from '../../core/crdt/sibling';
import type { KnowledgePart } from '../../core/agent/agent-report';
import { CadreError, inputInvalid } from '../../core/failures';
import { jsonBytes } from '../../core/json';

/** What an agent sees of its knowledge: its replica as it was at the attempt's first read, with what the attempt did. */
export type AgentKnowledge = KnowledgeOf<'later'>;

export interface Learning {
  readonly knowledge: AgentKnowledge;
  /** What the attempt has done, in order. */
  readonly operations: readonly Operation[];
}

export interface LearningOptions {
  /** The agent's replica; without it nothing is known. */
  readonly read?: (() => Promise<KnowledgePart>) | undefined;
  /** Why nothing may be written; undefined where it may. */
  readonly refusal?: string | undefined;
}

interface Loaded {
  /** The replica as it was read. */
  readonly known: ReplicaState;
  /** The same, with what the attempt has done. */
  readonly state: ReplicaState;
}

/** Of one attempt. */
const OPERATIONS_MAXIMUM = 1000;
const OPERATIONS_MAXIMUM_BYTES = 64 * 1024;

/** The id under which an attempt sees its own operations; no replica writes under it. */
const OWN = '';

export function startLearning({ read, refusal }: LearningOptions): Learning {
  let operations: Operation[] = [];
  let bytes = 0;
  let replica: Promise<Loaded> | undefined;
  let seen: ReplicaState | undefined;
  const load = async (): Promise<Loaded> => {
    const [known, state] = [ReplicaState.create(OWN), ReplicaState.create(OWN)];
    if (read !== undefined) {
      const knowledge = decodeKnowledge((await read()).delta, 'the knowledge');
      // What the replica has taken is not for this clock to refuse.
      for (const one of [known, state]) one.merge(knowledge, Infinity);
    }
    for (const operation of operations) state.apply(operation, Date.now());
    seen = state;
    return { known, state };
  };
  const loaded = (): Promise<Loaded> => {
    replica ??= load();
    replica.catch(() => (replica = undefined));
    return replica;
  };
  const write = (candidate: Operation): void => {
    if (refusal !== undefined) throw new CadreError('InputInvalid', refusal);
    // A copy: what the agent does to its own object later is no part of it.
    const operation = JSON.parse(JSON.stringify(checkOperation(candidate))) as Operation;
    const after = bytes + jsonBytes(operation);
    if (operations.length >= OPERATIONS_MAXIMUM || after > OPERATIONS_MAXIMUM_BYTES) {
      throw inputInvalid(
        'what an attempt does to its knowledge',
        `at most ${OPERATIONS_MAXIMUM} operations of ${OPERATIONS_MAXIMUM_BYTES / 1024} KiB in all`,
        { operations: operations.length + 1, bytes: after },
      );
    }
    bytes = after;
    operations.push(operation);
    seen?.apply(operation, Date.now());
  };
  const port: Port<'later'> = {
    write,
    read: async <Value>(place: Place, value: (entries: Entries) => Value): Promise<Value> =>
      value((await loaded()).state.entries(place)),
    async remove(place, key) {
      const { known, state } = await loaded();
      const dots = dotsAt(state.entries(place), key);
      if (dots.length === 0) return false;
      operations = operations.filter((operation) => !isAt(operation, place, key));
      bytes = operations.reduce((sum, operation) => sum + jsonBytes(operation), 0);
      // Also what the attempt has written over: the replica has it yet.
      const others = dotsAt(known.entries(place), key);
      if (others.length > 0) write({ ...place, remove: key, dots: others });
      state.apply({ ...place, remove: key, dots }, Date.now());
      return true;
    },
  };
  return {
    knowledge: knowledgeOf(port),
    get operations() {
      return operations;
    },
  };
}

/** True for what adds, sets or removes `key` there. */
function isAt(operation: Operation, { type, name }: Place, key: string): boolean {
  if (operation.type !== type || operation.name !== name) return false;
  if ('add' in operation) return elementKey(operation.add) === key;
  if ('remove' in operation) return operation.remove === key;
  return 'set' in operation && operation.set === key;
}
