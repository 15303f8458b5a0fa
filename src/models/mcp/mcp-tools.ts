/**
 * The tools of MCP servers, as a model is offered them. Owns what of a server's list is offered, what is pinned of it, and what
 * is kept of a result.
 *
 * 1. What a server offers is recorded once a step: all attempts offer the model the same.
 * 2. What it says of its tools is what is pinned, where anything is; else nothing is offered.
 * 3. A call that was sent is not sent again: what it failed with is told to the model.
 */
import { createHash } from 'node:crypto';
import type { JSONSchema7 } from '@ai-sdk/provider';
import type { CallToolResult, ContentBlock } from '@modelcontextprotocol/client';
import type { AgentContext } from '../../activities/agent-context';
import { CadreError } from '../../core/failures';
import { assertNever, canonicalJson, isRecord, jsonBytes } from '../../core/json';
import { oneLine } from '../../core/one-line';
import { aiSdk } from '../ai-sdk';
import { cutBytes } from '../cut-bytes';
import type { AiTool, ToolOptions, ToolRights } from '../tool-run';
import { CONNECTIONS } from './mcp-connections';
import { type McpServer, type McpServers, resultBytesOf, timeoutOf } from './mcp-server';

/** What a server says of a tool. */
interface Offered {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: Readonly<Record<string, unknown>>;
}

/** The tools of all servers, by the names that the model has for them. */
export interface OpenedTools {
  readonly tools: Readonly<Record<string, AiTool>>;
  readonly rights: Readonly<Record<string, ToolRights>>;
}

/** What all providers take for a name. */
const NAME_MAXIMUM_LENGTH = 64;
/** Of the list of one server: it stands in each prompt. */
const LIST_MAXIMUM_BYTES = 256 * 1024;
const PIN_LENGTH = 32;
const SHOWN_NAMES_MAXIMUM_LENGTH = 300;

/**
 * What `servers` offer to `agent`, whose own tools are named `taken`. Throws ToolsUnavailable, ToolsChanged, and ConfigInvalid
 * where a server has no tool of a name that was given, or the model could not be given it.
 */
export async function openMcpTools(
  agent: string,
  servers: McpServers,
  taken: readonly string[],
  context: AgentContext,
): Promise<OpenedTools> {
  // Asked for at once, and in order, so that their records keep it.
  const listing = Object.entries(servers).map(async ([name, server]) => {
    return { name, server, list: await recordedList(agent, name, server, context) };
  });
  await Promise.allSettled(listing);
  const tools: Record<string, AiTool> = {};
  const rights: Record<string, ToolRights> = {};
  const { jsonSchema } = aiSdk();
  for (const { name, server, list } of await Promise.all(listing)) {
    context.decide(offeredDecision(name, list));
    for (const tool of list) {
      const known = knownAs(name, tool.name);
      if (known.length > NAME_MAXIMUM_LENGTH || taken.includes(known) || Object.hasOwn(tools, known)) {
        throw unfit(agent, name, `${tool.name}, which the model would know as ${known}: too long, or in use`);
      }
      tools[known] = {
        description: tool.description,
        inputSchema: jsonSchema(tool.inputSchema as JSONSchema7),
        execute: (input: unknown, { cadre }: ToolOptions) =>
          call(name, server, tool.name, input, cadre.signal),
      } as unknown as AiTool;
      const said = server.tools === 'all' ? {} : (server.tools[tool.name] ?? {});
      // Cut already, by what the server may return, before it is recorded.
      rights[known] = { ...said, maxResultBytes: Infinity };
    }
  }
  return { tools, rights };
}

function recordedList(
  agent: string,
  name: string,
  server: McpServer,
  { calls, signal }: AgentContext,
): Promise<readonly Offered[]> {
  const { tools, pinned = null } = server;
  return calls.run({
    kind: 'tool',
    name: `${name}: tools/list`,
    request: { server: name, tools: tools === 'all' ? tools : Object.keys(tools), pinned },
    run: async () => {
      const list = await CONNECTIONS.use(name, server, signal, async ({ client, secrets }) => {
        const given = await client.listTools(undefined, {
          signal,
          timeout: timeoutOf(server),
          cacheMode: 'refresh',
        });
        return given.tools.map((tool) => secrets.hideIn(offeredOf(tool)) as Offered);
      }).catch((error: unknown) => {
        if (error instanceof CadreError || signal.aborted) throw error;
        throw new CadreError('ToolsUnavailable', (error as Error).message);
      });
      const chosen = chosenOf(agent, name, server, list);
      checkPin(name, server, chosen);
      return chosen;
    },
  });
}

function offeredOf(tool: {
  readonly name: string;
  readonly description?: string | undefined;
  readonly inputSchema: object;
}): Offered {
  const { name, description = '', inputSchema } = tool;
  return { name, description, inputSchema: inputSchema as Offered['inputSchema'] };
}

