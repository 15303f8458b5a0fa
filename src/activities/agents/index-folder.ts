import { join } from 'node:path';
import { cacheFolder } from '../../storage/folders';

/** Where this machine's workers keep the index of documents: `documents` in the cache folder. */
export function indexFolder(): string {
  return join(cacheFolder(), 'documents');
}
