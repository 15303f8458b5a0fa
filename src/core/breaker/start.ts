/** What a breaker's workflow begins with, and what the server lists of it. */
import { inputInvalid } from '../failures';
import { isRecord } from '../json';
import { isKey, validKey } from '../key';
import { BREAKER_MEMO } from '../names';
import type { Resume } from '../resume';
import { type BreakerPhase, type BreakerState, newBreaker, restoreBreaker } from './breaker';

/** A breaker of a key. */
export interface KeyedBreaker {
  readonly key: string;
  readonly state: BreakerState;
}

/** What starts a breaker: its key, or what an earlier run left. */
export type BreakerStart = { readonly key: string } | Resume<KeyedBreaker>;

/** What the memo of a breaker says. */
export interface BreakerMemo {
  readonly key: string;
  readonly kind: BreakerPhase['kind'];
}

/** What a run begins with. Throws InputInvalid. */
export function breakerStart(start: unknown): KeyedBreaker {
  const snapshot = isRecord(start) && isRecord(start['snapshot']) ? start['snapshot'] : undefined;
  const key = validKey('breaker', (snapshot ?? (isRecord(start) ? start : {}))['key']);
  if (snapshot === undefined) return { key, state: newBreaker() };
  const state = restoreBreaker(snapshot['state']);
  if (state !== undefined) return { key, state };
  throw inputInvalid('`snapshot.state`', "a breaker's state", snapshot['state']);
}

export function breakerMemo({ key, state }: KeyedBreaker): { [BREAKER_MEMO]: BreakerMemo } {
  return { [BREAKER_MEMO]: { key, kind: state.phase.kind } };
}

/** What a memo says of a breaker; undefined where it is none's. */
export function readBreakerMemo(memo: unknown): BreakerMemo | undefined {
  const said = isRecord(memo) ? memo[BREAKER_MEMO] : undefined;
  return isRecord(said) && isKey(said['key']) && typeof said['kind'] === 'string'
    ? { key: said['key'], kind: said['kind'] as BreakerMemo['kind'] }
    : undefined;
}
