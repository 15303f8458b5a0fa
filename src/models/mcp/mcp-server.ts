/** How MCP servers are described to an agent. Owns the fields and their ranges; connects to nothing. */
import type { Duration } from '@temporalio/common';
import { invalid } from '../../activities/agent-fields';
import { durationMs, refuseUnknown } from '../../activities/policy-fields';
import { isRecord } from '../../core/json';
import { RESULT_BYTES } from '../cut-bytes';
import { checkRights } from '../model-tools';
import type { ToolRights } from '../tool-run';

/** What a tool of a server may do. What the server says of that itself counts for nothing; its results are text of others. */
export type McpToolRights = Pick<ToolRights, 'effect' | 'allowWritesAfterUntrusted'>;

interface CommonFields {
  /** Its tools that are offered, by the server's names, with what each may do; `'all'`: whatever it has, each as `write`. */
  readonly tools: 'all' | Readonly<Record<string, McpToolRights>>;
  /**
   * What the server says of these tools, as the decision `toolsOffered` has it. Where it says anything else, the step fails as
   * ToolsChanged. Default: it may say what it likes.
   */
  readonly pinned?: string;
  /** Of a call. Default 1 minute; 1 ms to 1 hour. */
  readonly timeout?: Duration;
  /** What is kept of a result, in bytes. Default 262,144; 1,024 to 1,048,576. */
  readonly maxResultBytes?: number;
}

/** A program that speaks MCP over its standard input and output. */
export interface McpProgram extends CommonFields {
  readonly command: string;
  /** Not secret. Default: none. */
  readonly args?: readonly string[];
  /** Secrets, beside PATH and HOME, which are all that it has of the worker's environment. Default: none. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the worker's. */
  readonly cwd?: string;
}

/** A server that speaks MCP over HTTP (Streamable HTTP). */
export interface McpAddress extends CommonFields {
  /** http or https. */
  readonly url: string;
  /** Asked for with each request; their values are secrets. Default: none. */
  readonly headers?: () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
}

export type McpServer = McpProgram | McpAddress;

/** By name. */
export type McpServers = Readonly<Record<string, McpServer>>;

const COMMON = ['tools', 'pinned', 'timeout', 'maxResultBytes'] satisfies (keyof CommonFields)[];
const PROGRAM = [...COMMON, 'command', 'args', 'env', 'cwd'] satisfies (keyof McpProgram)[];
const ADDRESS = [...COMMON, 'url', 'headers'] satisfies (keyof McpAddress)[];
const RIGHTS = ['effect', 'allowWritesAfterUntrusted'] satisfies (keyof McpToolRights)[];

const NAME = /^[A-Za-z0-9_-]{1,32}$/;
const TIMEOUT_MILLISECONDS = 60_000;
const TIMEOUT_MAXIMUM_MILLISECONDS = 3_600_000;
const RESULT_BYTES_RANGE = [1024, 1024 * 1024] as const;

/** In ms. */
export function timeoutOf({ timeout }: McpServer): number {
  return timeout === undefined ? TIMEOUT_MILLISECONDS : durationMs(timeout);
}

export function resultBytesOf({ maxResultBytes = RESULT_BYTES }: McpServer): number {
  return maxResultBytes;
}

/** Throws ConfigInvalid for a server that cannot be; PolicyInvalid for a field that there is not. No message has a secret. */
export function checkServers(agent: string, servers: McpServers): void {
  if (!isRecord(servers)) throw invalid(agent, 'mcp', 'an object of servers by name', typeof servers);
  for (const [name, server] of Object.entries(servers)) {
    const of = `mcp.${name}`;
    if (!NAME.test(name)) throw invalid(agent, 'mcp', 'named with 1 to 32 of A-Z a-z 0-9 _ -', name);
    const given: unknown = server;
    if (!isRecord(given) || 'command' in given === 'url' in given) {
      throw invalid(agent, of, '{ command, tools } or { url, tools }', typeof server);
    }
    if ('command' in server) checkProgram(agent, of, server);
    else checkAddress(agent, of, server);
    checkCommon(agent, of, server);
  }
}

function checkProgram(agent: string, of: string, server: McpProgram): void {
  refuseUnknown(agent, of, server, PROGRAM);
  const { command, args = [], env = {}, cwd } = server;
  if (!isText(command)) throw invalid(agent, `${of}.command`, 'a text', typeof command);
  if (!Array.isArray(args) || !args.every((one) => typeof one === 'string')) {
    throw invalid(agent, `${of}.args`, 'a list of texts', typeof args);
  }
  if (!isRecord(env)) throw invalid(agent, `${of}.env`, 'an object of texts by name', typeof env);
  const wrong = Object.entries(env).find(([, value]) => typeof value !== 'string');
  if (wrong !== undefined) throw invalid(agent, `${of}.env.${wrong[0]}`, 'a text', typeof wrong[1]);
  if (cwd !== undefined && !isText(cwd)) throw invalid(agent, `${of}.cwd`, 'a folder', typeof cwd);
}

function checkAddress(agent: string, of: string, server: McpAddress): void {
  refuseUnknown(agent, of, server, ADDRESS);
  const { url, headers } = server;
  // The address itself may hold a secret.
  if (typeof url !== 'string' || !/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    throw invalid(agent, `${of}.url`, 'an address of http or https', typeof url);
  }
  if (headers !== undefined && typeof headers !== 'function') {
    throw invalid(agent, `${of}.headers`, 'a function that returns them', typeof headers);
  }
}

function checkCommon(agent: string, of: string, server: McpServer): void {
  const { tools, pinned } = server;
  if (tools !== 'all' && (!isRecord(tools) || Object.keys(tools).length === 0)) {
    throw invalid(
      agent,
      `${of}.tools`,
      "'all', or what each tool that is offered may do, by its name",
      tools,
    );
  }
  if (tools !== 'all') {
    for (const [name, rights] of Object.entries(tools)) {
      if (!isRecord(rights)) throw invalid(agent, `${of}.tools.${name}`, "{ effect: 'read' } or {}", rights);
      refuseUnknown(agent, `${of}.tools.${name}`, rights, RIGHTS);
      checkRights(agent, `${of}.tools.${name}`, rights);
    }
  }
  if (pinned !== undefined && !isText(pinned)) throw invalid(agent, `${of}.pinned`, 'a text', pinned);
  const timeout = timeoutOf(server);
  if (!(timeout >= 1 && timeout <= TIMEOUT_MAXIMUM_MILLISECONDS)) {
    throw invalid(agent, `${of}.timeout`, '1 ms to 1 hour', server.timeout);
  }
  const bytes = resultBytesOf(server);
  const [least, most] = RESULT_BYTES_RANGE;
  if (!Number.isInteger(bytes) || bytes < least || bytes > most) {
    throw invalid(agent, `${of}.maxResultBytes`, `a whole number from ${least} to ${most}`, bytes);
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.trim() !== '';
}
