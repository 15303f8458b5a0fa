import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CadreError } from '../core/failures';
import type { ArtifactReference } from '../core/stored';
import { artifactPath, recordPath, referenceOf } from './artifact-path';

/**
 * Keeps values that are too large for history, by the hash of their content, and records, by their names. Every worker
 * and client of a cadre must reach the same store. Writing the same content twice is harmless.
 */
export interface ArtifactStore {
  /** Stores `content` durably before it resolves. */
  put(content: Uint8Array): Promise<ArtifactReference>;
  /** Returns what was put. Throws ArtifactMissing where it is not there or is not what was put. */
  get(reference: ArtifactReference): Promise<Uint8Array>;
  /**
   * Keeps `content` under `name`, unless something stands there already, and resolves to what stands, durably: the first
   * write wins, whoever else writes. A name is one or more parts of `a-z`, `0-9`, `.`, `_` and `-`, divided by `/`; of 500
   * characters at most. Throws InputInvalid for another, and ArtifactsUnavailable.
   */
  record(name: string, content: Uint8Array): Promise<Uint8Array>;
  /** What stands under `name`; undefined where nothing does. Throws InputInvalid and ArtifactsUnavailable. */
  recall(name: string): Promise<Uint8Array | undefined>;
}

/** An {@link ArtifactStore} in a folder that all of a machine's processes can share. */
export class FileArtifactStore implements ArtifactStore {
  constructor(private readonly folder: string) {}

  async put(content: Uint8Array): Promise<ArtifactReference> {
    const reference = referenceOf(content);
    const path = this.pathOf(reference.artifact);
    if (!(await hasSize(path, content.byteLength))) await writeDurably(path, content, rename);
    return reference;
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
    if (referenceOf(content).artifact !== reference.artifact) {
      // So that the next attempt that makes this content writes it anew.
      await rm(path, { force: true });
      throw new CadreError('ArtifactMissing', `Artifact ${reference.artifact} in ${this.folder} was changed`);
    }
    return content;
  }

  async record(name: string, content: Uint8Array): Promise<Uint8Array> {
    const path = join(this.folder, recordPath(name));
    try {
      const made = await mkdir(dirname(path), { recursive: true });
      // Unlike a rename, a link never replaces what is there.
      await writeDurably(path, content, (from, to) => link(from, to).catch(unlessThere));
      await syncFolders(dirname(path), made === undefined ? dirname(path) : dirname(made));
      return await readFile(path);
    } catch (cause) {
      throw this.unavailable(cause);
    }
  }

  async recall(name: string): Promise<Uint8Array | undefined> {
    return this.read(join(this.folder, recordPath(name)));
  }

  private async read(path: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(path);
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return undefined;
      throw this.unavailable(cause);
    }
  }

  private unavailable(cause: unknown): CadreError {
    return new CadreError('ArtifactsUnavailable', `The folder ${this.folder} cannot be used`, { cause });
  }

  private pathOf(artifact: string): string {
    return join(this.folder, artifactPath(artifact));
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

function unlessThere(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error;
}

async function hasSize(path: string, bytes: number): Promise<boolean> {
  try {
    return (await stat(path)).size === bytes;
  } catch {
    return false;
  }
}

/** A reader sees the whole file or none: it is written and synced beside its place, then put there by `place`. */
async function writeDurably(
  path: string,
  content: Uint8Array,
  place: (from: string, to: string) => Promise<void>,
): Promise<void> {
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
    await place(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** A name outlasts a power failure once its folder is synced: here from `lowest` up to `highest`. */
async function syncFolders(lowest: string, highest: string): Promise<void> {
  const folder = await open(lowest, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  if (lowest !== highest) await syncFolders(dirname(lowest), highest);
}
