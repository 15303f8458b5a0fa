/**
 * A model whose calls go through `context.calls`: each is reserved before it, recorded after it, and never paid again.
 * Owns what of a request its result depends on, what a call may cost at most, and what of an answer is kept.
 */
import { Buffer } from 'node:buffer';
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3GenerateResult,
  LanguageModelV3Usage,
} from '@ai-sdk/provider';
import type { AgentContext } from '../activities/agent-context';
import { isRecord } from '../core/json';
import type { ModelUsage } from '../core/usage';
import { aiSdk } from './ai-sdk';
import { modelFailure } from './model-failure';
import { type Price, type Tokens, priceOf, reserveFor, usageOf } from './prices';
import { isUnstreamed, refusesToStream, streamed } from './streamed';

/** What is done around the calls of a model. */
export interface ModelWatch {
  /** Whether it is asked for streams, whose text goes to `context.stream`. */
  readonly stream: boolean;
  /** The most output tokens of a call that does not say. */
  readonly maxOutputTokens: () => number;
  /** Before each call; `prompt`: all its messages, as JSON. What it throws ends the conversation. */
  readonly onCall: (prompt: string) => void;
  /** Before each call that is made: what was recorded is not. */
  readonly onMake: () => void;
  /** With each answer, also one that was recorded. */
  readonly onAnswer: (answer: LanguageModelV3GenerateResult) => void;
}

/** `model`, recorded and charged as `name` (`provider/model`). */
export async function recordedModel(
  model: LanguageModelV3,
  name: string,
  context: Pick<AgentContext, 'calls' | 'signal' | 'stream'>,
  { stream, maxOutputTokens, onCall, onMake, onAnswer }: ModelWatch,
): Promise<LanguageModelV3> {
  const { wrapLanguageModel } = aiSdk();
  const price = priceOf(name);
  const ask: Ask = stream ? streaming(model, name, context) : (params) => model.doGenerate(params);
  return wrapLanguageModel({
    model,
    middleware: {
      specificationVersion: 'v3',
      transformParams: async ({ params }) => ({ maxOutputTokens: maxOutputTokens(), ...defined(params) }),
      wrapGenerate: async ({ params }) => {
        onCall(JSON.stringify(params.prompt, bytesAsText));
        const most = mostOf(params, maxOutputTokens());
        const answer = await context.calls.run({
          kind: 'model',
          name,
          request: requestOf(params),
          reserves: { ...reserveFor(most, price), ...(price === undefined ? { unpriced: true } : {}) },
          run: () => {
            onMake();
            return answerOf(() => ask(params), name, context.signal);
          },
          usageOf: (given) => usedBy(given, name, most, price),
        });
        onAnswer(answer);
        return withDate(answer);
      },
    },
  });
}

type Ask = (params: LanguageModelV3CallOptions) => PromiseLike<LanguageModelV3GenerateResult>;

/** By name: whether a model was seen to stream, with its tokens. This process asks those for whole answers that do not. */
const streams = new Map<string, boolean>();

/** Asks `model` for streams, unless it was found not to. */
function streaming(model: LanguageModelV3, name: string, context: Pick<AgentContext, 'stream'>): Ask {
  return async (params) => {
    if (streams.get(name) === false) return model.doGenerate(params);
    let last = '';
    try {
      const answer = await streamed(model, params, (text) => {
        context.stream(text);
        last = text;
      });
      // Without tokens an answer is taken at the most. As a whole it may have them; one that usually has them was cut off.
      const counted = answer.usage.outputTokens.total !== undefined;
      if (counted || !streams.has(name)) streams.set(name, counted);
      return answer;
    } catch (error) {
      if (isUnstreamed(error)) streams.set(name, false);
      if (!refusesToStream(error)) throw error;
      const answer = await model.doGenerate(params);
      streams.set(name, false);
      return answer;
    } finally {
      // The next answer begins on a line of its own.
      if (last !== '' && !last.endsWith('\n')) context.stream('\n');
    }
  };
}

