// Pure: nothing is connected to.
import { webUiLink } from '../../src/cli/links';
import { connect, resolveConnection } from '../../src/client/connection';
import { pickPort } from '../../src/workers/server';
import { TemporaryFolder } from '../support/temporary-folder';

const before = { ...process.env };
let folder: TemporaryFolder;

beforeEach(() => {
  folder = new TemporaryFolder();
  for (const name of Object.keys(process.env))
    if (name.startsWith('TEMPORAL_')) Reflect.deleteProperty(process.env, name);
  // No file of whoever runs the tests may be found.
  process.env['TEMPORAL_CONFIG_FILE'] = folder.write('none.toml', '[profile]\n');
});
afterEach(() => {
  process.env = { ...before };
  folder.remove();
});

function toml(text: string): void {
  process.env['TEMPORAL_CONFIG_FILE'] = folder.write('temporal.toml', text);
}

const TWO_PROFILES = `
[profile.default]
address = "default.example:7233"
namespace = "of-default"

[profile.prod]
address = "prod.example:7233"
namespace = "of-prod"
api_key = "secret"
[profile.prod.grpc_meta]
team = "blue"
`;

test('without anything said, it is the server of this machine, and not configured', () => {
  expect(resolveConnection()).toEqual({ address: '127.0.0.1:7233', namespace: 'default', configured: false });
});

test('TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE say where', () => {
  process.env['TEMPORAL_ADDRESS'] = 'other.example:7000';
  process.env['TEMPORAL_NAMESPACE'] = 'ours';
  expect(resolveConnection()).toEqual({ address: 'other.example:7000', namespace: 'ours', configured: true });
});

test('a namespace alone does not say which server', () => {
  process.env['TEMPORAL_NAMESPACE'] = 'ours';
  expect(resolveConnection()).toEqual({ address: '127.0.0.1:7233', namespace: 'ours', configured: false });
});

test('temporal.toml has profiles: the default one, one by name, one by TEMPORAL_PROFILE', () => {
  toml(TWO_PROFILES);
  expect(resolveConnection()).toMatchObject({
    address: 'default.example:7233',
    namespace: 'of-default',
    configured: true,
  });
  const prod = {
    address: 'prod.example:7233',
    namespace: 'of-prod',
    apiKey: 'secret',
    metadata: { team: 'blue' },
  };
  expect(resolveConnection({ profile: 'prod' })).toMatchObject(prod);
  process.env['TEMPORAL_PROFILE'] = 'prod';
  expect(resolveConnection()).toMatchObject(prod);
});

test('an API key turns TLS on', () => {
  toml(TWO_PROFILES);
  expect(resolveConnection({ profile: 'prod' }).tls).toBeTruthy();
  expect(resolveConnection()).not.toHaveProperty('tls');
});

test('flags are over variables, variables over the file', () => {
  toml(TWO_PROFILES);
  process.env['TEMPORAL_ADDRESS'] = 'variable.example:7233';
  expect(resolveConnection()).toMatchObject({ address: 'variable.example:7233', namespace: 'of-default' });
  expect(resolveConnection({ address: 'flag.example:7233', namespace: 'flag' })).toMatchObject({
    address: 'flag.example:7233',
    namespace: 'flag',
    configured: true,
  });
});

test('an unknown profile and a file that does not parse are refused by name', () => {
  toml(TWO_PROFILES);
  expect(() => resolveConnection({ profile: 'nowhere' })).toThrow(
    expect.objectContaining({ type: 'ConfigInvalid', message: expect.stringContaining('nowhere') as string }),
  );
  toml('[profile.default\naddress = ');
  expect(() => resolveConnection()).toThrow(expect.objectContaining({ type: 'ConfigInvalid' }));
});

test('a server that does not answer is named, with what to do', async () => {
  const address = `127.0.0.1:${await pickPort([])}`;
  await expect(connect({ address, namespace: 'default', configured: true }, 200)).rejects.toMatchObject({
    type: 'ServerUnreachable',
    message: expect.stringContaining(address) as string,
    fix: expect.stringContaining('cadre server') as string,
  });
});

describe('the link to the Web UI', () => {
  const at = { address: '127.0.0.1:7233', namespace: 'default' };
  test.each<[string, { address: string; namespace: string; uiUrl?: string }, string | undefined]>([
    ['the dev server', at, 'http://127.0.0.1:8233/namespaces/default/workflows/task-1'],
    [
      'localhost',
      { ...at, address: 'localhost:7000' },
      'http://localhost:8000/namespaces/default/workflows/task-1',
    ],
    ['IPv6', { ...at, address: '[::1]:7233' }, 'http://[::1]:8233/namespaces/default/workflows/task-1'],
    [
      'what the server said',
      { ...at, uiUrl: 'http://127.0.0.1:9999/' },
      'http://127.0.0.1:9999/namespaces/default/workflows/task-1',
    ],
    [
      'Cloud',
      { address: 'ns.acct.tmprl.cloud:7233', namespace: 'ns.acct' },
      'https://cloud.temporal.io/namespaces/ns.acct/workflows/task-1',
    ],
    ['a cluster elsewhere', { ...at, address: 'temporal.example:7233' }, undefined],
    ['what only looks like Cloud', { ...at, address: 'tmprl.cloud.example:7233' }, undefined],
    ['a port that leaves no room', { ...at, address: '127.0.0.1:65000' }, undefined],
  ])('of %s', (_what, where, link) => {
    expect(webUiLink(where, 'task-1')).toBe(link);
  });

  test('of TEMPORAL_UI_URL, which counts only where it says something', () => {
    process.env['TEMPORAL_UI_URL'] = 'https://ui.example/temporal/';
    expect(webUiLink(at, 'task-1')).toBe('https://ui.example/temporal/namespaces/default/workflows/task-1');
    process.env['TEMPORAL_UI_URL'] = '';
    expect(webUiLink(at, 'task-1')).toBe('http://127.0.0.1:8233/namespaces/default/workflows/task-1');
  });

  test('escapes namespace and id', () => {
    expect(webUiLink({ ...at, namespace: 'a/b' }, 'größe?')).toBe(
      'http://127.0.0.1:8233/namespaces/a%2Fb/workflows/gr%C3%B6%C3%9Fe%3F',
    );
  });
});
