import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { CadreError } from '../core/failures';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where this machine's cadres keep what must last: the embedded server's database, logs and artifacts.
 * `CADRE_DATA`, else `$XDG_DATA_HOME/cadre`, else `~/.local/share/cadre`.
 */
export function dataFolder(environment: Environment = process.env): string {
  return folder(environment, 'CADRE_DATA', 'XDG_DATA_HOME', join('.local', 'share'));
}

/**
 * Where downloaded and built programs are kept; may be deleted at any time.
 * `CADRE_CACHE`, else `$XDG_CACHE_HOME/cadre`, else `~/.cache/cadre`.
 */
export function cacheFolder(environment: Environment = process.env): string {
  return folder(environment, 'CADRE_CACHE', 'XDG_CACHE_HOME', '.cache');
}

/**
 * Where a store of files keeps its artifacts: `CADRE_ARTIFACTS`, else `artifacts` in the data folder. Throws InputInvalid
 * where that is no folder: `openArtifacts` knows which store it is.
 */
export function artifactsFolder(environment: Environment = process.env): string {
  const own = environment['CADRE_ARTIFACTS'];
  const scheme = /^[a-z][a-z0-9+.-]+:\/\//i.exec(own ?? '')?.[0];
  if (scheme !== undefined) {
    throw new CadreError('InputInvalid', `Expected CADRE_ARTIFACTS to be a folder, got ${scheme}…`);
  }
  return own ? resolve(own) : join(dataFolder(environment), 'artifacts');
}

/** The file in which the effects of agents are recorded: `CADRE_LEDGER`, else `ledger.db` in the data folder. */
export function ledgerFile(environment: Environment = process.env): string {
  const own = environment['CADRE_LEDGER'];
  return own ? resolve(own) : join(dataFolder(environment), 'ledger.db');
}

function folder(environment: Environment, own: string, xdg: string, inHome: string): string {
  const [ownPath, xdgPath] = [environment[own], environment[xdg]];
  if (ownPath) return resolve(ownPath);
  if (xdgPath) return join(xdgPath, 'cadre');
  return join(environment['HOME'] || homedir(), inHome, 'cadre');
}
