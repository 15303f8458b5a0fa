import type { ParentTask } from '../core/budget/budget';
import type { Decision } from '../core/decision';
import type { AgentKnowledge } from './knowledge/learning';
import type { ArtifactStore } from '../storage/artifact-store';
import type { Ask } from './ask';
import type { RecordedCalls } from './calls/recorded-calls';
import type { Once } from './once';

/** What an agent may use while it acts. */
export interface AgentContext {
  /** The task's goal. */
  readonly goal: string;
  /** What the plan asks of this step, in words. */
  readonly instruction: string;
  /**
   * The steps whose outputs are in the input: what other agents put out is text of others. `workflow code` for an input that was
   * made there, where nobody knows whose outputs it holds. Empty where all of the input stands in the plan.
   */
  readonly inputFrom: readonly string[];
  /** The step's id in the plan. */
  readonly step: string;
  /** The task's workflow id. */
  readonly task: string;
  /**
   * The task, for a task that the agent starts: `client.start({ goal, parent: context.parent }, { id })` uses its budget too.
   * With an id that each attempt makes alike, or a retry starts another one and pays it anew; TaskExists says that it is there.
   */
  readonly parent: ParentTask;
  /** Aborts when the task is cancelled, the attempt timed out, or the worker stops. Pass it to `fetch`. */
  readonly signal: AbortSignal;
  /** The same in every attempt of this step; see the core's `idempotencyKey`. */
  readonly idempotencyKey: string;
  /** Fencing token of the leader that decided on this step; give it to resources that check one. */
  readonly term: number;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** How often a person said `retry` of this step, or of undoing it. */
  readonly resolutions: number;
  /** What the last attempt gave to {@link checkpoint}; undefined in the first. */
  readonly lastCheckpoint: unknown;
  /** Keeps `value` (JSON, up to 4 KiB) for the next attempt. Throws CheckpointTooLarge. */
  readonly checkpoint: (value: unknown) => void;
  /** Reports that the attempt is alive; done for you while the main thread is free. */
  readonly heartbeat: () => void;
  /**
   * Shows `text` to whoever follows the task (`--follow`, `task.stream()`), after what it was given before: what the agent puts
   * out, or says of what it does. It is sent within a second and kept nowhere; of what comes faster than it is sent the last
   * 1,024 characters are seen. The text of models' answers is given to it already.
   */
  readonly stream: (text: string) => void;
  /**
   * Has the effect `run` once over all attempts of this step, and returns its result, which must be JSON. `name` is one
   * of its own among the step's effects, 1 to 100 characters. Once its outcome is recorded no attempt runs it again, and
   * all return that outcome. Where an earlier attempt began it and recorded none, `reconcile` says whether it happened.
   * Only for the agents of steps.
   *
   * Throws what `run` throws; OutcomeUnknown where nobody can say whether it happened; ActionUndone in an attempt that
   * comes after its step was undone; EffectInvalid for a name that is none, or is in use in this attempt;
   * LedgerUnavailable.
   */
  readonly once: Once;
  /** Calls of models and tools that are recorded, so that none is paid twice. */
  readonly calls: RecordedCalls;
  /**
   * Asks a person, and resolves to the answer. Where there is none yet this attempt ends, the step waits without a worker, and
   * runs again from its start once there is one. See {@link Ask} for what it takes and throws. Only for the agents of steps.
   */
  readonly ask: Ask;
  /** Records a decision; it counts once, if this attempt succeeds. */
  readonly decide: (decision: Decision) => void;
  /**
   * The agent's replica of what the cadre knows: as it was at this attempt's first read, with what the attempt did itself.
   * What it does counts once, when the task has ended, if this attempt succeeds and the step is not undone: up to 1,000
   * operations of 64 KiB in all. Only the agents of steps write; undoing, voting and leading may read.
   */
  readonly knowledge: AgentKnowledge;
  readonly artifacts: ArtifactStore;
  readonly log: AgentLog;
}

/** Writes to the worker's log, with the task and step attached. */
export interface AgentLog {
  debug(message: string, attributes?: Record<string, unknown>): void;
  info(message: string, attributes?: Record<string, unknown>): void;
  warn(message: string, attributes?: Record<string, unknown>): void;
  error(message: string, attributes?: Record<string, unknown>): void;
}
