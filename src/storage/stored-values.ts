import { type Stored, isArtifactReference } from '../core/stored';
import type { ArtifactStore } from './artifact-store';

/** `value` as it may stand in history: itself up to `inlineMaximum` bytes of JSON, a reference beyond. */
export async function store<Value>(
  artifacts: ArtifactStore,
  value: Value,
  inlineMaximum: number,
): Promise<Stored<Value>> {
  const json = Buffer.from(JSON.stringify(value) ?? 'null');
  return json.byteLength <= inlineMaximum ? { value } : artifacts.put(json);
}

/** The value itself, wherever it is. Throws ArtifactMissing. */
export async function load<Value>(artifacts: ArtifactStore, stored: Stored<Value>): Promise<Value> {
  if (!isArtifactReference(stored)) return stored.value;
  return JSON.parse(Buffer.from(await artifacts.get(stored)).toString('utf8')) as Value;
}
