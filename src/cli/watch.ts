import { setTimeout as delay } from 'node:timers/promises';
import type { CadreClient } from '../client/cadre-client';
import type { CommonFlags } from './connection-options';
import { EXIT } from './exit';
import { onInterrupt } from './interrupt';
import type { Output } from './output';
import { openSession } from './session';

/** How long a watch waits for a server or a worker that is away before it asks again, in ms. */
const RETRY_INTERVAL = 1000;

/** What a command watches, and what it says of it. */
export interface Watched<Value> {
  readonly changes: (client: CadreClient, signal: AbortSignal) => AsyncIterable<Value>;
  readonly tell: (value: Value) => void;
  /** Who does not answer, in words. */
  readonly away: (error: unknown) => string;
}

/** Tells of each change until Ctrl-C; goes on when the server is away for a while. */
export async function watchUntilInterrupted<Value>(
  flags: CommonFlags,
  output: Output,
  { changes, tell, away }: Watched<Value>,
): Promise<number> {
  const session = await openSession(flags);
  const interrupt = onInterrupt(() => undefined);
  const { signal } = interrupt;
  try {
    for (;;) {
      try {
        for await (const value of changes(session.client, signal)) tell(value);
      } catch (error) {
        if (!signal.aborted) output.line(`${instant(Date.now())}  ${away(error)}; trying again`);
      }
      if (signal.aborted) return EXIT.done;
      await delay(RETRY_INTERVAL, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    interrupt.release();
    await session.close();
  }
}

/** A time in ms since 1970 as a time of day, to the millisecond. */
export function instant(time: number): string {
  return new Date(time).toISOString().slice(11, 23);
}
