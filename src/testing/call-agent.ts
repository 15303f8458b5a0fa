import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { type AgentStores, agentActivity, compensateActivity } from '../activities/agent-activity';
import type { AgentContext } from '../activities/agent-context';
import { type Answer, readQuestion } from '../activities/ask';
import type { Agent, AnyAgent, Undo } from '../activities/define-agent';
import { Memory } from '../activities/knowledge/memory';
import type { Decision } from '../core/decision';
import type { Envelope } from '../core/envelope';
import { CadreError, type FailureInfo, inputInvalid } from '../core/failures';
import type { ActOutcome, ActRequest, CompensateRequest, StepInputs } from '../core/task-activities';
import { type ArtifactStore, FileArtifactStore } from '../storage/artifact-store';
import type { EffectLedger } from '../storage/effect-ledger';
import type { Stored } from '../core/stored';
import type { ModelUsage } from '../core/usage';
import { Replica } from '../knowledge/replica';
import { MemoryLedger } from '../storage/memory-ledger';

/** What {@link callAgent} and {@link compensateAgent} let the agent see. All fields are optional. */
export interface CallOptions {
  readonly goal?: string;
  readonly instruction?: string;
  /** The steps whose outputs are in the input. Default: none. */
  readonly inputFrom?: readonly string[];
  /** Default 1. */
  readonly attempt?: number;
  readonly lastCheckpoint?: unknown;
  /** Default 1. */
  readonly term?: number;
  /** Aborting it cancels the attempt, as cancelling the task would. */
  readonly signal?: AbortSignal;
  /**
   * With the same store the calls of one test are attempts of the same step: what one has recorded of `context.calls`, the
   * next one does not make again. Default: files in a folder for temporary files, and records of the call's own.
   */
  readonly artifacts?: ArtifactStore;
  /**
   * What the calls of one test share: with the same ledger they are attempts of the same step, and its undoing. Default:
   * one of the call's own, in memory.
   */
  readonly ledger?: EffectLedger;
  /** How often a person said `retry` of the step. Default 0. */
  readonly resolutions?: number;
  /** What the agent knows before. Default: nothing. */
  readonly knowledge?: Replica;
  /**
   * What persons answer, by the question's name: the text, or what they say beside it. A question without one ends the
   * attempt as QuestionAsked.
   */
  readonly answers?: Readonly<Record<string, string | (Pick<Answer, 'answer'> & Partial<Answer>)>>;
}

export interface CallResult<Output> {
  readonly output: Output;
  readonly decisions: readonly Decision[];
  /** What the agent knows after it: what it knew, and what it did. */
  readonly knowledge: Replica['knowledge'];
  /** What the agent gave to `context.checkpoint`, in order. */
  readonly checkpoints: readonly unknown[];
  /** What its calls came to, by model. */
  readonly usage: readonly ModelUsage[];
}

/**
 * Runs one attempt of an agent as a worker would, without a server: input and output are checked, the
 * context is real. Rejects with what the activity would fail with.
 */
export async function callAgent<Input, Output>(
  agent: Agent<Input, Output>,
  input: Input,
  options: CallOptions = {},
): Promise<CallResult<Output>> {
  const checkpoints: unknown[] = [];
  const watched: AnyAgent = {
    ...agent,
    act: (checked: Input, context) =>
      agent.act(checked, {
        ...context,
        inputFrom: options.inputFrom ?? [],
        checkpoint: keep(context, checkpoints),
        ask: answering(context, options.answers),
      }),
  };
  // The whole output stays inline: a test reads it from the outcome.
  const request: ActRequest = { ...inputsOf(input, options), inlineMaximum: Infinity };
  const known = Replica.create('agent');
  if (options.knowledge !== undefined) known.merge(options.knowledge.delta());
  const outcome: ActOutcome = await attempt(
    agentActivity(watched, { ...storesOf(options), memory: memoryOf(known) }),
    'act',
    request,
    options,
  );
  for (const operation of inlineOf(outcome.knowledge) ?? []) known.apply(operation);
  return {
    output: (outcome.output as { value: Output }).value,
    decisions: inlineOf(outcome.decisions) ?? [],
    knowledge: known.knowledge,
    checkpoints,
    usage: outcome.usage ?? [],
  };
}

