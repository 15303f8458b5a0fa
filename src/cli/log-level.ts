import type { LogLevel } from '@temporalio/worker';

const LEVELS: readonly LogLevel[] = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'];

/** From which level on what the SDK's worker logs goes to standard error: `LOG_LEVEL`, else `fallback`. */
export function logLevel(fallback: LogLevel): LogLevel {
  const wanted = process.env['LOG_LEVEL']?.toUpperCase();
  return LEVELS.find((level) => level === wanted) ?? fallback;
}
