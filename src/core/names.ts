import { defineSearchAttributeKey } from '@temporalio/common';
import { CadreError } from './failures';

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
/** Temporal allows 1,000 characters; this leaves room for the suffixes of forks and resumes. */
const TASK_ID_MAXIMUM_LENGTH = 200;
const SLUG_MAXIMUM_LENGTH = 40;

/** The cadre that workers and clients belong to unless told otherwise; also its task queue. */
export const DEFAULT_CADRE = 'cadre';

/** Stands for the cadre's own task queue where pools are listed; no pool may take this name. */
export const MAIN = 'main';

/** Begins the names of the embedded agents that stand behind those with a model. */
export const EMBEDDED_PREFIX = 'embedded-';

/** The workflow type of a task. */
export const TASK_WORKFLOW = 'task';

/** The workflow type of a saga that was declared, and of whatever goes on with one that was terminated. */
export const SAGA_WORKFLOW = 'saga';

/** The workflow type of a cadre's election. */
export const ELECTION_WORKFLOW = 'election';

/** The workflow type of a lock, and the activity by which a saga claims one. */
export const LOCK_WORKFLOW = 'lock';
export const LOCK_ACTIVITY = 'lock';

/** The workflow type of a circuit breaker that the whole cadre shares. */
export const BREAKER_WORKFLOW = 'breaker';

/** The workflow type of an account: what may be used of a budget, and what was. */
export const BUDGET_WORKFLOW = 'budget';

/** By which workers set aside and settle at an account. */
export const EXCHANGE_UPDATE = 'exchange';

/** The memo of an account: its name. */
export const ACCOUNT_MEMO = 'account';

/** By which workers tell a breaker how their calls went, and persons what it is to do. */
export const REPORT_UPDATE = 'report';
export const OPERATE_UPDATE = 'operate';

/** The workflow type of an agent's state: one a replica. */
export const AGENT_WORKFLOW = 'agent';

/** The workflow types of Cadre's own that have no steps: nothing of them is logged as a task's, paid, or undone. */
export const SERVICE_WORKFLOWS: readonly string[] = [
  AGENT_WORKFLOW,
  BREAKER_WORKFLOW,
  BUDGET_WORKFLOW,
  ELECTION_WORKFLOW,
  LOCK_WORKFLOW,
];

/** By which a task tells an agent what it decided and learnt, replicas each other, and a person an agent to leave. */
export const REMEMBER_SIGNAL = 'remember';
export const GOSSIP_SIGNAL = 'gossip';
export const LEAVE_SIGNAL = 'leave';

/** The local activity by which a task remembers, and the activity by which a replica starts another. */
export const REMEMBER_ACTIVITY = 'remember';
export const ENSURE_AGENT_ACTIVITY = 'ensureAgent';

/** The memo of an agent's workflow: which replica it is. */
export const MEMBER_MEMO = 'member';

/** The memo of a breaker: its key, and whether it is closed. */
export const BREAKER_MEMO = 'breaker';

/** What a task has its leader do: activities on the leader's queue, each an {@link EnvelopeKind} too. */
export const LEADER_WORK = ['plan', 'assign', 'arbitrate', 'aggregate'] as const;
export type LeaderWork = (typeof LEADER_WORK)[number];

/** The local activity by which a saga learns its agents' policies. */
export const PIN_ACTIVITY = 'pin';

/** The local activity that fetches a value which workflow code asks for from the artifact store. */
export const LOAD_ACTIVITY = 'load';

/** The activity whose holder is the leader. */
export const LEAD_ACTIVITY = 'lead';

/** By which a leader announces itself to the election, and by which it is asked to hand over. */
export const ANNOUNCE_SIGNAL = 'announce';
export const RESIGN_UPDATE = 'resign';

/** By which a person answers what a step asks. */
export const ANSWER_UPDATE = 'answer';

/** By which a saga gives back a key. */
export const RELEASE_SIGNAL = 'release';

/** The memo of a lock: who holds it. */
export const HOLDER = 'holder';

/** By which a person says what is to become of a compensation or step that failed for good. */
export const RESOLVE_UPDATE = 'resolve';

/** The memo of a task that has ended, and whose agents called models: what that came to, by agent. */
export const USAGE_MEMO = 'usage';

/** The memo of a task that waits for a person: the step that it is about. */
export const NEEDS_ATTENTION = 'needsAttention';

/** The search attribute of tasks: `no`, `needsAttention`, `awaitingApproval` or `awaitingAnswer`. Used where a server has it. */
export const NEEDS_ATTENTION_ATTRIBUTE = defineSearchAttributeKey('CadreNeedsAttention', 'KEYWORD');

/**
 * The memo, true, of what was started with that attribute. A workflow must go by this: what its history shows of an
 * attribute depends on what is registered when it is read, so after a removal it would no longer replay.
 */
export const HAS_ATTRIBUTE = 'hasAttentionAttribute';

/** Activity names that no agent may take (of those that are names of agents at all); `default` is the SDK's name for whatever is not registered. */
export const RESERVED_ACTIVITIES: readonly string[] = [
  ...LEADER_WORK,
  LEAD_ACTIVITY,
  PIN_ACTIVITY,
  LOAD_ACTIVITY,
  LOCK_ACTIVITY,
  REMEMBER_ACTIVITY,
  'default',
];

