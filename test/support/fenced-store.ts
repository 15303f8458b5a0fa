import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';

/** What a writer sends: the value, and the term it writes in. */
export interface Write {
  readonly token: number;
  readonly value: readonly string[];
}

/**
 * A resource outside of Temporal, over HTTP. `GET /` answers the list that it holds; `PUT /` with a {@link Write} replaces
 * it, and is refused with 409 where the token is lower than the highest that was seen.
 */
export class FencedStore {
  /** False: it takes whatever comes, as a store that knows of no terms. */
  checks = true;
  value: readonly string[] = [];
  readonly taken: Write[] = [];
  readonly refused: Write[] = [];
  readonly url: string;

  private constructor(private readonly server: Server) {
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('The store has no port');
    this.url = `http://127.0.0.1:${bound.port}/`;
    server.on('request', (request, response) => void this.answer(request, response));
  }

  static async listen(): Promise<FencedStore> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FencedStore(server);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'PUT' && !this.write(JSON.parse(await bodyOf(request)) as Write)) {
      response.statusCode = 409;
    }
    // A client that was paused must not come back to a connection that has been closed meanwhile.
    response.setHeader('connection', 'close');
    response.end(JSON.stringify(this.value));
  }

  private write(write: Write): boolean {
    const highest = Math.max(0, ...this.taken.map(({ token }) => token));
    if (this.checks && write.token < highest) {
      this.refused.push(write);
      return false;
    }
    this.taken.push(write);
    this.value = write.value;
    return true;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}
