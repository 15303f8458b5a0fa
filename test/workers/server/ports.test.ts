// Pure but for sockets of its own: no server.
import { type AddressInfo, type Server, createServer } from 'node:net';
import { pickPort } from '../../../src/workers/server';

async function listen(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

describe('pickPort', () => {
  test('takes the first preferred port that is free', async () => {
    const free = await pickPort([]);
    expect(await pickPort([free])).toBe(free);
  });

  test('passes over a port on which something listens', async () => {
    const { server, port } = await listen();
    const second = await pickPort([]);
    expect(await pickPort([port, second])).toBe(second);
    expect(await pickPort([port])).not.toBe(port);
    server.close();
  });

  test('passes over a port that the caller has given away', async () => {
    const free = await pickPort([]);
    expect(await pickPort([free], [free])).not.toBe(free);
  });
});
