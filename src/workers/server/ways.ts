import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { CadreError } from '../../core/failures';
import type { Environment } from './run-command';

/** One way to come by a program. */
export interface Way {
  /** As it stands in the error when no way works. */
  readonly name: string;
  /** Resolves to the program's path; rejects with an Error whose message is the reason in one line. */
  readonly attempt: () => Promise<string>;
}

/** The path that the first working way gives. Throws ServerUnavailable with the reason of each, or the abort's reason. */
export async function firstThatWorks(
  what: string,
  ways: readonly Way[],
  signal?: AbortSignal,
): Promise<string> {
  const reasons: string[] = [];
  for (const { name, attempt } of ways) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      reasons.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const tried = reasons.map((reason) => `\n  - ${reason}`).join('');
  throw new CadreError(
    'ServerUnavailable',
    `There is no ${what} here, and none could be fetched. Tried:${tried}`,
    {
      details: { tried: reasons },
    },
  );
}

/** The full path of a command. Throws where PATH does not hold it. */
export async function findOnPath(command: string, environment: Environment): Promise<string> {
  for (const folder of (environment['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, command);
    if (folder !== '' && (await isExecutable(path))) return path;
  }
  throw new Error('not found on PATH');
}

export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Lets `make` put a file or folder into an empty folder beside `target`, and moves what it names to `target` in
 * one step: no one ever sees half of it. Returns `target`.
 */
export async function installAt(target: string, make: (folder: string) => Promise<string>): Promise<string> {
  await mkdir(dirname(target), { recursive: true });
  const folder = await mkdtemp(`${target}.new-`);
  try {
    await rename(await make(folder), target);
    return target;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
