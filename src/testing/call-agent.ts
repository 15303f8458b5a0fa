import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { agentActivity } from '../activities/agent-activity';
import type { AgentContext } from '../activities/agent-context';
import type { Agent, AnyAgent } from '../activities/define-agent';
import type { Decision } from '../core/decision';
import type { Envelope } from '../core/envelope';
import type { ActOutcome, ActRequest } from '../core/task-activities';
import { type ArtifactStore, FileArtifactStore } from '../storage/artifact-store';

/** What {@link callAgent} lets the agent see. All fields are optional. */
export interface CallOptions {
  readonly goal?: string;
  readonly instruction?: string;
  /** Default 1. */
  readonly attempt?: number;
  readonly lastCheckpoint?: unknown;
  /** Default 1. */
  readonly term?: number;
  /** Aborting it cancels the attempt, as cancelling the task would. */
  readonly signal?: AbortSignal;
  /** Default: files in a folder for temporary files. */
  readonly artifacts?: ArtifactStore;
}

export interface CallResult<Output> {
  readonly output: Output;
  readonly decisions: readonly Decision[];
  /** What the agent gave to `context.checkpoint`, in order. */
  readonly checkpoints: readonly unknown[];
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
  const artifacts = options.artifacts ?? new FileArtifactStore(join(tmpdir(), 'cadre-test-artifacts'));
  const { attempt = 1, lastCheckpoint, goal = 'a goal', instruction = 'an instruction' } = options;
  const details = lastCheckpoint === undefined ? undefined : { checkpoint: lastCheckpoint };
  const environment = new MockActivityEnvironment(
    { attempt, heartbeatDetails: details, heartbeatTimeoutMs: 5000 },
    // A failure that the test expects needs no line in its output.
    { logger: new DefaultLogger('ERROR') },
  );
  const checkpoints: unknown[] = [];
  const watched: AnyAgent = {
    ...agent,
    act: (checked: Input, context) =>
      agent.act(checked, { ...context, checkpoint: keep(context, checkpoints) }),
  };
  const cancel = (): void => environment.cancel('CANCELLED');
  if (options.signal?.aborted) cancel();
  options.signal?.addEventListener('abort', cancel, { once: true });
  const envelope: Envelope = {
    root: 'test/run',
    step: 'step',
    kind: 'act',
    term: options.term ?? 1,
    version: 1,
  };
  // The whole output stays inline: a test reads it from the outcome.
  const request: ActRequest = {
    goal,
    instruction,
    input: { $output: 'input' },
    outputs: { input: { value: input } },
    inlineMaximum: Infinity,
  };
  const outcome: ActOutcome = await environment.run(agentActivity(watched, artifacts), envelope, request);
  return {
    output: (outcome.output as { value: Output }).value,
    decisions: (outcome.decisions as { value: readonly Decision[] } | undefined)?.value ?? [],
    checkpoints,
  };
}

function keep(context: AgentContext, checkpoints: unknown[]): AgentContext['checkpoint'] {
  return (value) => {
    context.checkpoint(value);
    checkpoints.push(value);
  };
}
