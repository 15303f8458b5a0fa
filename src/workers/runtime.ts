import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, type LogLevel, Runtime, makeTelemetryFilterString } from '@temporalio/worker';
import type { FailureType } from '../core/failures';

/** Errors are no JSON of their own, and a task token says nothing to anybody. */
function forPeople(key: string, value: unknown): unknown {
  if (key === 'taskToken') return undefined;
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}

/** What the SDK warns of for every worker of agents alone: so it is meant. */
const AGENTS_ONLY = 'No workflows registered, not polling for workflow tasks';

/** What a worker that stops, or leads no more, gives back is no failure. */
function isHandingBack(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.type === ('HandedBack' satisfies FailureType);
}

/**
 * Sets up the SDK's process-wide runtime: logs of `level` and above to standard error, and no handling of
 * signals (the caller's job). Call once, before anything connects.
 */
export function installRuntime(level: LogLevel): void {
  Runtime.install({
    logger: new DefaultLogger(level, ({ level: of, message, meta }) => {
      if (message === AGENTS_ONLY || isHandingBack(meta?.['error'])) return;
      const attributes =
        meta === undefined || Object.keys(meta).length === 0 ? '' : ` ${JSON.stringify(meta, forPeople)}`;
      process.stderr.write(`${new Date().toISOString()} ${of} ${message}${attributes}\n`);
    }),
    telemetryOptions: {
      logging: {
        forward: {},
        filter: makeTelemetryFilterString({ core: level === 'TRACE' ? 'TRACE' : 'ERROR', other: 'ERROR' }),
      },
    },
    shutdownSignals: [],
  });
}
