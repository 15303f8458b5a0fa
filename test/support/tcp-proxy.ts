import { type Server, type Socket, connect, createServer } from 'node:net';

/** `cut` resets what is open and refuses what is new; `blackhole` keeps both open and forwards nothing. */
export type ProxyMode = 'pass' | 'cut' | 'blackhole';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** A process's way to a server, which a test may slow down, freeze or cut. What was frozen arrives when it passes again. */
export class TcpProxy {
  /** `127.0.0.1:<port>`. */
  readonly address: string;
  private mode: ProxyMode = 'pass';
  private delay = 0;
  private readonly pairs = new Set<Pair>();

  private constructor(
    private readonly server: Server,
    private readonly target: { readonly host: string; readonly port: number },
  ) {
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('The proxy has no port');
    this.address = `127.0.0.1:${bound.port}`;
    server.on('connection', (near) => this.accept(near));
  }

  /** Listens on a free port for what goes to `address`, `host:port`. */
  static async listen(address: string): Promise<TcpProxy> {
    const [host = '', port] = address.split(':');
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return new TcpProxy(server, { host, port: Number(port) });
  }

  /** Milliseconds that everything is held back each way. Default 0. */
  slow(milliseconds: number): void {
    this.delay = milliseconds;
  }

  set(mode: ProxyMode): void {
    this.mode = mode;
    for (const pair of this.pairs) this.apply(pair);
  }

  /** Ends all connections, and frees the port. */
  async close(): Promise<void> {
    this.set('cut');
    await new Promise((resolve) => this.server.close(resolve));
  }

  private accept(near: Socket): void {
    const pair = { near, far: connect(this.target) };
    this.pairs.add(pair);
    for (const [from, to] of [
      [pair.near, pair.far],
      [pair.far, pair.near],
    ] as const) {
      from.setNoDelay(true);
      from.on('data', (chunk) => this.later(() => to.write(chunk)));
      from.on('end', () => this.later(() => to.end()));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.pairs.delete(pair);
      });
    }
    this.apply(pair);
  }

  private apply({ near, far }: Pair): void {
    for (const socket of [near, far]) {
      if (this.mode === 'cut') socket.resetAndDestroy();
      else if (this.mode === 'blackhole') socket.pause();
      else socket.resume();
    }
  }

  private later(act: () => void): void {
    if (this.delay === 0) act();
    else setTimeout(act, this.delay);
  }
}
