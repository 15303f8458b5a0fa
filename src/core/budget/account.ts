/**
 * An account as a pure state machine: what may be used of a budget, what was, and what is set aside for what is under way.
 * Its clock comes with the messages, and its state is JSON.
 *
 * 1. While nothing comes to more than was set aside for it, what was used and what is set aside are together at most the
 *    limit, in each unit that has one.
 * 2. What is set aside under an id counts once, however often it is asked; what is settled, too.
 * 3. What is never settled stays counted in full: after a day as `unseen`.
 * 4. A worker's message counts once, however often it comes within a day, and not at all after a later one of it.
 * 5. The account of a day (UTC) begins each day with nothing used; what was set aside on the day before was of that day.
 * 6. What does not fit only because of what is set aside for others is no refusal: it is to be asked again, until that is
 *    settled, or so old that nobody waits for it.
 */
import { isRecord } from '../json';
import { type Amount, MICRO } from '../usage';

/** What an account counts: what calls cost, and steps. Whole numbers. */
export interface Spent extends Amount {
  readonly steps: number;
}

/** What a call may cost at most. */
export interface Asked extends Amount {
  /** True where the price of its model is not known. */
  readonly unpriced?: true;
}

/** What may be used. A unit that is left out has no limit; 0 allows none. */
export type Limits = Partial<Spent>;

/** What is set aside, and not settled. */
export interface Reservation extends Spent {
  /** When, in ms since 1970. */
  readonly at: number;
}

/** An account at one point of its history. */
export interface AccountState {
  readonly version: 1;
  readonly account: string;
  readonly limits: Limits;
  /** Of the limits: how often they were changed. -1 where it was told none yet. */
  readonly revision: number;
  /** The day (UTC) that it is of, such as `2026-01-31`; absent where it is of no day. */
  readonly day?: string;
  /** What was settled. */
  readonly used: Spent;
  /** What was never settled, and is a day old. */
  readonly unseen: Spent;
  /** The sum of {@link reservations}. */
  readonly reserved: Spent;
  /** By id. */
  readonly reservations: Readonly<Record<string, Reservation>>;
  /** How often something did not fit. */
  readonly refused: number;
  /** What did not fit last, and when; absent since the limits were changed. */
  readonly short?: Shortfall & { readonly at: number };
  /** The last message of each worker, and what did not fit of it. */
  readonly workers: Readonly<Record<string, Heard>>;
}

/** The last message of a worker. */
interface Heard {
  readonly turn: number;
  readonly at: number;
  /** Absent where all was done. */
  readonly short?: AccountReply['short'];
}

/** Why something did not fit. Money is in US dollars. */
export interface Shortfall {
  readonly account: string;
  readonly limit: 'tokens' | 'money' | 'calls' | 'steps' | 'depth' | 'wallTime';
  readonly allowed: number;
  /** With what was never seen to end. */
  readonly used: number;
  readonly reserved: number;
  readonly asked: number;
  /** Present where it may fit once others have settled what is set aside for them: it is to be asked again, and no refusal. */
  readonly later?: true;
}

/** What of `value` is a {@link Shortfall}; undefined where nothing is. */
export function readShortfall(value: unknown): Shortfall | undefined {
  if (!isRecord(value)) return undefined;
  const { account, limit, allowed, used, reserved, asked } = value;
  const numbers = [allowed, used, reserved, asked].every((number) => typeof number === 'number');
  return typeof account === 'string' && LIMIT_NAMES.some((one) => one === limit) && numbers
    ? ({ account, limit, allowed, used, reserved, asked } as Shortfall)
    : undefined;
}

/** True where {@link Shortfall.later} stands in `details`. */
export function mayFitLater(details: unknown): boolean {
  return isRecord(details) && details['later'] === true;
}

/** True where it would fit if it were not for what is set aside, and may be given back. */
export function wouldFitAlone({ limit, allowed, used, reserved, asked }: Shortfall): boolean {
  if (limit !== 'tokens' && limit !== 'money' && limit !== 'calls') return false;
  return reserved > 0 && whole(used) + whole(asked) <= whole(allowed);
}

/** What must be allowed for it to fit, whatever comes of what is set aside. */
export function neededFor({ used, reserved, asked }: Shortfall): number {
  return (whole(used) + whole(reserved) + whole(asked)) / MICRO;
}

/** Sums of dollars are exact in millionths. */
function whole(amount: number): number {
  return Math.round(amount * MICRO);
}

