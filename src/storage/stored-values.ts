import { CadreError } from '../core/failures';
import { type Stored, isArtifactReference } from '../core/stored';
import type { ArtifactStore } from './artifact-store';

/**
 * `value` as it may stand in history: itself up to `inlineMaximum` bytes of JSON, a reference beyond.
 * Throws AgentOutputInvalid for what has no JSON, such as a BigInt or an object that holds itself.
 */
export async function store<Value>(
  artifacts: ArtifactStore,
  value: Value,
  inlineMaximum: number,
): Promise<Stored<Value>> {
  const json = toJson(value);
  const bytes = Buffer.from(json);
  // What JSON makes of it, and not the value: the same wherever it stands.
  return bytes.byteLength <= inlineMaximum ? { value: JSON.parse(json) as Value } : artifacts.put(bytes);
}

function toJson(value: unknown): string {
  let json: string | undefined;
  let reason = `it is a ${typeof value}`;
  try {
    json = JSON.stringify(value);
  } catch (cause) {
    reason = cause instanceof Error ? cause.message : String(cause);
  }
  if (json !== undefined) return json;
  throw new CadreError('AgentOutputInvalid', `What the agent returned or decided is not JSON: ${reason}`);
}

/** The value itself, wherever it is. Throws ArtifactMissing. */
export async function load<Value>(artifacts: ArtifactStore, stored: Stored<Value>): Promise<Value> {
  if (!isArtifactReference(stored)) return stored.value;
  return JSON.parse(Buffer.from(await artifacts.get(stored)).toString('utf8')) as Value;
}

/** The values themselves, by the same names. Throws ArtifactMissing. */
export async function loadAll(
  artifacts: ArtifactStore,
  stored: Readonly<Record<string, Stored>>,
): Promise<Record<string, unknown>> {
  const loaded = Object.entries(stored).map(
    async ([name, one]) => [name, await load(artifacts, one)] as const,
  );
  return Object.fromEntries(await Promise.all(loaded));
}
