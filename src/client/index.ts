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
export type { AccountStanding, AccountTask } from './budgets';
export type { AccountRow } from '../core/budget/words';
export type { Budget, ParentTask } from '../core/budget/budget';
export type { CadreCost, CostChain, CostOptions, StepCost, TaskCost } from './costs';
export type { Cost, CostKey } from '../core/cost';
export type { ModelUsage } from '../core/usage';
export type { Candidacy, LeaderReport } from './leader';
export type { AgentAt, BreakerAt, FleetCut, FleetReach, TaskAt, UnreadAt } from './fleet';
export type { CutSignals, SignalCount } from '../core/log/fleet';
export type {
  AgentsStatus,
  Attention,
  CadreStatus,
  OpenBreakerStatus,
  OpenStatus,
  OpenTask,
  Part,
  QueueUse,
  StatusOptions,
  WorkersStatus,
  WorkerStatus,
} from './status';
export type { LockHolder, LockState } from '../core/lock';
export { type SagaFileProblem, readSagaFile } from './saga-file';
export type { SagaInput, SagaStep } from '../core/saga-input';
export type { SweepReport, SweptExecution } from './resume';
export type { Announcement, PastTerm, TermEnd } from '../core/election';
export type { Ballot, CastBallot, Quorum, Tally, Vote, VoteOutcome } from '../core/vote';
export {
  type AgentQuestion,
  type AnswerOptions,
  type ApprovalQuestion,
  type PendingStep,
  type StepQuestion,
  type TaskDescription,
  TaskFailedError,
  TaskHandle,
} from './task-handle';
export type { InboxItem } from './inbox';
export { type ArtifactStore, FileArtifactStore } from '../storage/artifact-store';
export { openArtifacts } from '../storage/open-artifacts';
export {
  S3ArtifactStore,
  type S3ArtifactStoreOptions,
  type S3Credentials,
} from '../storage/s3-artifact-store';
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
/** Folds of histories, for projections of your own: each `next(fact)` takes one of {@link TaskLog}'s facts. */
export { AgentProjection } from '../core/agent/agent-projection';
export { BreakerProjection } from '../core/breaker/breaker-projection';
export { ElectionProjection } from '../core/election-projection';
export type { HistoryFact } from '../core/history-facts';
export { TaskProjection } from '../core/task-projection';
export type { Relative } from './family';
export type { ForkOptions, Forked } from './fork';
export type { ForkOverrides } from '../core/log/fork';
export type { Point, TaskMoment } from '../core/log/point';
export {
  type Difference,
  type LogComparison,
  type Parting,
  compareLogs,
  diffStates,
  firstParting,
} from '../core/log/diff';
export { type Reason, whyOf } from '../core/log/why';
export { type FactSource, type FollowOptions, type LogDiff, TaskLog } from './task-log';
export type { StreamedText } from './task-stream';
export { type ExportCheck, type ExportProblem, checkExport } from './export-check';
export type { Exported } from './history-export';
export { type HistoryFile, fileSource } from './history-file';
export type { ReadProblem } from './read-problems';
export type { ExportHeader } from '../core/log/export-format';
