/**
 * One attempt of an agent's activity. Owns the context that the agent sees, and the heartbeats.
 *
 * 1. Every heartbeat carries the latest checkpoint and recorded call, so that the one sent last is never an empty one.
 *    What it says of calls is all that an attempt knows of those before it, and decides whether it reads their records.
 * 2. What an attempt decided leaves it only with its success.
 * 3. An attempt that a stopping worker cuts short, that asks a person, or that waits for what is set aside of a budget, does
 *    not count, and its checkpoint is not lost.
 */
import { type Context, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { GivenAnswer } from '../core/asking';
import { spendingOf } from '../core/budget/budget';
import type { Decision } from '../core/decision';
import { type Envelope, idempotencyKey } from '../core/envelope';
import { crossingFailure } from '../core/failure-info';
import { CadreError, EARLIER_ATTEMPT, isCadreError } from '../core/failures';
import { isRecord, jsonBytes } from '../core/json';
import { BEFORE_THE_AGENT } from '../core/saga';
import { inputSteps } from '../core/step-inputs';
import type { ActRequest, HandedBack, StepInputs } from '../core/task-activities';
import type { ModelUsage } from '../core/usage';
import type { AgentContext } from './agent-context';
import { makeAsk, refuseQuestion } from './ask';
import { heldBack, nextAsk } from './budget/held';
import type { Charge } from './calls/charge';
import { AttemptCalls, type CallReport, type RecordedCalls } from './calls/recorded-calls';
import { type Learning, startLearning } from './knowledge/learning';
import { makeOnce, type Once } from './once';
import { TextStream } from './text-stream';
import type { ArtifactStore } from '../storage/artifact-store';
import type { EffectLedger } from '../storage/effect-ledger';

const CHECKPOINT_MAXIMUM_BYTES = 4 * 1024;
const HEARTBEATS_PER_TIMEOUT = 5;

export interface Attempt {
  readonly context: AgentContext;
  /** What the agent decided so far. */
  readonly decisions: readonly Decision[];
  /**
   * What its calls and those of the attempts before it came to. `retried`: also where nothing says that there were any.
   * Throws ArtifactsUnavailable where it made any.
   */
  report(retried?: boolean): Promise<CallReport>;
  /** Its calls, for an agent that does the work in another's place: what it asks for is charged to `charge`. */
  paidBy(agent: string, charge: Charge | undefined): RecordedCalls;
  /** What the next attempt gets, where this one does not count. */
  kept(): HandedBack;
  /** What it ends with where its agent asked what nobody has answered yet, or a call of it waits for a budget. */
  asked(): CadreError | undefined;
  /** What to end the activity with for what was thrown. */
  failure(error: unknown): Promise<unknown>;
  /** Aborts the agent's signal. */
  abort(reason: Error): void;
  /** Ends the heartbeats. */
  stop(): void;
}

/** What an attempt begins with. */
export interface AttemptStart {
  readonly goal: string;
  readonly instruction: string;
  /** What the agent's input is made of. Default: no output of another step. */
  readonly input?: unknown;
  readonly outputs?: StepInputs['outputs'];
  readonly madeByCode?: ActRequest['madeByCode'];
  /** Present where another agent undoes the step. */
  readonly undoes?: ActRequest['undoes'];
  readonly handedBack?: HandedBack | undefined;
  readonly resolutions?: number;
  /** Aborts the agent's signal, beside what aborts the activity's. */
  readonly signal?: AbortSignal;
  /** What persons answered to the step so far. Default: it may not ask. */
  readonly answers?: readonly GivenAnswer[] | undefined;
  /** What it does to the agent's knowledge. Default: nothing is known, and nothing is kept. */
  readonly learning?: Learning | undefined;
  /** Where its calls are charged. Default: no account is asked. */
  readonly charge?: Charge | undefined;
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
    input,
    outputs = {},
    madeByCode,
    undoes,
    handedBack,
    resolutions = 0,
    signal: stop,
    answers,
    learning = startLearning({ refusal: NOTHING_KEPT }),
    charge,
  }: AttemptStart,
  artifacts: ArtifactStore,
  effects?: AttemptEffects,
): Attempt {
  const { info, cancellationSignal, log } = activity;
  const own = new AbortController();
  const signal = AbortSignal.any([cancellationSignal, own.signal, ...(stop === undefined ? [] : [stop])]);
  const action = idempotencyKey(envelope);
  const last: unknown = info.heartbeatDetails ?? handedBack;
  const attempt = (handedBack?.attemptsUsed ?? 0) + info.attempt;
  let details = detailsOf(last);
  const lastCheckpoint = details.checkpoint;
  const beat = (): void => {
    if (info.isLocal) return;
    const stream = streamed.take();
    const all = stream === undefined ? details : { ...details, stream };
    heartbeat(Object.keys(all).length === 0 ? undefined : all);
  };
  const streamed = new TextStream(beat);
  const timer =
    info.isLocal || info.heartbeatTimeoutMs === undefined
      ? undefined
      : setInterval(beat, info.heartbeatTimeoutMs / HEARTBEATS_PER_TIMEOUT);
  const decisions: Decision[] = [];
  const calls = new AttemptCalls({
    artifacts,
    action,
    agent: effects?.agent ?? 'leader',
    charge,
    signal,
    log,
    onOpen: () => {
      if (details.called === true) return;
      details = { ...details, called: true };
      beat();
    },
    onRecord: (call, usage) => {
      details = { ...details, lastCall: { call, usage } };
      beat();
    },
    // What undoes has no step that could wait.
    ...(envelope.kind === 'undo' ? {} : { onHeld: (reached, waited) => heldFor(reached, waited) }),
  });
  // A retry of a local activity gets no details of the attempt before it.
  const report = (retried = false): Promise<CallReport> =>
    calls.report(retried || details.called === true || (info.isLocal && info.attempt > 1));
  let asked: CadreError | undefined;
  const end = (error: CadreError): void => {
    asked ??= error;
    // Whatever the agent makes of it, nothing more is to come of this attempt.
    own.abort(error);
  };
  const limit = info.startToCloseTimeoutMs;
  const over = performance.now() + (limit > 0 ? limit : Number.POSITIVE_INFINITY);
  const heldFor = (reached: CadreError, waited: number): number | undefined => {
    // A workflow task waits for a local activity.
    const left = info.isLocal ? 0 : over - performance.now();
    const wait = nextAsk(waited, left, handedBack?.held);
    const refused = wait === undefined ? heldBack(reached, kept(), waited) : undefined;
    if (refused !== undefined) end(refused);
    return wait;
  };
  const tellsOfUndone = envelope.kind === 'undo' && (undoes === undefined || input === undefined);
  const context: AgentContext = {
    goal,
    instruction,
    inputFrom: inputSteps({
      input,
      outputs,
      ...(madeByCode === undefined ? {} : { madeByCode }),
      undone: tellsOfUndone ? envelope.step : undefined,
    }),
    step: envelope.step,
    task: info.workflowExecution?.workflowId ?? '',
    parent: {
      task: info.workflowExecution?.workflowId ?? '',
      ...spendingOf(envelope.budget ?? { lines: [] }),
    },
    signal,
    idempotencyKey: action,
    term: envelope.term,
    attempt,
    resolutions,
    lastCheckpoint,
    checkpoint(value) {
      const { checkpoint: _before, ...rest } = details;
      details = value === undefined ? rest : { ...rest, checkpoint: checkpointOf(value) };
      beat();
    },
    heartbeat: beat,
    stream: (text) => streamed.write(text),
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
    calls,
    ask:
      answers === undefined
        ? refuseQuestion
        : makeAsk({
            answers,
            artifacts,
            kept: () => kept(),
            end,
          }),
    decide: (decision) => void decisions.push(decisionOf(decision)),
    knowledge: learning.knowledge,
    artifacts,
    log,
  };
  const kept = (): HandedBack => {
    const { checkpoint, called } = details;
    return {
      ...(checkpoint === undefined ? {} : { checkpoint }),
      attemptsUsed: attempt - 1,
      ...(called === undefined ? {} : { called }),
      ...(handedBack?.held === undefined ? {} : { held: handedBack.held }),
    };
  };
  return {
    context,
    decisions,
    kept,
    asked: () => asked,
    report,
    paidBy: (agent, of) => calls.paidBy(agent, of),
    failure: (error) => endOf(afterEarlier(error, attempt), activity, { kept, report }),
    abort: (reason) => own.abort(reason),
    stop: () => {
      clearInterval(timer);
      streamed.stop();
    },
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

/** What every heartbeat carries, beside what is streamed. */
interface HeartbeatDetails {
  readonly checkpoint?: unknown;
  /** Present once this attempt, or one before it, made a call that is recorded. */
  readonly called?: true;
  /** The last call that is recorded, and what those known so far came to. */
  readonly lastCall?: { readonly call: string; readonly usage: readonly ModelUsage[] };
}

/** Of the attempt before this one; what it streamed is not the next one's. */
function detailsOf(last: unknown): HeartbeatDetails {
  const { checkpoint, called, lastCall } = isRecord(last) ? (last as HeartbeatDetails) : {};
  return {
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(called === true ? { called } : {}),
    ...(lastCall === undefined ? {} : { lastCall }),
  };
}

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

/** What an attempt leaves that gave nothing. */
type Left = Pick<Attempt, 'kept' | 'report'>;

/** What an attempt failed with matters more than what its calls came to. */
async function reported(report: Attempt['report'], log: Context['log']): Promise<CallReport | undefined> {
  try {
    return await report();
  } catch (error) {
    log.warn('What the calls of the attempt came to could not be read', { error });
    return undefined;
  }
}

/** After a cancellation whatever an agent throws is its consequence. */
async function endOf(error: unknown, activity: Context, { kept, report }: Left): Promise<unknown> {
  const { cancellationSignal, cancellationDetails, log } = activity;
  if (!cancellationSignal.aborted) {
    return crossingFailure(error, await reported(report, log));
  }
  if (cancellationDetails?.workerShutdown !== true) return cancellationSignal.reason;
  return crossingFailure(new CadreError('HandedBack', 'The worker was told to stop', { details: kept() }));
}
