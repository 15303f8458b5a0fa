import { spawn } from 'node:child_process';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface CommandOptions {
  readonly environment: Environment;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; the command is killed when they are over. */
  readonly timeout: number;
  readonly folder?: string;
  /** Called every `interval` ms with the ms since the start; kills the command by returning a reason. */
  readonly watch?: { readonly interval: number; readonly check: (elapsed: number) => string | undefined };
}

const KEPT_OUTPUT = 8000;

/**
 * Runs a command to its end, without a terminal, and returns the last 8,000 characters that it wrote.
 * Throws an Error with one line of reason: not there, failed, too slow, or the signal's own reason.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<string> {
  options.signal?.throwIfAborted();
  const { environment, folder } = options;
  // A process group of its own: a build's compilers must not outlive it.
  const child = spawn(command, args, {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(folder === undefined ? {} : { cwd: folder }),
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-KEPT_OUTPUT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const limits = new Limits(() => killGroup(child.pid, 'SIGKILL'), options);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    options.signal?.throwIfAborted();
    if (limits.exceeded !== undefined) throw new Error(limits.exceeded);
    if (code !== 0) throw new Error(lastLine(output) || `exit code ${String(code)}`);
    return output;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Error('not found', { cause: error });
    throw error;
  } finally {
    limits.stop();
  }
}

/** Kills a command at its timeout, its watch's word, or an abort. */
class Limits {
  exceeded: string | undefined;
  private readonly timers: NodeJS.Timeout[] = [];

  constructor(
    private readonly kill: () => void,
    private readonly options: CommandOptions,
  ) {
    const { timeout, watch, signal } = options;
    const started = Date.now();
    this.timers.push(setTimeout(() => this.end(`gave up after ${Math.round(timeout / 1000)} s`), timeout));
    if (watch !== undefined) {
      this.timers.push(setInterval(() => this.end(watch.check(Date.now() - started)), watch.interval));
    }
    signal?.addEventListener('abort', kill);
  }

  stop(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.options.signal?.removeEventListener('abort', this.kill);
  }

  private end(reason: string | undefined): void {
    if (reason === undefined) return;
    this.exceeded = reason;
    this.kill();
  }
}

/** Signals a detached child and all that it started; one that is gone is no error. */
export function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1)?.trim() ?? '';
}
