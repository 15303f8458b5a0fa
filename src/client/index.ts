/** `cadre/client`: start and watch tasks. */
export { CadreClient, type CadreClientOptions, type TaskSummary } from './cadre-client';
export { type ConnectionFlags, type ResolvedConnection, connect, resolveConnection } from './connection';
export type {
  AgentStanding,
  CrdtStanding,
  EntryStanding,
  Exchange,
  KnowledgeCheck,
  KnowledgeStanding,
  ReplicaStanding,
  Written,
} from './agent-standing';
export type { DatedDecision } from '../core/agent/agent-state';
export type { BreakerStanding } from './breakers';
export type { BreakerPhase, BreakerReason, BreakerState } from '../core/breaker/breaker';
export type { BreakerCommandKind } from '../core/breaker/report';
export type { BreakerSettings } from '../core/breaker/settings';
export type { Candidacy, LeaderReport } from './leader';
export type { LockHolder, LockState } from '../core/lock';
export { type SagaFileProblem, readSagaFile } from './saga-file';
export type { SagaInput, SagaStep } from '../core/saga-input';
export type { SweepReport, SweptExecution } from './resume';
export type { Announcement, PastTerm, TermEnd } from '../core/election';
export type { Ballot, CastBallot, Quorum, Tally, Vote, VoteOutcome } from '../core/vote';
export { type PendingStep, type TaskDescription, TaskFailedError, TaskHandle } from './task-handle';
export { type ArtifactStore, FileArtifactStore } from '../storage/artifact-store';
export {
  CadreError,
  FAILURES,
  type FailureInfo,
  type FailureType,
  fixFor,
  isCadreError,
} from '../core/failures';
export type { Decision } from '../core/decision';
export type { Plan, Step } from '../core/plan';
export type { Stored } from '../core/stored';
export type { TaskEvent } from '../core/task-events';
export type { StepState, TaskPhase, TaskResult, TaskState } from '../core/task-state';
export { evolve, foldTask } from '../core/task-fold';
export { INITIAL_TASK_STATE } from '../core/task-state';
export type { TaskInput } from '../core/task-input';
export type { LogEntry, LoggedTaskEvent } from '../core/task-projection';
export type { Point, TaskMoment } from '../core/log/point';
export { type FactSource, type FollowOptions, TaskLog } from './task-log';
