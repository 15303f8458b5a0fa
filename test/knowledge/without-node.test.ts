// Pure: `cadre/knowledge` in a realm that has neither Node nor Temporal, as in a browser.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { transformSync } from '@swc/core';

const SOURCE = path.join(__dirname, '../../src');
/** What browsers have as well. */
const WEB = { crypto: globalThis.crypto, structuredClone: globalThis.structuredClone, TextEncoder };
/** Packages that run anywhere. */
const PACKAGES = /^@noble\/hashes\//;

type Exports = Record<string, unknown>;

/** Loads a module of `src` and all that it imports, as a browser's bundle would have them. */
function load(file: string, realm: object, loaded: Map<string, Exports>): Exports {
  const known = loaded.get(file);
  if (known !== undefined) return known;
  const exports: Exports = {};
  loaded.set(file, exports);
  const { code } = transformSync(readFileSync(file, 'utf8'), {
    filename: file,
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs' },
  });
  const run = runInContext(`(function (exports, require) {${code}\n})`, realm) as (
    of: Exports,
    load: (name: string) => unknown,
  ) => void;
  run(exports, (name) => {
    if (PACKAGES.test(name)) return jest.requireActual<Exports>(name);
    if (!name.startsWith('.')) throw new Error(`${path.relative(SOURCE, file)} imports ${name}`);
    const target = path.join(path.dirname(file), name);
    const isFolder = /(^|\/)(\.|types)$/.test(name);
    return load(isFolder ? path.join(target, 'index.ts') : `${target}.ts`, realm, loaded);
  });
  return exports;
}

test('it loads and works where there are no Node modules, no process and no Buffer', () => {
  const realm = createContext({ ...WEB });
  const loaded = new Map<string, Exports>();
  realm['cadre'] = load(path.join(SOURCE, 'knowledge/index.ts'), realm, loaded);
  const text = runInContext(
    `{
      const { Replica } = cadre;
      const [a, b] = [Replica.create('a'), Replica.create('b')];
      a.knowledge.set('facts').add({ long: 'x'.repeat(100) });
      b.knowledge.set('facts').add(1);
      b.merge(JSON.parse(JSON.stringify(a.delta(b.seen))));
      JSON.stringify([Replica.load(JSON.parse(JSON.stringify(b))).knowledge.set('facts').values().length, typeof process, typeof Buffer]);
    }`,
    realm,
  ) as string;
  expect(JSON.parse(text)).toEqual([2, 'undefined', 'undefined']);
  const folders = new Set([...loaded.keys()].map((file) => path.relative(SOURCE, file).split(path.sep)[0]));
  expect(folders).toEqual(new Set(['core', 'knowledge']));
});
