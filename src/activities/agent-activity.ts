import { Context } from '@temporalio/activity';
import type { Envelope } from '../core/envelope';
import { fillInput } from '../core/plan';
import type { ActOutcome, ActRequest, CompensateRequest } from '../core/task-activities';
import { ballotOf } from '../core/vote';
import type { ArtifactStore } from '../storage/artifact-store';
import { type Attempt, startAttempt } from './attempt';
import type { AnyAgent } from './define-agent';
import { load, store } from '../storage/stored-values';
import { validate } from './validate';

/** The activity that runs an agent: what Temporal calls, named after the agent. */
export type AgentActivity = (envelope: Envelope, request: ActRequest) => Promise<ActOutcome>;

/** Makes the activity of `agent`. It fetches and checks the input, runs the agent, checks and stores the output. */
export function agentActivity(agent: AnyAgent, artifacts: ArtifactStore): AgentActivity {
  return async (envelope, request) => {
    const attempt = startAttempt(Context.current(), envelope, request, artifacts);
    try {
      const input = await inputOf(request, artifacts);
      const output = await runAgent(agent, input, attempt);
      const { ballot, inlineMaximum } = request;
      return ballot === undefined
        ? await outcomeOf(attempt, output, inlineMaximum)
        : { output: { value: ballotOf(output, ballot.choices) } };
    } catch (error) {
      throw attempt.failure(error);
    } finally {
      attempt.stop();
    }
  };
}

/** Runs `agent` on an input that was not checked yet, and returns its checked output. */
export async function runAgent(agent: AnyAgent, input: unknown, attempt: Attempt): Promise<unknown> {
  const checked = await validate(
    agent.input,
    input,
    'AgentInputInvalid',
    `The input of agent "${agent.name}"`,
  );
  const output: unknown = await agent.act(checked, attempt.context);
  return validate(agent.output, output, 'AgentOutputInvalid', `The output of agent "${agent.name}"`);
}

/** The activity that undoes what an agent did. */
export type CompensateActivity = (envelope: Envelope, request: CompensateRequest) => Promise<void>;

/** Makes the activity that undoes what `agent` did. */
export function compensateActivity(agent: AnyAgent, artifacts: ArtifactStore): CompensateActivity {
  return async (envelope, request) => {
    const attempt = startAttempt(Context.current(), envelope, request, artifacts);
    const { outcome, output, reason } = request;
    try {
      const input = await validate(
        agent.input,
        await inputOf(request, artifacts),
        'AgentInputInvalid',
        `The input of agent "${agent.name}"`,
      );
      const done = output === undefined ? {} : { output: await load(artifacts, output) };
      await agent.compensate?.({ input, outcome, ...done, reason }, attempt.context);
    } catch (error) {
      throw attempt.failure(error);
    } finally {
      attempt.stop();
    }
  };
}

async function inputOf(
  request: Pick<ActRequest, 'goal' | 'instruction' | 'input' | 'outputs'>,
  artifacts: ArtifactStore,
): Promise<unknown> {
  const { goal, instruction, input } = request;
  const entries = Object.entries(request.outputs).map(
    async ([step, stored]) => [step, await load(artifacts, stored)] as const,
  );
  const outputs = new Map(await Promise.all(entries));
  return input === undefined
    ? { goal, instruction, needs: Object.fromEntries(outputs) }
    : fillInput(input, outputs);
}

async function outcomeOf(attempt: Attempt, output: unknown, inlineMaximum: number): Promise<ActOutcome> {
  const { artifacts } = attempt.context;
  const stored = await store(artifacts, output ?? null, inlineMaximum);
  if (attempt.decisions.length === 0) return { output: stored };
  return { output: stored, decisions: await store(artifacts, attempt.decisions, inlineMaximum) };
}
