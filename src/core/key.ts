/** Keys that users name locks and breakers by. */
import { inputInvalid } from './failures';

/** 1 to 200 characters, of which none is a control character or half of a pair. */
const KEY = /^[^\p{Cc}\p{Cs}]{1,200}$/u;

export function isKey(key: unknown): key is string {
  return typeof key === 'string' && KEY.test(key);
}

/** Returns `key`, or throws InputInvalid. `what` says in the message whose key it is, such as `lock`. */
export function validKey(what: string, key: unknown): string {
  if (isKey(key)) return key;
  throw inputInvalid(`the key of a ${what}`, '1 to 200 characters without control characters', key);
}
