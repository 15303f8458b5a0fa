/** Worker processes that end themselves by SIGKILL around the record of a call, and those that go on after them. */
import { join } from 'node:path';
import type { TaskHandle } from '../../src/client/task-handle';
import { type Cli, ROOT } from './cli';
import { logOf } from './team-processes';

/** Where a process dies: once at each record of a call of a model, or of a tool (a program, a list of tools). */
export type Death = `${'before' | 'after'} ${'model' | 'tool'}`;

/** For a configuration file in `folder`: its process dies as the variable DIES of its environment, a {@link Death}, says. */
export function dyingAtRecords(folder: string): string {
  return `
{
  const { writeFileSync } = require('node:fs');
  const { join } = require('node:path');
  const { FileArtifactStore } = require(${JSON.stringify(join(ROOT, 'dist', 'storage', 'artifact-store.js'))});
  const [when, what] = (process.env.DIES ?? '').split(' ');
  const { record } = FileArtifactStore.prototype;
  // Only what a call of a model came to has a usage.
  const isMeant = (name, content) =>
    /^calls\\/.*\\/\\d{6}-[0-9a-f]{64}$/.test(name) &&
    what === ('usage' in JSON.parse(Buffer.from(content)) ? 'model' : 'tool');
  const isFirst = (name) => {
    try {
      writeFileSync(join(${JSON.stringify(folder)}, 'died-' + name.replaceAll('/', '-')), '', { flag: 'wx' });
      return true;
    } catch {
      return false;
    }
  };
  FileArtifactStore.prototype.record = async function (name, content) {
    const dies = isMeant(name, content) && isFirst(name);
    if (dies && when === 'before') process.kill(process.pid, 'SIGKILL');
    const standing = await record.call(this, name, content);
    if (dies) process.kill(process.pid, 'SIGKILL');
    return standing;
  };
}
`;
}

/**
 * Has workers of `cli`, which run agents alone, bring `task` to its end: a new one whenever one has died. Returns how many
 * died, once the last one has ended by SIGTERM.
 */
export async function carriedOut(
  cli: Cli,
  task: TaskHandle,
  environment: Readonly<Record<string, string>> = {},
): Promise<number> {
  const over = task.result().then(
    () => true,
    () => true,
  );
  for (let died = 0; ; died += 1) {
    const worker = cli.start(['worker', '--role', 'agents', '--grace', '0'], environment);
    if (await Promise.race([worker.ended.then(() => false), over])) {
      worker.kill('SIGTERM');
      await worker.ended;
      return died;
    }
    const { signal, stdout, stderr } = await worker.ended;
    if (signal !== 'SIGKILL') throw new Error(`The worker ended by itself:\n${stdout}${stderr}`);
  }
}

/** The evidence of each decision that a call was made again. */
export async function repeatedCalls(task: TaskHandle): Promise<unknown[]> {
  const log = await logOf(task);
  return log
    .flatMap((event) =>
      event.type === 'decisionsRecorded' && 'value' in event.decisions ? event.decisions.value : [],
    )
    .filter(({ type }) => type === 'callRepeated')
    .map(({ evidence }) => evidence);
}
