import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { isAsking } from '../core/asking';
import { isRefusal } from '../core/breaker/refusal';
import { failureInfo } from '../core/failure-info';
import { type Envelope, idempotencyKey } from '../core/envelope';
import type { Operation } from '../core/crdt/replica';
import { actInput } from '../core/step-inputs';
import type {
  ActOutcome,
  ActRequest,
  CompensateRequest,
  StepInputs,
  UndoOutcome,
  Undoes,
} from '../core/task-activities';
import { usageField } from '../core/usage';
import { ballotOf } from '../core/vote';
import type { ArtifactStore } from '../storage/artifact-store';
import { type Attempt, type AttemptStart, startAttempt } from './attempt';
import type { Breakers } from './breaker/breakers';
import type { Budgets } from './budget/budgets';
import { guarded } from './breaker/guard';
import type { AnyAgent, Undo } from './define-agent';
import type { Learning } from './knowledge/learning';
import { startLearning } from './knowledge/learning';
import type { Memory } from './knowledge/memory';
import { actionUndone } from './once';
import type { EffectLedger } from '../storage/effect-ledger';
import { load, loadAll, store } from '../storage/stored-values';
import { INLINE_MAXIMUM_BYTES, isArtifactReference } from '../core/stored';
import { validate } from './validate';

/** The activity that runs an agent: what Temporal calls, named after the agent. */
export type AgentActivity = (envelope: Envelope, request: ActRequest) => Promise<ActOutcome>;

/** What the agents' activities keep values and effects in. */
export interface AgentStores {
  readonly artifacts: ArtifactStore;
  readonly ledger: EffectLedger;
}

/** What agents' activities share on a worker. */
export interface AgentSurroundings extends AgentStores {
  /** Absent where no server is at hand: then nothing guards the agents. */
  readonly breakers?: Breakers | undefined;
  /** Absent where no server is at hand: then nothing is limited. */
  readonly budgets?: Budgets | undefined;
  /** Absent where no server is at hand: then nothing is known, and nothing kept. */
  readonly memory?: Memory | undefined;
}

/** Makes the activity of `agent`. It fetches and checks the input, runs the agent, checks and stores the output. */
export function agentActivity(agent: AnyAgent, around: AgentSurroundings): AgentActivity {
  const { artifacts, memory } = around;
  return (envelope, request) => {
    const learning = learningOf(agent, envelope, request, memory);
    const answers = isStep(envelope, request) ? (request.answers ?? []) : undefined;
    return attempting(agent, envelope, { ...request, learning, answers }, around, async (attempt) => {
      const { ballot, undoes } = request;
      const input =
        undoes === undefined
          ? await inputOf(request, artifacts)
          : await inputToUndo(envelope, request, undoes, artifacts);
      const output = await runAgent(agent, input, attempt);
      if (ballot !== undefined) {
        const made = await callsOf(attempt, request.inlineMaximum);
        return { output: { value: ballotOf(output, ballot.choices) }, ...made };
      }
      const { operations } = learning;
      await memory?.checkRoom(agent, envelope.root, operations);
      return outcomeOf(attempt, output, request, operations);
    });
  };
}

/** What an attempt of a step learns counts; what is undone, or voted, does not. */
function learningOf(
  agent: AnyAgent,
  envelope: Envelope,
  request: Pick<ActRequest, 'ballot' | 'undoes'>,
  memory: Memory | undefined,
): Learning {
  const refusal = isStep(envelope, request) ? undefined : READ_ONLY;
  return memory?.learning(agent, envelope.root, refusal) ?? startLearning({ refusal });
}

/** True where a step is done, and not voted on or undone. */
function isStep({ kind }: Envelope, { ballot, undoes }: Pick<ActRequest, 'ballot' | 'undoes'>): boolean {
  return kind === 'act' && ballot === undefined && undoes === undefined;
}

export const READ_ONLY =
  'Only an agent that does a step writes to its knowledge: undoing, voting and leading may read it';

/** Runs `agent` on an input that was not checked yet, and returns its checked output. */
export async function runAgent(agent: AnyAgent, input: unknown, attempt: Attempt): Promise<unknown> {
  const checked = await checkedInput(agent, input);
  let output: unknown;
  try {
    output = await agent.act(checked, attempt.context);
  } catch (error) {
    throw attempt.asked() ?? ofAgent(error);
  }
  const asked = attempt.asked();
  if (asked !== undefined) throw asked;
  return validate(agent.output, output, 'AgentOutputInvalid', `The output of agent "${agent.name}"`);
}

/** By a refusal or a question the workflow knows that the attempt does not count: that is not for the agent to say. */
function ofAgent(error: unknown): unknown {
  const failure = failureInfo(error);
  if (!isRefusal(failure) && !isAsking(failure)) return error;
  const { type, message, final } = failure;
  const cause = error instanceof Error ? { cause: error } : {};
  return ApplicationFailure.create({
    type: 'Error',
    message: `${type}: ${message}`,
    nonRetryable: final === true,
    ...cause,
  });
}

/** The activity that undoes what an agent did. */
export type CompensateActivity = (envelope: Envelope, request: CompensateRequest) => Promise<UndoOutcome>;

