import { mkdir, open, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const TOUCH_INTERVAL = 2000;
const STALE_AFTER = 20_000;
const LOOK_INTERVAL = 200;

export interface FileLockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when another process holds the lock. */
  readonly onWait?: () => void;
}

/**
 * Runs `work` while no other process does so with the same file. A holder touches the file every 2 s; one that
 * has not for 20 s counts as dead. Two may then run at once: the lock spares work, atomic renames keep it right.
 */
export async function withFileLock<T>(
  path: string,
  options: FileLockOptions,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  let announced = false;
  while (!(await create(path))) {
    if (!announced) options.onWait?.();
    announced = true;
    if (await stale(path)) await rm(path, { force: true });
    else
      await delay(LOOK_INTERVAL, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
  const timer = setInterval(() => void touch(path), TOUCH_INTERVAL);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await rm(path, { force: true });
  }
}

async function create(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function stale(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > STALE_AFTER;
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  // A lock file that someone deleted is no reason to fail: it only spares work.
  await utimes(path, now, now).catch(() => undefined);
}