function chosenOf(
  agent: string,
  name: string,
  { tools }: McpServer,
  list: readonly Offered[],
): readonly Offered[] {
  const chosen = tools === 'all' ? list : list.filter((tool) => Object.hasOwn(tools, tool.name));
  const missing =
    tools === 'all'
      ? []
      : Object.keys(tools).filter((wanted) => chosen.every((tool) => tool.name !== wanted));
  if (missing.length > 0) {
    const has = oneLine(list.map((tool) => tool.name).join(', '), SHOWN_NAMES_MAXIMUM_LENGTH);
    throw unfit(agent, name, `${missing.join(', ')}, and the server has ${has === '' ? 'none' : has}`);
  }
  const bytes = jsonBytes(chosen);
  if (bytes <= LIST_MAXIMUM_BYTES) return chosen;
  throw unfit(agent, name, `${chosen.length} of ${bytes} bytes in all, of ${LIST_MAXIMUM_BYTES} that may be`);
}

function unfit(agent: string, server: string, got: string): CadreError {
  return new CadreError(
    'ConfigInvalid',
    `Expected \`mcp.${server}.tools\` of agent "${agent}" to be tools that the server has and a model can be given, got ${got}`,
  );
}

function knownAs(server: string, tool: string): string {
  return `${server}_${tool}`.replace(/[^A-Za-z0-9_-]/g, '_');
}

/** What is pinned of a server: a hash of what it says of each tool, by its name. */
function pinOf(list: readonly Offered[]): string {
  return [...hashesOf(list)]
    .map(([name, hash]) => `${name}=${hash}`)
    .toSorted()
    .join(' ');
}

function hashesOf(list: readonly Offered[]): Map<string, string> {
  return new Map(
    list.map(({ name, description, inputSchema }) => {
      const said = canonicalJson({ description, inputSchema });
      const hash = createHash('sha256').update(said).digest('hex');
      return [encodeURIComponent(name), hash.slice(0, PIN_LENGTH)];
    }),
  );
}

function checkPin(name: string, { pinned }: McpServer, list: readonly Offered[]): void {
  const now = pinOf(list);
  if (pinned === undefined || pinned === now) return;
  const before = new Map(
    pinned.split(' ').map((one): [string, string] => {
      const [tool = '', hash = ''] = one.split('=');
      return [tool, hash];
    }),
  );
  const changes = changesOf(before, hashesOf(list));
  if (changes.length === 0) return;
  throw new CadreError(
    'ToolsChanged',
    `What the MCP server "${name}" says of its tools is not what is pinned: ${changes.join(', ')}. Pinned now it would be '${now}'`,
    { details: { server: name, changes, pinned: now } },
  );
}

function changesOf(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): string[] {
  const gone = [...before.keys()].filter((tool) => !now.has(tool)).map((tool) => `${tool} is gone`);
  const others = [...now].flatMap(([tool, hash]) => {
    const pinned = before.get(tool);
    if (pinned === hash) return [];
    return [`${tool} ${pinned === undefined ? 'is new' : 'changed'}`];
  });
  return [...others, ...gone];
}

function offeredDecision(server: string, list: readonly Offered[]) {
  const pinned = pinOf(list);
  const names = oneLine(list.map(({ name }) => name).join(', '), SHOWN_NAMES_MAXIMUM_LENGTH);
  return {
    type: 'toolsOffered',
    rationale: `The MCP server "${server}" offers ${names === '' ? 'no tools' : names}`,
    evidence: { server, pinned },
  };
}

/** The text of the result. Throws what the server says where the tool failed, for the model to read. */
async function call(
  name: string,
  server: McpServer,
  tool: string,
  input: unknown,
  signal: AbortSignal,
): Promise<string> {
  if (!isRecord(input)) throw new Error('Expected the input to be an object');
  const timeout = timeoutOf(server);
  const { failed, text } = await CONNECTIONS.use(name, server, signal, async ({ client, secrets }) => {
    const result = await client.callTool(
      { name: tool, arguments: input },
      { signal, timeout, maxTotalTimeout: timeout },
    );
    return { failed: result.isError === true, text: secrets.hide(textOf(result)) };
  });
  const kept = cutBytes(text, resultBytesOf(server));
  if (failed) throw new Error(kept);
  return kept;
}

function textOf({ content, structuredContent }: CallToolResult): string {
  // A server that returns both says the same in both.
  if (content.length === 0 && structuredContent !== undefined) return JSON.stringify(structuredContent);
  return content.map(textOfBlock).join('\n');
}

/** What is no text is named, and left out. */
function textOfBlock(block: ContentBlock): string {
  switch (block.type) {
    case 'text':
      return block.text;
    case 'image':
    case 'audio':
      return `[${block.type} ${block.mimeType}, left out]`;
    case 'resource_link':
      return `[${block.name}: ${block.uri}]`;
    case 'resource':
      return 'text' in block.resource ? block.resource.text : `[${block.resource.uri}, left out]`;
  }
  return assertNever(block);
}
