// A real MCP server over HTTP on loopback, and the real AI SDK against a scripted model.
import { type IncomingHttpHeaders, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { McpServer, createMcpHandler } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { closeMcpServers } from '../../../src/models/mcp/mcp-connections';
import type { McpAddress } from '../../../src/models/mcp/mcp-server';
import { modelAgent } from '../../../src/models/model-agent';
import { FileArtifactStore } from '../../../src/storage/artifact-store';
import type { CallOptions } from '../../../src/testing/call-agent';
import type { Script } from '../../../src/testing/scripted-model';
import { TemporaryFolder } from '../../support/temporary-folder';
import { callScripted, modelOfFile } from '../scripted';
import { recordsIn } from './records-in';

const KEY = 'canary-of-the-headers';

const model = modelOfFile();
const folder = TemporaryFolder.ofEachTest();

const handler = createMcpHandler(({ requestInfo }) => {
  const server = new McpServer({ name: 'search', version: '1' });
  server.registerTool(
    'find',
    { description: 'Finds', inputSchema: z.object({ words: z.string() }) },
    ({ words }) => ({
      content: [
        { type: 'text', text: `found ${words} for ${requestInfo?.headers.get('authorization')}` },
        { type: 'image', mimeType: 'image/png', data: 'AAAA' },
      ],
    }),
  );
  return server;
});

let server: Server;
/** What was asked, by the method of MCP. */
let asked: { readonly method: string; readonly headers: IncomingHttpHeaders }[];
/** Answers in place of the server. */
let instead: (method: string) => { readonly status: number; readonly text: string } | undefined;

beforeEach(async () => {
  asked = [];
  instead = () => undefined;
  server = createServer((request, response) => {
    void (async () => {
      const { method = 'GET', headers } = request;
      const body = await buffer(request);
      const said = body.length === 0 ? {} : (JSON.parse(body.toString()) as { method?: string });
      asked.push({ method: said.method ?? method, headers });
      const own = instead(said.method ?? method);
      if (own !== undefined) {
        response.writeHead(own.status).end(own.text);
        return;
      }
      const answer = await handler.fetch(
        new Request(urlOf(), {
          method,
          headers: Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
          ...(body.length === 0 ? {} : { body }),
        }),
      );
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      response.end(Buffer.from(await answer.arrayBuffer()));
    })();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await closeMcpServers();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const urlOf = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
const headers = (): Record<string, string> => ({ Authorization: `Bearer ${KEY}` });
const address = (changes: Partial<McpAddress> = {}): McpAddress => ({
  url: urlOf(),
  headers,
  tools: { find: { effect: 'read' } },
  ...changes,
});
const call = (search: McpAddress, options: CallOptions = {}, script: Script = finds) =>
  callScripted(
    model,
    modelAgent({
      name: 'finder',
      description: 'an agent',
      model: 'openai/gpt-5-mini',
      instructions: 'Do what the step says.',
      mcp: { search },
    }),
    {},
    script,
    options,
  );
const finds: Script = ({ turn }) =>
  turn === 1 ? { kind: 'answer', toolCalls: [{ name: 'search_find', input: { words: 'rain' } }] } : 'done';

test('a server over HTTP has its headers with each request, and what it repeats of them is hidden', async () => {
  const artifacts = new FileArtifactStore(join(folder.path, 'store'));
  const kept = recordsIn(artifacts);
  const { output } = await call(address(), { artifacts });
  expect(output).toBe('done');
  expect(asked.map(({ method }) => method)).toContain('tools/call');
  expect(asked.every((one) => one.headers.authorization === `Bearer ${KEY}`)).toBe(true);
  expect(model.calls[1]?.request.messages.at(-1)?.text).toMatch(
    /^<untrusted id="[0-9a-f]{16}" from="tool search_find">\nfound rain for \[hidden\]\n\[image image\/png, left out\]\n<\/untrusted/,
  );
  expect(kept.join('\n')).toContain('found rain');
  expect(kept.join('\n')).not.toContain(KEY);
});

test('headers are asked for anew with each request', async () => {
  let number = 0;
  await call(address({ headers: () => Promise.resolve({ 'x-number': `number-${(number += 1)}` }) }));
  const numbers = asked.map((one) => one.headers['x-number']);
  expect(new Set(numbers).size).toBe(numbers.length);
});

test('a server that refuses is a failure without what it repeats of the secrets', async () => {
  instead = () => ({ status: 401, text: `the key ${KEY} is wrong` });
  const failing = call(address());
  await expect(failing).rejects.toMatchObject({ type: 'ToolsUnavailable', nonRetryable: false });
  await expect(failing).rejects.not.toThrow(KEY);
  expect(model.calls).toHaveLength(0);
});

test('a header that cannot be sent is a failure without its value', async () => {
  const failing = call(address({ headers: () => ({ Authorization: `${KEY}\n${KEY}` }) }));
  await expect(failing).rejects.toMatchObject({ type: 'ToolsUnavailable' });
  await expect(failing).rejects.not.toThrow(KEY);
});

test('a call that fails on its way is not sent again, and the next one has a connection of its own', async () => {
  let failures = 0;
  instead = (method) => {
    if (method !== 'tools/call' || failures > 0) return undefined;
    failures += 1;
    return { status: 502, text: `no way for ${KEY}` };
  };
  await call(address(), {}, ({ turn }) =>
    turn > 2 ? 'done' : { kind: 'answer', toolCalls: [{ name: 'search_find', input: { words: 'rain' } }] },
  );
  expect(asked.filter(({ method }) => method === 'tools/call')).toHaveLength(2);
  expect(asked.filter(({ method }) => method === 'server/discover')).toHaveLength(2);
  expect(model.calls[1]?.request.messages.at(-1)?.text).toMatch(/gave no answer: .*is not known/);
  expect(model.calls[1]?.request.messages.at(-1)?.text).not.toContain(KEY);
  expect(model.calls[2]?.request.messages.at(-1)?.text).toContain('found rain');
});

test('a server that is not there is a failure that a retry may mend', async () => {
  const failing = call(address({ url: 'http://127.0.0.1:1/mcp?key=canary-of-the-address' }));
  await expect(failing).rejects.toMatchObject({ type: 'ToolsUnavailable', nonRetryable: false });
  await expect(failing).rejects.not.toThrow('canary');
});
