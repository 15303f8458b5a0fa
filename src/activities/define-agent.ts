import type { Duration } from '@temporalio/common';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { REPLICAS_MAXIMUM } from '../core/agent/members';
import { MAX_ENTRIES, MAX_ENTRIES_EXPECTED, isMaxEntries } from '../core/crdt/replica';
import { CadreError, type FailureInfo } from '../core/failures';
import type { BreakerSettings } from '../core/breaker/settings';
import { type DailyBudget, budgetProblems } from '../core/budget/budget';
import { fieldMessage } from '../core/json';
import { MAIN, RESERVED_ACTIVITIES, validName } from '../core/names';
import { POLICY_RANGES, type ResolvedCompensation, type ResolvedPolicy } from '../core/policy';
import type { StepOutcome } from '../core/saga';
import type { AgentContext } from './agent-context';
import { type BreakerPolicy, type OnOpenPolicy, resolveBreaker } from './breaker/policy';
import { milliseconds, refuseUnknown } from './policy-fields';

/**
 * How Temporal runs an agent. Durations are milliseconds or strings like `'30s'`.
 * All fields are optional.
 */
export interface AgentPolicy {
  /** The longest one attempt may take. Default 2 minutes; 1 ms to 30 days. */
  startToClose?: Duration;
  /**
   * An attempt that has not reported for so long is taken for dead and retried elsewhere. Cadre reports for
   * the agent, every fifth of it. Default 5 seconds; 500 ms to 1 hour.
   */
  heartbeatTimeout?: Duration;
  /** The longest all attempts and waits may take together. Default: no limit. */
  scheduleToClose?: Duration;
  /**
   * The longest a step may wait for a worker; then the leader looks for another agent. Default: no limit; 1 ms to 30
   * days.
   */
  scheduleToStart?: Duration;
  retry?: {
    /** Attempts in all, the first included. Default 3; 1 to 1,000, or `Infinity`. */
    maximumAttempts?: number;
    /** The wait before the second attempt. Default 1 second. */
    initialInterval?: Duration;
    /** Each wait is so many times the one before. Default 2; 1 to 10. */
    backoffCoefficient?: number;
    /** No wait is longer. Default 30 seconds, or the initial interval where that is longer; not below it. */
    maximumInterval?: Duration;
  };
  /**
   * Run as a local activity, inside the workflow task: fewer round trips, but no heartbeat, and a crash may
   * run the step again. For short, idempotent agents only. Default false.
   */
  local?: boolean;
  /**
   * A circuit breaker, which all workers of the cadre share: while the agent fails too often, or is too slow, nobody calls
   * it. `{}` takes the defaults, which suit calls of models. Default: none.
   */
  breaker?: BreakerPolicy;
  /**
   * What a step does while the breaker lets it not through: `wait` (default) until it may be called, without spending an
   * attempt; `fail` as BreakerOpen, so that the leader looks for another agent; or go to the agent `fallback`, whose own
   * breaker counts for itself.
   */
  onOpen?: OnOpenPolicy;
}

/** What {@link defineAgent} takes. `Input` and `Output` follow from the schemas. */
export interface AgentDefinition<Input, Output> {
  /** Matches `[a-z][a-z0-9-]{0,62}`; the activity is named after it, and plans refer to it. */
  name: string;
  /** One sentence that tells a planner what the agent is for. */
  description: string;
  /** Words a planner may choose by. Default none. */
  skills?: readonly string[];
  /** Run on workers that serve this pool (`cadre worker --pool NAME`) instead of on every worker. */
  pool?: string;
  /** Any Standard Schema (https://standardschema.dev): zod, valibot, arktype. Checked before `act` runs. */
  input: StandardSchemaV1<unknown, Input>;
  /** Likewise, checked before the output is recorded. The output must be JSON. */
  output: StandardSchemaV1<unknown, Output>;
  policy?: AgentPolicy;
  /** What the agent may use a day (UTC), in all tasks of the cadre together. Default: no limit of its own. */
  budget?: DailyBudget;
  /** What the agent keeps of its tasks. */
  memory?: AgentMemory;
  /**
   * Does the work. May run more than once (a crash, a lost connection, a retry): give
   * `context.idempotencyKey` to the outside world. What it throws is retried by the policy;
   * throw `ApplicationFailure.nonRetryable(...)` for what no retry can mend.
   */
  act(input: Input, context: AgentContext): Promise<Output> | Output;
  /**
   * Undoes what `act` did, when the task fails or is cancelled. Must accept that there is nothing to undo, since an
   * action whose end nobody saw may not have happened, and may run more than once. `context.idempotencyKey` is one of
   * its own.
   */
  compensate?(undo: Undo<Input, Output>, context: AgentContext): Promise<void> | void;
  /** How Temporal runs `compensate`. Default: the time limits of `policy`, and 10 attempts. */
  compensation?: CompensationPolicy;
}

