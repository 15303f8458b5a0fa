/**
 * Ctrl-C (and SIGTERM): the first asks for an orderly end, the second ends at once. Owns the process's
 * signal handlers, and with `main.ts` its exit.
 */
import { EXIT } from './exit';

export interface Interrupt {
  /** Aborts at the first signal. */
  readonly signal: AbortSignal;
  /** Gives the signals back. */
  release(): void;
}

/** `beforeExit` runs at the second signal, must not wait, and may stop child processes. */
export function onInterrupt(first: () => void, beforeExit: () => void = () => undefined): Interrupt {
  const controller = new AbortController();
  const handle = (): void => {
    if (controller.signal.aborted) {
      beforeExit();
      process.exit(EXIT.interrupted);
    }
    controller.abort();
    first();
  };
  process.on('SIGINT', handle);
  process.on('SIGTERM', handle);
  return {
    signal: controller.signal,
    release() {
      process.off('SIGINT', handle);
      process.off('SIGTERM', handle);
    },
  };
}
