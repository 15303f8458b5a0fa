/** `cadre`: define agents and configure a cadre. */
export {
  type Agent,
  type AgentDefinition,
  type AgentMemory,
  type AgentPolicy,
  type AnyAgent,
  type CompensationPolicy,
  type Undo,
  defineAgent,
} from './activities/define-agent';
export type { BreakerPolicy, OnOpenPolicy } from './activities/breaker/policy';
export type { Outcome } from './core/outcome';
export type { AgentContext, AgentLog } from './activities/agent-context';
export type { AgentKnowledge } from './activities/knowledge/learning';
export type { Once, OnceOptions, Reconciled } from './activities/once';
export { type CadreConfig, defineConfig } from './activities/define-config';
export {
  CadreError,
  FAILURES,
  type FailureInfo,
  type FailureType,
  fixFor,
  isCadreError,
} from './core/failures';
export type { Decision } from './core/decision';
export type { Json } from './core/json';
export type { AgentStep, Plan, Step, VoteStep } from './core/plan';
export type { Ballot, CastBallot, Quorum, Vote, VoteOutcome } from './core/vote';
export type { OpenBreaker, Roster, RosterEntry } from './core/policy';
/** Temporal's own: `throw ApplicationFailure.nonRetryable('no such city', 'CityUnknown')`. */
export { ApplicationFailure } from '@temporalio/common';
export type { ArtifactStore } from './storage/artifact-store';
export type { ArtifactReference, Stored } from './core/stored';
