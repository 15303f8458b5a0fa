/** What kinds of agents share that have fields of their own beside `defineAgent`'s. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { CadreError } from '../core/failures';
import { shownJson } from '../core/json';

/** Takes whatever comes, as it is. */
export const ANYTHING: StandardSchemaV1 = {
  '~standard': { version: 1, vendor: 'cadre', validate: (value) => ({ value }) },
};

/** `fields` but those that `own` names: what is `defineAgent`'s. */
export function without<Fields extends object, Own extends string>(
  fields: Fields,
  own: readonly Own[],
): Omit<Fields, Own> {
  return Object.fromEntries(
    Object.entries(fields).filter(([field]) => !own.some((one) => one === field)),
  ) as Omit<Fields, Own>;
}

/** A ConfigInvalid that names the field. */
export function invalid(agent: string, field: string, expected: string, got: unknown): CadreError {
  return new CadreError(
    'ConfigInvalid',
    `Expected \`${field}\` of agent "${agent}" to be ${expected}, got ${shownJson(got)}`,
  );
}
