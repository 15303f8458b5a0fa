/** A call of a model as a script sees it: the same, whichever wire format it came in. */

export type WireFormat = 'openai' | 'anthropic';

export interface ScriptedToolCall {
  /** Default in a reply: `call_<call>_<position>`. */
  readonly id?: string;
  readonly name: string;
  /** JSON. */
  readonly input: unknown;
}

export interface ScriptedMessage {
  readonly role: 'user' | 'assistant' | 'tool';
  /** All its text; that of a tool's result is as it was sent. */
  readonly text: string;
  /** Of an assistant's message, in order. */
  readonly toolCalls: readonly ScriptedToolCall[];
  /** Of a tool's result: which call it answers. */
  readonly answers?: string;
}

export interface ScriptedRequest {
  /** Which call it is of those that reached the server, from 1. */
  readonly call: number;
  /** Which answer of its conversation is asked for, from 1: one more than the answers that it carries. */
  readonly turn: number;
  readonly format: WireFormat;
  readonly model: string;
  readonly stream: boolean;
  /** All system messages, one paragraph each; empty for none. */
  readonly system: string;
  readonly messages: readonly ScriptedMessage[];
  /** What may be called. */
  readonly tools: readonly { readonly name: string; readonly description: string; readonly input: unknown }[];
  /** JSON schema of the output that is asked for; absent where text is. */
  readonly outputSchema?: unknown;
  /** Name of the one tool that must be called, if any. */
  readonly mustCall?: string;
  readonly maxOutputTokens?: number;
  readonly temperature?: number;
  /** Bytes of the request. */
  readonly bytes: number;
  /** The request as it was sent. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** What both formats are read into, but for what the server knows of a call. */
export type ParsedRequest = Omit<ScriptedRequest, 'call' | 'turn' | 'format' | 'bytes' | 'body'>;

/** What a provider refuses a request for. */
export class BadRequest extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BadRequest';
  }
}

/** Throws BadRequest unless each call of a tool is answered at once, and nothing else is. */
export function checkToolResults(messages: readonly ScriptedMessage[]): void {
  let open = new Set<string>();
  for (const { role, toolCalls, answers } of messages) {
    if (role === 'tool') {
      if (!open.delete(answers ?? '')) throw new BadRequest(`Tool result "${answers}" answers no call`);
      continue;
    }
    expectAnswered(open);
    open = new Set(toolCalls.map(({ id = '' }) => id));
  }
  expectAnswered(open);
}

function expectAnswered(open: ReadonlySet<string>): void {
  if (open.size > 0) throw new BadRequest(`Tool calls without a result: ${[...open].join(', ')}`);
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** `{ [name]: value }`, or nothing for a value that is absent or null. */
export function given<Name extends string, Value>(
  name: Name,
  value: Value | null | undefined,
): { [_ in Name]?: Value } {
  return value === undefined || value === null ? {} : ({ [name]: value } as { [_ in Name]: Value });
}