/** The steps that stand for planning and for making the result in envelopes, events and keys. */
export const PLAN_STEP = 'plan';
export const AGGREGATE_STEP = 'aggregate';

/** Returns `name`, or throws NameInvalid. `what` says in the message whose name it is, such as `cadre`. */
export function validName(what: string, name: unknown): string {
  if (typeof name === 'string' && NAME.test(name)) return name;
  throw new CadreError(
    'NameInvalid',
    `Expected the ${what} name to match [a-z][a-z0-9-]{0,62}, got ${JSON.stringify(name)}`,
  );
}

/** The task queue on which a cadre's workflows run, and its agents that have no pool. */
export function taskQueue(cadre: string): string {
  return cadre;
}

/** The task queue of a pool's agents. */
export function poolQueue(cadre: string, pool: string): string {
  return `${cadre}.pool.${pool}`;
}

/** The activity that undoes what `agent` did. */
export function compensateActivityName(agent: string): string {
  return `${agent}${COMPENSATE}`;
}

/** The agent of a {@link compensateActivityName}. */
export function compensatingAgent(activity: string): string {
  return activity.endsWith(COMPENSATE) ? activity.slice(0, -COMPENSATE.length) : activity;
}

const COMPENSATE = '.compensate';

/** The task queue that only the leader polls. */
export function leaderQueue(cadre: string): string {
  return `${cadre}.leader`;
}

/** The task queue on which terms are granted: every candidate polls it. */
export function candidatesQueue(cadre: string): string {
  return `${cadre}.candidates`;
}

/**
 * The task queue of the cadre's breakers: on that of its tasks, reports would wait behind whatever an outage has made
 * wait.
 */
export function breakersQueue(cadre: string): string {
  return `${cadre}.breakers`;
}

/** The workflow id of the cadre's election. */
export function electionId(cadre: string): string {
  return `${cadre}.election`;
}

/** The workflow id of what goes on with a workflow that was terminated. */
export function resumeId(id: string): string {
  return `${id}.resume`;
}

/** The id of the `number`-th fork of the task `id`, from 1. */
export function forkId(id: string, number: number): string {
  return `${id}.fork-${number}`;
}

/** The workflow id of the lock of `key`. Keys that differ have ids that differ. */
export function lockId(cadre: string, key: string): string {
  return `${cadre}.lock.${encodedKey(key)}`;
}

/** The workflow id of the breaker of `key`. Keys that differ have ids that differ. */
export function breakerId(cadre: string, key: string): string {
  return `${cadre}.breaker.${encodedKey(key)}`;
}

/** The workflow id of the account `account`. */
export function budgetId(cadre: string, account: string): string {
  return `${cadre}.budget.${account}`;
}

/** The workflow id of an agent's replica: see `memberOf`. */
export function agentId(cadre: string, member: string): string {
  return `${cadre}.agent.${member}`;
}

/**
 * Encoded as in a URL, with "=" for "%": Temporal's Web UI (2.42.1) opens no workflow whose id has a "%". Only ASCII is,
 * and no "/": 200 characters of any script stay under Temporal's 1,000 bytes, and can be read.
 */
function encodedKey(key: string): string {
  return key.replace(/\p{ASCII}/gu, (one) => (one === '/' ? one : encodeURIComponent(one).replace('%', '=')));
}

/** The task queue on which `agent` runs. */
export function agentQueue(cadre: string, agent: { readonly pool?: string | undefined }): string {
  return agent.pool === undefined ? taskQueue(cadre) : poolQueue(cadre, agent.pool);
}

/**
 * A new task's id: a slug of its goal and `suffix` (8 random hex digits), or the suffix alone after
 * `task-` where ids must not tell what a task is about (ids are never encrypted).
 */
export function newTaskId(goal: string, suffix: string, ids: 'slug' | 'opaque'): string {
  const slug = ids === 'opaque' ? '' : slugOf(goal);
  return `${slug === '' ? 'task' : slug}-${suffix}`;
}

/** Returns a caller's own task id, or throws InputInvalid. */
export function validTaskId(id: unknown): string {
  if (
    typeof id === 'string' &&
    id.length <= TASK_ID_MAXIMUM_LENGTH &&
    /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u.test(id)
  ) {
    return id;
  }
  throw new CadreError(
    'InputInvalid',
    `Expected \`id\` to be up to ${TASK_ID_MAXIMUM_LENGTH} letters, digits, ".", "_" and "-", got ${JSON.stringify(id)}`,
  );
}

function slugOf(goal: string): string {
  const words = goal
    .normalize('NFKD')
    .toLowerCase()
    .replace(/ß/g, 'ss')
    .replace(/\p{M}/gu, '')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  let slug = '';
  for (const word of words) {
    if (slug.length + word.length + 1 > SLUG_MAXIMUM_LENGTH) break;
    slug = slug === '' ? word : `${slug}-${word}`;
  }
  return slug;
}
