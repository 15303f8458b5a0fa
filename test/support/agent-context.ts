import { tmpdir } from 'node:os';
import type { AgentContext } from '../../src/activities/agent-context';
import { startLearning } from '../../src/activities/knowledge/learning';
import { FileArtifactStore } from '../../src/storage/artifact-store';
import type { Decision } from '../../src/core/decision';

/** An {@link AgentContext} that keeps what the agent decided. */
export interface FakeAgentContext extends AgentContext {
  readonly decisions: Decision[];
}

/** A context for calling an agent's `act` without a worker. */
export function fakeAgentContext(overrides: Partial<AgentContext> = {}): FakeAgentContext {
  const decisions: Decision[] = [];
  const ignore = (): void => undefined;
  return {
    goal: 'a goal',
    instruction: 'an instruction',
    inputFrom: [],
    step: 'step',
    task: 'task',
    parent: { task: 'task', lines: [] },
    signal: new AbortController().signal,
    idempotencyKey: 'task/step/act',
    term: 0,
    attempt: 1,
    resolutions: 0,
    lastCheckpoint: undefined,
    checkpoint: ignore,
    heartbeat: ignore,
    stream: ignore,
    once: async (_name, run) => run(),
    calls: { run: (call) => call.run() },
    ask: () => Promise.reject(new Error('nobody answers here')),
    decide: (decision) => void decisions.push(decision),
    knowledge: startLearning({}).knowledge,
    artifacts: new FileArtifactStore(tmpdir()),
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    ...overrides,
    decisions,
  };
}
