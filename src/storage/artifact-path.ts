/**
 * Where an artifact store keeps things, as paths below its root: the same in a folder and in a bucket, so that one can be
 * copied to the other. Owns the forms of references and of the names of records; nothing leads out of the root.
 */
import { createHash } from 'node:crypto';
import { CadreError, inputInvalid } from '../core/failures';
import type { ArtifactReference } from '../core/stored';

const RECORD_NAME_MAXIMUM_LENGTH = 500;
/** Three characters or more before the first `/`: two are the beginning of a digest. */
const RECORD_NAME = /^[a-z0-9][a-z0-9._-]{2,}(\/[a-z0-9][a-z0-9._-]*)*$/;

/** The reference of `content`: the SHA-256 of its bytes. */
export function referenceOf(content: Uint8Array): ArtifactReference {
  const artifact = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  return { artifact, bytes: content.byteLength };
}

/** The path of an artifact, `ab/cdef…`. Throws InputInvalid. */
export function artifactPath(artifact: string): string {
  const digest = /^sha256:([0-9a-f]{64})$/.exec(artifact)?.[1];
  if (digest === undefined) {
    throw new CadreError(
      'InputInvalid',
      `Expected an artifact reference "sha256:<hex>", got ${JSON.stringify(artifact)}`,
    );
  }
  return `${digest.slice(0, 2)}/${digest.slice(2)}`;
}

/**
 * The path of a record: its name, of 3 to 500 of `a-z`, `0-9`, `.`, `_` and `-`, in parts that `/` divides and a letter or
 * a digit begins. Throws InputInvalid.
 */
export function recordPath(name: string): string {
  if (name.length <= RECORD_NAME_MAXIMUM_LENGTH && RECORD_NAME.test(name)) return name;
  throw inputInvalid('the name of a record', 'parts of a-z, 0-9, ".", "_" and "-", divided by "/"', name);
}
