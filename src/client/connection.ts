import { loadClientConnectConfig } from '@temporalio/envconfig';
import {
  Client,
  Connection,
  type ConnectionOptions,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
} from '@temporalio/client';
import { CadreError } from '../core/failures';
import { GRPC_STATUS } from './grpc-status';

/** Where a cadre's Temporal server is, when nothing says otherwise. */
export const DEFAULT_ADDRESS = '127.0.0.1:7233';
export const DEFAULT_NAMESPACE = 'default';

/** How to reach Temporal; what is left out comes from `TEMPORAL_*`, then from `temporal.toml`, then the defaults. */
export interface ConnectionFlags {
  /** `host:port`. */
  readonly address?: string;
  readonly namespace?: string;
  /** A profile of `temporal.toml`. */
  readonly profile?: string;
}

export interface ResolvedConnection {
  readonly address: string;
  readonly namespace: string;
  /** True where the address was given, by flag, variable or profile: another server is then no substitute. */
  readonly configured: boolean;
  readonly tls?: NonNullable<ConnectionOptions['tls']>;
  readonly apiKey?: string;
  readonly metadata?: Record<string, string>;
}

/**
 * Reads how to reach Temporal, as Temporal's own CLI does.
 * Throws ConfigInvalid for an unknown profile or an unreadable `temporal.toml`.
 */
export function resolveConnection(flags: ConnectionFlags = {}): ResolvedConnection {
  const { connectionOptions, namespace } = loadConfig(flags.profile);
  const address = flags.address ?? connectionOptions.address;
  const { tls, apiKey, metadata } = connectionOptions as ConnectionOptions & { apiKey?: string };
  return {
    address: address ?? DEFAULT_ADDRESS,
    namespace: flags.namespace ?? namespace ?? DEFAULT_NAMESPACE,
    configured: address !== undefined,
    ...(tls ? { tls } : {}),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(metadata === undefined ? {} : { metadata: metadata as Record<string, string> }),
  };
}

function loadConfig(profile: string | undefined): ReturnType<typeof loadClientConnectConfig> {
  try {
    return loadClientConnectConfig(profile === undefined ? {} : { profile });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError('ConfigInvalid', `Cannot read how to reach Temporal: ${reason}`, { cause });
  }
}

/**
 * Connects to Temporal. Waits for the server up to `timeout` ms (default 5,000).
 * Throws ServerUnreachable.
 */
export async function connect(to: ResolvedConnection, timeout = 5000): Promise<Client> {
  const { address, namespace, tls, apiKey, metadata } = to;
  let connection: Connection | undefined;
  try {
    connection = Connection.lazy({
      address,
      connectTimeout: timeout,
      interceptors: [makeGrpcRetryInterceptor(retryOptions())],
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(metadata === undefined ? {} : { metadata }),
      channelArgs: {
        'grpc.max_receive_message_length': RECEIVED_MAXIMUM_BYTES,
        // A proxy of the environment has no way to this machine's own ports.
        ...(LOOPBACK.test(address) ? { 'grpc.enable_http_proxy': 0 } : {}),
      },
    });
    await connection.ensureConnected();
    return new Client({ connection, namespace });
  } catch (cause) {
    // Otherwise the channel goes on trying.
    await connection?.close();
    throw new CadreError('ServerUnreachable', `No Temporal server answers at ${address}`, { cause });
  }
}

/** The server bounds a page of a history by its number of events, each of which may have a payload of 2 MB. */
const RECEIVED_MAXIMUM_BYTES = 256 * 1024 * 1024;
const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\]):/;

/**
 * The SDK waits a second before it repeats a call that was refused for load; a continue-as-new refuses calls
 * for a few milliseconds, and every sender would then stall. We begin at 5 ms.
 */
function retryOptions(): ReturnType<typeof defaultGrpcRetryOptions> {
  return defaultGrpcRetryOptions({
    initialIntervalMs: ({ code }) => (code === GRPC_STATUS.resourceExhausted ? 5 : 100),
    maxIntervalMs: ({ code }) => (code === GRPC_STATUS.resourceExhausted ? 1000 : 5000),
    maxAttempts: 12,
  });
}
