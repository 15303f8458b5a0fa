import type { StandardSchemaV1 } from '@standard-schema/spec';
import { CadreError, type FailureType } from '../core/failures';

const ISSUES_SHOWN = 3;

/**
 * What the schema makes of `value`. Throws CadreError of `type`, with `what` and the fields that are wrong in
 * its message and all issues (at most 20) in its details.
 */
export async function validate<Value>(
  schema: StandardSchemaV1<unknown, Value>,
  value: unknown,
  type: FailureType,
  what: string,
): Promise<Value> {
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ message, path }) => ({ field: fieldName(path), message }));
  const shown = issues
    .slice(0, ISSUES_SHOWN)
    .map(({ field, message }) => (field === '' ? message : `${field}: ${message}`));
  const more = issues.length > ISSUES_SHOWN ? `; and ${issues.length - ISSUES_SHOWN} more` : '';
  throw new CadreError(type, `${what} does not match its schema: ${shown.join('; ')}${more}`, {
    details: issues.slice(0, 20),
  });
}

function fieldName(path: StandardSchemaV1.Issue['path']): string {
  return (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
}
