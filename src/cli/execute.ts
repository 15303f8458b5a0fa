import type { LogLevel } from '@temporalio/worker';
import type { CommonFlags } from './connection-options';
import type { Output } from './output';

/**
 * Runs a command's body and turns what it returns or throws into the process's exit code. What the SDK logs goes to
 * standard error from `level` (default `WARN`) on, or from `LOG_LEVEL` on.
 */
export type Execute = (
  flags: CommonFlags,
  body: (output: Output) => Promise<number>,
  level?: LogLevel,
) => Promise<void>;
