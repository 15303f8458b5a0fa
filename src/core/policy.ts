import type { BreakerPhase } from './breaker/breaker';
import { type FieldProblem, isRecord } from './json';

/**
 * How Temporal is to run an agent. All times in milliseconds. It travels as data with the plan, so
 * that a task runs by the policy that was in force when it was planned, whatever is deployed later.
 */
export interface ResolvedPolicy {
  /** The longest one attempt may take. */
  readonly startToClose: number;
  /** An attempt that has not reported for so long is taken for dead and retried elsewhere. */
  readonly heartbeatTimeout: number;
  /** The longest all attempts and waits may take together; absent: no limit. */
  readonly scheduleToClose?: number;
  /** The longest a step may wait for a worker before it goes back to the leader; absent: no limit. */
  readonly scheduleToStart?: number;
  readonly retry: ResolvedRetry;
  /** Run inside the workflow task: fewer round trips, but a crash may run the step again. */
  readonly local: boolean;
  readonly pool?: string;
  /** Present where a breaker guards the agent. */
  readonly breaker?: ResolvedBreaker;
  /** Present where the agent can undo what it did: how that is run. */
  readonly compensation?: ResolvedCompensation;
}

/** What a task must know of an agent's breaker. How that decides, its workers know. */
export interface ResolvedBreaker {
  readonly key: string;
  readonly onOpen: OnOpen;
}

/** What becomes of a step whose agent's breaker does not let it through. */
export type OnOpen = 'wait' | 'fail' | { readonly fallback: string };

/** To whom a step goes whose agent's breaker does not let it through; undefined where it stays. */
export function fallbackOf(policy: ResolvedPolicy | undefined): string | undefined {
  const onOpen = policy?.breaker?.onOpen;
  return typeof onOpen === 'object' ? onOpen.fallback : undefined;
}

/** How Temporal is to run what undoes a step. All times in milliseconds. */
export interface ResolvedCompensation {
  readonly startToClose: number;
  readonly heartbeatTimeout: number;
  readonly retry: ResolvedRetry;
}

export interface ResolvedRetry {
  /** Attempts in all, the first included; 0: without end. */
  readonly maximumAttempts: number;
  readonly initialInterval: number;
  readonly backoffCoefficient: number;
  readonly maximumInterval: number;
}

const SECOND = 1000;
const DAY = 24 * 60 * 60 * SECOND;

/** What a duration or number of a policy may be: the least and the most, durations in milliseconds. */
export const POLICY_RANGES = {
  startToClose: [1, 30 * DAY],
  heartbeatTimeout: [500, DAY / 24],
  scheduleToClose: [1, 3650 * DAY],
  scheduleToStart: [1, 30 * DAY],
  'retry.maximumAttempts': [1, 1000],
  'retry.initialInterval': [1, DAY],
  'retry.backoffCoefficient': [1, 10],
  'retry.maximumInterval': [1, 30 * DAY],
} as const satisfies Record<string, readonly [number, number]>;

/** What a step may change of its agent's policy. Times in milliseconds, within {@link POLICY_RANGES}. */
export interface StepPolicy {
  readonly startToClose?: number;
  readonly heartbeatTimeout?: number;
  readonly scheduleToClose?: number;
  readonly scheduleToStart?: number;
  /** `maximumAttempts` may be 0 too: without end. */
  readonly retry?: Partial<ResolvedRetry>;
}

/** What is wrong with `candidate` as a {@link StepPolicy}. */
export function stepPolicyProblems(candidate: unknown): FieldProblem[] {
  if (!isRecord(candidate)) return [[[], 'an object']];
  const { retry = {}, ...limits } = candidate;
  if (!isRecord(retry)) return [[['retry'], 'an object']];
  const given = [
    ...Object.entries(limits).map(([field, value]) => [[field], value] as const),
    ...Object.entries(retry).map(([field, value]) => [['retry', field], value] as const),
  ];
  return given.flatMap(([path, value]): FieldProblem[] => {
    const field = path.join('.');
    const known = path.every((name) => !name.includes('.')) && Object.hasOwn(POLICY_RANGES, field);
    if (!known) return [[path, `left out (the fields are ${Object.keys(POLICY_RANGES).join(', ')})`]];
    const [least, most] = POLICY_RANGES[field as keyof typeof POLICY_RANGES];
    const endless = field === 'retry.maximumAttempts' && value === 0;
    const whole = field !== 'retry.maximumAttempts' || Number.isInteger(value);
    if (endless || (typeof value === 'number' && value >= least && value <= most && whole)) return [];
    return [[path, `a number from ${least} to ${most}`]];
  });
}

/** The policy that a step runs by. */
export function policyOfStep(policy: ResolvedPolicy, changes: StepPolicy | undefined): ResolvedPolicy {
  if (changes === undefined) return policy;
  const { retry, ...limits } = changes;
  return { ...policy, ...limits, retry: { ...policy.retry, ...retry } };
}

/** One agent as the leader sees it when it plans. */
export interface RosterEntry {
  readonly name: string;
  readonly description: string;
  readonly skills: readonly string[];
  readonly pool?: string;
  /** What it takes, as a JSON schema; absent where its schema cannot say it. */
  readonly input?: Readonly<Record<string, unknown>>;
  readonly queue: {
    readonly name: string;
    /** Workers that polled the queue lately; absent where the server does not say. */
    readonly pollers?: number;
    /** Activities that wait on the queue; absent where the server does not say. */
    readonly backlog?: number;
  };
  /** Present where its breaker is not closed: a step that it gets now would wait. */
  readonly breaker?: OpenBreaker;
}

/** A breaker that does not let every call through. */
export interface OpenBreaker {
  readonly key: string;
  readonly kind: BreakerPhase['kind'];
}

/** What the leader plans with: who there is, how busy they are, and which breakers are open. */
export interface Roster {
  readonly agents: readonly RosterEntry[];
  readonly openBreakers: readonly OpenBreaker[];
}
