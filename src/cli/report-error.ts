import { TaskFailedError } from '../client/task-handle';
import { readShortfall } from '../core/budget/account';
import { type FailureType, fixFor, isCadreError } from '../core/failures';
import { isRecord } from '../core/json';
import { EXIT } from './exit';
import type { Output } from './output';

const UNREACHABLE: ReadonlySet<string> = new Set<FailureType>([
  'ServerUnreachable',
  'ServerUnavailable',
  'DatabaseInUse',
]);
const USAGE: ReadonlySet<string> = new Set<FailureType>([
  'InputInvalid',
  'HistoryFileInvalid',
  'InputTooLarge',
  'GoalEmpty',
  'PlanInvalid',
  'NameInvalid',
  'ConfigInvalid',
  'DocumentsUnreadable',
  'AgentUnknown',
]);

/**
 * Says what went wrong, why and what to do, and returns the exit code. The stack is shown only
 * where `CADRE_DEBUG` is set. `also` stands beside the error in `--json`.
 */
export function reportError(error: unknown, output: Output, also: Record<string, unknown> = {}): number {
  const { type, message } = describe(error);
  const cause = causeOf(error);
  const names = {
    ...textsOf(also, 'task'),
    ...textsOf(cause.details, 'task', 'step'),
    short: shortOf(error),
  };
  const fix = fixFor(cause.type ?? type, names) ?? fixFor(type, names);
  output.line(`${output.paint('red', '✗')} ${message}`);
  if (fix !== undefined) output.line(`  → ${fix}`);
  const unexpected = fix === undefined && !(error instanceof TaskFailedError);
  if (process.env['CADRE_DEBUG']) output.line(error instanceof Error ? `${error.stack}` : '');
  else if (unexpected) output.line('  → Set CADRE_DEBUG=1 to see where it came from.');
  output.value({ ...also, error: { type, message, ...(fix === undefined ? {} : { fix }) } });
  if (isUnreachable(error) || UNREACHABLE.has(type)) return EXIT.unreachable;
  // A task that was refused by its workers has failed; only what was refused here is a usage error.
  return isCadreError(error) && USAGE.has(type) ? EXIT.usage : EXIT.failed;
}

function describe(error: unknown): { type: string; message: string } {
  if (isCadreError(error) || error instanceof TaskFailedError)
    return { type: error.type, message: error.message };
  if (isUnreachable(error))
    return { type: 'ServerUnreachable', message: `Lost the Temporal server: ${error.message}` };
  return error instanceof Error
    ? { type: error.name, message: error.message }
    : { type: 'Error', message: String(error) };
}

/** What is known of a failure's origin; of a task's, the step that failed and the type of its failure, which has the better advice. */
function causeOf(error: unknown): { details?: unknown; type?: string } {
  if (isCadreError(error)) return { details: error.details };
  if (!(error instanceof TaskFailedError) || !isRecord(error.details)) return {};
  const { failed } = error.details;
  const { type } = textsOf(isRecord(failed) ? failed['failure'] : undefined, 'type');
  return { details: failed, ...(type === undefined ? {} : { type }) };
}

/** What did not fit, where a budget was reached. */
function shortOf(error: unknown): ReturnType<typeof readShortfall> {
  return isCadreError(error) || error instanceof TaskFailedError ? readShortfall(error.details) : undefined;
}

/** Those of `fields` that are texts. */
function textsOf<Field extends string>(
  record: unknown,
  ...fields: readonly Field[]
): Partial<Record<Field, string>> {
  const texts: Partial<Record<Field, string>> = {};
  for (const field of fields) {
    const value = isRecord(record) ? record[field] : undefined;
    if (typeof value === 'string') texts[field] = value;
  }
  return texts;
}

const GRPC_UNAVAILABLE = 14;
const GRPC_DEADLINE_EXCEEDED = 4;

function isUnreachable(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const { code } = error as Error & { code?: unknown };
  return code === GRPC_UNAVAILABLE || code === GRPC_DEADLINE_EXCEEDED;
}
