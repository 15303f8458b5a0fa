import { isRecord } from './json';

/** A value as it stands in history: itself, or a reference into the artifact store where it is large. */
export type Stored<Value = unknown> = { readonly value: Value } | ArtifactReference;

/** Points at a value's JSON in the artifact store. */
export interface ArtifactReference {
  /** `sha256:` and the hex digest of the bytes. */
  readonly artifact: string;
  /** Length of the value's JSON in bytes. */
  readonly bytes: number;
}

/** A value larger than this many bytes of JSON never travels through history. */
export const INLINE_MAXIMUM_BYTES = 32 * 1024;

export function isArtifactReference(value: unknown): value is ArtifactReference {
  return isRecord(value) && typeof value['artifact'] === 'string' && typeof value['bytes'] === 'number';
}
