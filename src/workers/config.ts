import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { transformSync } from '@swc/core';
import { embeddedAgents } from '../activities/agents';
import type { AnyAgent } from '../activities/define-agent';
import type { CadreConfig } from '../activities/define-config';
import { CadreError } from '../core/failures';
import { DEFAULT_CADRE, validName } from '../core/names';

export interface LoadedConfig {
  readonly cadre: string;
  readonly agents: readonly AnyAgent[];
  readonly workflowsPath?: string;
  /** The file it came from; absent where there is none. */
  readonly file?: string;
}

const FILES = ['cadre.config.ts', 'cadre.config.js', 'cadre.config.mjs', 'cadre.config.cjs'];

/**
 * Loads `path`, or the configuration file of `folder` where there is one, else the embedded team.
 * Throws ConfigInvalid: names the file, the field, and what was expected.
 */
export function loadConfig(path?: string, folder: string = process.cwd()): LoadedConfig {
  const file =
    path === undefined ? FILES.map((name) => join(folder, name)).find(existsSync) : resolve(folder, path);
  if (file === undefined) return { cadre: DEFAULT_CADRE, agents: embeddedAgents };
  if (!existsSync(file)) throw new CadreError('ConfigInvalid', `There is no configuration file ${file}`);
  return resolveConfig(importDefault(file), file);
}

function resolveConfig(config: unknown, file: string): LoadedConfig {
  const invalid = (expected: string): CadreError =>
    new CadreError('ConfigInvalid', `Expected ${file} to export ${expected}`);
  if (typeof config !== 'object' || config === null) throw invalid('a configuration as its default');
  const { cadre = DEFAULT_CADRE, agents = [], embedded = true, workflows, ...rest } = config as CadreConfig;
  const unknown = Object.keys(rest);
  if (unknown.length > 0)
    throw invalid(`only cadre, agents, embedded and workflows, not ${unknown.join(', ')}`);
  if (!Array.isArray(agents)) throw invalid('`agents` as a list');
  for (const [index, agent] of (agents as AnyAgent[]).entries()) {
    if (agent?.resolvedPolicy === undefined) throw invalid(`agents[${index}] as made by defineAgent({...})`);
  }
  const own = new Set((agents as AnyAgent[]).map(({ name }) => name));
  return {
    cadre: validName('cadre', cadre),
    agents: [
      ...(agents as AnyAgent[]),
      ...(embedded ? embeddedAgents.filter(({ name }) => !own.has(name)) : []),
    ],
    ...(workflows === undefined ? {} : { workflowsPath: resolve(file, '..', workflows) }),
    file,
  };
}

function importDefault(file: string): unknown {
  try {
    return defaultOf(defaultOf(file.endsWith('.ts') ? requireTypeScript(file) : createRequire(file)(file)));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError('ConfigInvalid', `Cannot load ${file}: ${reason}`, { cause });
  }
}

/** A module's default export; twice for what a compiler wrapped. */
function defaultOf(loaded: unknown): unknown {
  return typeof loaded === 'object' && loaded !== null && 'default' in loaded ? loaded.default : loaded;
}

/** Node 20 cannot load TypeScript: strip the types with the compiler that Temporal's bundler brings along. */
function requireTypeScript(file: string): unknown {
  const require = createRequire(file);
  const before = require.extensions['.ts'];
  require.extensions['.ts'] = (module, filename) => {
    const { code } = transformSync(readFileSync(filename, 'utf8'), {
      filename,
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs' },
      sourceMaps: 'inline',
    });
    (module as NodeModule & { _compile(code: string, filename: string): void })._compile(code, filename);
  };
  try {
    return require(file);
  } finally {
    if (before === undefined) delete require.extensions['.ts'];
    else require.extensions['.ts'] = before;
  }
}
