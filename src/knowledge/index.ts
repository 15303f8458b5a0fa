/** Replicas of a cadre's knowledge for any process. Needs neither Temporal nor Node. */
export { CLOCK_AHEAD_MAXIMUM, MAX_ENTRIES } from '../core/crdt/replica';
export type { Operation, ReplicaJson } from '../core/crdt/replica';
export type { ContextJson, KnowledgeJson } from '../core/crdt/knowledge-json';
export type { VersionVector } from '../core/crdt/causal-context';
export type {
  CounterOf,
  KnowledgeOf,
  LogOf,
  MapOf,
  MultiValueMapOf,
  MultiValueRegisterOf,
  RegisterOf,
  SetOf,
} from '../core/crdt/handles';
export { Replica, type ReplicaOptions } from './replica';
