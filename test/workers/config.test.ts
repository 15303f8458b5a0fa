// In Node itself, on what was built: Jest's own loader would stand in for the one under test.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../support/cli';
import { TemporaryFolder } from '../support/temporary-folder';

const CADRE = JSON.stringify(join(ROOT, 'dist', 'index.js'));
const SCHEMA = "{ '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }";
const LOAD = `
const { loadConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'workers', 'config.js'))});
const [folder, path] = process.argv.slice(1);
try {
  const { agents, ...rest } = loadConfig(path, folder);
  console.log(JSON.stringify({ ...rest, agents: agents.map(({ name, description }) => ({ name, description })) }));
} catch ({ name, type, message }) {
  console.log(JSON.stringify({ error: { name, type, message } }));
}`;

interface Loaded {
  readonly cadre: string;
  readonly agents: readonly { readonly name: string; readonly description: string }[];
  readonly embedded: boolean;
  readonly file?: string;
  readonly workflowsPath?: string;
  readonly error?: { readonly name: string; readonly type: string; readonly message: string };
}

const folder = TemporaryFolder.ofEachTest();

/** The source of an agent, in JavaScript. */
function agentSource(name: string): string {
  return `require(${CADRE}).defineAgent({ name: '${name}', description: 'd', input: ${SCHEMA}, output: ${SCHEMA}, act: () => null })`;
}

function load(path?: string, environment: Readonly<Record<string, string>> = {}): Loaded {
  const args = ['-e', LOAD, '--', folder.path, ...(path === undefined ? [] : [path])];
  const { CADRE_MODEL: _, CADRE_OFFLINE: __, ...env } = process.env;
  const options = { encoding: 'utf8', env: { ...env, ...environment } } as const;
  return JSON.parse(execFileSync(process.execPath, args, options)) as Loaded;
}

const names = (path?: string): string[] => load(path).agents.map(({ name }) => name);

function refusal(path?: string): { type: string; message: string } {
  const { error } = load(path);
  expect(error?.name).toBe('CadreError');
  return error ?? { type: '', message: '' };
}

const EMBEDDED = ['planner', 'research', 'analysis', 'writer', 'person'];

test('without a file there are the embedded agents, in the cadre `cadre`', () => {
  expect(names()).toEqual(EMBEDDED);
  expect(load()).not.toHaveProperty('file');
  expect(load().cadre).toBe('cadre');
});

test('a .js file of the folder is taken, its agents before the embedded ones', () => {
  const file = folder.write(
    'cadre.config.js',
    `module.exports = { cadre: 'ours', agents: [${agentSource('own')}] };`,
  );
  expect(names()).toEqual(['own', ...EMBEDDED]);
  expect(load()).toMatchObject({ cadre: 'ours', file });
});

const UPGRADED = ['planner', 'research', 'analysis', 'writer'];

test('with CADRE_MODEL a model is behind the embedded agents, which are there without it as well', () => {
  const { agents, embedded } = load(undefined, { CADRE_MODEL: 'ollama/llama3.2' });
  expect(embedded).toBe(true);
  expect(agents.map(({ name }) => name)).toEqual([
    ...EMBEDDED,
    ...UPGRADED.map((name) => `embedded-${name}`),
  ]);
  expect(agents[0]?.description).not.toBe(load().agents[0]?.description);
});

test('CADRE_OFFLINE=1 leaves the model out, whatever CADRE_MODEL says', () => {
  for (const CADRE_MODEL of ['ollama/llama3.2', 'no model']) {
    const { agents } = load(undefined, { CADRE_MODEL, CADRE_OFFLINE: '1' });
    expect(agents.map(({ name }) => name)).toEqual(EMBEDDED);
  }
});

test('a key alone changes nothing', () => {
  expect(load(undefined, { OPENAI_API_KEY: 'a-key' })).toEqual(load());
});

test('a CADRE_MODEL that is none is refused, unless no agent of it is asked for', () => {
  const environment = { CADRE_MODEL: 'llama' };
  expect(load(undefined, environment).error).toMatchObject({ type: 'ModelUnknown' });
  folder.write('cadre.config.js', `module.exports = { embedded: false, agents: [${agentSource('own')}] };`);
  expect(load(undefined, environment)).toMatchObject({
    embedded: false,
    agents: [{ name: 'own' }, { name: 'person' }],
  });
});

test('an agent of an embedded one’s name takes its place', () => {
  folder.write('cadre.config.js', `module.exports = { agents: [${agentSource('writer')}] };`);
  expect(names().sort()).toEqual([...EMBEDDED].sort());
  expect(load().agents[0]).toMatchObject({ name: 'writer', description: 'd' });
});

test('`embedded: false` leaves the embedded agents out, but for the one that asks a person', () => {
  folder.write('cadre.config.js', `module.exports = { embedded: false, agents: [${agentSource('own')}] };`);
  expect(names()).toEqual(['own', 'person']);
});

test('a `person` of the configuration takes the place of the embedded one, with `embedded: false` too', () => {
  folder.write(
    'cadre.config.js',
    `module.exports = { embedded: false, agents: [${agentSource('person')}] };`,
  );
  expect(load().agents).toEqual([{ name: 'person', description: 'd' }]);
});

test('a .cjs file and one with a compiled default export are read', () => {
  folder.write('one.cjs', `module.exports = { agents: [${agentSource('own')}], embedded: false };`);
  folder.write(
    'two.js',
    `exports.__esModule = true; exports.default = { agents: [${agentSource('own')}], embedded: false };`,
  );
  expect(names('one.cjs')).toEqual(['own', 'person']);
  expect(names(join(folder.path, 'two.js'))).toEqual(['own', 'person']);
});

