/**
 * One attempt of an agent's activity. Owns the context that the agent sees, and the heartbeats.
 *
 * 1. Every heartbeat carries the latest checkpoint, so that the one sent last is never an empty one.
 * 2. What an attempt decided leaves it only with its success.
 */
import { type Context, heartbeat } from '@temporalio/activity';
import type { Decision } from '../core/decision';
import { type Envelope, idempotencyKey } from '../core/envelope';
import { CadreError } from '../core/failures';
import { isRecord, jsonBytes } from '../core/json';
import type { AgentContext } from './agent-context';
import type { ArtifactStore } from '../storage/artifact-store';

const CHECKPOINT_MAXIMUM_BYTES = 4 * 1024;
const HEARTBEATS_PER_TIMEOUT = 5;

export interface Attempt {
  readonly context: AgentContext;
  /** What the agent decided so far. */
  readonly decisions: readonly Decision[];
  /** Ends the heartbeats. */
  stop(): void;
}

/** Starts to heartbeat for the activity of `activity`, until stopped. */
export function startAttempt(
  activity: Context,
  envelope: Envelope,
  texts: { goal: string; instruction: string },
  artifacts: ArtifactStore,
): Attempt {
  const { info, cancellationSignal, log } = activity;
  const last: unknown = info.heartbeatDetails;
  const lastCheckpoint = isRecord(last) ? last['checkpoint'] : undefined;
  let details: unknown = lastCheckpoint === undefined ? undefined : { checkpoint: lastCheckpoint };
  const beat = (): void => {
    if (!info.isLocal) heartbeat(details);
  };
  const timer =
    info.isLocal || info.heartbeatTimeoutMs === undefined
      ? undefined
      : setInterval(beat, info.heartbeatTimeoutMs / HEARTBEATS_PER_TIMEOUT);
  const decisions: Decision[] = [];
  const context: AgentContext = {
    ...texts,
    step: envelope.step,
    task: info.workflowExecution?.workflowId ?? '',
    signal: cancellationSignal,
    idempotencyKey: idempotencyKey(envelope),
    term: envelope.term,
    attempt: info.attempt,
    lastCheckpoint,
    checkpoint(value) {
      const bytes = jsonBytes(value);
      if (bytes > CHECKPOINT_MAXIMUM_BYTES) {
        throw new CadreError(
          'CheckpointTooLarge',
          `Expected a checkpoint of at most ${CHECKPOINT_MAXIMUM_BYTES} bytes, got ${bytes}`,
        );
      }
      details = { checkpoint: value };
      beat();
    },
    heartbeat: beat,
    decide: (decision) => void decisions.push(decision),
    artifacts,
    log,
  };
  return { context, decisions, stop: () => clearInterval(timer) };
}
