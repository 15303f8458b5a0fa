import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { AgentContext } from '../activities/agent-context';
import { aiSdk } from './ai-sdk';
import { type Model, converse } from './conversation';
import { requireModel } from './providers';
import { structured } from './structured';
import { ToolRun } from './tool-run';

/** What {@link generate} is asked. */
export interface Generation<Value> {
  /** `provider/model`, or a model of the AI SDK's. Default: that of CADRE_MODEL. */
  readonly model?: Model;
  /** What the model is to do. */
  readonly system: string;
  /** What it is to do it with. Text of others goes through `untrusted`. */
  readonly prompt: string;
  /** A Standard Schema; where it can say its JSON schema, the model is told it. */
  readonly output: StandardSchemaV1<unknown, Value>;
  /** What is wrong with a value that matches the schema; undefined where nothing is. The model is told. */
  readonly check?: (value: Value) => string | undefined | Promise<string | undefined>;
  /** Tokens of one answer. Default 4,096, and twice as many after one that was cut off. */
  readonly maxOutputTokens?: number;
  /** Default: the model's own. */
  readonly temperature?: number;
  /** Whether the model is asked for a stream. Default: where it is one by name. */
  readonly stream?: boolean;
}

/**
 * One answer of a model, as JSON that matches a schema. What is none is sent back with the reason, at most twice. All calls are
 * recorded. Throws ModelOutputInvalid, ModelRefused, ModelUnavailable, ModelUnknown, ModelKeyMissing, BudgetReached.
 */
export async function generate<Value>(
  context: AgentContext,
  {
    model = requireModel(),
    system,
    prompt,
    output,
    check,
    maxOutputTokens,
    temperature,
    stream,
  }: Generation<Value>,
): Promise<Value> {
  const { ToolLoopAgent } = aiSdk();
  const asked = structured(output, check);
  return converse({
    context,
    tools: new ToolRun(context),
    rights: () => ({}),
    loop: (settings) => new ToolLoopAgent(settings),
    settings: {
      model,
      instructions: system,
      output: asked.output,
      ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
      ...(temperature === undefined ? {} : { temperature }),
    },
    system: asked.paragraphs,
    prompt,
    maxSteps: CALLS_MAXIMUM,
    ...(stream === undefined ? {} : { stream }),
    read: ({ text }) => asked.read(text),
  });
}

/** The answer, and its repairs. */
const CALLS_MAXIMUM = 3;
