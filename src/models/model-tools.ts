import type { StandardSchemaV1 } from '@standard-schema/spec';
import { invalid } from '../activities/agent-fields';
import { type JsonSchema, jsonSchemaOf } from '../activities/json-schema';
import { refuseUnknown } from '../activities/policy-fields';
import { validate } from '../activities/validate';
import { CadreError } from '../core/failures';
import { isRecord } from '../core/json';
import { aiSdk } from './ai-sdk';
import type { AiTool, ToolContext, ToolOptions, ToolRights } from './tool-run';

/** A function that a model may call. */
export interface ModelTool<Input = unknown> extends ToolRights {
  /** What it is for: the model chooses by it. */
  readonly description: string;
  /** A Standard Schema that can say its JSON schema, such as zod's from 4.2 on. What does not match goes back to the model. */
  readonly input: StandardSchemaV1<unknown, Input>;
  /**
   * Does it, and returns JSON. Recorded as a whole: a retry of the step gets what it returned. What it throws the model is told;
   * but `ApplicationFailure` and Cadre's own failures end the attempt, which is then retried by the agent's policy.
   */
  run(input: Input, context: ToolContext): unknown;
}

/** Tools by name, their inputs by the same names. */
export type ModelTools<Inputs> = { readonly [Name in keyof Inputs]: ModelTool<Inputs[Name]> };

// oxlint-disable-next-line typescript/no-explicit-any -- `run` is contravariant in its input: tools of different inputs have no narrower type.
export type AnyTools = Readonly<Record<string, ModelTool<any>>>;

const RIGHTS_FIELDS = [
  'effect',
  'allowWritesAfterUntrusted',
  'trusted',
  'maxResultBytes',
] satisfies (keyof ToolRights)[];
const TOOL_FIELDS = [...RIGHTS_FIELDS, 'description', 'input', 'run'] satisfies (keyof ModelTool)[];
const RESULT_BYTES_RANGE = [1024, 16 * 1024 * 1024] as const;
/** What all providers take for a name. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Throws ConfigInvalid for a tool that no model could be given; PolicyInvalid for a field that there is not. */
export function checkTools(agent: string, tools: AnyTools): void {
  if (!isRecord(tools)) throw invalid(agent, 'tools', 'an object of tools by name', tools);
  for (const [name, tool] of Object.entries(tools)) {
    if (!NAME.test(name)) throw invalid(agent, 'tools', 'named with 1 to 64 of A-Z a-z 0-9 _ -', name);
    checkTool(agent, `tools.${name}`, tool);
  }
}

function checkTool(agent: string, of: string, tool: ModelTool): void {
  if (!isRecord(tool)) throw invalid(agent, of, '{ description, input, run }', tool);
  refuseUnknown(agent, of, tool, TOOL_FIELDS);
  checkRights(agent, of, tool);
  if (typeof tool.description !== 'string' || tool.description.trim() === '') {
    throw invalid(agent, `${of}.description`, 'a text', tool.description);
  }
  if (typeof (tool as { run?: unknown }).run !== 'function') {
    throw invalid(agent, `${of}.run`, 'a function', typeof (tool as { run?: unknown }).run);
  }
  if (!isRecord(tool.input) || jsonSchemaOf(tool.input) === undefined) {
    throw invalid(agent, `${of}.input`, 'a Standard Schema that can say its JSON schema', typeof tool.input);
  }
}

/** Throws ConfigInvalid; PolicyInvalid for a field that there is not. */
export function checkRights(agent: string, of: string, rights: ToolRights): void {
  const { effect = 'write', allowWritesAfterUntrusted = false, trusted = false, maxResultBytes } = rights;
  if (effect !== 'read' && effect !== 'write')
    throw invalid(agent, `${of}.effect`, "'read' or 'write'", effect);
  for (const [field, value] of Object.entries({ allowWritesAfterUntrusted, trusted })) {
    if (typeof value !== 'boolean') throw invalid(agent, `${of}.${field}`, 'true or false', value);
  }
  if (maxResultBytes === undefined || maxResultBytes === Infinity) return;
  const [least, most] = RESULT_BYTES_RANGE;
  if (Number.isInteger(maxResultBytes) && maxResultBytes >= least && maxResultBytes <= most) return;
  const expected = `a whole number from ${least} to ${most}, or Infinity`;
  throw invalid(agent, `${of}.maxResultBytes`, expected, maxResultBytes);
}

/** The same where there are rights alone, by the name of the tool; says which of `tools` have none. */
export function checkAllRights(
  agent: string,
  rights: Readonly<Record<string, ToolRights>>,
  tools: readonly string[],
): void {
  for (const [name, one] of Object.entries(rights)) {
    refuseUnknown(agent, `rights.${name}`, one, RIGHTS_FIELDS);
    checkRights(agent, `rights.${name}`, one);
  }
  const missing = tools.filter((name) => !Object.hasOwn(rights, name));
  if (missing.length === 0) return;
  throw new CadreError(
    'ConfigInvalid',
    `Expected \`rights\` of agent "${agent}" to say of each tool what it may do, such as { effect: 'read' }; nothing is said of ${missing.join(', ')}`,
  );
}

/** The tools as the AI SDK has them. */
export async function aiTools(tools: AnyTools): Promise<Record<string, AiTool>> {
  const { jsonSchema } = aiSdk();
  return Object.fromEntries(
    Object.entries(tools).map(([name, tool]) => {
      const { description, input } = tool;
      const inputSchema = jsonSchema(jsonSchemaOf(input) as JsonSchema, {
        validate: (value) => checked(input, value),
      });
      const execute = (given: unknown, { cadre }: ToolOptions): unknown => tool.run(given, cadre);
      return [name, { description, inputSchema, execute } as unknown as AiTool];
    }),
  );
}

async function checked(
  schema: StandardSchemaV1,
  value: unknown,
): Promise<{ success: true; value: unknown } | { success: false; error: Error }> {
  try {
    return { success: true, value: await validate(schema, value, 'AgentInputInvalid', 'The input') };
  } catch (error) {
    return { success: false, error: error as Error };
  }
}
