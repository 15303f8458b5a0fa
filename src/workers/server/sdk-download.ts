import { chmod, readdir } from 'node:fs/promises';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Environment, runCommand } from './run-command';
import { installAt } from './ways';

/** `createLocal` fetches the dev server, `createTimeSkipping` the test server. */
export type SdkServer = 'createLocal' | 'createTimeSkipping';

export interface SdkDownloadOptions {
  readonly environment: Environment;
  readonly signal?: AbortSignal | undefined;
}

const NO_PROGRESS = 15_000;
const LONGEST = 600_000;

/**
 * In a process of its own: the SDK's download cannot be called off, and would set up this process's runtime.
 * Arguments: the testing package, the kind of server, the folder.
 */
const PROGRAM = `
const [, testing, kind, downloadDir] = process.argv;
require(testing).TestWorkflowEnvironment[kind]({ server: { executable: { type: 'cached-download', downloadDir } } })
  .then((environment) => environment.teardown())
  .then(() => process.exit(0), (error) => { console.log(error.message); process.exit(1); });
`;

/**
 * Lets the SDK download a server to `target`. Gives up after 15 s in which nothing arrived.
 * Throws an Error with the reason in one line.
 */
export async function downloadWithSdk(
  kind: SdkServer,
  target: string,
  options: SdkDownloadOptions,
): Promise<string> {
  return installAt(target, async (folder) => {
    const args = ['-e', PROGRAM, require.resolve('@temporalio/testing'), kind, folder];
    const watch = { interval: 500, check: progressOf(folder) };
    try {
      await runCommand(process.execPath, args, { ...options, timeout: LONGEST, watch });
    } catch (error) {
      throw new Error(shortReason(error), { cause: error });
    }
    const [name] = (await readdir(folder)).filter((entry) => !entry.endsWith('.downloading'));
    if (name === undefined) throw new Error('the SDK left no file');
    await chmod(join(folder, name), 0o755);
    return join(folder, name);
  });
}

/** A watch that ends a download whose folder has not grown for a while. */
function progressOf(folder: string): (elapsed: number) => string | undefined {
  let [size, since] = [0, 0];
  return (elapsed) => {
    const now = sizeOf(folder);
    if (now !== size) [size, since] = [now, elapsed];
    return elapsed - since > NO_PROGRESS ? `nothing arrived for ${NO_PROGRESS / 1000} s` : undefined;
  };
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce(
    (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

/** The SDK nests its reasons, with the address twice; the innermost two say what is wrong. */
function shortReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split(': ').slice(-2).join(': ');
}
