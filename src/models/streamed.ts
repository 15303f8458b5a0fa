/**
 * A model that is asked for a stream, and its answer as if it had been asked for all of it at once. Owns how the parts of a
 * stream become one answer.
 *
 * 1. A stream that ends before its answer does is a failure, and never an answer.
 * 2. What the answer is does not depend on whether it was streamed.
 */
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3GenerateResult,
  LanguageModelV3StreamPart,
} from '@ai-sdk/provider';
import { isRecord } from '../core/json';

/**
 * The answer of `model`; `onText` is told each piece of its text. Throws what the provider answered instead, also where it
 * did so in the middle, with `statusCode` 200.
 */
export async function streamed(
  model: LanguageModelV3,
  options: LanguageModelV3CallOptions,
  onText: (text: string) => void,
): Promise<LanguageModelV3GenerateResult> {
  const { stream, response } = await model.doStream(withWholeInputs(model, options));
  if (response?.headers?.['content-type']?.startsWith('application/json') === true) {
    await stream.cancel();
    throw new Unstreamed();
  }
  const answer = new Answer();
  for await (const part of stream) {
    answer.add(part);
    if (part.type === 'text-delta') onText(part.delta);
  }
  return answer.whole();
}

/** An answer as a whole, to who asked for a stream; it may have been paid. */
class Unstreamed extends Error {
  readonly statusCode = 200;

  constructor() {
    super('the server sent JSON instead of a stream; from now on it is asked for that');
  }
}

/** True for an error by which a provider ignored that a stream was asked for. */
export function isUnstreamed(error: unknown): boolean {
  return error instanceof Unstreamed;
}

/** True for an error by which a provider says that it does not stream, or does not for this account. */
export function refusesToStream(error: unknown): boolean {
  if (!isRecord(error)) return false;
  const { statusCode, message, responseBody } = error;
  if (!REFUSING.some((status) => status === statusCode)) return false;
  // A gateway repeats in the body what its provider said.
  return [message, responseBody].some((text) => /\bstream/i.test(String(text)));
}

const REFUSING = [400, 403, 422, 501] as const;

/** Anthropic's provider would ask for inputs of tools that are sent before anybody knows whether they are JSON. */
function withWholeInputs(
  { provider }: LanguageModelV3,
  options: LanguageModelV3CallOptions,
): LanguageModelV3CallOptions {
  if (!/\banthropic\.messages$/.test(provider)) return options;
  const { providerOptions } = options;
  const anthropic = { toolStreaming: false, ...providerOptions?.['anthropic'] };
  return { ...options, providerOptions: { ...providerOptions, anthropic } };
}

type Content = LanguageModelV3GenerateResult['content'][number];
type Piece = Extract<Content, { readonly type: 'text' | 'reasoning' }>;
type Finish = Extract<LanguageModelV3StreamPart, { readonly type: 'finish' }>;

class Answer {
  private readonly content: Content[] = [];
  /** The pieces that may go on, by their kind and id. */
  private readonly open = new Map<string, Piece>();
  private response: NonNullable<LanguageModelV3GenerateResult['response']> = {};
  private finish: Finish | undefined;

  add(part: LanguageModelV3StreamPart): void {
    switch (part.type) {
      case 'text-start':
      case 'reasoning-start':
        this.open.delete(keyOf(part));
        this.piece(part);
        return;
      case 'text-delta':
      case 'reasoning-delta':
        this.piece(part).text += part.delta;
        return;
      case 'text-end':
      case 'reasoning-end':
        this.piece(part);
        this.open.delete(keyOf(part));
        return;
      case 'tool-result':
        // One that is replaced by the next.
        if (part.preliminary !== true) this.content.push(part);
        return;
      case 'tool-call':
      case 'tool-approval-request':
      case 'file':
      case 'source':
        this.content.push(part);
        return;
      case 'response-metadata': {
        const { type: _type, ...metadata } = part;
        this.response = metadata;
        return;
      }
      case 'finish':
        this.finish = part;
        return;
      case 'error':
        // What had begun may be paid, whatever the error says of itself.
        throw failureIn(part.error, this.content.length > 0);
      // The inputs of tools stand in their calls, and warnings are not kept.
      case 'tool-input-start':
      case 'tool-input-delta':
      case 'tool-input-end':
      case 'stream-start':
      case 'raw':
    }
  }

  /** Throws where the stream ended before. */
  whole(): LanguageModelV3GenerateResult {
    if (this.finish === undefined) throw brokenOff('the stream ended before the answer did');
    const { finishReason, usage, providerMetadata } = this.finish;
    return {
      content: this.content,
      finishReason,
      usage,
      ...(providerMetadata === undefined ? {} : { providerMetadata }),
      response: this.response,
      warnings: [],
    };
  }

  /** The piece that `part` is of, with what the provider says beside it. */
  private piece(part: PiecePart): Piece {
    const key = keyOf(part);
    const piece: Piece = this.open.get(key) ?? { type: kindOf(part), text: '' };
    if (!this.open.has(key)) {
      this.open.set(key, piece);
      this.content.push(piece);
    }
    if (part.providerMetadata !== undefined) piece.providerMetadata = part.providerMetadata;
    return piece;
  }
}

type PiecePart = Extract<
  LanguageModelV3StreamPart,
  { readonly type: `${'text' | 'reasoning'}-${'start' | 'delta' | 'end'}` }
>;

function kindOf({ type }: PiecePart): Piece['type'] {
  return type.startsWith('text') ? 'text' : 'reasoning';
}

function keyOf(part: PiecePart): string {
  return `${kindOf(part)} ${part.id}`;
}

/** The provider had begun to answer, so the call may have been paid. */
function brokenOff(message: string, data?: unknown): Error {
  return Object.assign(new Error(message), { statusCode: 200, data });
}

/** What a stream says went wrong: the provider's own words, or what the AI SDK makes of what it cannot read. */
function failureIn(error: unknown, begun: boolean): Error {
  if (error instanceof Error) {
    // What could not be read stands in the message.
    if (UNREADABLE.includes(error.name)) return brokenOff('a part of the stream is not what was expected');
    return 'statusCode' in error && !begun ? error : brokenOff(error.message);
  }
  const message = isRecord(error) ? error['message'] : error;
  return brokenOff(typeof message === 'string' ? message : 'the stream ended with an error', { error });
}

const UNREADABLE: readonly string[] = ['AI_JSONParseError', 'AI_TypeValidationError'];
