import { homedir } from 'node:os';
import { join } from 'node:path';
import { CadreError } from '../../core/failures';
import { withFileLock } from './file-lock';
import { type Environment, runCommand } from './run-command';
import { downloadWithSdk } from './sdk-download';
import { type Way, findOnPath, firstThatWorks, installAt, isExecutable } from './ways';

/** Newer versions hold a `replace` in go.mod, which `go install` refuses. */
const CLI_VERSION = 'v1.5.1';
const CLI_MODULE = `github.com/temporalio/cli/cmd/temporal@${CLI_VERSION}`;

const BUILD_TIMEOUT = 30 * 60_000;
const VERSION_TIMEOUT = 10_000;

export interface BinaryOptions {
  /** Gets each line for the user: what is about to take long, and how long. */
  readonly say: (line: string) => void;
  readonly cacheFolder: string;
  /** PATH, HOME, CADRE_TEMPORAL_BINARY and CADRE_TEST_SERVER_BINARY are read. Default: this process's. */
  readonly environment?: Environment;
  readonly signal?: AbortSignal;
  /** ms between two lines while something takes long. Default 30,000. */
  readonly aliveInterval?: number;
  /** True: only what is here already; nothing is downloaded or built. Default false. */
  readonly atHand?: boolean;
  /** How to download. Default: with the SDK. */
  readonly download?: typeof downloadWithSdk;
}

/**
 * The path of a Temporal CLI that runs: what `CADRE_TEMPORAL_BINARY` names and nothing else, or the first of
 * `temporal` on PATH, the cache folder, the SDK's download, and a build with Go. The last two fill the cache.
 * Throws ServerUnavailable with the reason of each.
 */
export async function fetchServerBinary(options: BinaryOptions): Promise<string> {
  const environment = options.environment ?? process.env;
  const given = environment['CADRE_TEMPORAL_BINARY'];
  if (given) return givenBinary('CADRE_TEMPORAL_BINARY', given, () => verified(given, environment));
  const cache = new Cache(options.cacheFolder, environment);
  const atHand: Way[] = [
    {
      name: '`temporal` on PATH',
      attempt: async () => verified(await findOnPath('temporal', environment), environment),
    },
    { name: `the cache, ${cache.folder}`, attempt: () => cache.find() },
  ];
  const fetches: Way[] = [
    {
      name: "the SDK's download",
      attempt: () => cache.fill(options, () => download(cache.downloaded, options)),
    },
    {
      name: `go install ${CLI_MODULE}`,
      attempt: () => cache.fill(options, () => build(cache.built, options)),
    },
  ];
  return firstThatWorks('Temporal server', options.atHand ? atHand : [...atHand, ...fetches], options.signal);
}

/** A path from the environment that the user chose: where it fails, nothing else takes its place. */
export async function givenBinary(
  variable: string,
  path: string,
  check: () => Promise<string>,
): Promise<string> {
  try {
    return await check();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError('ServerUnavailable', `${variable} names ${path}, which cannot be used: ${reason}`, {
      cause,
    });
  }
}

/** The programs that earlier runs fetched. */
class Cache {
  readonly folder: string;
  readonly built: string;
  readonly downloaded: string;

  constructor(
    cacheFolder: string,
    private readonly environment: Environment,
  ) {
    this.folder = join(cacheFolder, 'bin');
    this.built = join(this.folder, `temporal-${CLI_VERSION}`);
    this.downloaded = join(this.folder, 'temporal-sdk');
  }

  async find(): Promise<string> {
    for (const path of [this.built, this.downloaded]) {
      if (await isExecutable(path)) return verified(path, this.environment);
    }
    throw new Error('nothing there');
  }

  /** Fetches, unless another process has just done so. */
  async fill({ say, signal }: BinaryOptions, fetch: () => Promise<string>): Promise<string> {
    const onWait = (): void => say('Another process is fetching the Temporal server; waiting for it.');
    return withFileLock(join(this.folder, 'temporal.lock'), { signal, onWait }, async () => {
      const path = await this.find().catch(fetch);
      return verified(path, this.environment);
    });
  }
}

/** Throws unless the program answers `--version` as Temporal's CLI does. */
async function verified(path: string, environment: Environment): Promise<string> {
  const output = await runCommand(path, ['--version'], { environment, timeout: VERSION_TIMEOUT });
  if (!/\bserver \d+\.\d+/i.test(output)) throw new Error(`${path} does not answer like Temporal's CLI`);
  return path;
}

async function download(target: string, options: BinaryOptions): Promise<string> {
  options.say(
    'There is no Temporal server here yet: downloading one, once (some 50 MB, usually under a minute).',
  );
  const environment = options.environment ?? process.env;
  return (options.download ?? downloadWithSdk)('createLocal', target, {
    environment,
    signal: options.signal,
  });
}

async function build(target: string, options: BinaryOptions): Promise<string> {
  const environment = options.environment ?? process.env;
  const go = await findOnPath('go', environment);
  options.say(
    'It cannot be downloaded: building it with Go, once: 2 to 4 minutes on two cores, longer on a slow network. ' +
      "It leaves up to 4 GB in Go's own caches (go clean -cache -modcache).",
  );
  const { signal } = options;
  return installAt(target, async (folder) => {
    const interval = options.aliveInterval ?? 30_000;
    const check = (elapsed: number): undefined => {
      options.say(`  still building the Temporal server (${duration(elapsed)})`);
    };
    await runCommand(go, ['install', '-ldflags=-s -w', CLI_MODULE], {
      environment: buildEnvironment(environment, folder),
      folder,
      signal,
      timeout: BUILD_TIMEOUT,
      watch: { interval, check },
    });
    return join(folder, 'temporal');
  });
}

/** For this machine whatever the user cross-compiles for, without a C compiler, and also where HOME is not set. */
function buildEnvironment(environment: Environment, folder: string): Environment {
  const { GOOS: _os, GOARCH: _architecture, ...rest } = environment;
  return { ...rest, HOME: rest['HOME'] || homedir(), GOBIN: folder, CGO_ENABLED: '0' };
}

function duration(elapsed: number): string {
  const seconds = Math.round(elapsed / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
