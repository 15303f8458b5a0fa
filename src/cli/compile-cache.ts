import * as nodeModule from 'node:module';
import { join } from 'node:path';
import { cacheFolder } from '../storage/folders';

/** From Node 22.1 on. */
type EnableCompileCache = (folder: string) => unknown;

/**
 * Keeps what V8 compiles of all that is loaded from here on, for the next start. Does nothing on Node 20, and no harm
 * where the cache folder cannot be read or written. `NODE_DISABLE_COMPILE_CACHE=1` turns it off.
 */
export function keepCompiled(): void {
  const { enableCompileCache } = nodeModule as { enableCompileCache?: EnableCompileCache };
  enableCompileCache?.(join(cacheFolder(), 'compiled'));
}
