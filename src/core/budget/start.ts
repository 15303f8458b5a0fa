/** What a budget's workflow begins with and is told, and what the server lists of it. These payloads stand in history. */
import { inputInvalid } from '../failures';
import { isRecord } from '../json';
import { ACCOUNT_MEMO } from '../names';
import type { Resume } from '../resume';
import {
  type AccountExchange,
  type AccountOperation,
  type AccountState,
  type Limits,
  NOTHING_SPENT,
  OPERATIONS_MAXIMUM,
  type Spent,
  newAccount,
} from './account';
import { isAccount } from './budget';

/** What starts an account: its name, or what an earlier run left. */
export type AccountStart = { readonly account: string } | Resume<AccountState>;

const TEXT_MAXIMUM_LENGTH = 200;
const UNITS: readonly string[] = Object.keys(NOTHING_SPENT);

/** What a run begins with. Throws InputInvalid. */
export function accountStart(start: unknown): AccountState {
  const snapshot = isRecord(start) && isRecord(start['snapshot']) ? start['snapshot'] : undefined;
  const account = validAccount((snapshot ?? (isRecord(start) ? start : {}))['account']);
  if (snapshot === undefined) return newAccount(account);
  if (isAccountState(snapshot)) return snapshot;
  throw inputInvalid('`snapshot`', "an account's state", snapshot);
}

/** Returns `account`, or throws InputInvalid. */
export function validAccount(account: unknown): string {
  if (isAccount(account)) return account;
  throw inputInvalid('the account', '`cadre`, `agent.NAME` or `task.` and 16 hex digits', account);
}

export function accountMemo(account: string): { [ACCOUNT_MEMO]: string } {
  return { [ACCOUNT_MEMO]: account };
}

/** Which account a memo is of; undefined where it is none's. */
export function readAccountMemo(memo: unknown): string | undefined {
  const account = isRecord(memo) ? memo[ACCOUNT_MEMO] : undefined;
  return isAccount(account) ? account : undefined;
}

/** Throws InputInvalid where `candidate` is no message to an account. */
export function readExchange(candidate: unknown): AccountExchange {
  if (!isRecord(candidate)) throw inputInvalid('a message', 'an object', candidate);
  const { worker, turn, limits, revision, operations } = candidate;
  if (!isText(worker)) throw inputInvalid('`worker`', 'a text', worker);
  if (!isCount(turn)) throw inputInvalid('`turn`', 'a whole number', turn);
  if (!isLimits(limits)) throw inputInvalid('`limits`', `whole numbers of ${UNITS.join(', ')}`, limits);
  if (!isCount(revision)) throw inputInvalid('`revision`', 'a whole number', revision);
  const most = OPERATIONS_MAXIMUM;
  if (!Array.isArray(operations) || operations.length > most || !operations.every(isOperation)) {
    throw inputInvalid('`operations`', `up to ${most} of { do, id, amount }`, operations);
  }
  return { worker, turn, limits, revision, operations };
}

/** Whether an account takes `value`. */
export function isOperation(value: unknown): value is AccountOperation {
  if (!isRecord(value)) return false;
  const known = value['do'] === 'reserve' || value['do'] === 'settle';
  return known && isText(value['id']) && isSpent(value['amount']);
}

function isAccountState(value: Record<string, unknown>): value is Record<string, unknown> & AccountState {
  const { version, limits, revision, reservations, workers, refused } = value;
  return (
    version === 1 &&
    isLimits(limits) &&
    Number.isSafeInteger(revision) &&
    ['used', 'unseen', 'reserved'].every((field) => isSpent(value[field])) &&
    isRecord(reservations) &&
    Object.values(reservations).every(isSpent) &&
    isRecord(workers) &&
    isCount(refused)
  );
}

function isLimits(value: unknown): value is Limits {
  return (
    isRecord(value) && Object.entries(value).every(([unit, limit]) => UNITS.includes(unit) && isCount(limit))
  );
}

function isSpent(value: unknown): value is Spent {
  return isRecord(value) && UNITS.every((unit) => isCount(value[unit]));
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= TEXT_MAXIMUM_LENGTH;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
