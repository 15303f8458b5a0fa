import { McpConnections } from '../../../src/models/mcp/mcp-connections';

jest.mock('@modelcontextprotocol/client', () => {
  throw Object.assign(new Error('Cannot find it'), { code: 'MODULE_NOT_FOUND' });
});

test('a client that is not installed is a failure that says what to install', async () => {
  const { signal } = new AbortController();
  const use = new McpConnections().use('files', { command: 'any', tools: 'all' }, signal, () =>
    Promise.resolve(),
  );
  await expect(use).rejects.toMatchObject({
    type: 'ConfigInvalid',
    message:
      'MCP servers need the package @modelcontextprotocol/client: npm install @modelcontextprotocol/client',
  });
});