test('a path is relative to the folder, or absolute; .ts comes before .js', () => {
  folder.write('cadre.config.js', 'module.exports = { cadre: "from-js" };');
  folder.write('cadre.config.ts', 'export default { cadre: "from-ts" as string };');
  folder.write('deep/other.js', 'module.exports = { cadre: "deep" };');
  expect(load('deep/other.js').cadre).toBe('deep');
  expect(load('cadre.config.js').cadre).toBe('from-js');
  expect(load().cadre).toBe('from-ts');
});

test.each<[string, string, string, RegExp]>([
  ['is not there', 'other.js', '', /There is no configuration file .*nowhere\.js/],
  ['does not parse', 'nowhere.js', 'module.exports = {', /Cannot load .*nowhere\.js: /],
  ['throws', 'nowhere.js', 'throw new Error("no key");', /Cannot load .*nowhere\.js: no key/],
  ['throws a text', 'nowhere.js', 'throw "no key";', /Cannot load .*nowhere\.js: no key/],
  [
    'needs what is not installed',
    'nowhere.js',
    'require("not-installed-anywhere")',
    /not-installed-anywhere/,
  ],
  ['exports a text', 'nowhere.js', 'module.exports = "cadre";', /to export a configuration as its default/],
  ['exports null', 'nowhere.js', 'module.exports = null;', /to export a configuration/],
  ['exports a function', 'nowhere.js', 'module.exports = () => ({});', /to export a configuration/],
  ['exports a promise', 'nowhere.js', 'module.exports = Promise.resolve({});', /to export a configuration/],
  ['exports a list', 'nowhere.js', 'module.exports = [];', /to export a configuration/],
  [
    'has an unknown field',
    'nowhere.js',
    'module.exports = { agent: [] };',
    /only cadre, agents, embedded, budget and workflows, not agent/,
  ],
  ['has agents that are no list', 'nowhere.js', 'module.exports = { agents: {} };', /`agents` as a list/],
  [
    'has an agent that is none',
    'nowhere.js',
    'module.exports = { agents: [null] };',
    /agents\[0\] as made by defineAgent/,
  ],
  [
    'has an agent not made by defineAgent',
    'nowhere.js',
    'module.exports = { agents: [{ name: "a", act() {} }] };',
    /agents\[0\] as made by defineAgent/,
  ],
  ['has workflows that are no path', 'nowhere.js', 'module.exports = { workflows: 7 };', /`?workflows`?/],
  [
    'has workflows that are not there',
    'nowhere.js',
    'module.exports = { workflows: "./not-there" };',
    /workflows/,
  ],
  ['has embedded that is neither', 'nowhere.js', 'module.exports = { embedded: "no" };', /`?embedded`?/],
])('a file that %s is refused, and named', (_what, name, source, message) => {
  folder.write(name, source);
  const error = refusal('nowhere.js');
  expect(error.type).toBe('ConfigInvalid');
  expect(error.message).toMatch(message);
  expect(error.message).toContain('nowhere.js');
});

test('a bad name of the cadre is refused', () => {
  folder.write('cadre.config.js', 'module.exports = { cadre: "Not A Name" };');
  expect(refusal().type).toBe('NameInvalid');
});

test('`workflows` is resolved from the file', () => {
  folder.write('workflows.js', '');
  folder.write('deep/cadre.config.js', 'module.exports = { workflows: "../workflows.js" };');
  expect(load('deep/cadre.config.js').workflowsPath).toBe(join(folder.path, 'workflows.js'));
});

describe('a .ts file', () => {
  test('is compiled, with the .ts files that it imports', () => {
    folder.write('names.ts', "export const OURS: string = 'ours';\nexport enum Kind { One = 'one' }\n");
    folder.write(
      'team/agents.ts',
      `
      import { Kind } from '../names';
      export interface Options { readonly pool?: string }
      export const own = (options: Options) => ${agentSource('own').replace("'d'", 'Kind.One + String(options.pool)')};
    `,
    );
    folder.write(
      'cadre.config.ts',
      `
      import { OURS } from './names';
      import { own, type Options } from './team/agents';
      const options: Options = { pool: 'gpu' };
      export default { cadre: OURS, agents: [own(options)], embedded: false } satisfies object;
    `,
    );
    expect(load()).toEqual({
      cadre: 'ours',
      agents: [{ name: 'own', description: 'onegpu' }, expect.objectContaining({ name: 'person' })],
      embedded: false,
      file: join(folder.path, 'cadre.config.ts'),
    });
  });

  test('of a package of type module is read too, and may import with the ending .js', () => {
    folder.write('package.json', '{ "type": "module" }');
    folder.write('names.ts', "export const OURS: string = 'ours';");
    folder.write('cadre.config.ts', "import { OURS } from './names.js';\nexport default { cadre: OURS };");
    expect(load().cadre).toBe('ours');
  });

  test('may be an .mjs file instead', () => {
    folder.write('cadre.config.mjs', "export default { cadre: 'ours' };");
    expect(load().cadre).toBe('ours');
  });

  test('that does not parse is refused with its line', () => {
    folder.write('cadre.config.ts', 'const a: = 1;\nexport default {};');
    const { type, message } = refusal();
    expect(type).toBe('ConfigInvalid');
    expect(message).toMatch(/Cannot load .*cadre\.config\.ts/);
    // oxlint-disable-next-line no-control-regex -- a compiler's colours are control characters.
    expect(message).not.toMatch(/\u001b/);
  });

  test('whose import fails is refused with the name of what is missing', () => {
    folder.write('cadre.config.ts', "import './not-there';\nexport default {};");
    expect(refusal()).toMatchObject({
      type: 'ConfigInvalid',
      message: expect.stringContaining('not-there') as string,
    });
  });
});
