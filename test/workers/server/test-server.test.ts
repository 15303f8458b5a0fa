// Needs a real test server: CADRE_TEST_SERVER_BINARY or the cache. The rest uses programs of its own.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CadreError } from '../../../src/core/failures';
import { type BinaryOptions, fetchTestServerBinary } from '../../../src/workers/server';
import { createTimeSkippingEnvironment } from '../../support/time-skipping';
import { TemporaryFolder } from '../../support/temporary-folder';

const folder = TemporaryFolder.ofEachTest();
let said: string[];

beforeEach(() => {
  said = [];
  for (const tool of ['mkdir', 'touch', 'sleep']) {
    folder.script(`path/${tool}`, `PATH=/bin:/usr/bin exec ${tool} "$@"`);
  }
});

function fetch(more: Partial<BinaryOptions> = {}): Promise<string> {
  return fetchTestServerBinary({
    say: (line) => void said.push(line),
    cacheFolder: join(folder.path, 'cache'),
    environment: { PATH: join(folder.path, 'path'), HOME: folder.path },
    download: () => Promise.reject(new Error('no network')),
    ...more,
  });
}

async function failureOf(promise: Promise<unknown>): Promise<CadreError> {
  return promise.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => error as CadreError,
  );
}

/** Processes of this machine with the text in their command line. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

describe('the test server', () => {
  test('skips waits, and leaves no process behind', async () => {
    const environment = await createTimeSkippingEnvironment();
    const port = environment.address.split(':')[1] ?? '';
    const before = await environment.currentTimeMs();
    await environment.sleep('30 days');
    expect((await environment.currentTimeMs()) - before).toBeGreaterThanOrEqual(30 * 24 * 3600 * 1000);
    const argument = `\0${port}\0`;
    expect(processesWith(argument)).not.toEqual([]);
    await environment.teardown();
    // The watchdog of the script looks every second.
    const deadline = Date.now() + 5000;
    while (processesWith(argument).length > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(processesWith(argument)).toEqual([]);
  });
});

describe('fetching it', () => {
  test('uses what CADRE_TEST_SERVER_BINARY names', async () => {
    const path = folder.script('mine', 'exit 0');
    expect(await fetch({ environment: { CADRE_TEST_SERVER_BINARY: path } })).toBe(path);
  });

  test('refuses a CADRE_TEST_SERVER_BINARY that is no program', async () => {
    const { type, message } = await failureOf(
      fetch({ environment: { CADRE_TEST_SERVER_BINARY: '/no/such' } }),
    );
    expect(type).toBe('ServerUnavailable');
    expect(message).toContain('CADRE_TEST_SERVER_BINARY names /no/such');
  });

  test('keeps a download and finds it again', async () => {
    const download: BinaryOptions['download'] = async (_kind, target) =>
      folder.script(target.slice(folder.path.length + 1), 'exit 0');
    const path = await fetch({ download });
    expect(said).toEqual([expect.stringMatching(/downloading one, once .*minute/)]);
    expect(await fetch()).toBe(path);
  });

  test('gathers the Java server with Maven, and says before how long it takes', async () => {
    folder.script('path/java', 'exit 1');
    folder.script(
      'path/mvn',
      `echo "$@" > "${folder.path}/asked"`,
      'mkdir -p jars; touch jars/b.jar jars/a.jar',
    );
    const path = await fetch();
    expect(readFileSync(join(folder.path, 'asked'), 'utf8')).toContain('dependency:copy-dependencies');
    expect(said.at(-1)).toMatch(/with Maven, once: 10 to 60 s/);
    const script = readFileSync(path, 'utf8');
    expect(script).toMatch(/classes="\$dir\/jars\/a\.jar:\$dir\/jars\/b\.jar"/);
    expect(script).toContain('io.temporal.testserver.TestServer');
    expect(await fetch()).toBe(path);
  });

  test('names what to install where there is no Java', async () => {
    const { type, message } = await failureOf(fetch());
    expect(type).toBe('ServerUnavailable');
    expect(message).toMatch(/`java` is not on PATH; install Java 11 or newer, and Maven/);
  });

  test('names what to install where there is no Maven', async () => {
    folder.script('path/java', 'exit 0');
    expect((await failureOf(fetch())).message).toMatch(/`mvn` is not on PATH; install Maven/);
  });

  test("gives Maven's own reason, and leaves nothing half-made", async () => {
    folder.script('path/java', 'exit 0');
    folder.script('path/mvn', 'echo "[ERROR] cannot resolve io.temporal"; exit 1');
    expect((await failureOf(fetch())).message).toContain('cannot resolve io.temporal');
    expect(readdirSync(join(folder.path, 'cache', 'bin'))).toEqual([]);
  });
});
