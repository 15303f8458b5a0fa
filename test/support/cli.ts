import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import type { DevServer } from './dev-server';
import type { TemporaryFolder } from './temporary-folder';

export const ROOT = join(__dirname, '..', '..');
const CLI = join(ROOT, 'dist', 'cli', 'main.js');
const PATIENCE = 30_000;
/** A stack frame. */
export const TRACE = /\n\s+at .+:\d+/;

/** How a process ended, with all that it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `cadre`, or whatever else a user types. */
export class CliProcess {
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;

  constructor(readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk: Buffer) => void (this.stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => void (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) =>
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr }),
      );
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Resolves once it has written what matches, to either stream. */
  async says(pattern: RegExp): Promise<string> {
    const text = (): string => `${this.stdout}${this.stderr}`;
    await until(() => pattern.test(text()) || this.child.exitCode !== null);
    const found = pattern.exec(text())?.[0];
    if (found === undefined) throw new Error(`It ended without saying ${pattern}:\n${text()}`);
    return found;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** What the user's shell has, for the CLI's processes: a home of their own, and the test's server. */
export class Cli {
  private readonly running = new Set<CliProcess>();

  constructor(
    readonly folder: TemporaryFolder,
    readonly environment: Readonly<Record<string, string>>,
  ) {}

  static at(server: Pick<DevServer, 'address'>, folder: TemporaryFolder): Cli {
    return new Cli(folder, { TEMPORAL_ADDRESS: server.address });
  }

  start(args: readonly string[], more: Readonly<Record<string, string>> = {}): CliProcess {
    return this.spawn(process.execPath, [CLI, ...args], more);
  }

  /** A line of a shell, in which `$CADRE` stands for the CLI. */
  shell(line: string, more: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const CADRE = `${process.execPath} ${CLI}`;
    return this.spawn('/bin/bash', ['-o', 'pipefail', '-c', line], { ...more, CADRE }).ended;
  }

  run(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ended> {
    return this.start(args, more).ended;
  }

  /** What a command says when it is asked for JSON: one value. */
  async json(args: readonly string[]): Promise<Record<string, unknown>> {
    return json(await this.run([...args, '--json']));
  }

  /** Starts `cadre worker`, and waits until it is ready. */
  async worker(...args: readonly string[]): Promise<CliProcess> {
    const worker = this.start(['worker', ...args]);
    // With `--json` the line for a person is on standard error, and says nothing of when the value is written.
    await worker.says(args.includes('--json') ? /"ready":true.*\n/ : /worker ready/);
    return worker;
  }

  spawn(command: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): CliProcess {
    const child = spawn(command, args, {
      cwd: this.folder.path,
      env: { ...cleanEnvironment(), ...this.home(), ...this.environment, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const started = new CliProcess(child);
    this.running.add(started);
    void started.ended.finally(() => this.running.delete(started)).catch(() => undefined);
    return started;
  }

  /** Ends what still runs. */
  async stop(): Promise<void> {
    const left = [...this.running];
    for (const one of left) one.kill('SIGKILL');
    await Promise.all(left.map(({ ended }) => ended));
  }

  private home(): Record<string, string> {
    const { path } = this.folder;
    return { HOME: path, CADRE_DATA: join(path, 'data'), XDG_CONFIG_HOME: join(path, '.config') };
  }
}

/** The environment of the tests, without what would tell the CLI of another server or shell. */
function cleanEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (
      value !== undefined &&
      !/^(TEMPORAL_|CADRE_|AWS_|XDG_|LOG_LEVEL$|NO_COLOR$|FORCE_COLOR$|NODE_)/.test(name)
    )
      environment[name] = value;
  }
  return environment;
}

/** Waits for a condition that another process brings about. */
export async function until(holds: () => boolean | Promise<boolean>, patience = PATIENCE): Promise<void> {
  const deadline = Date.now() + patience;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Not within ${patience} ms: ${holds.toString()}`);
    await delay(20);
  }
}

export function fileAppears(path: string): Promise<void> {
  return until(() => existsSync(path));
}

/** The lines of JSON that a process wrote, each a `Line`; throws where a line is none. */
export function jsonLines<Line = Record<string, unknown>>(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

/** True while a server answers at `address`. */
export async function answers(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 500 });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

/** What every command owes its user: no stack trace, no colours through a pipe, nothing that was forgotten. */
export function sane({ stdout, stderr }: Ended): void {
  const text = `${stdout}${stderr}`;
  expect(text).not.toMatch(TRACE);
  // oxlint-disable-next-line no-control-regex -- colours are control characters, and none may come through a pipe.
  expect(text).not.toMatch(/\u001b/);
  expect(text).not.toMatch(/undefined|NaN|\[object Object\]/);
}

/** The only value that a sane command of `--json` wrote. */
export function json(ended: Ended): Record<string, unknown> {
  sane(ended);
  const lines = jsonLines(ended.stdout);
  expect(lines).toHaveLength(1);
  return lines[0] as Record<string, unknown>;
}
