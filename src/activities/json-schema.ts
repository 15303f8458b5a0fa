import type { StandardSchemaV1 } from '@standard-schema/spec';
import { isRecord } from '../core/json';

/** A JSON schema (draft 7). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * What `schema` takes, as a JSON schema; undefined where the schema cannot say it. Zod from 4.2 on, and whatever else
 * implements https://standardschema.dev/json-schema.
 */
export function jsonSchemaOf(schema: StandardSchemaV1): JsonSchema | undefined {
  const { jsonSchema } = schema['~standard'] as { jsonSchema?: unknown };
  if (!isRecord(jsonSchema) || typeof jsonSchema['input'] !== 'function') return undefined;
  try {
    const said: unknown = jsonSchema['input']({ target: 'draft-07' });
    return isRecord(said) ? said : undefined;
  } catch {
    return undefined;
  }
}
