/**
 * Agents that ask a model. Owns how one is defined; how it runs is the matter of `conversation.ts`. Nothing of the AI SDK is
 * loaded before an agent acts.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { ToolLoopAgent } from 'ai';
import type { AgentContext } from '../activities/agent-context';
import { ANYTHING, invalid, without } from '../activities/agent-fields';
import { type Agent, type AgentDefinition, defineAgent } from '../activities/define-agent';
import { type JsonSchema, jsonSchemaOf } from '../activities/json-schema';
import { CadreError } from '../core/failures';
import { failureInfo } from '../core/failure-info';
import { isRecord } from '../core/json';
import { aiSdk } from './ai-sdk';
import {
  type Answer,
  type Conversation,
  type Loop,
  type LoopSettings,
  type Model,
  type Reading,
  converse,
  modelName,
} from './conversation';
import { openMcpTools } from './mcp/mcp-tools';
import { type McpServers, checkServers } from './mcp/mcp-server';
import { type AnyTools, type ModelTools, aiTools, checkAllRights, checkTools } from './model-tools';
import { modelPolicy } from './policy';
import { stepPrompt } from './prompt';
import { checkModelName, chosenModel, requireModel } from './providers';
import { structured } from './structured';
import { type ToolRights, ToolRun } from './tool-run';

/** What both kinds of model agents take, beside what `defineAgent` does. */
interface Common<Input, Output> extends Omit<AgentDefinition<Input, Output>, 'input' | 'output' | 'act'> {
  /** Any Standard Schema. Default: anything, as the plan gives it. */
  readonly input?: StandardSchemaV1<unknown, Input>;
  /**
   * What the answer must match: the model is asked for JSON, told the schema, and its answer sent back with what is wrong, at
   * most twice; then the step fails as ModelOutputInvalid. Of an object: some providers take nothing else at its root.
   */
  readonly output?: StandardSchemaV1<unknown, Output>;
  /** The most calls of the model in a step, repairs included. Default 20; 1 to 10,000. */
  readonly maxSteps?: number;
  /**
   * Whether the model is asked for streams, so that whoever follows the task sees its text as it comes. Default: where it is a
   * `provider/model`, and not an object, which middleware for whole answers may be around. False for text that nobody is to see
   * before the step is done.
   */
  readonly stream?: boolean;
}

/** What {@link modelAgent} takes. Its policy's default: 5 minutes an attempt, 5 attempts, and the breaker of its model. */
export interface ModelAgentDefinition<Input, Output, Tools> extends Common<Input, Output> {
  /** `provider/model`, or a model of the AI SDK's. Default: that of CADRE_MODEL when the agent acts. */
  readonly model?: Model;
  /** What the agent is to do, and how: its system prompt. */
  readonly instructions: string;
  /** Functions that it may call, by name. Default: none. */
  readonly tools?: ModelTools<Tools>;
  /** MCP servers whose tools it may call, by name: the model knows a tool as `SERVER_TOOL`. Default: none. */
  readonly mcp?: McpServers;
  /** Default: the model's own. 0 to 2. */
  readonly temperature?: number;
  /**
   * The most tokens of one answer, with those of its reasoning; so many are reserved before each call. Default 4,096, and twice
   * as many after one that was cut off. 1 to 1,000,000.
   */
  readonly maxOutputTokens?: number;
}

/** What {@link modelAgent} takes of an agent of the AI SDK's. */
export interface WrappedAgentDefinition<Input, Output> extends Common<Input, Output> {
  /**
   * Acts as it is set up: with its model, instructions, tools, output and hooks. Its calls are recorded, its retries are 0, and
   * its answer must be a text or its output. A model that it has as a text is `provider/model`. Its tools find what `run` of a
   * tool of Cadre's gets in their options, as `cadre`.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- an agent of whatever tools and output; it is variant in both.
  readonly agent: ToolLoopAgent<never, any, any>;
  /** What each of its tools may do. Default: it has none. */
  readonly rights?: Readonly<Record<string, ToolRights>>;
}

