/** Passes a request on to its provider with the real key, the answer back to the caller, and what is kept of it to the tape. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { ProviderAccess } from '../../models/providers';
import { type RecordedReply, keptHeaders, replyBody } from './exchange';
import { secretsOf, withoutSecrets } from './secrets';

export interface Passage {
  readonly access: ProviderAccess;
  readonly method: string;
  /** Below the provider's address, with its query. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly secrets: readonly string[];
}

/** Of one exchange, in ms. */
const TIME_LIMIT = 600_000;

/** What the connection sets by itself, and what only the cassette may say: who asks. */
const NOT_PASSED: readonly string[] = [
  'accept-encoding',
  'authorization',
  'connection',
  'content-length',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'transfer-encoding',
  'x-api-key',
];

/**
 * Resolves with what is to be recorded, once the answer was read to its end; a caller that goes away before does not end it.
 * Rejects where the provider cannot be reached, or breaks off.
 */
export async function forward(passage: Passage, response: ServerResponse): Promise<RecordedReply> {
  const answer = await ask(passage);
  const { status } = answer;
  const headers = keptHeaders(answer.headers);
  const secrets = [...passage.secrets, ...secretsOf(answer.headers)];
  const text = answer.ok
    ? withoutSecrets(await passOn(answer, headers, response), secrets)
    : withoutSecrets(await answer.text(), secrets);
  // A provider may repeat the key that it refuses: that goes no further than here.
  if (!answer.ok) response.writeHead(status, headers).end(text);
  return { status, headers, body: replyBody(text, headers['content-type']) };
}

function ask({ access, method, target, headers, body }: Passage): Promise<Response> {
  return fetch(`${access.url.replace(/\/+$/, '')}${target}`, {
    method,
    headers: { ...passedHeaders(headers), ...keyHeader(access) },
    ...(body.length === 0 ? {} : { body: new Uint8Array(body) }),
    // The key is for this address alone.
    redirect: 'error',
    signal: AbortSignal.timeout(TIME_LIMIT),
  });
}

/** As it comes; returns all of it. Throws TypeError where it is not UTF-8. */
async function passOn(
  { status, body }: Response,
  headers: Readonly<Record<string, string>>,
  response: ServerResponse,
): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  response.writeHead(status, headers);
  for await (const bytes of body ?? []) {
    text += decoder.decode(bytes as Uint8Array, { stream: true });
    if (!response.destroyed) response.write(bytes);
  }
  text += decoder.decode();
  response.end();
  return text;
}

function passedHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined || NOT_PASSED.includes(name) ? [] : [[name, String(value)]],
    ),
  );
}

function keyHeader({ wire, key }: ProviderAccess): Record<string, string> {
  if (key === undefined) return {};
  return wire === 'anthropic' ? { 'x-api-key': key } : { authorization: `Bearer ${key}` };
}
