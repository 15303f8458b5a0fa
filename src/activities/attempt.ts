/**
 * One attempt of an agent's activity. Owns the context that the agent sees, and the heartbeats.
 *
 * 1. Every heartbeat carries the latest checkpoint, so that the one sent last is never an empty one.
 * 2. What an attempt decided leaves it only with its success.
 * 3. An attempt that a stopping worker cuts short does not count, and its checkpoint is not lost.
 */
import { type Context, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Decision } from '../core/decision';
import { type Envelope, idempotencyKey } from '../core/envelope';
import { crossingFailure } from '../core/failure-info';
import { CadreError, EARLIER_ATTEMPT, isCadreError } from '../core/failures';
import { isRecord, jsonBytes } from '../core/json';
import { BEFORE_THE_AGENT } from '../core/saga';
import type { HandedBack } from '../core/task-activities';
import type { AgentContext } from './agent-context';
import { type Learning, startLearning } from './knowledge/learning';
import { makeOnce, type Once } from './once';
import type { ArtifactStore } from '../storage/artifact-store';
import type { EffectLedger } from '../storage/effect-ledger';

const CHECKPOINT_MAXIMUM_BYTES = 4 * 1024;
const HEARTBEATS_PER_TIMEOUT = 5;

export interface Attempt {
  readonly context: AgentContext;
  /** What the agent decided so far. */
  readonly decisions: readonly Decision[];
  /** What the next attempt gets, where this one does not count. */
  kept(): HandedBack;
  /** What to end the activity with for what was thrown. */
  failure(error: unknown): unknown;
  /** Aborts the agent's signal. */
  abort(reason: Error): void;
  /** Ends the heartbeats. */
  stop(): void;
}

/** What an attempt begins with. */
export interface AttemptStart {
  readonly goal: string;
  readonly instruction: string;
  readonly handedBack?: HandedBack | undefined;
  readonly resolutions?: number;
  /** Aborts the agent's signal, beside what aborts the activity's. */
  readonly signal?: AbortSignal;
  /** What it does to the agent's knowledge. Default: nothing is known, and nothing is kept. */
  readonly learning?: Learning | undefined;
}

/** Whose effects are recorded, and where. */
export interface AttemptEffects {
  readonly agent: string;
  readonly ledger: EffectLedger;
}

/** Starts to heartbeat for the activity of `activity`, until stopped. Without `effects` the agent may have none. */
export function startAttempt(
  activity: Context,
  envelope: Envelope,
  {
    goal,
    instruction,
    handedBack,
    resolutions = 0,
    signal: stop,
    learning = startLearning({ refusal: NOTHING_KEPT }),
  }: AttemptStart,
  artifacts: ArtifactStore,
  effects?: AttemptEffects,
): Attempt {
  const { info, cancellationSignal, log } = activity;
  const own = new AbortController();
  const signal = AbortSignal.any([cancellationSignal, own.signal, ...(stop === undefined ? [] : [stop])]);
  const action = idempotencyKey(envelope);
  const last: unknown = info.heartbeatDetails ?? handedBack;
  const lastCheckpoint = isRecord(last) ? last['checkpoint'] : undefined;
  const attempt = (handedBack?.attemptsUsed ?? 0) + info.attempt;
  let details: { checkpoint?: unknown } | undefined =
    lastCheckpoint === undefined ? undefined : { checkpoint: lastCheckpoint };
  const beat = (): void => {
    if (!info.isLocal) heartbeat(details);
  };
  const timer =
    info.isLocal || info.heartbeatTimeoutMs === undefined
      ? undefined
      : setInterval(beat, info.heartbeatTimeoutMs / HEARTBEATS_PER_TIMEOUT);
  const decisions: Decision[] = [];
  const context: AgentContext = {
    goal,
    instruction,
    step: envelope.step,
    task: info.workflowExecution?.workflowId ?? '',
    signal,
    idempotencyKey: action,
    term: envelope.term,
    attempt,
    lastCheckpoint,
    checkpoint(value) {
      details = value === undefined ? undefined : { checkpoint: checkpointOf(value) };
      beat();
    },
    heartbeat: beat,
    once:
      effects === undefined
        ? refuseEffect
        : makeOnce({
            ...effects,
            action,
            resolutions,
            attemptAt: info.currentAttemptScheduledTimestampMs,
            artifacts,
            signal,
            log,
          }),
    decide: (decision) => void decisions.push(decisionOf(decision)),
    knowledge: learning.knowledge,
    artifacts,
    log,
  };
  const kept = (): HandedBack => ({ ...details, attemptsUsed: attempt - 1 });
  return {
    context,
    decisions,
    kept,
    failure: (error) => endOf(afterEarlier(error, attempt), activity, kept()),
    abort: (reason) => own.abort(reason),
    stop: () => clearInterval(timer),
  };
}

const NOTHING_KEPT = 'Only the agents of steps write to their knowledge';

/** An agent of the leader only decides: no person could be asked what became of its effects. */
const refuseEffect: Once = (name) =>
  Promise.reject(
    new CadreError(
      'EffectInvalid',
      `Only the agents of steps have effects: "${name}" was asked of the leader's`,
    ),
  );

/** A copy: what the agent does to its own object later must not reach the heartbeats. */
function checkpointOf(value: unknown): unknown {
  const json = JSON.stringify(value);
  const bytes = jsonBytes(value);
  if (bytes <= CHECKPOINT_MAXIMUM_BYTES) return JSON.parse(json);
  throw new CadreError(
    'CheckpointTooLarge',
    `Expected a checkpoint of at most ${CHECKPOINT_MAXIMUM_BYTES} bytes, got ${bytes}`,
  );
}

function decisionOf(decision: Decision): Decision {
  if (
    isRecord(decision) &&
    typeof decision['type'] === 'string' &&
    typeof decision['rationale'] === 'string'
  ) {
    return { ...decision };
  }
  throw new CadreError(
    'AgentOutputInvalid',
    `Expected a decision to be { type, rationale, evidence? } with texts, got ${JSON.stringify(decision)?.slice(0, 80)}`,
  );
}

/** What keeps this attempt from beginning says nothing of those before it. */
export function afterEarlier(error: unknown, attempt: number): unknown {
  if (attempt === 1 || !isCadreError(error) || !BEFORE_THE_AGENT.includes(error.type)) return error;
  const { type, message, details } = error;
  const cause = ApplicationFailure.create({
    type: EARLIER_ATTEMPT,
    message: 'An attempt before it had begun',
  });
  return new CadreError(type, message, { details, cause });
}

/** After a cancellation whatever an agent throws is its consequence. */
function endOf(error: unknown, activity: Context, handedBack: HandedBack): unknown {
  const { cancellationSignal, cancellationDetails } = activity;
  if (!cancellationSignal.aborted) return crossingFailure(error);
  if (cancellationDetails?.workerShutdown !== true) return cancellationSignal.reason;
  return crossingFailure(
    new CadreError('HandedBack', 'The worker was told to stop', { details: handedBack }),
  );
}
