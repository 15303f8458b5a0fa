import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

const packageRoot = join(__dirname, '..', '..');

/** The workflow bundle made by `npm run build`; it starts a worker faster than bundling anew. */
export const PREBUILT_BUNDLE = join(packageRoot, 'dist', 'workflow-bundle.js');

/** This build: the package's version and a digest of its workflow code. Workers of different builds may not replay each other. */
export function buildId(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  if (!existsSync(PREBUILT_BUNDLE)) return version;
  const { code } = codeOf(readFileSync(PREBUILT_BUNDLE, 'utf8'));
  return `${version}+${createHash('sha256').update(code).digest('hex').slice(0, 8)}`;
}

/** How a worker of this process names itself to Temporal: `pid@host/build`; `parseIdentity` of the client takes it apart. */
export function workerIdentity(): string {
  return `${process.pid}@${hostname()}/${buildId()}`;
}

/** The source map at the bundle's end holds paths of the machine that built it. */
function codeOf(bundle: string): { code: string } {
  const map = bundle.lastIndexOf('\n//# sourceMappingURL=');
  return { code: map < 0 ? bundle : bundle.slice(0, map) };
}
