import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A weather service on loopback that a test tells how to answer. */
export interface WeatherService {
  readonly url: string;
  /** The idempotency key of every request, in order. */
  readonly keys: readonly string[];
  /** How many forecasts were sold: one a key. */
  readonly sold: () => number;
  /** Answers the next request (or the next `times`) with `status`. */
  readonly refuse: (answer: { status: number; retryAfter?: number; times?: number }) => void;
  /** Never answers, until {@link forget}. */
  readonly hang: () => void;
  /** Resolves with the next request. */
  readonly asked: () => Promise<unknown>;
  readonly forget: () => void;
  readonly stop: () => Promise<void>;
}

const CELSIUS: Readonly<Record<string, readonly number[]>> = { Oslo: [4, 5, 3], Lisbon: [17, 18, 16] };

export async function startWeatherService(): Promise<WeatherService> {
  const keys: string[] = [];
  const sold = new Set<string>();
  let hanging = false;
  let refusal = { status: 503, retryAfter: 0, times: 0 };
  const server = createServer((request, response) => void answer(request, response));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { city, days } = JSON.parse(Buffer.concat(chunks).toString()) as { city: string; days: number };
    const key = String(request.headers['idempotency-key']);
    keys.push(key);
    if (hanging) return;
    if (refusal.times > 0) {
      refusal = { ...refusal, times: refusal.times - 1 };
      response
        .writeHead(refusal.status, { 'retry-after': String(refusal.retryAfter) })
        .end('closed for repairs');
      return;
    }
    const celsius = CELSIUS[city];
    if (celsius === undefined) response.writeHead(404).end(`no such city: ${city}`);
    else {
      sold.add(key);
      response.end(JSON.stringify({ city, celsius: celsius.slice(0, days), price: 2 }));
    }
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keys,
    sold: () => sold.size,
    refuse: ({ status, retryAfter = 0, times = 1 }) => void (refusal = { status, retryAfter, times }),
    hang: () => void (hanging = true),
    asked: () => once(server, 'request'),
    forget() {
      keys.splice(0);
      sold.clear();
      hanging = false;
      refusal = { ...refusal, times: 0 };
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
