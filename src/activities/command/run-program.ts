/**
 * One run of a local program, never through a shell. Owns the process and all that it started; what its output means is the
 * matter of `command-agent.ts`.
 *
 * 1. A program is the leader of a process group of its own. When its run has ended, so has all that is left of the group.
 * 2. A group is ended by SIGTERM, and 2 s later by SIGKILL: at an abort, after too much output, and after its leader's end.
 * 3. No more of the output is held than is allowed.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

export interface Program {
  /** A name that is looked up in the PATH of `environment`, or an absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  /** All that the program finds in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** More than so many bytes on stdout end it. */
  readonly maxOutputBytes: number;
  readonly onStderr: (text: string) => void;
  /** Ends it when it aborts. */
  readonly signal: AbortSignal;
}

/** How a run ended. */
export type ProgramEnd =
  | NotStarted
  | { readonly kind: 'tooLong' }
  | { readonly kind: 'exited'; readonly code: number; readonly stdout: string }
  | { readonly kind: 'killed'; readonly by: NodeJS.Signals };

interface NotStarted {
  readonly kind: 'notStarted';
  readonly error: NodeJS.ErrnoException;
}

/** In ms: from SIGTERM to SIGKILL, and how long an output may stay open after its program's end. */
const GRACE = 2000;
/** In ms, after SIGKILL: what nobody has waited for counts as there, though it has ended. */
const KILLED_WITHIN = 200;
/** In ms. */
const LOOKED_EVERY = 20;

/** Runs `program` to its end. Throws the reason of its signal, once the program has ended. */
export async function runProgram(program: Program): Promise<ProgramEnd> {
  const { signal } = program;
  signal.throwIfAborted();
  const start = await started(program);
  if (start.kind === 'notStarted') return start;
  const { child } = start;
  const group = new ProcessGroup(child.pid);
  const stop = (): void => void group.end();
  signal.addEventListener('abort', stop, { once: true });
  const output = new Output(program.maxOutputBytes, stop);
  child.stdout.on('data', (chunk: Buffer) => output.take(chunk));
  if (signal.aborted) stop();
  try {
    const end = await endOf(child);
    // What comes later takes nothing from a run that has ended by itself.
    const { aborted } = signal;
    await group.end();
    if (aborted) signal.throwIfAborted();
    if (output.isTooLong) return { kind: 'tooLong' };
    return typeof end === 'number'
      ? { kind: 'exited', code: end, stdout: output.text }
      : { kind: 'killed', by: end };
  } finally {
    signal.removeEventListener('abort', stop);
    group.release();
    // Open where a process that left the group holds them.
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

type Child = ChildProcessWithoutNullStreams & { readonly pid: number };

type Start = { readonly kind: 'started'; readonly child: Child } | NotStarted;

async function started(program: Program): Promise<Start> {
  const { command, args, folder, environment, stdin, onStderr } = program;
  let child: ChildProcessWithoutNullStreams;
  try {
    child = spawn(command, args, { cwd: folder, env: { ...environment }, detached: true, shell: false });
  } catch (error) {
    return { kind: 'notStarted', error: error as NodeJS.ErrnoException };
  }
  if (child.pid === undefined) {
    const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException];
    return { kind: 'notStarted', error };
  }
  // A program need not read its input.
  for (const stream of child.stdio) stream?.on('error', () => undefined);
  child.stdin.end(stdin);
  child.stderr.setEncoding('utf8').on('data', onStderr);
  return { kind: 'started', child: child as Child };
}

/** The exit code or the signal, once all of its output is here, or the program has ended 2 s ago. */
async function endOf(child: Child): Promise<number | NodeJS.Signals> {
  const closed = once(child, 'close');
  const [code, by] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  const waiting = new AbortController();
  const waited = delay(GRACE, undefined, { signal: waiting.signal }).catch(() => undefined);
  await Promise.race([closed, waited]);
  waiting.abort();
  return by ?? code ?? 0;
}

/** What a program puts out, up to a limit. */
class Output {
  private readonly chunks: Buffer[] = [];
  private bytes = 0;

  constructor(
    private readonly maximum: number,
    private readonly onTooLong: () => void,
  ) {}

  get isTooLong(): boolean {
    return this.bytes > this.maximum;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }

  take(chunk: Buffer): void {
    if (this.isTooLong) return;
    this.bytes += chunk.length;
    if (!this.isTooLong) return void this.chunks.push(chunk);
    this.chunks.length = 0;
    this.onTooLong();
  }
}

/** The groups that run here, by the id of their leader: none outlives a worker that exits. */
const running = new Set<number>();

function killAll(): void {
  for (const leader of running) send(leader, 'SIGKILL');
}

/** A process and all that it started, but what has left its group. */
class ProcessGroup {
  private ending: Promise<void> | undefined;

  constructor(private readonly leader: number) {
    if (running.size === 0) process.once('exit', killAll);
    running.add(leader);
  }

  /** Resolves once nothing of it is left, at the latest 2.2 s later. */
  end(): Promise<void> {
    this.ending ??= this.endAll();
    return this.ending;
  }

  release(): void {
    running.delete(this.leader);
    if (running.size === 0) process.removeListener('exit', killAll);
  }

  private async endAll(): Promise<void> {
    if (!send(this.leader, 'SIGTERM') || (await this.isGone(GRACE))) return;
    send(this.leader, 'SIGKILL');
    await this.isGone(KILLED_WITHIN);
  }

  /** False where something of it is left after `wait` ms. */
  private async isGone(wait: number): Promise<boolean> {
    const until = performance.now() + wait;
    while (performance.now() < until) {
      if (!send(this.leader, 0)) return true;
      await delay(LOOKED_EVERY);
    }
    return false;
  }
}

/** False where there is no such group any more. */
function send(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}