/** What is undone; `reason` may be left out. */
export type UndoneCall<Input, Output> = Omit<Undo<Input, Output>, 'reason' | 'action'> & {
  readonly reason?: FailureInfo;
};

/**
 * Runs one attempt of an agent's `compensate` as a worker would, without a server. With the `ledger` of a `callAgent` it
 * undoes that step: whatever calls the agent for it afterwards comes late. Rejects with what the activity would fail with.
 */
export async function compensateAgent<Input, Output>(
  agent: Agent<Input, Output>,
  { input, outcome, output, reason = { type: 'Error', message: 'a reason' } }: UndoneCall<Input, Output>,
  options: CallOptions = {},
): Promise<void> {
  if (agent.compensate === undefined) {
    throw new CadreError('ConfigInvalid', `Expected agent "${agent.name}" to have \`compensate\``);
  }
  const request: CompensateRequest = {
    ...inputsOf(input, options),
    outcome,
    ...(output === undefined ? {} : { output: { value: output } }),
    reason,
  };
  await attempt(compensateActivity(agent, storesOf(options)), 'undo', request, options);
}

function inlineOf<Value>(stored: Stored<Value> | undefined): Value | undefined {
  return stored !== undefined && 'value' in stored ? stored.value : undefined;
}

/** The memory of an agent that knows what `replica` does. */
function memoryOf(replica: Replica): Memory {
  const ignore = (): Promise<void> => Promise.resolve();
  return new Memory({
    remember: ignore,
    ensure: ignore,
    hasLeft: () => Promise.resolve(false),
    read: () =>
      Promise.resolve({ replica: replica.id, left: false, seen: replica.seen, delta: replica.delta() }),
    report: () => Promise.resolve(undefined),
  });
}

function storesOf({ artifacts, ledger }: CallOptions): AgentStores {
  return {
    artifacts: artifacts ?? new ScratchStore(join(tmpdir(), 'cadre-test-artifacts')),
    ledger: ledger ?? new MemoryLedger(),
  };
}

/** Artifacts that all tests of a machine share, and records of one call. */
class ScratchStore extends FileArtifactStore {
  private readonly records = new Map<string, Uint8Array>();

  override record(name: string, content: Uint8Array): Promise<Uint8Array> {
    const standing = this.records.get(name) ?? content;
    this.records.set(name, standing);
    return Promise.resolve(standing);
  }

  override recall(name: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.records.get(name));
  }
}

function inputsOf(input: unknown, options: CallOptions): StepInputs & { readonly resolutions?: number } {
  const { goal = 'a goal', instruction = 'an instruction', resolutions } = options;
  return {
    goal,
    instruction,
    input: { $output: 'input' },
    outputs: { input: { value: input } },
    ...(resolutions === undefined ? {} : { resolutions }),
  };
}

async function attempt<Request, Result>(
  activity: (envelope: Envelope, request: Request) => Promise<Result>,
  kind: 'act' | 'undo',
  request: Request,
  { attempt: number = 1, lastCheckpoint, term = 1, signal }: CallOptions,
): Promise<Result> {
  const details = lastCheckpoint === undefined ? undefined : { checkpoint: lastCheckpoint };
  const environment = new MockActivityEnvironment(
    { attempt: number, heartbeatDetails: details, heartbeatTimeoutMs: 5000 },
    // A failure that the test expects needs no line in its output.
    { logger: new DefaultLogger('ERROR') },
  );
  const cancel = (): void => environment.cancel('CANCELLED');
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  const envelope: Envelope = { root: 'test/run', step: 'step', kind, term, version: 1 };
  return environment.run(activity, envelope, request);
}

/** Answers what there is an answer to, and asks the rest. */
function answering(context: AgentContext, answers: CallOptions['answers'] = {}): AgentContext['ask'] {
  return async (question) => {
    const { name, options } = readQuestion(question);
    const given = Object.hasOwn(answers, name) ? answers[name] : undefined;
    if (given === undefined) return context.ask(question);
    const said = { by: '', note: '', at: 0, ...(typeof given === 'string' ? { answer: given } : given) };
    if (options?.includes(said.answer) === false) {
      throw inputInvalid(`the answer to "${name}"`, options.join(' or '), said.answer);
    }
    return said;
  };
}

function keep(context: AgentContext, checkpoints: unknown[]): AgentContext['checkpoint'] {
  return (value) => {
    context.checkpoint(value);
    checkpoints.push(value);
  };
}
