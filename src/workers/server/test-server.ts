import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { withFileLock } from './file-lock';
import { pickPort } from './ports';
import { probe } from './probe';
import { type Environment, killGroup, runCommand } from './run-command';
import { downloadWithSdk } from './sdk-download';
import { type BinaryOptions, givenBinary } from './temporal-binary';
import { type Way, findOnPath, firstThatWorks, installAt, isExecutable } from './ways';

const JAVA_SERVER_VERSION = '1.38.0';
const JAVA_MAIN_CLASS = 'io.temporal.testserver.TestServer';
const MAVEN_TIMEOUT = 10 * 60_000;
const ARCHIVE_TIMEOUT = 20_000;

/** For a start in half the time: no optimising compiler, no parallel collector. Measured: 660 to 610 ms. */
const QUICK_START = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto'];

/**
 * The path of a Temporal test server, whose clock skips waits: what `CADRE_TEST_SERVER_BINARY` names and nothing
 * else, or the first of the cache folder, the SDK's download, and the Java server from Maven Central. For
 * `TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } })`.
 * Throws ServerUnavailable with the reason of each.
 */
export async function fetchTestServerBinary(options: BinaryOptions): Promise<string> {
  const environment = options.environment ?? process.env;
  const given = environment['CADRE_TEST_SERVER_BINARY'];
  if (given) return givenBinary('CADRE_TEST_SERVER_BINARY', given, () => executable(given));
  const cached = cachedServers(options.cacheFolder);
  const { say, signal } = options;
  const onWait = (): void => say('Another process is fetching the test server; waiting for it.');
  const fill = (fetch: () => Promise<string>): Promise<string> =>
    withFileLock(join(cached.folder, 'test-server.lock'), { signal, onWait }, () =>
      find(cached, environment).catch(fetch),
    );
  const atHand: Way[] = [{ name: `the cache, ${cached.folder}`, attempt: () => find(cached, environment) }];
  const fetches: Way[] = [
    {
      name: "the SDK's download",
      attempt: () => fill(() => download(cached.downloaded, options, environment)),
    },
    {
      name: 'the Java test server, by Maven',
      attempt: () => fill(() => fetchJava(cached.java, options, environment)),
    },
  ];
  return firstThatWorks('Temporal test server', options.atHand ? atHand : [...atHand, ...fetches], signal);
}

interface CachedServers {
  readonly folder: string;
  readonly downloaded: string;
  /** Folder with the jars and the script that runs them. */
  readonly java: string;
}

function cachedServers(cacheFolder: string): CachedServers {
  const folder = join(cacheFolder, 'bin');
  return {
    folder,
    downloaded: join(folder, 'test-server-sdk'),
    java: join(folder, `test-server-java-${JAVA_SERVER_VERSION}`),
  };
}

async function find({ downloaded, java }: CachedServers, environment: Environment): Promise<string> {
  if (await isExecutable(downloaded)) return downloaded;
  const script = join(java, 'run.sh');
  if (!(await isExecutable(script))) throw new Error('nothing there');
  await javaCommand(environment);
  return script;
}

async function executable(path: string): Promise<string> {
  if (!(await isExecutable(path))) throw new Error('it is not an executable file');
  return path;
}

async function download(target: string, options: BinaryOptions, environment: Environment): Promise<string> {
  options.say(
    'There is no Temporal test server here yet: downloading one, once (some 100 MB, usually under a minute).',
  );
  return (options.download ?? downloadWithSdk)('createTimeSkipping', target, {
    environment,
    signal: options.signal,
  });
}

async function fetchJava(target: string, options: BinaryOptions, environment: Environment): Promise<string> {
  await javaCommand(environment);
  const maven = await findOnPath('mvn', environment).catch(() => {
    throw new Error('`mvn` is not on PATH; install Maven');
  });
  options.say('It cannot be downloaded: fetching the Java test server with Maven, once: 10 to 60 s, 38 MB.');
  await rm(target, { recursive: true, force: true });
  await installAt(target, (folder) => gatherJars(maven, folder, environment, options.signal));
  await archiveClasses(target, environment).catch(() => undefined);
  return join(target, 'run.sh');
}

