import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import type * as swc from '@swc/core';
import type * as agents from '../activities/agents';
import type * as persons from '../activities/agents/person';
import { checkBreakers } from '../activities/breaker/breakers';
import type { AnyAgent } from '../activities/define-agent';
import type { CadreConfig } from '../activities/define-config';
import { type DailyBudget, budgetProblems } from '../core/budget/budget';
import { CadreError } from '../core/failures';
import { isRecord } from '../core/json';
import { DEFAULT_CADRE, validName } from '../core/names';
import { chosenModel } from '../models/providers';
import type * as models from '../models/team';

export interface LoadedConfig {
  readonly cadre: string;
  /** Read where there is no file: throws ModelUnknown for a CADRE_MODEL that is none. */
  readonly agents: readonly AnyAgent[];
  /** Whether all embedded agents are among them, by CADRE_MODEL with a model; `person` always is. */
  readonly embedded: boolean;
  readonly workflowsPath?: string;
  /** What all agents may use a day together. */
  readonly budget?: DailyBudget;
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
  if (file === undefined) return embeddedTeam();
  if (!existsSync(file)) throw new CadreError('ConfigInvalid', `There is no configuration file ${file}`);
  return resolveConfig(importDefault(file), file);
}

/** Loads the agents when they are asked for: most commands only read. */
function embeddedTeam(): LoadedConfig {
  let team: readonly AnyAgent[] | undefined;
  return {
    cadre: DEFAULT_CADRE,
    embedded: true,
    get agents() {
      return (team ??= teamOf(chosenModel()));
    },
  };
}

function teamOf(model: string | undefined): readonly AnyAgent[] {
  return model === undefined
    ? (require('../activities/agents') as typeof agents).embeddedAgents
    : (require('../models/team') as typeof models).modelTeam(model);
}

/** `agents`, and those of `others` whose names none of them has. */
function joinedBy(agents: readonly AnyAgent[], others: readonly AnyAgent[]): readonly AnyAgent[] {
  const taken = new Set(agents.map(({ name }) => name));
  return [...agents, ...others.filter(({ name }) => !taken.has(name))];
}

/** Any plan may ask a person, whoever else is in the team. */
function personAlone(): readonly AnyAgent[] {
  return [(require('../activities/agents/person') as typeof persons).person];
}

function resolveConfig(config: unknown, file: string): LoadedConfig {
  const invalid = (expected: string): CadreError =>
    new CadreError('ConfigInvalid', `Expected ${file} to export ${expected}`);
  if (!isRecord(config) || typeof config['then'] === 'function')
    throw invalid('a configuration as its default');
  const {
    cadre = DEFAULT_CADRE,
    agents = [],
    embedded = true,
    workflows,
    budget,
    ...rest
  } = config as CadreConfig;
  const unknown = Object.keys(rest);
  if (unknown.length > 0)
    throw invalid(`only cadre, agents, embedded, budget and workflows, not ${unknown.join(', ')}`);
  if (!Array.isArray(agents)) throw invalid('`agents` as a list');
  if (typeof embedded !== 'boolean') throw invalid('`embedded` as true or false');
  const [problem] = budget === undefined ? [] : budgetProblems(budget, true);
  if (problem !== undefined) throw invalid(`\`${['budget', ...problem[0]].join('.')}\` as ${problem[1]}`);
  const workflowsPath = workflows === undefined ? undefined : findModule(workflows, file);
  if (workflows !== undefined && workflowsPath === undefined)
    throw invalid(`\`workflows\` as the path of a module, not ${JSON.stringify(workflows)}`);
  for (const [index, agent] of (agents as AnyAgent[]).entries()) {
    if (agent?.resolvedPolicy === undefined) throw invalid(`agents[${index}] as made by defineAgent({...})`);
  }
  const own = agents as readonly AnyAgent[];
  const team = embedded ? joinedBy(own, embeddedTeam().agents) : own;
  checkBreakers(team);
  let all: readonly AnyAgent[] | undefined;
  return {
    cadre: validName('cadre', cadre),
    // Loaded when they are asked for: most commands only read.
    get agents() {
      return (all ??= joinedBy(team, personAlone()));
    },
    embedded,
    ...(workflowsPath === undefined ? {} : { workflowsPath }),
    ...(budget === undefined ? {} : { budget }),
    file,
  };
}

/** The file of a module named as in an import, relative to the configuration file; undefined where there is none. */
function findModule(path: unknown, file: string): string | undefined {
  if (typeof path !== 'string') return undefined;
  const base = resolve(file, '..', path);
  const candidates = [base, `${base}.ts`, `${base}.js`, join(base, 'index.ts'), join(base, 'index.js')];
  return candidates.find((candidate) => statSync(candidate, { throwIfNoEntry: false })?.isFile());
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
    const { code } = compiler().transformSync(readFileSync(filename, 'utf8'), {
      filename,
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs' },
      sourceMaps: 'inline',
    });
    const compiled = namingSources(code, dirname(filename));
    (module as NodeModule & { _compile(code: string, filename: string): void })._compile(compiled, filename);
  };
  try {
    return require(file);
  } finally {
    if (before === undefined) delete require.extensions['.ts'];
    else require.extensions['.ts'] = before;
  }
}

/** Loaded only where there is TypeScript. */
function compiler(): typeof swc {
  return require('@swc/core') as typeof swc;
}

/** In a package of type `module` an import of `./names.ts` has to be written `./names.js`; undoes that where it is so. */
function namingSources(code: string, folder: string): string {
  return code.replace(/require\("(\.{1,2}\/[^"]+)\.js"\)/g, (all, path: string) =>
    existsSync(join(folder, `${path}.ts`)) ? `require("${path}.ts")` : all,
  );
}
