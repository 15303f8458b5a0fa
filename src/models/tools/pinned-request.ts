/**
 * One GET request to addresses that were checked before. Owns the connection and how much of the body is read.
 *
 * 1. The connection goes to an address that is given, whatever the name leads to by then; certificates are checked by the name.
 * 2. No connection is shared with another request, no proxy of the environment is used, and no redirect followed.
 */
import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type LookupFunction, isIP } from 'node:net';

export interface PinnedRequest {
  readonly url: URL;
  /** At least one. */
  readonly addresses: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** The body is cut off behind so many bytes. */
  readonly maxBytes: number;
}

export interface PinnedResponse {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly cut: boolean;
}

/** Rejects with what `node:http` does. */
export async function pinnedRequest(asked: PinnedRequest): Promise<PinnedResponse> {
  const response = await begin(asked);
  try {
    const { body, cut } = await readUpTo(response, asked.maxBytes);
    return { status: response.statusCode ?? 0, headers: response.headers, body, cut };
  } finally {
    response.destroy();
  }
}

/** The name of a URL's host, without the brackets around an IPv6 address and the dot at the end of a name. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

function begin({ url, addresses, headers, signal }: PinnedRequest): Promise<IncomingMessage> {
  const options: RequestOptions = {
    method: 'GET',
    hostname: hostOf(url),
    port: url.port,
    path: `${url.pathname}${url.search}`,
    headers: { ...headers, host: url.host },
    agent: false,
    lookup: only(addresses),
    signal,
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(options);
    request.on('response', resolve).on('error', reject).end();
  });
}

/** In place of the system's: says what was checked, and asks nobody. */
function only(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, options, callback) => {
    process.nextTick(() => {
      if (options.all === true) callback(null, all);
      else callback(null, all[0]?.address ?? '', all[0]?.family);
    });
  };
}

async function readUpTo(
  response: IncomingMessage,
  maximum: number,
): Promise<{ readonly body: Buffer; readonly cut: boolean }> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maximum) break;
  }
  return { body: Buffer.concat(chunks).subarray(0, maximum), cut: length > maximum };
}
