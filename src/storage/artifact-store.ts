import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CadreError } from '../core/failures';
import type { ArtifactReference } from '../core/stored';

/**
 * Keeps values that are too large for history, by the hash of their content. Every worker and client of
 * a cadre must reach the same store. Writing the same content twice is harmless.
 */
export interface ArtifactStore {
  /** Stores `content` durably before it resolves. */
  put(content: Uint8Array): Promise<ArtifactReference>;
  /** Returns what was put. Throws ArtifactMissing where it is not there or is not what was put. */
  get(reference: ArtifactReference): Promise<Uint8Array>;
}

/** An {@link ArtifactStore} in a folder that all of a machine's processes can share. */
export class FileArtifactStore implements ArtifactStore {
  constructor(private readonly folder: string) {}

  async put(content: Uint8Array): Promise<ArtifactReference> {
    const artifact = `sha256:${createHash('sha256').update(content).digest('hex')}`;
    const path = this.pathOf(artifact);
    if (!(await hasSize(path, content.byteLength))) await writeDurably(path, content);
    return { artifact, bytes: content.byteLength };
  }

  async get(reference: ArtifactReference): Promise<Uint8Array> {
    const path = this.pathOf(reference.artifact);
    let content: Uint8Array;
    try {
      content = await readFile(path);
    } catch (cause) {
      throw new CadreError('ArtifactMissing', `No artifact ${reference.artifact} in ${this.folder}`, {
        cause,
      });
    }
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
    if (digest !== reference.artifact) {
      // So that the next attempt that makes this content writes it anew.
      await rm(path, { force: true });
      throw new CadreError('ArtifactMissing', `Artifact ${reference.artifact} in ${this.folder} was changed`);
    }
    return content;
  }

  private pathOf(artifact: string): string {
    const digest = /^sha256:([0-9a-f]{64})$/.exec(artifact)?.[1];
    if (digest === undefined) {
      throw new CadreError(
        'InputInvalid',
        `Expected an artifact reference "sha256:<hex>", got ${JSON.stringify(artifact)}`,
      );
    }
    return join(this.folder, digest.slice(0, 2), digest.slice(2));
  }
}

async function hasSize(path: string, bytes: number): Promise<boolean> {
  try {
    return (await stat(path)).size === bytes;
  } catch {
    return false;
  }
}

/** A reader sees the whole file or none: it is written and synced beside its place, then moved there. */
async function writeDurably(path: string, content: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}.part`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