/** Makes the activity that undoes what `agent` did. */
export function compensateActivity(
  agent: AnyAgent,
  { artifacts, ledger, budgets, memory }: Omit<AgentSurroundings, 'breakers'>,
): CompensateActivity {
  return (envelope, request) => {
    const learning = learningOf(agent, envelope, {}, memory);
    return attempting(
      agent,
      envelope,
      { ...request, learning },
      { artifacts, ledger, budgets },
      async (attempt) => {
        const input = await checkedInput(agent, await inputOf(request, artifacts));
        await agent.compensate?.(await undoOf(envelope, input, request, artifacts), attempt.context);
        const made = await callsOf(attempt, INLINE_MAXIMUM_BYTES);
        return Object.keys(made).length === 0 ? undefined : made;
      },
    );
  };
}

/** One attempt of `work`, heartbeating until it ends; fails with what Temporal is to be told. */
async function attempting<Result>(
  agent: AnyAgent,
  envelope: Envelope,
  start: AttemptStart & Pick<ActRequest, 'undoable'>,
  { artifacts, ledger, breakers, budgets }: AgentSurroundings,
  work: (attempt: Attempt) => Promise<Result>,
): Promise<Result> {
  // Whoever undoes a step for two agents that tried it does so twice.
  const actor = start.undoes === undefined ? agent.name : `${agent.name}/${start.undoes.agent}`;
  const activity = Context.current();
  const charge = budgets?.chargeOf(agent, envelope, activity.cancellationSignal);
  const attempt = startAttempt(activity, envelope, { ...start, charge }, artifacts, { agent: actor, ledger });
  try {
    await guardUndoing(envelope, agent.compensate !== undefined || start.undoable === true, ledger);
    await charge?.begin();
    const guard = envelope.kind === 'act' ? breakers?.guardOf(agent) : undefined;
    if (guard === undefined) return await work(attempt);
    const waited = start.handedBack?.waited === true;
    return await guarded(guard, activity, attempt, waited, () => work(attempt));
  } catch (error) {
    throw await attempt.failure(error);
  } finally {
    attempt.stop();
  }
}

/**
 * Undoing begins with the action's tombstone, whoever undoes it; an attempt that comes after it does not begin. Asks
 * nothing of the ledger for an action that nobody undoes.
 */
async function guardUndoing(envelope: Envelope, undoable: boolean, ledger: EffectLedger): Promise<void> {
  const action = actionKey(envelope);
  if (envelope.kind === 'undo') return ledger.tombstone(action);
  if (undoable && (await ledger.isTombstoned(action))) throw actionUndone(action);
}

function checkedInput(agent: AnyAgent, input: unknown): Promise<unknown> {
  return validate(agent.input, input, 'AgentInputInvalid', `The input of agent "${agent.name}"`);
}

async function inputOf(request: StepInputs, artifacts: ArtifactStore): Promise<unknown> {
  return actInput(request, await loadAll(artifacts, request.outputs));
}

/** What an agent gets that undoes another's step: what the plan says, else what `compensate` would get. */
async function inputToUndo(
  envelope: Envelope,
  request: StepInputs,
  undoes: Undoes,
  artifacts: ArtifactStore,
): Promise<unknown> {
  const { step } = envelope;
  const { [step]: done = { value: null }, ...needs } = request.outputs;
  if (request.input !== undefined) {
    return inputOf({ ...request, outputs: { ...needs, [step]: done } }, artifacts);
  }
  const input = await inputOf({ ...request, input: undoes.input, outputs: needs }, artifacts);
  return undoOf(envelope, input, undoes, artifacts);
}

async function undoOf(
  envelope: Envelope,
  input: unknown,
  { outcome, output, reason }: Pick<Undoes, 'outcome' | 'output' | 'reason'>,
  artifacts: ArtifactStore,
): Promise<Undo<unknown, unknown>> {
  return {
    input,
    outcome,
    ...(output === undefined ? {} : { output: await load(artifacts, output) }),
    reason,
    action: actionKey(envelope),
  };
}

function actionKey(envelope: Envelope): string {
  return idempotencyKey({ ...envelope, kind: 'act' });
}

/** What the calls of a ballot, or of an undoing, came to, and which of them may have been paid twice. */
async function callsOf(
  attempt: Attempt,
  inlineMaximum: number,
): Promise<Pick<ActOutcome, 'usage' | 'decisions'>> {
  const { usage, decisions } = await attempt.report();
  const { artifacts } = attempt.context;
  return {
    ...(decisions.length === 0 ? {} : { decisions: await store(artifacts, decisions, inlineMaximum) }),
    ...usageField({ usage }),
  };
}

async function outcomeOf(
  attempt: Attempt,
  output: unknown,
  { inlineMaximum, returnMaximum = 0 }: Pick<ActRequest, 'inlineMaximum' | 'returnMaximum'>,
  operations: readonly Operation[],
): Promise<ActOutcome> {
  const { artifacts } = attempt.context;
  const stored = await store(artifacts, output ?? null, inlineMaximum);
  const returns = isArtifactReference(stored) && stored.bytes <= returnMaximum;
  const { usage, decisions: repeated } = await attempt.report();
  const decisions = [...repeated, ...attempt.decisions];
  return {
    output: stored,
    ...(returns ? { returned: output } : {}),
    ...(decisions.length === 0 ? {} : { decisions: await store(artifacts, decisions, inlineMaximum) }),
    ...(operations.length === 0 ? {} : { knowledge: await store(artifacts, operations, inlineMaximum) }),
    ...usageField({ usage }),
  };
}
