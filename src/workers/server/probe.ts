import { connect as connectSocket } from 'node:net';
import { Connection } from '@temporalio/client';

/** What answers at an address. */
export type Probe =
  | { readonly kind: 'temporal'; readonly version: string }
  /** Something listens that is not Temporal, or does not answer in time. */
  | { readonly kind: 'other' }
  | { readonly kind: 'nothing' };

/** Asks what answers at a port of 127.0.0.1, within `timeout` ms (default 3,000). */
export async function probe(port: number, timeout = 3000): Promise<Probe> {
  if (!(await listens(port, timeout))) return { kind: 'nothing' };
  try {
    const info = await withLoopback(port, timeout, ({ workflowService }) =>
      workflowService.getSystemInfo({}),
    );
    return { kind: 'temporal', version: info.serverVersion ?? '' };
  } catch {
    return { kind: 'other' };
  }
}

/** Makes calls to a port of 127.0.0.1, past any proxy that the environment names; `timeout` ms for each. */
export async function withLoopback<T>(
  port: number,
  timeout: number,
  call: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = Connection.lazy({
    address: `127.0.0.1:${port}`,
    connectTimeout: timeout,
    channelArgs: { 'grpc.enable_http_proxy': 0 },
  });
  try {
    await connection.ensureConnected();
    return await connection.withDeadline(Date.now() + timeout, () => call(connection));
  } finally {
    // Also where nobody answered: the channel would try again for ever.
    await connection.close();
  }
}

/** The Web UI of a server that we did not start: the dev server puts it a thousand ports above. */
export async function findWebUi(port: number): Promise<string | undefined> {
  const url = `http://127.0.0.1:${port + 1000}`;
  try {
    const answer = await fetch(`${url}/api/v1/settings`, { signal: AbortSignal.timeout(500) });
    const settings: unknown = await answer.json();
    return typeof settings === 'object' && settings !== null && 'DefaultNamespace' in settings
      ? url
      : undefined;
  } catch {
    return undefined;
  }
}

/** True where something takes connections, or does not say within `timeout` ms. */
export function listens(port: number, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket({ port, host: '127.0.0.1', timeout });
    const answer = (listening: boolean) => (): void => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', answer(true));
    socket.once('timeout', answer(true));
    socket.once('error', answer(false));
  });
}
