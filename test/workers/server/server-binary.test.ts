// Programs of its own in place of temporal and go: no server.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CadreError } from '../../../src/core/failures';
import { type BinaryOptions, fetchServerBinary } from '../../../src/workers/server';
import { TemporaryFolder } from '../../support/temporary-folder';

const ANSWER = 'echo "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"';
const BUILT = 'temporal-v1.5.1';
/** A build that leaves a program which answers. */
const BUILD = [
  'printf "%s\\n" "#!/bin/sh" \'echo "temporal version 1.5.1 (Server 1.29.1)"\' > "$GOBIN/temporal"',
  'chmod 755 "$GOBIN/temporal"',
];

const folder = TemporaryFolder.ofEachTest();
let said: string[];

beforeEach(() => {
  said = [];
  // What the scripts below call.
  for (const tool of ['chmod', 'sleep'])
    folder.script(`path/${tool}`, `PATH=/bin:/usr/bin exec ${tool} "$@"`);
});

const noNetwork = (): Promise<string> => Promise.reject(new Error('no network'));

function fetch(more: Partial<BinaryOptions> = {}): Promise<string> {
  return fetchServerBinary({
    say: (line) => said.push(line),
    cacheFolder: join(folder.path, 'cache'),
    environment: environment(),
    download: noNetwork,
    ...more,
  });
}

/** A PATH without this machine's go and temporal. */
function environment(more: Record<string, string> = {}): Record<string, string> {
  return { PATH: join(folder.path, 'path'), HOME: folder.path, ...more };
}

async function failureOf(promise: Promise<unknown>): Promise<CadreError> {
  return promise.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => error as CadreError,
  );
}

describe('what is at hand', () => {
  test('`temporal` on PATH comes before the cache, without a word', async () => {
    const path = folder.script('path/temporal', ANSWER);
    folder.script(`cache/bin/${BUILT}`, ANSWER);
    expect(await fetch()).toBe(path);
    expect(said).toEqual([]);
  });

  test('the cache comes before a download', async () => {
    const path = folder.script(`cache/bin/${BUILT}`, ANSWER);
    expect(await fetch()).toBe(path);
    expect(said).toEqual([]);
  });

  test('a `temporal` that is another program is passed over', async () => {
    folder.script('path/temporal', 'echo "a database with history"');
    const path = folder.script(`cache/bin/${BUILT}`, ANSWER);
    expect(await fetch()).toBe(path);
  });

  test('CADRE_TEMPORAL_BINARY comes before all', async () => {
    folder.script('path/temporal', ANSWER);
    const path = folder.script('mine', ANSWER);
    expect(await fetch({ environment: environment({ CADRE_TEMPORAL_BINARY: path }) })).toBe(path);
  });

  test('nothing takes the place of a CADRE_TEMPORAL_BINARY that does not run', async () => {
    folder.script('path/temporal', ANSWER);
    const CADRE_TEMPORAL_BINARY = join(folder.path, 'missing');
    const { type, message } = await failureOf(fetch({ environment: environment({ CADRE_TEMPORAL_BINARY }) }));
    expect(type).toBe('ServerUnavailable');
    expect(message).toMatch(/CADRE_TEMPORAL_BINARY names .*missing.*not found/);
  });

  test('nothing is fetched where only what is at hand was asked for', async () => {
    folder.script('path/go', ...BUILD);
    const { message } = await failureOf(fetch({ atHand: true }));
    expect(message).not.toContain('go install');
    expect(said).toEqual([]);
  });
});

describe('what is fetched', () => {
  test('a download is announced, kept, and found again', async () => {
    const download: BinaryOptions['download'] = async (_kind, target) => {
      expect(said).toEqual([expect.stringMatching(/downloading one, once .*minute/)]);
      return folder.script(target.slice(folder.path.length + 1), ANSWER);
    };
    const path = await fetch({ download });
    expect(path).toBe(join(folder.path, 'cache', 'bin', 'temporal-sdk'));
    expect(await fetch()).toBe(path);
    expect(said).toHaveLength(1);
  });

  test('Go builds one where there is no download, and says before how long it takes', async () => {
    folder.script(
      'path/go',
      `echo "$@" CGO_ENABLED=$CGO_ENABLED GOOS=$GOOS > "${folder.path}/asked"`,
      ...BUILD,
    );
    const path = await fetch({ environment: environment({ GOOS: 'plan9' }) });
    expect(path).toBe(join(folder.path, 'cache', 'bin', BUILT));
    expect(readFileSync(join(folder.path, 'asked'), 'utf8')).toMatch(
      /^install .*@v1\.5\.1 CGO_ENABLED=0 GOOS=$/m,
    );
    expect(said.at(-1)).toMatch(/building it with Go, once: 2 to 4 minutes/);
    expect(readdirSync(join(folder.path, 'cache', 'bin'))).toEqual([BUILT]);
  });

  test('a long build shows that it is alive', async () => {
    folder.script('path/go', 'sleep 0.3', ...BUILD);
    await fetch({ aliveInterval: 50 });
    expect(said.filter((line) => /still building .*\(\d+ s\)/.test(line)).length).toBeGreaterThan(1);
  });

  test('two processes at once build one program', async () => {
    folder.script('path/go', `echo built >> "${folder.path}/builds"`, 'sleep 0.3', ...BUILD);
    const [one, other] = await Promise.all([fetch(), fetch()]);
    expect(one).toBe(other);
    expect(said.filter((line) => /building it with Go/.test(line))).toHaveLength(1);
    expect(said.some((line) => /Another process is fetching/.test(line))).toBe(true);
  });

  test('a build that is called off leaves nothing behind', async () => {
    folder.script('path/go', 'sleep 60');
    const abort = new AbortController();
    const say = (line: string): void => {
      if (/building/.test(line)) setImmediate(() => abort.abort(new Error('interrupted')));
    };
    await expect(fetch({ say, signal: abort.signal })).rejects.toThrow('interrupted');
    expect(readdirSync(join(folder.path, 'cache', 'bin'))).toEqual([]);
  });
});

describe('where nothing works', () => {
  test('one error names every way and why it failed', async () => {
    const error = await failureOf(fetch());
    expect(error.type).toBe('ServerUnavailable');
    const [head, ...ways] = error.message.split('\n');
    expect(head).toMatch(/no Temporal server here/);
    expect(ways).toEqual([
      expect.stringMatching(/`temporal` on PATH: not found on PATH/),
      expect.stringMatching(/the cache, .*: nothing there/),
      expect.stringMatching(/the SDK's download: no network/),
      expect.stringMatching(/go install github\.com.*: not found on PATH/),
    ]);
  });

  test("a failing build gives the compiler's last line", async () => {
    folder.script('path/go', 'echo "go: module lookup disabled" >&2; exit 1');
    const { message } = await failureOf(fetch());
    expect(message).toContain('module lookup disabled');
    expect(existsSync(join(folder.path, 'cache', 'bin', BUILT))).toBe(false);
  });

  test('a cached program that no longer runs is said to be the reason', async () => {
    folder.script(`cache/bin/${BUILT}`, 'echo "cannot execute" >&2; exit 126');
    const { message } = await failureOf(fetch({ atHand: true }));
    expect(message).toMatch(/the cache, .*: cannot execute/);
  });
});