const LIMIT_NAMES = [
  'tokens',
  'money',
  'calls',
  'steps',
  'depth',
  'wallTime',
] as const satisfies Shortfall['limit'][];

/**
 * What an account is asked to do. A settlement of nothing gives back what was set aside. Ids that are the same up to their
 * first `/` are of the same action.
 */
export type AccountOperation = { readonly id: string } & (
  | { readonly do: 'reserve'; readonly amount: Spent }
  | { readonly do: 'settle'; readonly amount: Spent }
);

/** What a worker sends an account. */
export interface AccountExchange {
  readonly worker: string;
  /** The how manieth of the worker's messages. One that is sent again has the same number. */
  readonly turn: number;
  readonly limits: Limits;
  readonly revision: number;
  /** At most {@link OPERATIONS_MAXIMUM}; done in order. */
  readonly operations: readonly AccountOperation[];
}

/** What an account answers: by index of the operation, what did not fit. All others were done. */
export interface AccountReply {
  readonly short: Readonly<Record<string, Shortfall>>;
}

export const OPERATIONS_MAXIMUM = 500;
export const NOTHING_SPENT: Spent = { tokens: 0, microUsd: 0, calls: 0, steps: 0 };
const UNITS = ['tokens', 'microUsd', 'calls', 'steps'] as const satisfies (keyof Spent)[];
const DAY = 24 * 60 * 60 * 1000;
/** What is set aside for so long, in ms, is waited for: a call that takes longer has more likely been lost. */
export const UNDER_WAY_MAXIMUM = 10 * 60 * 1000;

/** An account that was asked nothing yet. */
export function newAccount(account: string): AccountState {
  return {
    version: 1,
    account,
    limits: {},
    revision: -1,
    used: NOTHING_SPENT,
    unseen: NOTHING_SPENT,
    reserved: NOTHING_SPENT,
    reservations: {},
    refused: 0,
    workers: {},
  };
}

/** True for the accounts of agents and cadres. */
export function isDaily(account: string): boolean {
  return !account.startsWith('task.');
}

/** The account after a message that came at the time `now`, in ms since 1970, and its answer. */
export function exchange(
  before: AccountState,
  message: AccountExchange,
  now: number,
): readonly [AccountState, AccountReply] {
  let state = current(before, now);
  const known = state.workers[message.worker];
  if (known !== undefined && known.turn >= message.turn) {
    return [state, { short: (known.turn === message.turn && known.short) || {} }];
  }
  state = configured(state, message);
  const short: Record<string, Shortfall> = {};
  for (const [index, operation] of message.operations.entries()) {
    const problem = operation.do === 'reserve' ? shortfall(state, operation, now) : undefined;
    if (problem === undefined) {
      state = done(state, operation, now);
      continue;
    }
    short[index] = problem;
    if (!problem.later) state = { ...state, refused: state.refused + 1, short: { ...problem, at: now } };
  }
  const heard: Heard = { turn: message.turn, at: now, ...(Object.keys(short).length === 0 ? {} : { short }) };
  const workers = { ...state.workers, [message.worker]: heard };
  return [{ ...state, workers }, { short }];
}

/** The account as it is at the time `now`, in ms since 1970: of that day, and without what is too old. */
export function current(state: AccountState, now: number): AccountState {
  const day = new Date(now).toISOString().slice(0, 10);
  if (isDaily(state.account) && state.day !== day) {
    const { short: _over, ...rest } = state;
    return { ...rest, day, ...NOTHING_YET, refused: 0, workers: recent(state.workers, now) };
  }
  const old = Object.entries(state.reservations).filter(
    ([, { at, steps }]) => at <= now - DAY && steps === 0,
  );
  if (old.length === 0) return state;
  const reservations = { ...state.reservations };
  for (const [id] of old) delete reservations[id];
  const sum = old.reduce((total, [, one]) => plus(total, one), NOTHING_SPENT);
  return {
    ...state,
    reservations,
    reserved: minus(state.reserved, sum),
    unseen: plus(state.unseen, sum),
    workers: recent(state.workers, now),
  };
}

const NOTHING_YET = {
  used: NOTHING_SPENT,
  unseen: NOTHING_SPENT,
  reserved: NOTHING_SPENT,
  reservations: {},
} as const;

function recent(workers: AccountState['workers'], now: number): AccountState['workers'] {
  return Object.fromEntries(Object.entries(workers).filter(([, { at }]) => at > now - DAY));
}

