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
export {
  type CommandAgentDefinition,
  type CommandContext,
  commandAgent,
} from './activities/command-agent';
export type { Budget, DailyBudget, ParentTask } from './core/budget/budget';
export type { BreakerPolicy, OnOpenPolicy } from './activities/breaker/policy';
export type { Outcome } from './core/outcome';
export type { Amount, ModelUsage } from './core/usage';
export type { AgentContext, AgentLog } from './activities/agent-context';
export type { Answer, Ask, Question } from './activities/ask';
export type { Call, RecordedCalls } from './activities/calls/recorded-calls';
export type { AgentKnowledge } from './activities/knowledge/learning';
export type { Once, OnceOptions, Reconciled } from './activities/once';
export { type CadreConfig, defineConfig } from './activities/define-config';
export { type ModelAgentDefinition, type WrappedAgentDefinition, modelAgent } from './models/model-agent';
export type { ModelTool } from './models/model-tools';
export type { McpAddress, McpProgram, McpServer, McpServers, McpToolRights } from './models/mcp/mcp-server';
export { closeMcpServers } from './models/mcp/mcp-connections';
export type { ToolContext, ToolRights } from './models/tool-run';
export { type Generation, generate } from './models/generate';
export { untrusted } from './models/untrusted';
export { type FetchInput, type FetchToolOptions, type Fetched, fetchTool } from './models/tools/fetch-tool';
export {
  type FileToolOptions,
  type FileTools,
  type ListFilesInput,
  type ReadFileInput,
  type WriteFileInput,
  type WritingFileTools,
  fileTools,
} from './models/tools/file-tools';
export { insideRoot } from './models/tools/inside-root';
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
