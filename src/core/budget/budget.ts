/**
 * What a task may use, and what is left to its children. Owns the limits that tasks, agents and cadres are given; what was
 * used of them is an account's (`account.ts`).
 */
import { sha256 } from '@noble/hashes/sha2';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils';
import type { Duration } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import { CadreError, inputInvalid } from '../failures';
import { type FieldProblem, isRecord } from '../json';
import { MICRO } from '../usage';
import type { Limits, Shortfall } from './account';
import { shortfallMessage } from './words';

/** What a task may use, with its children. A field that is left out is no limit of its own; 0 allows none. */
export interface Budget {
  /** Of models, input and output together. Up to 1e12. */
  readonly tokens?: number;
  /** US dollars, to the millionth. Up to 1,000,000. */
  readonly money?: number;
  /** Calls of models. Up to 1e12. */
  readonly calls?: number;
  /** Steps that are begun, each once however often it is tried; a vote has one for each voter. Up to 10,000. */
  readonly steps?: number;
  /** How many levels of children may be below it. 0 to 10. */
  readonly depth?: number;
  /** From its start, or from where it was resumed: milliseconds or a string such as `10m`, from 1 second to 365 days. */
  readonly wallTime?: Duration;
}

/** What an agent, or the whole cadre, may use a day (UTC). A field that is left out is no limit; 0 allows none. */
export type DailyBudget = Pick<Budget, 'tokens' | 'money' | 'calls'>;

/** An account that is asked before something is used, and the limits that it is told. */
export interface BudgetLine {
  readonly account: string;
  readonly limits: Limits;
  /** How often they were changed. An account goes by those that were changed most often. */
  readonly revision: number;
}

/** What a task's activities go by, and its children. */
export interface Spending {
  /** Its own account, then its parents', the nearest first; none where nothing is limited. */
  readonly lines: readonly BudgetLine[];
  /** When its time is over, in ms since 1970; absent where it has no limit. */
  readonly until?: number;
  /** How many levels of children may be below it; absent where that is not limited. */
  readonly depth?: number;
}

/** A task that starts another: `context.parent` of its agents. */
export interface ParentTask extends Spending {
  /** Its id. */
  readonly task: string;
}

/** The budget of a task, as its state has it. */
export interface TaskBudget extends Spending {
  /** What it was given last; absent where only its parents have one. */
  readonly given?: Budget;
  /** What its parent has; absent where it has none. */
  readonly parent?: Spending;
  /** How often it was resumed with more. */
  readonly revision: number;
}

const DAY = 24 * 60 * 60 * 1000;
const LEVELS_MAXIMUM = 10;

/** What each number may be: the least and the most; `wallTime` in ms. */
const RANGES = {
  tokens: [0, 1e12],
  money: [0, 1e6],
  calls: [0, 1e12],
  steps: [0, 10_000],
  depth: [0, LEVELS_MAXIMUM],
  wallTime: [1000, 365 * DAY],
} as const satisfies Record<keyof Budget, readonly [number, number]>;
const DAILY = ['tokens', 'money', 'calls'] as const satisfies (keyof DailyBudget)[];
export const BUDGET_FIELDS = Object.keys(RANGES) as (keyof Budget)[];

/** What is wrong with `candidate` as a {@link Budget}, or as one of a day. */
export function budgetProblems(candidate: unknown, daily = false): FieldProblem[] {
  const fields: readonly string[] = daily ? DAILY : BUDGET_FIELDS;
  if (!isRecord(candidate)) return [[[], `an object of ${fields.join(', ')}`]];
  return Object.entries(candidate).flatMap(([field, value]): FieldProblem[] => {
    if (value === undefined) return [];
    if (!fields.includes(field)) return [[[field], `left out (the fields are ${fields.join(', ')})`]];
    const [least, most] = RANGES[field as keyof Budget];
    const number = field === 'wallTime' ? milliseconds(value) : value;
    const whole = field !== 'money' && field !== 'wallTime';
    const fits = typeof number === 'number' && number >= least && number <= most;
    if (fits && (!whole || Number.isInteger(number))) return [];
    const duration = field === 'wallTime' ? 'milliseconds or a duration such as "10m",' : 'a number';
    return [[[field], `${whole ? 'a whole number' : duration} from ${least} to ${most}`]];
  });
}

function milliseconds(value: unknown): number {
  if (typeof value === 'number') return value;
  try {
    return typeof value === 'string' ? msToNumber(value as Duration) : Number.NaN;
  } catch {
    return Number.NaN;
  }
}

