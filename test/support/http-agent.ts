import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What is answered: at once, unless a latency in ms is given. `hang`: nothing, until the caller goes away. */
export type Behaviour =
  | { readonly kind: 'ok'; readonly latency?: number }
  | { readonly kind: 'fail'; readonly status: number; readonly latency?: number }
  | { readonly kind: 'hang' }
  /** 429 with Retry-After, in seconds. */
  | { readonly kind: 'pace'; readonly retryAfter: number };

/** A call that reached the agent. Times are in ms since 1970. */
export interface AgentCall {
  readonly task: string;
  readonly key: string;
  /** Process id of the worker that made it. */
  readonly worker: number;
  readonly attempt: number;
  readonly at: number;
  /** What it met: how the agent behaved when it arrived. */
  readonly met: Behaviour['kind'];
  /** What it was answered with; absent where it was not. */
  answered?: Behaviour['kind'];
  /** When it was answered, or its caller went away; absent while it is in flight. */
  endedAt?: number;
}

/** A provider on loopback that counts what reaches it, and behaves as it is told. */
export class HttpAgent {
  /** In the order of their arrival. */
  readonly calls: AgentCall[] = [];
  private behaviour: Behaviour = { kind: 'ok' };
  private readonly held = new Set<() => void>();

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => this.receive(request, response));
  }

  static async start(): Promise<HttpAgent> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new HttpAgent(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  /** Behaves so from now on; returns when that was, in ms since 1970. Calls in flight go on as they began. */
  becomes(behaviour: Behaviour): number {
    this.behaviour = behaviour;
    return Date.now();
  }

  /** Calls that hang are answered, as it behaves now. */
  release(): void {
    const held = [...this.held];
    this.held.clear();
    for (const answer of held) answer();
  }

  /** Calls in flight now. */
  get inFlight(): number {
    return this.calls.filter(({ endedAt }) => endedAt === undefined).length;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private receive({ headers }: IncomingMessage, response: ServerResponse): void {
    const call: AgentCall = {
      task: String(headers['x-task']),
      key: String(headers['idempotency-key']),
      worker: Number(headers['x-worker']),
      attempt: Number(headers['x-attempt']),
      at: Date.now(),
      met: this.behaviour.kind,
    };
    this.calls.push(call);
    response.once('close', () => (call.endedAt = Date.now()));
    this.answer(call, response);
  }

  private answer(call: AgentCall, response: ServerResponse): void {
    const { behaviour } = this;
    if (behaviour.kind === 'hang') {
      const later = (): void => this.answer(call, response);
      this.held.add(later);
      response.once('close', () => this.held.delete(later));
      return;
    }
    const say = (): void => {
      call.answered = behaviour.kind;
      if (behaviour.kind === 'ok') response.end(`done ${call.task}`);
      else if (behaviour.kind === 'fail') response.writeHead(behaviour.status).end('down');
      else response.writeHead(429, { 'retry-after': String(behaviour.retryAfter) }).end('slow down');
    };
    const latency = behaviour.kind === 'pace' ? 0 : (behaviour.latency ?? 0);
    if (latency === 0) say();
    else setTimeout(say, latency);
  }
}

/** How many of `calls` were in flight at once, at the most. */
export function mostAtOnce(calls: readonly AgentCall[]): number {
  const changes = calls
    .flatMap(({ at, endedAt = Number.POSITIVE_INFINITY }) => [
      { at, by: 1 },
      { at: endedAt, by: -1 },
    ])
    // Of the same millisecond, one that ended makes room for one that begins.
    .sort((a, b) => a.at - b.at || a.by - b.by);
  let now = 0;
  let most = 0;
  for (const { by } of changes) {
    now += by;
    most = Math.max(most, now);
  }
  return most;
}
