import { type Remember, type RememberedDecision, MESSAGE_VERSION } from '../../core/agent/agent-messages';
import { memberFor, memberOf, readMember } from '../../core/agent/members';
import type { Replicas } from '../../core/agent/replicas';
import type { Operation } from '../../core/crdt/replica';
import { crossingFailure } from '../../core/failure-info';
import { jsonBytes } from '../../core/json';
import type { RememberOutcome, RememberRequest, RememberedAgent } from '../../core/task-remember';
import type { ArtifactStore } from '../../storage/artifact-store';
import { load } from '../../storage/stored-values';
import type { AnyAgent } from '../define-agent';

/** The local activity by which a task tells its agents what they decided and learnt in it. Fails as ArtifactMissing. */
export type RememberActivity = (request: RememberRequest) => Promise<RememberOutcome>;

/** The activity by which a replica starts another: `unknown` for one that no agent of this worker has, or that has left. */
export type EnsureAgentActivity = (member: string) => Promise<'started' | 'unknown'>;

/** A message is not larger than so many bytes of JSON, and what surrounds it. */
const MESSAGE_MAXIMUM_BYTES = 256 * 1024;
/** Of a decision that would be too large, in characters. */
const TEXT_MAXIMUM_LENGTH = 2000;

export function rememberActivity(
  agents: ReadonlyMap<string, AnyAgent>,
  artifacts: ArtifactStore,
  replicas: Replicas,
): RememberActivity {
  return async ({ root, task, agents: told }) => {
    try {
      await Promise.all(
        told.map(async (one) => {
          const agent = agents.get(one.agent);
          const member = memberFor({ name: one.agent, replicas: agent?.replicas ?? 1 }, root);
          const of = { root, task, ...(agent === undefined ? {} : { maxEntries: agent.maxEntries }) };
          for (const message of await messagesFor(one, of, artifacts))
            await replicas.remember(member, message);
        }),
      );
      return { agents: told.map(({ agent }) => agent) };
    } catch (error) {
      throw crossingFailure(error);
    }
  };
}

export function ensureAgentActivity(
  agents: ReadonlyMap<string, AnyAgent>,
  replicas: Replicas,
): EnsureAgentActivity {
  return async (member) => {
    const { agent: name = '', index = 0 } = readMember(member) ?? {};
    const agent = agents.get(name);
    if (agent === undefined || index >= agent.replicas || memberOf(name, index) !== member) return 'unknown';
    if (await replicas.hasLeft(member)) return 'unknown';
    await replicas.ensure(member);
    return 'started';
  };
}

/** `decision`; where it alone is too large for a message, without its evidence. It is in the task's history as it was. */
function fitting(decision: RememberedDecision): RememberedDecision {
  if (jsonBytes(decision) <= MESSAGE_MAXIMUM_BYTES) return decision;
  const { type, rationale, task, step } = decision;
  return {
    type: type.slice(0, TEXT_MAXIMUM_LENGTH),
    rationale: rationale.slice(0, TEXT_MAXIMUM_LENGTH),
    task,
    step,
  };
}

/** One, or several where it would be too large; each with an id of its own. */
async function messagesFor(
  { steps }: RememberedAgent,
  { root, task, maxEntries }: { root: string; task: string; maxEntries?: number },
  artifacts: ArtifactStore,
): Promise<Remember[]> {
  const parts: { decisions: RememberedDecision[]; operations: Operation[] }[] = [];
  let bytes = Infinity;
  const partFor = (item: unknown): (typeof parts)[number] => {
    const more = jsonBytes(item);
    bytes += more;
    if (bytes > MESSAGE_MAXIMUM_BYTES) {
      bytes = more;
      parts.push({ decisions: [], operations: [] });
    }
    return parts.at(-1) as (typeof parts)[number];
  };
  for (const { step, decisions, knowledge } of steps) {
    for (const decision of decisions === undefined ? [] : await load(artifacts, decisions)) {
      const remembered = fitting({ ...decision, task, step });
      partFor(remembered).decisions.push(remembered);
    }
    for (const operation of knowledge === undefined ? [] : await load(artifacts, knowledge)) {
      partFor(operation).operations.push(operation);
    }
  }
  return parts.map((part, index) => ({
    version: MESSAGE_VERSION,
    id: index === 0 ? root : `${root}#${index}`,
    task,
    ...(maxEntries === undefined ? {} : { maxEntries }),
    ...part,
  }));
}
