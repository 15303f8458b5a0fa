import { Context } from '@temporalio/activity';
import type { Envelope } from '../core/envelope';
import { fillInput } from '../core/plan';
import type { ActOutcome, ActRequest, CompensateRequest, StepInputs } from '../core/task-activities';
import { ballotOf } from '../core/vote';
import type { ArtifactStore } from '../storage/artifact-store';
import { type Attempt, type AttemptStart, startAttempt } from './attempt';
import type { AnyAgent } from './define-agent';
import { load, loadAll, store } from '../storage/stored-values';
import { validate } from './validate';

/** The activity that runs an agent: what Temporal calls, named after the agent. */
export type AgentActivity = (envelope: Envelope, request: ActRequest) => Promise<ActOutcome>;

/** Makes the activity of `agent`. It fetches and checks the input, runs the agent, checks and stores the output. */
export function agentActivity(agent: AnyAgent, artifacts: ArtifactStore): AgentActivity {
  return (envelope, request) =>
    attempting(envelope, request, artifacts, async (attempt) => {
      const output = await runAgent(agent, await inputOf(request, artifacts), attempt);
      const { ballot, inlineMaximum } = request;
      return ballot === undefined
        ? outcomeOf(attempt, output, inlineMaximum)
        : { output: { value: ballotOf(output, ballot.choices) } };
    });
}

/** Runs `agent` on an input that was not checked yet, and returns its checked output. */
export async function runAgent(agent: AnyAgent, input: unknown, attempt: Attempt): Promise<unknown> {
  const output: unknown = await agent.act(await checkedInput(agent, input), attempt.context);
  return validate(agent.output, output, 'AgentOutputInvalid', `The output of agent "${agent.name}"`);
}

/** The activity that undoes what an agent did. */
export type CompensateActivity = (envelope: Envelope, request: CompensateRequest) => Promise<void>;

/** Makes the activity that undoes what `agent` did. */
export function compensateActivity(agent: AnyAgent, artifacts: ArtifactStore): CompensateActivity {
  return (envelope, request) =>
    attempting(envelope, request, artifacts, async (attempt) => {
      const { outcome, output, reason } = request;
      const input = await checkedInput(agent, await inputOf(request, artifacts));
      const done = output === undefined ? {} : { output: await load(artifacts, output) };
      await agent.compensate?.({ input, outcome, ...done, reason }, attempt.context);
    });
}

/** One attempt of `work`, heartbeating until it ends; fails with what Temporal is to be told. */
async function attempting<Result>(
  envelope: Envelope,
  start: AttemptStart,
  artifacts: ArtifactStore,
  work: (attempt: Attempt) => Promise<Result>,
): Promise<Result> {
  const attempt = startAttempt(Context.current(), envelope, start, artifacts);
  try {
    return await work(attempt);
  } catch (error) {
    throw attempt.failure(error);
  } finally {
    attempt.stop();
  }
}

function checkedInput(agent: AnyAgent, input: unknown): Promise<unknown> {
  return validate(agent.input, input, 'AgentInputInvalid', `The input of agent "${agent.name}"`);
}

async function inputOf(request: StepInputs, artifacts: ArtifactStore): Promise<unknown> {
  const { goal, instruction, input } = request;
  const outputs = await loadAll(artifacts, request.outputs);
  return input === undefined
    ? { goal, instruction, needs: outputs }
    : fillInput(input, new Map(Object.entries(outputs)));
}

async function outcomeOf(attempt: Attempt, output: unknown, inlineMaximum: number): Promise<ActOutcome> {
  const { artifacts } = attempt.context;
  const stored = await store(artifacts, output ?? null, inlineMaximum);
  if (attempt.decisions.length === 0) return { output: stored };
  return { output: stored, decisions: await store(artifacts, attempt.decisions, inlineMaximum) };
}
