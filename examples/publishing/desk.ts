// The desk: a folder in which agents replace files, and put back what was there. A saga's lock sees to it that only one
// at a time does.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type AnyAgent, type OnceOptions } from 'cadre';
import { embeddedAgents } from 'cadre/worker';
import { z } from 'zod';

/** What all agents of an edition get: which article, and the question it answers. */
export const edition = z.object({
  article: z.string().regex(/^[a-z0-9-]{1,80}$/),
  question: z.string().min(1),
});

/** For effects that may be had again: where nobody knows whether one happened, it is. */
export const again: OnceOptions<void> = { reconcile: () => Promise.resolve({ done: false }) };

/**
 * Has `write` make the file or folder `path` anew. What was there is kept under `action` until {@link putBack}, from
 * before the first change on: doing it again keeps nothing else.
 */
export async function replace(path: string, action: string, write: () => Promise<void>): Promise<void> {
  const kept = keptAt(path, action);
  if (!existsSync(kept)) {
    const draft = `${kept}.draft`;
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true });
    if (existsSync(path)) await cp(path, join(draft, 'was'), { recursive: true, preserveTimestamps: true });
    await rename(draft, kept);
  }
  await rm(path, { recursive: true, force: true });
  await mkdir(dirname(path), { recursive: true });
  await write();
}

/** Puts back what `action` found at `path`. Where it replaced nothing there is nothing to undo. */
export async function putBack(path: string, action: string): Promise<void> {
  const kept = keptAt(path, action);
  if (!existsSync(kept)) return;
  const was = join(kept, 'was');
  await rm(path, { recursive: true, force: true });
  if (existsSync(was)) await cp(was, path, { recursive: true, preserveTimestamps: true });
  await rm(kept, { recursive: true });
}

function keptAt(path: string, action: string): string {
  const id = createHash('sha256').update(action).digest('hex').slice(0, 16);
  return join(dirname(path), '.before', `${basename(path)}-${id}`);
}

/** The agent of this name that comes with Cadre. */
export function embedded(name: string): AnyAgent {
  const found = embeddedAgents.find((agent) => agent.name === name);
  if (found === undefined) throw new Error(`There is no embedded agent ${name}.`);
  return found;
}
