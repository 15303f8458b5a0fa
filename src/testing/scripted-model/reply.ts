/** What a script replies, and what stands in it where the script does not say. */
import type { ScriptedRequest, ScriptedToolCall } from './request';

/** How many tokens a reply says that it took. */
export interface ScriptedUsage {
  /** Of the whole input, with what came from a cache. Default: a quarter of the request's bytes. */
  readonly inputTokens?: number;
  /** Of the input: read from a cache. Default 0. */
  readonly cachedTokens?: number;
  /** Default: a quarter of the reply's characters. */
  readonly outputTokens?: number;
}

/** Where a body breaks off. */
export interface Cut {
  /** Bytes of the body that are sent. */
  readonly after: number;
  /** `reset` breaks the connection, `end` ends the body as if it were whole, `hang` sends nothing more. Default `reset`. */
  readonly how?: 'reset' | 'end' | 'hang';
}

export interface ScriptedAnswer {
  readonly kind: 'answer';
  /** Default: none. */
  readonly text?: string;
  /** What the model thought before. Default: none. */
  readonly reasoning?: string;
  /** JSON that is given in the way in which the request asks for structured output: as text, or as a forced tool's input. */
  readonly output?: unknown;
  /** Default: none. */
  readonly toolCalls?: readonly ScriptedToolCall[];
  /** Default: `tool-calls` where there are any, else `stop`. */
  readonly finish?: 'stop' | 'length' | 'tool-calls' | 'content-filter';
  readonly usage?: ScriptedUsage;
  /** Milliseconds before it begins. Default 0. */
  readonly latency?: number;
  /** Milliseconds between the pieces of a stream. Default 0. */
  readonly pace?: number;
  readonly cut?: Cut;
}

export type ScriptedReply =
  /** Short for an answer with this text. */
  | string
  | ScriptedAnswer
  /** An error as the provider words it. */
  | {
      readonly kind: 'error';
      /** HTTP status, 400 to 599. */
      readonly status: number;
      readonly message?: string;
      /** Seconds, or an HTTP date. Default: no such header. */
      readonly retryAfter?: number | string;
    }
  /** Exactly this, whatever the format. Default: status 200, JSON. */
  | { readonly kind: 'raw'; readonly body: string; readonly status?: number; readonly contentType?: string }
  /** Nothing at all, until the caller goes away. */
  | { readonly kind: 'hang' }
  /** The connection breaks before anything is answered. */
  | { readonly kind: 'reset' };

export type Script = (request: ScriptedRequest) => ScriptedReply | Promise<ScriptedReply>;

/** An answer with everything said. */
export interface WholeAnswer {
  readonly id: string;
  readonly model: string;
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly Required<ScriptedToolCall>[];
  readonly finish: NonNullable<ScriptedAnswer['finish']>;
  readonly usage: Required<ScriptedUsage>;
}

const CHARACTERS_A_TOKEN = 4;

export function wholeAnswer(answer: ScriptedAnswer, request: ScriptedRequest): WholeAnswer {
  const { text, toolCalls } = said(answer, request);
  const called = toolCalls.map((one, index) => ({ id: `call_${request.call}_${index + 1}`, ...one }));
  const { reasoning = '' } = answer;
  const length = reasoning.length + text.length + (called.length === 0 ? 0 : JSON.stringify(called).length);
  return {
    id: `scripted_${request.call}`,
    model: request.model,
    text,
    reasoning,
    toolCalls: called,
    finish: answer.finish ?? (called.length === 0 ? 'stop' : 'tool-calls'),
    usage: {
      inputTokens: Math.ceil(request.bytes / CHARACTERS_A_TOKEN),
      cachedTokens: 0,
      outputTokens: Math.ceil(length / CHARACTERS_A_TOKEN),
      ...answer.usage,
    },
  };
}

function said(
  { text = '', toolCalls = [], output }: ScriptedAnswer,
  { mustCall }: ScriptedRequest,
): { readonly text: string; readonly toolCalls: readonly ScriptedToolCall[] } {
  if (output === undefined) return { text, toolCalls };
  if (mustCall !== undefined) return { text, toolCalls: [...toolCalls, { name: mustCall, input: output }] };
  return { text: text + JSON.stringify(output), toolCalls };
}

/** Pieces as a model streams them: words with the space after them. */
export function piecesOf(text: string): readonly string[] {
  return text.match(/\s*\S+\s*|\s+/g) ?? [];
}