/** JAVA_HOME's, or the one on PATH. Throws what to install where neither runs. */
async function javaCommand(environment: Environment): Promise<string> {
  const home = environment['JAVA_HOME'];
  const java = home
    ? join(home, 'bin', 'java')
    : await findOnPath('java', environment).catch(() => undefined);
  if (java === undefined || !(await isExecutable(java))) {
    throw new Error(
      `\`java\` is not ${home ? 'in JAVA_HOME' : 'on PATH'}; install Java 11 or newer, and Maven`,
    );
  }
  return java;
}

async function gatherJars(
  maven: string,
  parent: string,
  environment: Environment,
  signal?: AbortSignal,
): Promise<string> {
  const folder = join(parent, 'server');
  const jars = join(folder, 'jars');
  await mkdir(jars, { recursive: true });
  await writeFile(join(folder, 'pom.xml'), POM);
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${jars}`, '-DincludeScope=runtime'];
  const args = ['-q', '-B', '-f', join(folder, 'pom.xml'), ...goal];
  await runCommand(maven, args, { environment, folder, signal, timeout: MAVEN_TIMEOUT });
  const names = (await readdir(jars)).filter((name) => name.endsWith('.jar')).sort();
  if (names.length === 0) throw new Error('Maven copied no jars');
  await writeFile(join(folder, 'run.sh'), runScript(names));
  await chmod(join(folder, 'run.sh'), 0o755);
  return folder;
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>cadre</groupId>
  <artifactId>test-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>${JAVA_SERVER_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`;

/**
 * The script becomes the server (\`exec\`), so that whoever started it ends the server itself. A watchdog ends it too
 * when its parent is gone without a word, as after an interrupted test run; it looks every second.
 * Where there is an archive of loaded classes, the start takes 250 instead of 600 ms; one that does not fit
 * the Java in use is ignored.
 */
function runScript(jars: readonly string[]): string {
  return `#!/bin/sh
dir=\${0%/*}
classes="${jars.map((jar) => `$dir/jars/${jar}`).join(':')}"
java=\${JAVA_HOME:+$JAVA_HOME/bin/}java
archive=
if [ -f "$dir/classes.jsa" ]; then archive="-XX:SharedArchiveFile=$dir/classes.jsa"; fi
parent=$PPID
(
  while kill -0 "$parent" && kill -0 $$; do sleep 1; done
  kill $$
) </dev/null >/dev/null 2>&1 &
exec "$java" ${QUICK_START.join(' ')} \${archive:+"$archive"} \${CADRE_JAVA_OPTIONS:-} -cp "$classes" ${JAVA_MAIN_CLASS} "$@"
`;
}

/** Starts the server once and lets Java write down the classes it loaded. Java before 13 cannot; that is no loss. */
async function archiveClasses(folder: string, environment: Environment): Promise<void> {
  const port = await pickPort([]);
  const made = join(folder, 'classes.new');
  const child = spawn(join(folder, 'run.sh'), [String(port), '--enable-time-skipping'], {
    env: { ...environment, CADRE_JAVA_OPTIONS: `-XX:ArchiveClassesAtExit=${made}` },
    stdio: 'ignore',
    detached: true,
  });
  const ended = new Promise<void>((resolve) =>
    child.once('exit', () => resolve()).once('error', () => resolve()),
  );
  const deadline = Date.now() + ARCHIVE_TIMEOUT;
  while (child.exitCode === null && Date.now() < deadline && (await probe(port)).kind !== 'temporal')
    await delay(50);
  killGroup(child.pid, 'SIGTERM');
  const late = delay(ARCHIVE_TIMEOUT, undefined, { ref: false });
  await Promise.race([ended, late]);
  killGroup(child.pid, 'SIGKILL');
  await rename(made, join(folder, 'classes.jsa'));
}