/** The AI SDK writes what is not set as undefined. */
function defined(params: LanguageModelV3CallOptions): LanguageModelV3CallOptions {
  const { maxOutputTokens, ...rest } = params;
  return maxOutputTokens === undefined ? rest : { ...rest, maxOutputTokens };
}

/** Without headers: they hold secrets. */
function requestOf({ abortSignal: _signal, headers: _headers, ...request }: LanguageModelV3CallOptions) {
  return request;
}

/** Around the messages and the tools providers set words of their own; so many tokens they take at most. */
const TEMPLATE_TOKENS = 600;

interface Most {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** No tokenizer makes more than a token of a byte. */
function mostOf(params: LanguageModelV3CallOptions, limit: number): Most {
  const bytes = Buffer.byteLength(JSON.stringify(requestOf(params), bytesAsText));
  const said = params.maxOutputTokens ?? limit;
  return { inputTokens: bytes + TEMPLATE_TOKENS, outputTokens: said + thoughtBeside(params) };
}

/** Anthropic's thinking comes on top of the limit of the output; where nothing says how much, the AI SDK asks for 1,024. */
function thoughtBeside({ providerOptions }: LanguageModelV3CallOptions): number {
  const { thinking } = providerOptions?.['anthropic'] ?? {};
  return isRecord(thinking) && thinking['type'] === 'enabled' ? (whole(thinking['budgetTokens']) ?? 1024) : 0;
}

function bytesAsText(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

/** What is kept of an answer: neither headers nor bodies. */
async function answerOf(
  ask: () => PromiseLike<LanguageModelV3GenerateResult>,
  name: string,
  signal: AbortSignal,
): Promise<LanguageModelV3GenerateResult> {
  try {
    const { content, finishReason, usage, providerMetadata, response } = await ask();
    const { id, timestamp, modelId } = response ?? {};
    const { raw: _raw, ...tokens } = usage;
    return {
      content: content.map(withoutBytes),
      finishReason,
      usage: tokens,
      ...(providerMetadata === undefined ? {} : { providerMetadata }),
      response: {
        ...(id === undefined ? {} : { id }),
        ...(timestamp === undefined ? {} : { timestamp }),
        ...(modelId === undefined ? {} : { modelId }),
      },
      warnings: [],
    };
  } catch (error) {
    signal.throwIfAborted();
    throw modelFailure(error, name);
  }
}

function withoutBytes(part: LanguageModelV3GenerateResult['content'][number]) {
  return part.type === 'file' && part.data instanceof Uint8Array
    ? { ...part, data: Buffer.from(part.data).toString('base64') }
    : part;
}

/** What comes from a record is JSON, in which a date is a text. */
function withDate(answer: LanguageModelV3GenerateResult): LanguageModelV3GenerateResult {
  const timestamp = answer.response?.timestamp;
  if (timestamp === undefined) return answer;
  return { ...answer, response: { ...answer.response, timestamp: new Date(timestamp) } };
}

/** A provider that says nothing of its tokens is taken at the most. */
function usedBy(
  { usage }: LanguageModelV3GenerateResult,
  name: string,
  most: Most,
  price: Price | undefined,
): ModelUsage {
  return usageOf(name, tokensOf(usage, most), price);
}

/** What a provider says, and `most` where it says nothing. */
export function tokensOf({ inputTokens, outputTokens }: LanguageModelV3Usage, most: Most): Tokens {
  return {
    inputTokens: whole(inputTokens.total) ?? most.inputTokens,
    cachedTokens: whole(inputTokens.cacheRead) ?? 0,
    cacheWriteTokens: whole(inputTokens.cacheWrite) ?? 0,
    outputTokens: whole(outputTokens.total) ?? most.outputTokens,
  };
}

/** A server may say anything, and accounts take whole numbers alone. */
function whole(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : undefined;
}
