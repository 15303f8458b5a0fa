/**
 * Connections to MCP servers. Owns when one is opened and closed, and what a server is given of the worker.
 *
 * 1. There is one connection a process and server, for all agents; it opens at the first use.
 * 2. One that failed is used by no call that begins afterwards: the next one opens another. Calls under way on it go on.
 * 3. One that nobody used for a minute is closed; programs end with the process at the latest.
 * 4. No secret is in what is thrown here.
 */
import { createHash } from 'node:crypto';
import { optionalPackage } from '../../activities/documents/optional-package';
import { orAborted } from '../../activities/or-aborted';
import { CadreError } from '../../core/failures';
import { canonicalJson } from '../../core/json';
import { failureInfo } from '../../core/failure-info';
import { oneLine } from '../../core/one-line';
import { Secrets } from '../../core/secrets';
import type { McpAddress, McpProgram, McpServer } from './mcp-server';

const IDLE_MILLISECONDS = 60_000;
/** A program may be fetched first. */
const OPENING_MILLISECONDS = 60_000;
/** Of one answer over HTTP; over standard output the client's own limit is 10 MB. */
const RESPONSE_MAXIMUM_BYTES = 16 * 1024 * 1024;
const SAID_MAXIMUM_LENGTH = 2000;
const MESSAGE_MAXIMUM_LENGTH = 500;
/** In the place of a secret. */
const HIDDEN = '[hidden]';
const PACKAGE = '@modelcontextprotocol/client';

const load = () => import('@modelcontextprotocol/client');
type Client = InstanceType<Awaited<ReturnType<typeof load>>['Client']>;

interface Connection {
  readonly key: string;
  readonly opening: Promise<Client>;
  readonly secrets: Secrets;
  users: number;
  failed: boolean;
  timer?: NodeJS.Timeout;
}

/** What a use of a server gets. */
export interface McpUse {
  readonly client: Client;
  readonly secrets: Secrets;
}

export class McpConnections {
  private readonly open = new Map<string, Connection>();
  private readonly programs = new Set<number>();
  private readonly closing = new Set<Promise<void>>();
  private readonly endPrograms = (): void => {
    for (const pid of this.programs) endProcess(pid);
  };

  /** `idle`: in ms, after which a connection without users is closed. */
  constructor(private readonly idle = IDLE_MILLISECONDS) {}

  /**
   * What `work` returns. Throws ToolsUnavailable where the server cannot be reached, ConfigInvalid where the client is not
   * installed, the reason of `signal`, and else an Error that says what `work` failed with.
   */
  async use<Result>(
    name: string,
    server: McpServer,
    signal: AbortSignal,
    work: (use: McpUse) => Promise<Result>,
  ): Promise<Result> {
    signal.throwIfAborted();
    const connection = this.connectionTo(name, server);
    connection.users += 1;
    clearTimeout(connection.timer);
    try {
      const client = await orAborted(connection.opening, signal);
      return await work({ client, secrets: connection.secrets }).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!isAnswer(error)) this.retire(connection);
        throw new Error(explained(error, name, connection.secrets));
      });
    } finally {
      connection.users -= 1;
      this.rest(connection);
    }
  }

  /** Closes all; the next use opens anew. */
  async close(): Promise<void> {
    for (const connection of this.open.values()) this.shut(connection);
    await Promise.all(this.closing);
  }

  private connectionTo(name: string, server: McpServer): Connection {
    const key = keyOf(server);
    const standing = this.open.get(key);
    if (standing !== undefined) return standing;
    const secrets = secretsOf(server);
    const said = { text: '' };
    const opening = this.connect(server, secrets, said, () => this.retire(connection));
    const connection: Connection = {
      key,
      opening: opening.catch((error: unknown) => {
        this.retire(connection);
        throw unavailable(error, name, secrets, said.text);
      }),
      secrets,
      users: 0,
      failed: false,
    };
    connection.opening.catch(() => undefined);
    this.open.set(key, connection);
    return connection;
  }

  private async connect(
    server: McpServer,
    secrets: Secrets,
    said: { text: string },
    onClose: () => void,
  ): Promise<Client> {
    const found = await optionalPackage(PACKAGE, load);
    if (found.kind === 'skipped') {
      throw new CadreError(
        'ConfigInvalid',
        `MCP servers need the package ${PACKAGE}: npm install ${PACKAGE}`,
      );
    }
    const { Client, StreamableHTTPClientTransport } = found.module;
    // Programs are asked by the older handshake, which all understand; some end where anything else comes first.
    const era = 'url' in server ? ({ mode: 'auto' } as const) : ({ mode: 'legacy' } as const);
    const client = new Client({ name: 'cadre', version: '1' }, { versionNegotiation: era });
    const transport =
      'url' in server
        ? new StreamableHTTPClientTransport(new URL(server.url), { fetch: fetchWith(server, secrets) })
        : await this.program(server, secrets, said);
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the client has no such method.
    client.onclose = onClose;
    try {
      await client.connect(transport, { timeout: OPENING_MILLISECONDS });
      return client;
    } catch (error) {
      await client.close().catch(() => undefined);
      throw error;
    }
  }

  /** A program's transport, which is known here while it runs. */
  private async program(
    { command, args = [], env = {}, cwd }: McpProgram,
    secrets: Secrets,
    said: { text: string },
  ) {
    // oxlint-disable-next-line eslint/no-restricted-imports -- a package whose name ends like the folder `client`.
    const { StdioClientTransport, DEFAULT_INHERITED_ENV_VARS } = await import(
      '@modelcontextprotocol/client/stdio'
    );
    const { programs, endPrograms } = this;
    class Program extends StdioClientTransport {
      override async start(): Promise<void> {
        await super.start();
        const { pid } = this;
        if (pid === null) return;
        if (programs.size === 0) process.once('exit', endPrograms);
        programs.add(pid);
        const ended = this.onclose;
        // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a transport has no such method.
        this.onclose = () => {
          programs.delete(pid);
          if (programs.size === 0) process.off('exit', endPrograms);
          ended?.();
        };
      }
    }
    const program = new Program({
      command,
      args: [...args],
      env: { ...withoutInherited(DEFAULT_INHERITED_ENV_VARS), ...env },
      stderr: 'pipe',
      ...(cwd === undefined ? {} : { cwd }),
    });
    program.stderr?.on('data', (chunk: Buffer) => {
      // Hidden before it is cut: what is left of a secret would not be known as one.
      said.text = secrets.hide(said.text + chunk.toString()).slice(-SAID_MAXIMUM_LENGTH);
    });
    return program;
  }

  /** No call that begins from now on uses it. */
  private retire(connection: Connection): void {
    connection.failed = true;
    if (this.open.get(connection.key) === connection) this.open.delete(connection.key);
  }

  private rest(connection: Connection): void {
    if (connection.users > 0) return;
    if (connection.failed) return this.shut(connection);
    connection.timer = setTimeout(() => this.shut(connection), this.idle);
    connection.timer.unref();
  }

  private shut(connection: Connection): void {
    clearTimeout(connection.timer);
    this.retire(connection);
    const closed = connection.opening
      .then((client) => client.close())
      .catch(() => undefined)
      .finally(() => this.closing.delete(closed));
    this.closing.add(closed);
  }
}

