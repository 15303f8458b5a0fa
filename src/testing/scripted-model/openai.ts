/** OpenAI's chat completions, as they go over the wire. */
import { isRecord } from '../../core/json';
import { type WholeAnswer, piecesOf } from './reply';
import {
  BadRequest,
  type ParsedRequest,
  type ScriptedMessage,
  type ScriptedToolCall,
  checkToolResults,
  given,
  listOf,
  textOf,
} from './request';

const FINISH = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  'content-filter': 'content_filter',
} as const satisfies Record<WholeAnswer['finish'], string>;

export function parseOpenai(body: Readonly<Record<string, unknown>>): ParsedRequest {
  const sent = listOf(body['messages']).filter(isRecord);
  if (textOf(body['model']) === '') throw new BadRequest('you must provide a model parameter');
  if (sent.length === 0) throw new BadRequest("[] is too short - 'messages'");
  const isSystem = (one: Record<string, unknown>): boolean =>
    one['role'] === 'system' || one['role'] === 'developer';
  const messages = sent.filter((one) => !isSystem(one)).map(messageOf);
  checkToolResults(messages);
  const tools = listOf(body['tools']).filter(isRecord).map(toolOf);
  return {
    model: textOf(body['model']),
    stream: body['stream'] === true,
    system: sent
      .filter(isSystem)
      .map(({ content }) => contentText(content))
      .join('\n\n'),
    messages,
    tools,
    ...given('outputSchema', outputSchemaOf(body['response_format'])),
    ...given('mustCall', forcedTool(body['tool_choice'], tools)),
    ...given('maxOutputTokens', numberOf(body['max_completion_tokens'] ?? body['max_tokens'])),
    ...given('temperature', numberOf(body['temperature'])),
  };
}

export function openaiBody(answer: WholeAnswer): string {
  const { id, model, text, reasoning, toolCalls, finish } = answer;
  const message = {
    role: 'assistant',
    content: text === '' ? null : text,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(wireToolCall) }),
  };
  return JSON.stringify({
    id,
    object: 'chat.completion',
    created: now(),
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: FINISH[finish] }],
    usage: usageOf(answer),
  });
}

/** The events of a stream. Usage is in it where the request asks for it. */
export function openaiEvents(
  answer: WholeAnswer,
  { stream_options: options }: Readonly<Record<string, unknown>>,
): string[] {
  const { id, model, text, reasoning, toolCalls, finish } = answer;
  const head = { id, object: 'chat.completion.chunk', created: now(), model };
  const chunk = (delta: unknown, reason: string | null = null): string =>
    event({ ...head, choices: [{ index: 0, delta, finish_reason: reason }] });
  return [
    chunk({ role: 'assistant', content: '' }),
    ...piecesOf(reasoning).map((thought) => chunk({ reasoning_content: thought })),
    ...piecesOf(text).map((content) => chunk({ content })),
    ...toolCalls.flatMap((one, index) => toolCallDeltas(one, index).map((delta) => chunk(delta))),
    chunk({}, FINISH[finish]),
    ...(isRecord(options) && options['include_usage'] === true
      ? [event({ ...head, choices: [], usage: usageOf(answer) })]
      : []),
    'data: [DONE]\n\n',
  ];
}

export function openaiError(status: number, message: string): string {
  const type =
    status === 429 ? 'rate_limit_exceeded' : status >= 500 ? 'server_error' : 'invalid_request_error';
  const code = status === 401 ? 'invalid_api_key' : null;
  return JSON.stringify({ error: { message, type, param: null, code } });
}

function messageOf(message: Record<string, unknown>): ScriptedMessage {
  const { role, content, tool_calls: toolCalls, tool_call_id: answers } = message;
  if (role !== 'user' && role !== 'assistant' && role !== 'tool') {
    throw new BadRequest(`Invalid value: '${String(role)}' for a message's role`);
  }
  return {
    role,
    text: contentText(content),
    toolCalls: listOf(toolCalls).filter(isRecord).map(toolCallOf),
    ...(role === 'tool' ? { answers: textOf(answers) } : {}),
  };
}

function toolCallOf({ id, function: called }: Record<string, unknown>): ScriptedToolCall {
  const { name, arguments: input } = isRecord(called) ? called : {};
  return { id: textOf(id), name: textOf(name), input: JSON.parse(textOf(input)) };
}

function toolOf({ function: tool }: Record<string, unknown>): ParsedRequest['tools'][number] {
  const { name, description, parameters } = isRecord(tool) ? tool : {};
  return { name: textOf(name), description: textOf(description), input: parameters };
}

/** Text is sent as it is, or as a list of parts. */
function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  return listOf(content)
    .filter(isRecord)
    .map(({ text }) => textOf(text))
    .join('');
}

function outputSchemaOf(format: unknown): unknown {
  if (!isRecord(format)) return undefined;
  if (format['type'] === 'json_object') return {};
  return isRecord(format['json_schema']) ? format['json_schema']['schema'] : undefined;
}

/** Any of a single tool is that tool. */
function forcedTool(choice: unknown, tools: ParsedRequest['tools']): string | undefined {
  if (choice === 'required' && tools.length === 1) return tools[0]?.name;
  return isRecord(choice) && isRecord(choice['function']) ? textOf(choice['function']['name']) : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function wireToolCall({ id, name, input }: WholeAnswer['toolCalls'][number]): unknown {
  return { id, type: 'function', function: { name, arguments: JSON.stringify(input) } };
}

/** Its name first, then its input in two pieces. */
function toolCallDeltas(
  { id, name, input }: WholeAnswer['toolCalls'][number],
  index: number,
): readonly unknown[] {
  const text = JSON.stringify(input);
  const half = Math.ceil(text.length / 2);
  return [
    { tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] },
    { tool_calls: [{ index, function: { arguments: text.slice(0, half) } }] },
    { tool_calls: [{ index, function: { arguments: text.slice(half) } }] },
  ];
}

function usageOf({ usage }: WholeAnswer): unknown {
  const { inputTokens, cachedTokens, outputTokens } = usage;
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** Seconds since 1970. */
function now(): number {
  return Math.floor(Date.now() / 1000);
}

function event(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
