/** Anthropic's messages, as they go over the wire. */
import { isRecord } from '../../core/json';
import { type WholeAnswer, piecesOf } from './reply';
import {
  BadRequest,
  type ParsedRequest,
  type ScriptedMessage,
  checkToolResults,
  given,
  listOf,
  textOf,
} from './request';

type Block = Readonly<Record<string, unknown>>;

const STOP = {
  stop: 'end_turn',
  length: 'max_tokens',
  'tool-calls': 'tool_use',
  'content-filter': 'refusal',
} as const satisfies Record<WholeAnswer['finish'], string>;

const ERRORS: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  529: 'overloaded_error',
};

export function parseAnthropic(body: Readonly<Record<string, unknown>>): ParsedRequest {
  const sent = listOf(body['messages']).filter(isRecord);
  const { model, max_tokens: maximum, temperature, tool_choice: choice } = body;
  if (textOf(model) === '') throw new BadRequest('model: Field required');
  if (typeof maximum !== 'number') throw new BadRequest('max_tokens: Field required');
  if (sent.length === 0) throw new BadRequest('messages: at least one message is required');
  const messages = sent.flatMap(messagesOf);
  checkToolResults(messages);
  const tools = listOf(body['tools']).filter(isRecord).map(toolOf);
  return {
    model: textOf(model),
    stream: body['stream'] === true,
    system: blocksOf(body['system'])
      .map(({ text }) => textOf(text))
      .join('\n\n'),
    messages,
    tools,
    ...given('outputSchema', outputSchemaOf(body)),
    ...given('mustCall', forcedTool(choice, tools)),
    maxOutputTokens: maximum,
    ...given('temperature', typeof temperature === 'number' ? temperature : undefined),
  };
}

export function anthropicBody(answer: WholeAnswer): string {
  const { id, model, text, reasoning, toolCalls, finish } = answer;
  return JSON.stringify({
    id,
    type: 'message',
    role: 'assistant',
    model,
    content: [
      ...(reasoning === '' ? [] : [{ type: 'thinking', thinking: reasoning, signature: SIGNATURE }]),
      ...(text === '' ? [] : [{ type: 'text', text }]),
      ...toolCalls.map((one) => ({ type: 'tool_use', ...one })),
    ],
    stop_reason: STOP[finish],
    stop_sequence: null,
    usage: usageOf(answer),
  });
}

/** The events of a stream. */
export function anthropicEvents(answer: WholeAnswer): string[] {
  const { id, model, text, reasoning, toolCalls, finish, usage } = answer;
  const message = {
    id,
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { ...usageOf(answer), output_tokens: 1 },
  };
  const blocks = [
    ...(reasoning === '' ? [] : [thinkingBlock(reasoning)]),
    ...(text === '' ? [] : [textBlock(text)]),
    ...toolCalls.map((one) => ({
      start: { type: 'tool_use', id: one.id, name: one.name, input: {} },
      deltas: halves(JSON.stringify(one.input)).map((json) => ({
        type: 'input_json_delta',
        partial_json: json,
      })),
    })),
  ];
  return [
    event('message_start', { message }),
    event('ping'),
    ...blocks.flatMap(({ start, deltas }, index) => [
      event('content_block_start', { index, content_block: start }),
      ...deltas.map((delta) => event('content_block_delta', { index, delta })),
      event('content_block_stop', { index }),
    ]),
    event('message_delta', {
      delta: { stop_reason: STOP[finish], stop_sequence: null },
      usage: { output_tokens: usage.outputTokens },
    }),
    event('message_stop'),
  ];
}

export function anthropicError(status: number, message: string): string {
  return JSON.stringify({ type: 'error', error: { type: ERRORS[status] ?? 'api_error', message } });
}

/** A message of the wire holds results of tools beside text: each of them is a message of its own. */
function messagesOf(message: Record<string, unknown>): ScriptedMessage[] {
  const { role } = message;
  if (role !== 'user' && role !== 'assistant') {
    throw new BadRequest(`messages: unexpected role "${String(role)}"`);
  }
  const blocks = blocksOf(message['content']);
  const of = (type: string): readonly Block[] => blocks.filter((one) => one['type'] === type);
  const results = of('tool_result').map(({ tool_use_id: answers, content }) => ({
    role: 'tool' as const,
    text: joined(blocksOf(content)),
    toolCalls: [],
    answers: textOf(answers),
  }));
  if (results.length > 0 && results.length === blocks.length) return results;
  const toolCalls = of('tool_use').map(({ id, name, input }) => ({
    id: textOf(id),
    name: textOf(name),
    input,
  }));
  return [...results, { role, text: joined(of('text')), toolCalls }];
}

/** Content is a list of blocks, or text for one of them. */
function blocksOf(content: unknown): readonly Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : listOf(content).filter(isRecord);
}

function joined(blocks: readonly Block[]): string {
  return blocks.map(({ text }) => textOf(text)).join('');
}

function toolOf(tool: Record<string, unknown>): ParsedRequest['tools'][number] {
  const { name, description, input_schema: input } = tool;
  return { name: textOf(name), description: textOf(description), input };
}

/** The schema is asked for in one of the places that the interface has had for it. */
function outputSchemaOf({ output_config: config, output_format: before }: Block): unknown {
  const format = isRecord(config) ? config['format'] : before;
  return isRecord(format) ? format['schema'] : undefined;
}

/** Any of a single tool is that tool. */
function forcedTool(choice: unknown, tools: ParsedRequest['tools']): string | undefined {
  if (!isRecord(choice)) return undefined;
  if (choice['type'] === 'tool') return textOf(choice['name']);
  return choice['type'] === 'any' && tools.length === 1 ? tools[0]?.name : undefined;
}

interface StreamedBlock {
  readonly start: unknown;
  readonly deltas: readonly unknown[];
}

/** By which the provider knows its own thoughts again. */
const SIGNATURE = 'c2NyaXB0ZWQ=';

function thinkingBlock(reasoning: string): StreamedBlock {
  return {
    start: { type: 'thinking', thinking: '', signature: '' },
    deltas: [
      ...piecesOf(reasoning).map((thinking) => ({ type: 'thinking_delta', thinking })),
      { type: 'signature_delta', signature: SIGNATURE },
    ],
  };
}

function textBlock(text: string): StreamedBlock {
  return {
    start: { type: 'text', text: '' },
    deltas: piecesOf(text).map((piece) => ({ type: 'text_delta', text: piece })),
  };
}

function halves(text: string): readonly string[] {
  const half = Math.ceil(text.length / 2);
  return [text.slice(0, half), text.slice(half)];
}

/** Its input tokens are those that came from no cache. */
function usageOf({ usage: { inputTokens, cachedTokens, outputTokens } }: WholeAnswer): Block {
  return {
    input_tokens: inputTokens - cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: outputTokens,
  };
}

function event(type: string, data: Block = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}
