/** What the commands share: a connection, with a server brought up or not, and the configuration. */
import type { Client } from '@temporalio/client';
import { type ResolvedConnection, connect, resolveConnection } from '../client/connection';
import { hasAttentionAttribute } from '../client/attention-attribute';
import { CadreClient } from '../client/cadre-client';
import { validName } from '../core/names';
import { cacheFolder, dataFolder } from '../storage/folders';
import { type LoadedConfig, loadConfig } from '../workers/config';
import { type TemporalServer, findListeners, findOrStartServer, findRunningServer } from '../workers/server';
import { type CommonFlags, connectionFlags } from './connection-options';
import type { Output } from './output';

export interface Session {
  readonly client: CadreClient;
  readonly config: LoadedConfig;
  readonly at: { readonly address: string; readonly namespace: string; readonly uiUrl?: string | undefined };
  /** Closes the connection. */
  close(): Promise<void>;
}

/** The configuration, with the flags over it. Throws ConfigInvalid, NameInvalid. */
export function configOf(flags: CommonFlags): LoadedConfig {
  const config = loadConfig(flags.config);
  if (flags.cadre === undefined) return config;
  const { workflowsPath, file, embedded, budget } = config;
  return {
    cadre: validName('cadre', flags.cadre),
    embedded,
    // Loaded when they are asked for, if at all.
    get agents() {
      return config.agents;
    },
    ...(workflowsPath === undefined ? {} : { workflowsPath }),
    ...(budget === undefined ? {} : { budget }),
    ...(file === undefined ? {} : { file }),
  };
}

/** The server that the flags, the environment or a profile name, else the one that runs on this machine. */
export async function locateServer(flags: CommonFlags): Promise<ResolvedConnection & { uiUrl?: string }> {
  const to = resolveConnection(connectionFlags(flags));
  const running = to.configured ? undefined : await findRunningServer({ dataFolder: dataFolder() });
  if (running === undefined) return to;
  const { address, uiUrl } = running;
  return { ...to, address, ...(uiUrl === undefined ? {} : { uiUrl }) };
}

/** How long, in ms, something on this machine may take to turn out a Temporal server. */
const LOCAL_PATIENCE = 3000;

/** Connects to the server that {@link locateServer} would find, at one connection less. Throws ServerUnreachable. */
export async function connectToServer(
  flags: CommonFlags,
): Promise<{ at: ResolvedConnection & { uiUrl?: string | undefined }; temporal: Client }> {
  const to = resolveConnection(connectionFlags(flags));
  const listeners = to.configured ? [] : await findListeners({ dataFolder: dataFolder() });
  for (const listener of listeners) {
    const at = { ...to, ...listener };
    // What does not answer is another program.
    const temporal = await connect(at, LOCAL_PATIENCE).catch(() => undefined);
    if (temporal !== undefined) return { at, temporal };
  }
  return { at: to, temporal: await connect(to) };
}

/** Connects to the server there is. Throws ServerUnreachable. */
export async function openSession(flags: CommonFlags): Promise<Session> {
  const config = configOf(flags);
  const { at, temporal } = await connectToServer(flags);
  const client = new CadreClient(temporal, { cadre: config.cadre });
  return { client, config, at, close: () => client.close() };
}

/** Connects to the server that is configured or running, or to one it starts. */
export async function openSessionWithServer(
  flags: CommonFlags,
  output: Output,
  signal?: AbortSignal,
): Promise<Session & { server: TemporalServer }> {
  const to = resolveConnection(connectionFlags(flags));
  const config = configOf(flags);
  const server = await startServer(to, output, signal);
  const at = { ...to, address: server.address, uiUrl: server.uiUrl };
  try {
    const client = new CadreClient(await connect(at), { cadre: config.cadre });
    // Known by the start, which then need not wait for it.
    void hasAttentionAttribute(client.temporal);
    return { client, config, at, server, close: () => client.close() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

export function startServer(
  to: ReturnType<typeof resolveConnection>,
  output: Output,
  signal?: AbortSignal,
  ports: { port?: number; uiPort?: number } = {},
): Promise<TemporalServer> {
  return findOrStartServer({
    ...(to.configured ? { configured: to } : {}),
    dataFolder: dataFolder(),
    cacheFolder: cacheFolder(),
    say: (line) => output.line(line),
    ...(signal === undefined ? {} : { signal }),
    ...ports,
  });
}