/** How an agent's knowledge and decisions are kept. All fields are optional. */
export interface AgentMemory {
  /**
   * How many workflows share the agent's tasks; they gossip, and are shown as one. One takes about two tasks a second.
   * Default 1; 1 to 100.
   */
  replicas?: number;
  /** How many entries each of its sets, maps and logs keeps, the oldest out. Default 2,000; 1 to 1,000,000. */
  maxEntries?: number;
}

/** What {@link AgentDefinition.compensate} gets. */
export interface Undo<Input, Output> {
  /** What `act` got. */
  readonly input: Input;
  /** `unknown`: `act` failed, timed out or was cut off, and may have had its effect. */
  readonly outcome: StepOutcome;
  /** What `act` put out; present where the outcome is `completed`. */
  readonly output?: Output;
  /** Why it is undone. */
  readonly reason: FailureInfo;
  /** The idempotency key under which `act` acted: what to ask the outside world for where the outcome is unknown. */
  readonly action: string;
}

/** How Temporal runs an agent's `compensate`. All fields are optional; ranges are those of {@link AgentPolicy}. */
export type CompensationPolicy = Pick<AgentPolicy, 'startToClose' | 'heartbeatTimeout' | 'retry'>;

/** An agent whose definition was checked. */
export interface Agent<Input = unknown, Output = unknown> extends AgentDefinition<Input, Output> {
  readonly skills: readonly string[];
  readonly resolvedPolicy: ResolvedPolicy;
  /** Of {@link AgentMemory}. */
  readonly replicas: number;
  readonly maxEntries: number;
  /** Present where a breaker guards it. */
  readonly breakerSettings?: BreakerSettings;
}

/** An agent of whatever input and output, for lists of agents. */
// oxlint-disable-next-line typescript/no-explicit-any -- `act` is contravariant in its input: a list of agents of different inputs has no narrower type.
export type AnyAgent = Agent<any, any>;

const SECOND = 1000;

/**
 * Checks the definition and fills in the policy's defaults.
 *
 * Throws CadreError NameInvalid for a name or pool that does not match, and PolicyInvalid for a value out of
 * its range; both name the field, the allowed range and the value got.
 */
export function defineAgent<Input, Output, const Name extends string = string>(
  definition: AgentDefinition<Input, Output> & { readonly name: Name },
): Agent<Input, Output> & { readonly name: Name } {
  validName('agent', definition.name);
  if (RESERVED_ACTIVITIES.includes(definition.name)) {
    throw new CadreError(
      'NameInvalid',
      `"${definition.name}" names an activity of Cadre's own (${RESERVED_ACTIVITIES.join(', ')}), not an agent`,
    );
  }
  if (definition.pool !== undefined) validName('pool', definition.pool);
  if (definition.pool === MAIN) {
    throw new CadreError(
      'NameInvalid',
      `"${MAIN}" names the queue of agents without a pool: leave \`pool\` out`,
    );
  }
  for (const field of ['input', 'output'] as const) {
    if (typeof definition[field]?.['~standard']?.validate !== 'function') {
      throw new CadreError(
        'ConfigInvalid',
        `Expected \`${field}\` of agent "${definition.name}" to be a Standard Schema`,
      );
    }
  }
  if (typeof definition.act !== 'function') {
    throw new CadreError('ConfigInvalid', `Expected \`act\` of agent "${definition.name}" to be a function`);
  }
  checkBudget(`agent "${definition.name}"`, definition.budget);
  const compensation = resolveCompensation(definition);
  const guarded = resolveBreaker(definition.name, definition.policy);
  return {
    ...definition,
    skills: definition.skills ?? [],
    ...resolveMemory(definition),
    resolvedPolicy: {
      ...resolvePolicy(definition),
      ...(guarded === undefined ? {} : { breaker: guarded.breaker }),
      ...(compensation === undefined ? {} : { compensation }),
    },
    ...(guarded === undefined ? {} : { breakerSettings: guarded.settings }),
  };
}

/** Throws PolicyInvalid where `budget` is none of a day; `whose` says in the message whose it is. */
function checkBudget(whose: string, budget: unknown): void {
  const [problem] = budget === undefined ? [] : budgetProblems(budget, true);
  if (problem === undefined) return;
  throw new CadreError(
    'PolicyInvalid',
    `${fieldMessage({ budget }, [['budget', ...problem[0]], problem[1]])}, of ${whose}`,
  );
}

function resolveMemory({
  name,
  memory = {},
}: Pick<AgentDefinition<never, never>, 'name' | 'memory'>): Pick<Agent, 'replicas' | 'maxEntries'> {
  refuseUnknown(name, 'memory', memory, MEMORY_FIELDS);
  const { replicas = 1, maxEntries = MAX_ENTRIES } = memory;
  const refuse = (field: string, expected: string, got: unknown): CadreError =>
    new CadreError(
      'PolicyInvalid',
      `Expected \`memory.${field}\` of agent "${name}" to be ${expected}, got ${JSON.stringify(got)}`,
    );
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > REPLICAS_MAXIMUM) {
    throw refuse('replicas', `a whole number from 1 to ${REPLICAS_MAXIMUM}`, replicas);
  }
  if (!isMaxEntries(maxEntries)) throw refuse('maxEntries', MAX_ENTRIES_EXPECTED, maxEntries);
  return { replicas, maxEntries };
}

