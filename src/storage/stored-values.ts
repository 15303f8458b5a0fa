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
  const json = Buffer.from(toJson(value));
  return json.byteLength <= inlineMaximum ? { value } : artifacts.put(json);
}

function toJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError('AgentOutputInvalid', `What the agent returned or decided is not JSON: ${reason}`, {
      cause,
    });
  }
}

/** The value itself, wherever it is. Throws ArtifactMissing. */
export async function load<Value>(artifacts: ArtifactStore, stored: Stored<Value>): Promise<Value> {
  if (!isArtifactReference(stored)) return stored.value;
  return JSON.parse(Buffer.from(await artifacts.get(stored)).toString('utf8')) as Value;
}