/**
 * By the limits that were changed most often; of two that were so equally often, by the later. A task's are, where two have
 * changed them at the same time: what is more of each then stands.
 */
function configured(state: AccountState, { limits: told, revision }: AccountExchange): AccountState {
  if (revision < state.revision) return state;
  const both = revision === state.revision && !isDaily(state.account);
  const limits = both ? larger(state.limits, told) : told;
  const same = UNITS.every((unit) => limits[unit] === state.limits[unit]);
  if (same) return revision === state.revision ? state : { ...state, revision };
  const { short: _over, ...rest } = state;
  return { ...rest, limits, revision };
}

function larger(one: Limits, other: Limits): Limits {
  const limits = UNITS.map((unit) => [unit, Math.max(one[unit] ?? -1, other[unit] ?? -1)] as const);
  return Object.fromEntries(limits.filter(([, limit]) => limit >= 0));
}

/** Why it does not fit; undefined where it does. What is set aside already fits. */
function shortfall(
  state: AccountState,
  { id, amount }: AccountOperation,
  now: number,
): Shortfall | undefined {
  if (Object.hasOwn(state.reservations, id)) return undefined;
  const over = (unit: keyof Spent, given: Spent = NOTHING_SPENT): boolean => {
    const limit = state.limits[unit];
    return limit !== undefined && amount[unit] > 0 && taken(state, unit) - given[unit] + amount[unit] > limit;
  };
  const units = UNITS.filter((unit) => over(unit));
  if (units.length === 0) return undefined;
  const underWay = underWayOf(state, id, now);
  // What no waiting can mend comes first. A step that was begun is never given back.
  const final = units.find((unit) => unit === 'steps' || over(unit, underWay));
  const unit = final ?? units[0] ?? 'tokens';
  const shown = (value: number): number => shownAmount(unit, value);
  return {
    account: state.account,
    limit: unit === 'microUsd' ? 'money' : unit,
    allowed: shown(state.limits[unit] ?? 0),
    used: shown(state.used[unit] + state.unseen[unit]),
    reserved: shown(state.reserved[unit]),
    asked: shown(amount[unit]),
    ...(final === undefined ? { later: true } : {}),
  };
}

/** What is set aside for calls of other actions that may be under way. What an action's own earlier attempts left is lost. */
function underWayOf({ reservations }: AccountState, id: string, now: number): Spent {
  const action = actionOf(id);
  return Object.entries(reservations)
    .filter(([other, { at }]) => at > now - UNDER_WAY_MAXIMUM && actionOf(other) !== action)
    .reduce((sum, [, one]) => plus(sum, one), NOTHING_SPENT);
}

function actionOf(id: string): string {
  const [action = ''] = id.split('/', 1);
  return action;
}

/** So much of `unit` as persons are told it: money in US dollars. */
export function shownAmount(unit: keyof Spent, amount: number): number {
  return unit === 'microUsd' ? amount / MICRO : amount;
}

/** What counts against the limit of `unit`. */
export function taken({ used, unseen, reserved }: AccountState, unit: keyof Spent): number {
  return used[unit] + unseen[unit] + reserved[unit];
}

function done(state: AccountState, { do: what, id, amount }: AccountOperation, now: number): AccountState {
  const there = Object.hasOwn(state.reservations, id) ? state.reservations[id] : undefined;
  if (what === 'reserve') {
    if (there !== undefined) return state;
    const reservation = { ...onlySpent(amount), at: now };
    return {
      ...state,
      reservations: { ...state.reservations, [id]: reservation },
      reserved: plus(state.reserved, reservation),
    };
  }
  // Settled before, or set aside on another day.
  if (there === undefined) return state;
  const { [id]: _settled, ...reservations } = state.reservations;
  return {
    ...state,
    reservations,
    reserved: minus(state.reserved, there),
    used: plus(state.used, amount),
  };
}

function onlySpent({ tokens, microUsd, calls, steps }: Spent): Spent {
  return { tokens, microUsd, calls, steps };
}

/** The sum. */
export function plus(a: Spent, b: Spent): Spent {
  return {
    tokens: a.tokens + b.tokens,
    microUsd: a.microUsd + b.microUsd,
    calls: a.calls + b.calls,
    steps: a.steps + b.steps,
  };
}

function minus(a: Spent, b: Spent): Spent {
  return {
    tokens: a.tokens - b.tokens,
    microUsd: a.microUsd - b.microUsd,
    calls: a.calls - b.calls,
    steps: a.steps - b.steps,
  };
}