const MEMORY_FIELDS = ['replicas', 'maxEntries'] satisfies (keyof AgentMemory)[];
const COMPENSATION_ATTEMPTS = 10;

function resolveCompensation({
  name,
  policy = {},
  compensate,
  compensation,
}: Pick<AgentDefinition<never, never>, 'name' | 'policy' | 'compensate' | 'compensation'>):
  | ResolvedCompensation
  | undefined {
  if (compensate === undefined) {
    if (compensation === undefined) return undefined;
    throw new CadreError(
      'ConfigInvalid',
      `Expected \`compensation\` of agent "${name}" only beside \`compensate\``,
    );
  }
  if (typeof compensate !== 'function') {
    throw new CadreError('ConfigInvalid', `Expected \`compensate\` of agent "${name}" to be a function`);
  }
  refuseUnknown(name, 'compensation', compensation ?? {}, COMPENSATION_FIELDS);
  const { startToClose, heartbeatTimeout } = { ...policy, ...compensation };
  const retry = { maximumAttempts: COMPENSATION_ATTEMPTS, ...compensation?.retry };
  const resolved = resolvePolicy({
    name,
    policy: {
      ...(startToClose === undefined ? {} : { startToClose }),
      ...(heartbeatTimeout === undefined ? {} : { heartbeatTimeout }),
      retry,
    },
  });
  return {
    startToClose: resolved.startToClose,
    heartbeatTimeout: resolved.heartbeatTimeout,
    retry: resolved.retry,
  };
}

function resolvePolicy(definition: { name: string; pool?: string; policy?: AgentPolicy }): ResolvedPolicy {
  const policy = definition.policy ?? {};
  const retry = policy.retry ?? {};
  refuseUnknown(definition.name, 'policy', policy, POLICY_FIELDS);
  refuseUnknown(definition.name, 'policy.retry', retry, RETRY_FIELDS);
  const check = (
    field: keyof typeof POLICY_RANGES,
    got: number,
    [minimum, maximum]: readonly [number, number] = POLICY_RANGES[field],
  ): number => {
    if (typeof got === 'number' && got >= minimum && got <= maximum) return got;
    throw new CadreError(
      'PolicyInvalid',
      `Expected \`policy.${field}\` of agent "${definition.name}" to be from ${minimum} to ${maximum}, got ${got}`,
    );
  };
  const duration = (
    field: keyof typeof POLICY_RANGES,
    value: AgentPolicy['startToClose'],
    fallback: number,
    range?: readonly [number, number],
  ): number =>
    check(field, value === undefined ? fallback : milliseconds(definition.name, field, value), range);
  const attempts = retry.maximumAttempts ?? 3;
  if (attempts !== Infinity && !Number.isInteger(attempts)) {
    throw new CadreError(
      'PolicyInvalid',
      `Expected \`policy.retry.maximumAttempts\` of agent "${definition.name}" to be a whole number, got ${JSON.stringify(attempts)}`,
    );
  }
  const initialInterval = duration('retry.initialInterval', retry.initialInterval, SECOND);
  const maximumInterval = Math.max(30 * SECOND, initialInterval);
  return {
    startToClose: duration('startToClose', policy.startToClose, 120 * SECOND),
    heartbeatTimeout: duration('heartbeatTimeout', policy.heartbeatTimeout, 5 * SECOND),
    ...(policy.scheduleToClose === undefined
      ? {}
      : { scheduleToClose: duration('scheduleToClose', policy.scheduleToClose, 0) }),
    ...(policy.scheduleToStart === undefined
      ? {}
      : { scheduleToStart: duration('scheduleToStart', policy.scheduleToStart, 0) }),
    retry: {
      maximumAttempts: attempts === Infinity ? 0 : check('retry.maximumAttempts', attempts),
      initialInterval,
      backoffCoefficient: check('retry.backoffCoefficient', retry.backoffCoefficient ?? 2),
      maximumInterval: duration('retry.maximumInterval', retry.maximumInterval, maximumInterval, [
        initialInterval,
        POLICY_RANGES['retry.maximumInterval'][1],
      ]),
    },
    local: policy.local ?? false,
    ...(definition.pool === undefined ? {} : { pool: definition.pool }),
  };
}

const POLICY_FIELDS = [
  'startToClose',
  'heartbeatTimeout',
  'scheduleToClose',
  'scheduleToStart',
  'retry',
  'local',
  'breaker',
  'onOpen',
] satisfies (keyof AgentPolicy)[];
const COMPENSATION_FIELDS = [
  'startToClose',
  'heartbeatTimeout',
  'retry',
] satisfies (keyof CompensationPolicy)[];
const RETRY_FIELDS = [
  'maximumAttempts',
  'initialInterval',
  'backoffCoefficient',
  'maximumInterval',
] satisfies (keyof NonNullable<AgentPolicy['retry']>)[];
