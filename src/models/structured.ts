/**
 * Answers as JSON that a schema describes. Owns how a model is asked for them, and how they are read; the schema has the last
 * word, whatever a provider promises of it.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { OutputInterface as Output } from 'ai';
import { jsonSchemaOf } from '../activities/json-schema';
import { validate } from '../activities/validate';
import { failureInfo } from '../core/failure-info';
import type { Reading } from './conversation';

/** How an answer is asked for, and read. */
export interface Structured<Value> {
  readonly output: Output;
  /** For the system prompt: not every provider shows the schema to its model. */
  readonly paragraphs: readonly string[];
  readonly read: (text: string) => Promise<Reading<Value>>;
}

/** `check` says what is wrong with a value that matches the schema; undefined where nothing is. */
export function structured<Value>(
  schema: StandardSchemaV1<unknown, Value>,
  check: (value: Value) => string | undefined | Promise<string | undefined> = () => undefined,
): Structured<Value> {
  const json = jsonSchemaOf(schema);
  return {
    output: jsonOutput(json),
    paragraphs: [
      'Answer with JSON alone: no other text, and no fence around it.',
      ...(json === undefined ? [] : [`It must match this JSON schema:\n${JSON.stringify(json)}`]),
    ],
    read: async (text) => {
      const parsed = parse(text);
      const valid = 'problem' in parsed ? parsed : await matching(schema, parsed.value);
      if ('problem' in valid) return valid;
      const problem = await check(valid.value);
      return problem === undefined ? valid : { problem };
    },
  };
}

async function matching<Value>(
  schema: StandardSchemaV1<unknown, Value>,
  value: unknown,
): Promise<Reading<Value>> {
  try {
    return { value: await validate(schema, value, 'ModelOutputInvalid', 'it') };
  } catch (error) {
    return { problem: failureInfo(error).message };
  }
}

/** JSON without a schema of the AI SDK's: what the text is, is found out here. */
function jsonOutput(schema: ReturnType<typeof jsonSchemaOf>): Output {
  return {
    name: 'object',
    responseFormat: Promise.resolve({ type: 'json', ...(schema === undefined ? {} : { schema }) }),
    parseCompleteOutput: ({ text }) => Promise.resolve(text),
    parsePartialOutput: () => Promise.resolve(undefined),
    createElementStreamTransform: () => undefined,
  };
}

/** Some models put a fence around it, whatever they are told. */
const FENCED = /^```(?:json)?\s*\n([\s\S]*?)\n?```$/;

function parse(text: string): Reading<unknown> {
  const trimmed = text.trim();
  if (trimmed === '') return { problem: 'it was empty' };
  try {
    return { value: JSON.parse(FENCED.exec(trimmed)?.[1] ?? trimmed) as unknown };
  } catch (error) {
    return { problem: `it is not JSON: ${failureInfo(error).message}` };
  }
}
