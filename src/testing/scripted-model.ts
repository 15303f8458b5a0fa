/**
 * A provider of models on loopback, which answers as a script says. Owns the server and what reached it; the wire formats
 * stand beside it.
 *
 * 1. A key never gets further than the check of it: no call holds one, and no script sees one.
 * 2. A call is remembered before its script is asked, in the order of arrival.
 */
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';
import { assertNever, isRecord } from '../core/json';
import { addressOf, listen, written } from './loopback';
import { anthropicBody, anthropicError, anthropicEvents, parseAnthropic } from './scripted-model/anthropic';
import { openaiBody, openaiError, openaiEvents, parseOpenai } from './scripted-model/openai';
import {
  type Cut,
  type Script,
  type ScriptedAnswer,
  type ScriptedReply,
  type WholeAnswer,
  wholeAnswer,
} from './scripted-model/reply';
import {
  BadRequest,
  type ParsedRequest,
  type ScriptedRequest,
  type WireFormat,
} from './scripted-model/request';

export type {
  Cut,
  Script,
  ScriptedAnswer,
  ScriptedReply,
  ScriptedUsage,
} from './scripted-model/reply';
export type {
  ScriptedMessage,
  ScriptedRequest,
  ScriptedToolCall,
  WireFormat,
} from './scripted-model/request';

export interface ScriptedModelOptions {
  /** The only key that is let in; any other is answered with 401. Default: any key, or none. */
  readonly key?: string;
  /** Port of 127.0.0.1. Default: a free one. */
  readonly port?: number;
}

/** A call that reached the server. Times are in ms since 1970. */
export interface ScriptedCall {
  readonly request: ScriptedRequest;
  /** Whether it had a key, of which nothing is kept. */
  readonly hadKey: boolean;
  /** Its header `idempotency-key`. */
  readonly idempotencyKey?: string;
  readonly at: number;
  /** What the script said; absent until then, and where it threw. */
  reply?: ScriptedReply;
  /** Whether all of the answer was handed to the connection. */
  answered: boolean;
  /** When it was answered, or its caller went away; absent while it is in flight. */
  endedAt?: number;
}

interface Wire {
  readonly path: string;
  readonly parse: (body: Readonly<Record<string, unknown>>) => ParsedRequest;
  readonly body: (answer: WholeAnswer) => string;
  readonly events: (answer: WholeAnswer, body: Readonly<Record<string, unknown>>) => string[];
  readonly error: (status: number, message: string) => string;
}

const WIRES = {
  openai: {
    path: '/chat/completions',
    parse: parseOpenai,
    body: openaiBody,
    events: openaiEvents,
    error: openaiError,
  },
  anthropic: {
    path: '/messages',
    parse: parseAnthropic,
    body: anthropicBody,
    events: anthropicEvents,
    error: anthropicError,
  },
} as const satisfies Record<WireFormat, Wire>;

/** What of a request is no answer's to give. */
interface Refusal {
  readonly status: number;
  readonly message: string;
}

/** A model that says what a script tells it, over the wire formats of OpenAI and Anthropic. Close it at a test's end. */
export class ScriptedModel {
  /** In the order of their arrival. What was refused before the script was asked is not among them. */
  readonly calls: ScriptedCall[] = [];

  private constructor(
    private readonly server: Server,
    private script: Script,
    private readonly key: string | undefined,
  ) {
    server.on('request', (request, response) => {
      void buffer(request)
        .then((sent) => this.receive(request, sent, response))
        .catch((error: unknown) => fail(response, error));
    });
  }

  static async start(script: Script, { key, port }: ScriptedModelOptions = {}): Promise<ScriptedModel> {
    return new ScriptedModel(await listen(port), script, key);
  }

  /** Base URL for both formats, which ends in `/v1`. */
  get url(): string {
    return `${addressOf(this.server)}/v1`;
  }

  /** Calls in flight now. */
  get inFlight(): number {
    return this.calls.filter(({ endedAt }) => endedAt === undefined).length;
  }

  /** Says what `script` tells it from now on. Calls in flight go on as they began. */
  becomes(script: Script): void {
    this.script = script;
  }