/**
 * Defines an agent that asks a model; without `output` its output is the text of the answer.
 *
 * Throws like `defineAgent`, ModelUnknown for a model that cannot be, and ConfigInvalid for another field that is out of its
 * range.
 */
export function modelAgent<
  Input = unknown,
  Output = string,
  const Name extends string = string,
  Tools = Record<string, never>,
>(
  definition: ModelAgentDefinition<Input, Output, Tools> & { readonly name: Name },
): Agent<Input, Output> & { readonly name: Name };
/** The same of a `ToolLoopAgent` of the AI SDK's. Without `output` its output is what the agent's own `output` says, or the text. */
export function modelAgent<Input = unknown, Output = unknown, const Name extends string = string>(
  definition: WrappedAgentDefinition<Input, Output> & { readonly name: Name },
): Agent<Input, Output> & { readonly name: Name };
export function modelAgent<Input, Output, Name extends string>(
  definition: (ModelAgentDefinition<Input, Output, unknown> | WrappedAgentDefinition<Input, Output>) & {
    readonly name: Name;
  },
): Agent<Input, Output> & { readonly name: Name } {
  const { input, output, maxSteps = STEPS, stream, policy, ...rest } = definition;
  checkNumber(definition.name, 'maxSteps', maxSteps, STEPS_RANGE);
  if (stream !== undefined && typeof stream !== 'boolean')
    throw invalid(definition.name, 'stream', 'true or false', stream);
  if (output !== undefined) checkOutput(definition.name, output);
  const voice = 'agent' in definition ? wrapped(definition) : spoken(definition);
  return defineAgent<Input, Output, Name>({
    ...without(rest, OWN_FIELDS),
    name: definition.name,
    input: input ?? (ANYTHING as StandardSchemaV1<unknown, Input>),
    output: output ?? (ANYTHING as StandardSchemaV1<unknown, Output>),
    policy: modelPolicy(voice.model, policy),
    act: async (given, context) => {
      const asked = output === undefined ? undefined : structured(output);
      const said = await voice.open(context);
      return converse<Output>({
        context,
        tools: new ToolRun(context),
        rights: said.rights,
        loop: said.loop,
        settings: { ...said.settings, ...(asked === undefined ? {} : { output: asked.output }) },
        system: asked?.paragraphs ?? [],
        prompt: stepPrompt(given, context),
        maxSteps,
        ...(stream === undefined ? {} : { stream }),
        read: asked === undefined ? readerOf<Output>(said.settings) : ({ text }) => asked.read(text),
      });
    },
  });
}

const STEPS = 20;
const STEPS_RANGE = [1, 10_000] as const;
const OUTPUT_TOKENS_RANGE = [1, 1_000_000] as const;

/** How an agent speaks: what is known of it where it is defined, and what is opened when it acts. */
interface Voice {
  /** By which its breaker is known; undefined where nothing says it yet. */
  readonly model: string | undefined;
  readonly open: (
    context: AgentContext,
  ) => Promise<Pick<Conversation<unknown>, 'settings' | 'loop' | 'rights'>>;
}

function spoken<Input, Output>(definition: ModelAgentDefinition<Input, Output, unknown>): Voice {
  const { name, model, instructions, temperature, maxOutputTokens } = definition;
  const tools = (definition.tools ?? {}) as AnyTools;
  const { mcp = {} } = definition;
  if (typeof instructions !== 'string' || instructions.trim() === '') {
    throw invalid(name, 'instructions', 'a text', instructions);
  }
  checkTools(name, tools);
  checkServers(name, mcp);
  if (temperature !== undefined) checkNumber(name, 'temperature', temperature, [0, 2], false);
  if (maxOutputTokens !== undefined)
    checkNumber(name, 'maxOutputTokens', maxOutputTokens, OUTPUT_TOKENS_RANGE);
  if (model !== undefined) checkModel(model);
  return {
    model: model === undefined ? chosenModel() : modelName(model),
    open: async (context) => {
      const { ToolLoopAgent } = aiSdk();
      const servers = await openMcpTools(name, mcp, Object.keys(tools), context);
      const all = { ...(await aiTools(tools)), ...servers.tools };
      const settings: LoopSettings = {
        model: model ?? requireModel(),
        instructions,
        ...(Object.keys(all).length === 0 ? {} : { tools: all }),
        ...(temperature === undefined ? {} : { temperature }),
        ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
      };
      return {
        settings,
        loop: (recorded) => new ToolLoopAgent(recorded),
        rights: (tool) => tools[tool] ?? servers.rights[tool] ?? {},
      };
    },
  };
}

