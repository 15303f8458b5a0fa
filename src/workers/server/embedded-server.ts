import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import { temporal } from '@temporalio/proto';
import { CadreError } from '../../core/failures';
import { NEEDS_ATTENTION_ATTRIBUTE } from '../../core/names';
import { listens, withLoopback } from './probe';
import { killGroup } from './run-command';
import { EMBEDDED_NAMESPACE, RETENTION_DAYS, type ServerArguments, serverArguments } from './settings';

const START_TIMEOUT = 60_000;
const GRACE = 10_000;
const LOOK_INTERVAL = 25;
const LOG_LINES = 10;
const KEYWORD = temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;

export interface EmbeddedServerOptions extends ServerArguments {
  /** Path of Temporal's CLI. */
  readonly binary: string;
  /** What the server writes; the log of the start before stays beside it, as `<logFile>.1`. */
  readonly logFile: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
  /** ms between SIGTERM and SIGKILL. Default 10,000. */
  readonly grace?: number;
}

/** Why a server that we started did not serve. */
export type StartFailure = 'portTaken' | 'databaseInUse' | 'other';

/** A Temporal server of our own, on 127.0.0.1. */
export interface EmbeddedServer {
  readonly pid: number;
  readonly address: string;
  readonly uiUrl?: string;
  readonly namespace: string;
  readonly version: string;
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Ends it: SIGTERM, and SIGKILL after 10 s. May be called again. */
  readonly stop: () => Promise<void>;
  /** Ends it at once, by SIGKILL. */
  readonly kill: () => void;
}

/**
 * Starts a server and waits up to 60 s until it serves. It runs in a process group of its own, so that Ctrl-C does
 * not end it before its workers have drained; it outlives this process unless it is stopped.
 * Throws DatabaseInUse, or ServerUnavailable with the end of its log; `details.failure` is a {@link StartFailure}.
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const child = await launch(options);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = (): Promise<void> => stopProcess(child, ended, options.grace ?? GRACE);
  try {
    const version = await waitUntilServing(child, ended, options);
    const { port, uiPort } = options;
    return {
      pid: child.pid ?? 0,
      address: `127.0.0.1:${port}`,
      namespace: EMBEDDED_NAMESPACE,
      version,
      ended,
      stop,
      kill: () => killGroup(child.pid, 'SIGKILL'),
      ...(uiPort === undefined ? {} : { uiUrl: `http://127.0.0.1:${uiPort}` }),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function launch({
  binary,
  logFile,
  environment = process.env,
  ...options
}: EmbeddedServerOptions): Promise<ChildProcess> {
  options.signal?.throwIfAborted();
  await mkdir(dirname(logFile), { recursive: true });
  await rename(logFile, `${logFile}.1`).catch(() => undefined);
  const log = openSync(logFile, 'a');
  try {
    const child = spawn(binary, serverArguments(options), {
      detached: true,
      stdio: ['ignore', log, log],
      env: withoutClientSettings(environment),
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** The CLI reads TEMPORAL_* too; what is meant for clients must not reach the server. */
function withoutClientSettings(environment: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('TEMPORAL_')));
}

async function waitUntilServing(
  child: ChildProcess,
  ended: Promise<void>,
  { signal, ...options }: EmbeddedServerOptions,
): Promise<string> {
  const deadline = Date.now() + START_TIMEOUT;
  const [aborted, forget] = abortion(signal);
  try {
    // A first look may fall into the moment in which the server only tries its port, and then hear nothing.
    for (
      let patience = 250;
      isRunning(child) && Date.now() < deadline;
      patience = Math.min(2 * patience, 5000)
    ) {
      const version = await Promise.race([serve(options.port, patience), ended, aborted]);
      signal?.throwIfAborted();
      // Another server may answer at the port that ours could not get.
      if (typeof version === 'string' && isRunning(child)) return version;
      await Promise.race([delay(LOOK_INTERVAL), ended, aborted]);
    }
  } finally {
    forget();
  }
  const what = isRunning(child) ? `did not serve within ${START_TIMEOUT / 1000} s` : 'ended at once';
  throw await startError(options, what);
}

/** A promise that resolves on abort, and what takes its listener away. */
function abortion(signal: AbortSignal | undefined): [aborted: Promise<void>, forget: () => void] {
  let resolve = (): void => undefined;
  const aborted = new Promise<void>((settle) => {
    resolve = settle;
  });
  signal?.addEventListener('abort', resolve);
  if (signal?.aborted) resolve();
  return [aborted, () => signal?.removeEventListener('abort', resolve)];
}

function isRunning({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

/**
 * The server's version, where it serves its namespace, which then keeps closed workflows for 30 days and has the search
 * attribute of what waits for a person; undefined where it does not yet.
 */
async function serve(port: number, timeout: number): Promise<string | undefined> {
  if (!(await listens(port, timeout))) return undefined;
  return withLoopback(port, timeout, prepareNamespace).catch(() => undefined);
}

async function prepareNamespace({ workflowService, operatorService }: Connection): Promise<string> {
  const namespace = EMBEDDED_NAMESPACE;
  const { config } = await workflowService.describeNamespace({ namespace });
  const retention = msToTs(RETENTION_DAYS * 24 * 60 * 60 * 1000);
  if (Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) !== Number(retention.seconds)) {
    await workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: retention },
    });
  }
  const { name } = NEEDS_ATTENTION_ATTRIBUTE;
  // The flag `--search-attribute` of `start-dev` does nothing to a database from before.
  if (!Object.values(config?.customSearchAttributeAliases ?? {}).includes(name)) {
    const added = operatorService.addSearchAttributes({ namespace, searchAttributes: { [name]: KEYWORD } });
    // Refused where the namespace has its ten Keywords already: all works without it.
    await added.catch(() => undefined);
  }
  return (await workflowService.getSystemInfo({})).serverVersion ?? '';
}

async function startError(options: EmbeddedServerOptions, what: string): Promise<CadreError> {
  const log = await readFile(options.logFile, 'utf8').catch(() => '');
  const failure = classify(log);
  const lines = log.trim().split('\n').slice(-LOG_LINES).join('\n  ');
  const message =
    failure === 'databaseInUse'
      ? `The database ${options.databaseFile ?? ''} is open in another Temporal server`
      : `The Temporal server (${options.binary}) ${what}. The end of its log, ${options.logFile}:\n  ${lines}`;
  const type = failure === 'databaseInUse' ? 'DatabaseInUse' : 'ServerUnavailable';
  return new CadreError(type, message, { details: { failure } });
}

function classify(log: string): StartFailure {
  if (/SQLITE_BUSY|database is locked/.test(log)) return 'databaseInUse';
  return /address already in use/.test(log) ? 'portTaken' : 'other';
}

async function stopProcess(child: ChildProcess, ended: Promise<void>, grace: number): Promise<void> {
  if (!isRunning(child)) return;
  killGroup(child.pid, 'SIGTERM');
  const timer = new AbortController();
  const late = delay(grace, 'late', { signal: timer.signal }).catch(() => undefined);
  if ((await Promise.race([ended, late])) === 'late') {
    killGroup(child.pid, 'SIGKILL');
    await ended;
  }
  timer.abort();
}
