import { setTimeout as delay } from 'node:timers/promises';

export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /** How often to look, in ms. Default 500. */
  readonly interval?: number;
}

/** What `read` returns, at first and whenever what `seen` picks of it is not what it was. Throws what `read` throws. */
export async function* watchChanges<Value>(
  read: () => Promise<Value>,
  seen: (value: Value) => unknown,
  { signal, interval = 500 }: WatchOptions = {},
): AsyncGenerator<Value> {
  let last: string | undefined;
  for (;;) {
    if (signal?.aborted) return;
    const value = await read();
    const now = JSON.stringify(seen(value));
    if (now !== last) yield value;
    last = now;
    await delay(interval, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}
