import { type AddressInfo, createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';

/** The first of the preferred ports on 127.0.0.1 that can be listened on, else any free one. */
export async function pickPort(preferred: readonly number[], taken: readonly number[] = []): Promise<number> {
  for (const port of preferred) {
    if (!taken.includes(port) && (await tryListen(port)) !== undefined) return port;
  }
  const port = await tryListen(0);
  if (port === undefined) throw new Error(`No port is free on ${LOOPBACK}`);
  return taken.includes(port) ? pickPort([], taken) : port;
}

/** Resolves to the port listened on for a moment, or to undefined where it is taken. */
function tryListen(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      const { port: bound } = server.address() as AddressInfo;
      server.close(() => resolve(bound));
    });
  });
}