  /** Breaks what is in flight, and frees the port. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async receive(
    { url = '', headers }: IncomingMessage,
    sent: Buffer,
    response: ServerResponse,
  ): Promise<void> {
    const path = url.split('?')[0] ?? '';
    const format = FORMATS.find((one) => path.endsWith(WIRES[one].path));
    if (format === undefined) return sendJson(response, 404, '{"error":{"message":"Not found"}}');
    const request = this.read(format, headers, sent);
    if ('status' in request) {
      return sendJson(response, request.status, WIRES[format].error(request.status, request.message));
    }
    const call = this.remember(request, headers, response);
    const reply = await this.ask(call);
    call.reply = reply;
    await send(response, reply, request);
  }

  private read(format: WireFormat, headers: IncomingHttpHeaders, sent: Buffer): ScriptedRequest | Refusal {
    if (this.key !== undefined && keyOf(headers) !== this.key) {
      return { status: 401, message: 'Incorrect API key provided' };
    }
    if (format === 'anthropic' && headers['anthropic-version'] === undefined) {
      return { status: 400, message: 'anthropic-version: header is required' };
    }
    try {
      const body: unknown = JSON.parse(sent.toString());
      if (!isRecord(body)) return { status: 400, message: 'Expected a JSON object' };
      const parsed = WIRES[format].parse(body);
      const turn = parsed.messages.filter(({ role }) => role === 'assistant').length + 1;
      return { call: this.calls.length + 1, turn, format, ...parsed, bytes: sent.length, body };
    } catch (error) {
      if (error instanceof BadRequest || error instanceof SyntaxError) {
        return { status: 400, message: error.message };
      }
      throw error;
    }
  }

  private remember(
    request: ScriptedRequest,
    headers: IncomingHttpHeaders,
    response: ServerResponse,
  ): ScriptedCall {
    const idempotencyKey = headers['idempotency-key'];
    const call: ScriptedCall = {
      request,
      hadKey: keyOf(headers) !== undefined,
      ...(typeof idempotencyKey === 'string' ? { idempotencyKey } : {}),
      at: Date.now(),
      answered: false,
    };
    this.calls.push(call);
    response.once('finish', () => (call.answered = true));
    response.once('close', () => (call.endedAt = Date.now()));
    return call;
  }

  /** What the script says; a script that throws is answered as a request that the provider refuses. */
  private async ask({ request }: ScriptedCall): Promise<ScriptedReply> {
    try {
      return await this.script(request);
    } catch (error) {
      return {
        kind: 'error',
        status: 400,
        message: `The script of call ${request.call} threw: ${String(error)}`,
      };
    }
  }
}

const FORMATS = Object.keys(WIRES) as readonly WireFormat[];

/** OpenAI takes it as a bearer token, Anthropic in a header of its own. */
function keyOf({ authorization, 'x-api-key': key }: IncomingHttpHeaders): string | undefined {
  return typeof key === 'string' ? key : authorization?.replace(/^Bearer /, '');
}

async function send(response: ServerResponse, reply: ScriptedReply, request: ScriptedRequest): Promise<void> {
  if (typeof reply === 'string') return sendAnswer(response, { kind: 'answer', text: reply }, request);
  switch (reply.kind) {
    case 'answer':
      return sendAnswer(response, reply, request);
    case 'error': {
      const { status, message = `The script says ${status}`, retryAfter } = reply;
      if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter));
      return sendJson(response, status, WIRES[request.format].error(status, message));
    }
    case 'raw': {
      const { body, status = 200, contentType = 'application/json' } = reply;
      response.writeHead(status, { 'content-type': contentType }).end(body);
      return;
    }
    case 'hang':
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    default:
      return assertNever(reply);
  }
}

async function sendAnswer(
  response: ServerResponse,
  answer: ScriptedAnswer,
  request: ScriptedRequest,
): Promise<void> {
  const { latency = 0, pace = 0, cut } = answer;
  if (latency > 0) await wait(latency);
  const wire: Wire = WIRES[request.format];
  const whole = wholeAnswer(answer, request);
  const pieces = request.stream ? wire.events(whole, request.body) : [wire.body(whole)];
  response.writeHead(200, { 'content-type': request.stream ? 'text/event-stream' : 'application/json' });
  let left = cut?.after ?? Number.POSITIVE_INFINITY;
  for (const [index, piece] of pieces.entries()) {
    if (pace > 0 && index > 0) await wait(pace);
    const bytes = Buffer.from(piece);
    await written(response, bytes.subarray(0, left));
    left -= bytes.length;
    if (left < 0) return breakOff(response, cut?.how);
  }
  response.end();
}

function breakOff(response: ServerResponse, how: Cut['how'] = 'reset'): void {
  switch (how) {
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'end':
      response.end();
      return;
    case 'hang':
      return;
    default:
      assertNever(how);
  }
}

/** Of a reply that is none, and of whoever went away while it sent. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy();
  else sendJson(response, 500, JSON.stringify({ error: { message: String(error) } }));
}

function sendJson(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}