/** The settings of an agent are its own; another is made of them, of the same class, whose calls are recorded. */
function wrapped<Input, Output>({
  name,
  agent,
  rights = {},
}: WrappedAgentDefinition<Input, Output> & { readonly name: string }): Voice {
  const settings = (agent as unknown as { readonly settings?: LoopSettings }).settings;
  if (!isRecord(settings) || settings.model === undefined) {
    throw invalid(name, 'agent', 'a ToolLoopAgent of AI SDK 6', typeof agent);
  }
  const { tools = {}, model } = settings;
  checkAllRights(
    name,
    rights,
    Object.keys(tools).filter((tool) => tools[tool]?.execute !== undefined),
  );
  checkModel(model);
  const Class = agent.constructor as new (settings: LoopSettings) => Loop;
  return {
    model: modelName(model),
    open: () =>
      Promise.resolve({
        settings,
        loop: (recorded) => new Class(recorded),
        rights: (tool) => rights[tool] ?? {},
      }),
  };
}

/** How an answer is read where no schema of Cadre's says it: by the agent's own output, or as text. */
function readerOf<Output>({ output }: LoopSettings): (answer: Answer) => Promise<Reading<Output>> {
  return async ({ text, response, usage, finishReason }) => {
    if (output === undefined) {
      return text.trim() === '' ? { problem: 'it was empty' } : { value: text as Output };
    }
    try {
      return {
        value: (await output.parseCompleteOutput({ text }, { response, usage, finishReason })) as Output,
      };
    } catch (error) {
      return { problem: failureInfo(error).message };
    }
  };
}

function checkModel(model: unknown): void {
  if (typeof model === 'string') return void checkModelName(model);
  if (isRecord(model) && model['specificationVersion'] === 'v3') return;
  throw new CadreError('ModelUnknown', 'Expected `model` to be provider/model, or a model of AI SDK 6');
}

/** Some providers refuse a schema of anything else; one that cannot say its JSON schema is told to none. */
function checkOutput(agent: string, output: StandardSchemaV1): void {
  const schema = isRecord(output['~standard']) ? jsonSchemaOf(output) : undefined;
  if (schema === undefined || schema['type'] === 'object') return;
  const text = schema['type'] === 'string' ? '; for a text leave `output` out' : '';
  throw new CadreError(
    'ConfigInvalid',
    `Expected \`output\` of agent "${agent}" to be the schema of an object, got one of ${rootOf(schema)}: put it into a field, as in z.object({ answer: ... })${text}`,
  );
}

/** What a schema takes that is none of an object, in words. */
function rootOf({ type, anyOf, oneOf }: JsonSchema): string {
  if (typeof type === 'string') return `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`;
  return anyOf === undefined && oneOf === undefined ? 'anything' : 'several kinds';
}

function checkNumber(
  agent: string,
  field: string,
  value: number,
  [minimum, maximum]: readonly [number, number],
  whole = true,
): void {
  const fits = typeof value === 'number' && value >= minimum && value <= maximum;
  if (fits && (!whole || Number.isInteger(value))) return;
  throw invalid(
    agent,
    field,
    `${whole ? 'a whole number' : 'a number'} from ${minimum} to ${maximum}`,
    value,
  );
}

const OWN_FIELDS = [
  'model',
  'instructions',
  'tools',
  'mcp',
  'temperature',
  'maxOutputTokens',
  'agent',
  'rights',
] as const;
