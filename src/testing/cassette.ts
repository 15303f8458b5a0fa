/**
 * A provider of models on loopback, which answers from a file what the real one answered once. Owns the server, the keys
 * while it records, and what got no answer; the recordings and their file are the tape's, beside it.
 *
 * 1. What is kept or compared of a request or a reply has gone through `withoutSecrets` first.
 * 2. A request without an answer is always a miss, and a miss always rejects `close`, whatever the caller made of it.
 * 3. In `record` a file is replaced only where nothing was missed.
 */
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { inputInvalid } from '../core/failures';
import { canonicalJson } from '../core/json';
import { type ProviderAccess, providerAccess } from '../models/providers';
import {
  CASSETTE_PROVIDERS,
  type CassetteProvider,
  type RecordedReply,
  type RecordedRequest,
  piecesOf,
  requestBody,
} from './cassette/exchange';
import { forward } from './cassette/forward';
import { secretsIn, withoutSecrets } from './cassette/secrets';
import { type Nearest, Tape } from './cassette/tape';
import { addressOf, listen, written } from './loopback';

const MODES = ['replay', 'record', 'auto'] as const;

/**
 * `replay` answers from the file alone. `record` asks the provider each time, and replaces the file. `auto` answers from the
 * file what it has, asks the provider for the rest where there is a key, and adds that.
 */
export type CassetteMode = (typeof MODES)[number];

export interface CassetteOptions {
  /** Default: what CADRE_CASSETTES says, else `replay`. */
  readonly mode?: CassetteMode;
  /**
   * Fields of the request's body that are neither kept nor compared, by their names with dots between, such as
   * `metadata.user_id`; lists on the way are gone through: `messages.id` is that of each message. Default: none.
   */
  readonly ignore?: readonly string[];
}

/** A request that got no answer. */
export interface CassetteMiss {
  readonly provider: CassetteProvider;
  readonly method: string;
  readonly path: string;
  /** The recording that is most like it; absent where there is none, or that was not the reason. */
  readonly nearest?: Nearest;
  /** All of it in words, without secrets. */
  readonly message: string;
}

interface Asked {
  readonly request: RecordedRequest;
  /** The path with its query. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Why there is none, where it cannot be asked. */
type Access = ProviderAccess | { readonly missing: string };

/** Replies of a real provider, recorded once with a key and replayed without. Close it at a test's end. */
export class Cassette {
  /** In the order of their arrival. */
  readonly misses: CassetteMiss[] = [];

  /** What is behind the addresses of all cassettes of this process, so that one that is opened after another finds it. */
  private static readonly behind = new Map<string, Access>();

  private readonly inFlight = new Set<Promise<void>>();
  /** Exchanges that broke off, by request, until the same request is answered. */
  private readonly broken = new Map<string, CassetteMiss>();
  private closing: Promise<void> | undefined;

  private constructor(
    private readonly server: Server,
    readonly mode: CassetteMode,
    readonly ignore: readonly string[],
    private readonly tape: Tape,
    private readonly access: Readonly<Record<CassetteProvider, Access>>,
    private readonly secrets: readonly string[],
  ) {
    for (const provider of CASSETTE_PROVIDERS) Cassette.behind.set(this.urlOf(provider), access[provider]);
    server.on('request', (request, response) => {
      void buffer(request)
        .then((body) => this.track(this.receive(request, body, response)))
        .catch(() => response.destroy());
    });
  }

  /**
   * The cassette of the file at `path`. Addresses and keys of the providers are read from the environment now, and not
   * again. Throws InputInvalid for another mode, and an Error where there is no file to replay, or it is no cassette.
   */
  static async open(path: string, options: CassetteOptions = {}): Promise<Cassette> {
    const mode = modeOf(options.mode ?? (process.env['CADRE_CASSETTES'] || 'replay'));
    const { ignore = [] } = options;
    const tape =
      mode === 'record' ? Tape.empty(path, ignore) : await Tape.load(path, ignore, mode === 'auto');
    const access = {
      openai: Cassette.accessOf('openai'),
      anthropic: Cassette.accessOf('anthropic'),
      compatible: Cassette.accessOf('compatible'),
    };
    return new Cassette(await listen(), mode, ignore, tape, access, secretsIn(process.env));
  }

  private static accessOf(provider: CassetteProvider): Access {
    const found = accessOf(provider);
    return ('url' in found ? Cassette.behind.get(found.url) : undefined) ?? found;
  }

  /** For OPENAI_BASE_URL. */
  get openai(): string {
    return this.urlOf('openai');
  }

  /** For ANTHROPIC_BASE_URL. */
  get anthropic(): string {
    return this.urlOf('anthropic');
  }

  /** For CADRE_MODEL_URL, the address of the provider `compatible`. */
  get compatible(): string {
    return this.urlOf('compatible');
  }

  /**
   * Waits for what is in flight, frees the port, and writes what was recorded. Rejects where a request got no answer, with
   * the messages of {@link misses}; in the mode `record` the file then stays as it was.
   */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  private urlOf(provider: CassetteProvider): string {
    return `${addressOf(this.server)}/${provider}`;
  }