/** Those of the process. */
export const CONNECTIONS = new McpConnections();

/** Closes the connections to MCP servers, which otherwise end after a minute without a call, or with the process. */
export function closeMcpServers(): Promise<void> {
  return CONNECTIONS.close();
}

/** Functions are told apart by what they are, all else by what it says. */
const FUNCTIONS = new WeakMap<object, number>();
let functions = 0;

function keyOf(server: McpServer): string {
  if ('url' in server) return `${server.url} ${numberOf(server.headers)}`;
  const { command, args = [], env = {}, cwd = '' } = server;
  return createHash('sha256')
    .update(canonicalJson([command, args, env, cwd]))
    .digest('hex');
}

function numberOf(headers: McpAddress['headers']): number {
  if (headers === undefined) return 0;
  const known = FUNCTIONS.get(headers);
  if (known !== undefined) return known;
  FUNCTIONS.set(headers, (functions += 1));
  return functions;
}

function secretsOf(server: McpServer): Secrets {
  const secrets = new Secrets();
  if ('url' in server) {
    const { password, searchParams, search } = new URL(server.url);
    for (const secret of [password, decodeURIComponent(password), search, ...searchParams.values()]) {
      secrets.addParts(secret, HIDDEN);
    }
  } else for (const value of Object.values(server.env ?? {})) secrets.addParts(value, HIDDEN);
  return secrets;
}

/** The client gives a program more of the worker's environment than PATH and HOME; Windows runs none without it. */
function withoutInherited(inherited: readonly string[]): Record<string, string> {
  if (process.platform === 'win32') return {};
  const kept = ['PATH', 'HOME'];
  const left = inherited.filter((name) => !kept.includes(name)).map((name) => [name, undefined]);
  // Node leaves out what is undefined; the client's type does not know that.
  return Object.fromEntries(left) as Record<string, string>;
}

function fetchWith({ headers: own }: McpAddress, secrets: Secrets): typeof fetch {
  return async (url, init) => {
    const headers = new Headers(init?.headers);
    for (const [name, value] of Object.entries((await own?.()) ?? {})) {
      secrets.addParts(value, HIDDEN);
      headers.set(name, value);
    }
    return bounded(await fetch(url, { ...init, headers }));
  };
}

function bounded(response: Response): Response {
  if (!response.ok || response.body === null) return response;
  let bytes = 0;
  const limit = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > RESPONSE_MAXIMUM_BYTES) controller.error(new Error('The answer is too large'));
      else controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(limit), response);
}

/** Of JSON-RPC, whose codes are numbers: the server is well. The client's own codes are texts; that of an AbortError is none of its. */
function isAnswer(error: unknown): boolean {
  if (!(error instanceof Error) || error.name === 'AbortError') return false;
  return typeof (error as { code?: unknown }).code === 'number';
}

function explained(error: unknown, name: string, secrets: Secrets): string {
  const { message } = failureInfo(error);
  const said = oneLine(secrets.hide(message), MESSAGE_MAXIMUM_LENGTH);
  if (isAnswer(error)) return said;
  return `The MCP server "${name}" gave no answer: ${said}. Whether the call did anything is not known.`;
}

/** Without the error as its cause: that may hold what was sent. */
function unavailable(error: unknown, name: string, secrets: Secrets, said: string): CadreError {
  if (error instanceof CadreError) return error;
  const problem = failureInfo(error).message;
  const all = secrets.hide(said === '' ? problem : `${problem}; it said: ${said}`);
  const words = oneLine(all, MESSAGE_MAXIMUM_LENGTH);
  return new CadreError('ToolsUnavailable', `The MCP server "${name}" cannot be reached: ${words}`);
}

function endProcess(pid: number): void {
  try {
    process.kill(pid);
  } catch {
    // It has ended.
  }
}