/** `candidate` as a budget, its wall time in ms. Throws InputInvalid, naming the field. */
export function readBudget(candidate: unknown): Budget {
  const [problem] = budgetProblems(candidate);
  if (problem !== undefined) {
    const [path, expected] = problem;
    const [field] = path;
    const got = field !== undefined && isRecord(candidate) ? candidate[field] : candidate;
    throw inputInvalid(`\`${['budget', ...path].join('.')}\``, expected, got);
  }
  const given = candidate as Budget;
  const wallTime = given.wallTime === undefined ? {} : { wallTime: milliseconds(given.wallTime) };
  return Object.fromEntries(
    Object.entries({ ...given, ...wallTime }).filter(([, value]) => value !== undefined),
  );
}

/** `candidate` as a task's parent. Throws InputInvalid; BudgetReached where it may have no children. */
export function readParent(candidate: unknown): ParentTask {
  const { task, lines, until, depth } = isRecord(candidate) ? candidate : {};
  const isLines = Array.isArray(lines) && lines.length <= LEVELS_MAXIMUM && lines.every(isLine);
  const isCount = (value: unknown): boolean =>
    value === undefined || (Number.isSafeInteger(value) && Number(value) >= 0);
  if (typeof task !== 'string' || !isLines || !isCount(until) || !isCount(depth)) {
    throw inputInvalid('`parent`', "what an agent's `context.parent` says", candidate);
  }
  const parent = candidate as ParentTask;
  if (parent.depth !== 0) return parent;
  throw budgetReached({
    account: `task ${task}`,
    limit: 'depth',
    allowed: 0,
    used: 0,
    reserved: 0,
    asked: 1,
  });
}

function isLine(value: unknown): value is BudgetLine {
  if (!isRecord(value)) return false;
  const { account, limits, revision } = value;
  return isAccount(account) && isRecord(limits) && Number.isSafeInteger(revision);
}

/** The account of the whole cadre. */
export const CADRE_ACCOUNT = 'cadre';

/** The account of the agent `name`. */
export function agentAccount(name: string): string {
  return `agent.${name}`;
}

/** The account of the task, and of what resumes it. */
export function taskAccount(root: string): string {
  return `task.${bytesToHex(sha256(utf8ToBytes(root))).slice(0, 16)}`;
}

export function isAccount(value: unknown): value is string {
  return typeof value === 'string' && /^(cadre|agent\.[a-z][a-z0-9-]{0,62}|task\.[0-9a-f]{16})$/.test(value);
}

/** The limits of a budget that an account can watch. */
export function limitsOf({ tokens, money, calls, steps }: Budget): Limits {
  return {
    ...(tokens === undefined ? {} : { tokens }),
    ...(money === undefined ? {} : { microUsd: Math.round(money * MICRO) }),
    ...(calls === undefined ? {} : { calls }),
    ...(steps === undefined ? {} : { steps }),
  };
}

/** The line of what an agent or the cadre may use a day; undefined where it has no limit. */
export function dailyLine(account: string, budget: DailyBudget | undefined): BudgetLine | undefined {
  const limits = limitsOf(budget ?? {});
  return Object.keys(limits).length === 0 ? undefined : { account, limits, revision: 0 };
}

/** What a task's budget is made of. */
export interface TaskBudgetOptions {
  readonly budget?: Budget | undefined;
  readonly parent?: Spending | undefined;
  /** How often it was resumed with more. Default 0. */
  readonly revision?: number;
}

/**
 * The budget of the task of `root` that begins `at` (ms since 1970); undefined where nothing is limited.
 */
export function taskBudget(
  root: string,
  at: number,
  { budget, parent, revision = 0 }: TaskBudgetOptions,
): TaskBudget | undefined {
  const { wallTime, depth } = budget ?? {};
  const limits = limitsOf(budget ?? {});
  const own = Object.keys(limits).length === 0 ? [] : [{ account: taskAccount(root), limits, revision }];
  const until = smaller(wallTime === undefined ? undefined : at + Number(wallTime), parent?.until);
  const levels = smaller(depth, parent?.depth === undefined ? undefined : parent.depth - 1);
  const lines = [...own, ...(parent?.lines ?? [])];
  if (budget === undefined && lines.length === 0 && until === undefined && levels === undefined)
    return undefined;
  return {
    ...(budget === undefined ? {} : { given: budget }),
    ...(parent === undefined ? {} : { parent: spendingOf(parent) }),
    revision,
    lines,
    ...(until === undefined ? {} : { until }),
    ...(levels === undefined ? {} : { depth: levels }),
  };
}

/** What of a task's budget its activities are told, and its children. */
export function spendingOf({ lines, until, depth }: Spending): Spending {
  return {
    lines,
    ...(until === undefined ? {} : { until }),
    ...(depth === undefined ? {} : { depth }),
  };
}

function smaller(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : Math.min(a, b ?? a);
}

/** What something fails as that would use more than it may. */
export function budgetReached(short: Shortfall): CadreError {
  return new CadreError('BudgetReached', shortfallMessage(short), { details: short });
}