  private async finish(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    while (this.inFlight.size > 0) await Promise.allSettled(this.inFlight);
    this.server.closeAllConnections();
    await closed;
    this.misses.push(...this.broken.values());
    if (this.mode === 'auto' || this.misses.length === 0) await this.tape.write();
    if (this.misses.length > 0) throw new Error(this.misses.map(({ message }) => message).join('\n'));
  }

  private async track(exchange: Promise<void>): Promise<void> {
    this.inFlight.add(exchange);
    try {
      await exchange;
    } finally {
      this.inFlight.delete(exchange);
    }
  }

  private async receive(message: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const asked = this.read(message, body);
    if (asked === undefined)
      return refuse(response, 404, 'Expected the address of a provider of the cassette');
    const reply = this.mode === 'record' ? undefined : this.tape.take(asked.request);
    if (reply !== undefined) return play(response, reply);
    const { request } = asked;
    if (this.mode === 'replay') return this.miss(request, response);
    const access = this.access[request.provider];
    if ('missing' in access) return this.miss(request, response, access.missing);
    await this.record(asked, access, response);
  }

  private read({ url = '', method = 'GET', headers }: IncomingMessage, body: Buffer): Asked | undefined {
    const [, name, target = ''] = /^\/([a-z]+)(\/.*)$/.exec(url) ?? [];
    const provider = CASSETTE_PROVIDERS.find((one) => one === name);
    if (provider === undefined) return undefined;
    const [path = ''] = this.clean(target, headers).split('?');
    const request = { provider, method, path, body: requestBody(this.clean(body.toString(), headers)) };
    return { request, target, headers, body };
  }

  private clean(text: string, headers: IncomingHttpHeaders): string {
    return withoutSecrets(text, [...this.secrets, ...keysIn(headers)]);
  }

  private async record(asked: Asked, access: ProviderAccess, response: ServerResponse): Promise<void> {
    const { request, ...sent } = asked;
    const key = canonicalJson(request);
    const put = this.tape.hold(request);
    const secrets = [...this.secrets, access.key ?? '', ...keysIn(sent.headers)];
    try {
      const reply = await forward({ ...sent, method: request.method, access, secrets }, response);
      if (reply.status === 401 || reply.status === 403) {
        this.misses.push(
          missOf(request, `the provider refused it with ${reply.status}; it was not recorded`),
        );
        return;
      }
      put(reply);
      this.broken.delete(key);
    } catch (error) {
      const why = withoutSecrets(reasonOf(error), secrets);
      this.broken.set(key, missOf(request, `the provider did not answer it to the end: ${why}`));
      response.destroy();
    }
  }

  private miss(request: RecordedRequest, response: ServerResponse, why?: string): void {
    const nearest = this.mode === 'record' ? undefined : this.tape.nearest(request);
    const words = [why, this.mode === 'record' ? undefined : lacking(this.tape.name, nearest)];
    const miss = missOf(request, words.filter((one) => one !== undefined).join('; '), nearest);
    this.misses.push(miss);
    refuse(response, 400, miss.message);
  }
}

function modeOf(mode: string): CassetteMode {
  const found = MODES.find((one) => one === mode);
  if (found === undefined) throw inputInvalid('the mode of a cassette', MODES.join(', '), mode);
  return found;
}

function accessOf(provider: CassetteProvider): Access {
  try {
    return providerAccess(provider);
  } catch (error) {
    return { missing: reasonOf(error) };
  }
}

/** What a caller was given as a key, which is no business of the file's either. */
function keysIn({ authorization = '', 'x-api-key': key = '' }: IncomingHttpHeaders): string[] {
  return [authorization.replace(/^\S+ /, ''), String(key)];
}

function missOf(request: RecordedRequest, why: string, nearest?: Nearest): CassetteMiss {
  const { provider, method, path } = request;
  const message = `No reply to ${method} ${path} of ${provider}: ${why}`;
  return { provider, method, path, ...(nearest === undefined ? {} : { nearest }), message };
}

const AGAIN = 'Record again with CADRE_CASSETTES=record';

function lacking(name: string, nearest: Nearest | undefined): string {
  if (nearest === undefined) return `${name} has no recordings. ${AGAIN}`;
  const { number, difference } = nearest;
  if (difference === undefined) {
    return `${name} has it, up to recording ${number}, but not as often as it was asked. ${AGAIN}`;
  }
  const { at, recorded, asked } = difference;
  return (
    `${name} has none of it. The nearest is recording ${number}, which differs first at ` +
    `${at === '' ? 'the body' : at}: recorded ${recorded}, asked ${asked}. ${AGAIN}`
  );
}

/** In the words of each provider: both find their fields in it. The status is one that nobody tries again. */
function refuse(response: ServerResponse, status: 400 | 404, message: string): void {
  const body = { type: 'error', error: { type: 'cassette_miss', message } };
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function play(response: ServerResponse, { status, headers, body }: RecordedReply): Promise<void> {
  response.writeHead(status, headers);
  for (const piece of piecesOf(body)) if (piece !== '') await written(response, piece);
  response.end();
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
