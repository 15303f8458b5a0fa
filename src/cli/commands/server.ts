import type { Command } from 'commander';
import { type ResolvedConnection, resolveConnection } from '../../client/connection';
import { CadreError, inputInvalid } from '../../core/failures';
import { cacheFolder } from '../../storage/folders';
import { type TemporalServer, fetchServerBinary, fetchTestServerBinary } from '../../workers/server';
import { type CommonFlags, connectionFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { onInterrupt } from '../interrupt';
import type { Output } from '../output';
import { startServer } from '../session';
import { wholeNumber } from '../whole-number';

interface ServerFlags extends CommonFlags {
  readonly port?: number;
  readonly uiPort?: number;
  readonly fetch?: boolean;
}

export function serverCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('server')
      .description('run a Temporal server for development, with its history on disk, until stopped')
      .option('--port <port>', 'gRPC port', wholeNumber(1, 65_535))
      .option('--ui-port <port>', "the Web UI's port", wholeNumber(1, 65_535))
      .option('--fetch', 'only get the programs that this and cadre/testing need, and print where they are'),
  ).action((flags: ServerFlags) =>
    execute(flags, (output) => (flags.fetch ? fetch(output) : serve(flags, output))),
  );
}

async function serve(flags: ServerFlags, output: Output): Promise<number> {
  const interrupt = onInterrupt(() => undefined);
  const to = resolveConnection(connectionFlags(flags));
  const port = portOf(flags, to);
  const here = port === undefined ? to : { ...to, configured: false };
  const server = await startServer(here, output, interrupt.signal, {
    ...(port === undefined ? {} : { port }),
    ...(flags.uiPort === undefined ? {} : { uiPort: flags.uiPort }),
  });
  const { address, uiUrl, origin } = server;
  if (origin === 'running' && port !== undefined && portIn(address) !== port) {
    const message = `The server of this data folder runs at ${address}, so none can at port ${port}`;
    throw new CadreError('DatabaseInUse', message);
  }
  output.value({ address, namespace: server.namespace, origin, ...(uiUrl === undefined ? {} : { uiUrl }) });
  if (origin !== 'started') {
    output.line(`A Temporal server runs already at ${address}; nothing to start.`);
    return EXIT.done;
  }
  writeStarted(server, to, output);
  await abortedOr(server.ended, interrupt.signal);
  const stopped = interrupt.signal.aborted;
  await server.stop();
  output.line(stopped ? 'Stopped.' : 'Start it again with `cadre server`: its history is on disk.');
  interrupt.release();
  return stopped ? EXIT.done : EXIT.failed;
}

/**
 * Resolves when `signal` aborts or the server has ended. Until then it keeps the process, which neither handlers of signals nor
 * the server do.
 */
function abortedOr(ended: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const alive = setInterval(() => undefined, 60_000);
    const end = (): void => {
      clearInterval(alive);
      resolve();
    };
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    void ended.then(end);
  });
}

function writeStarted(
  { address, uiUrl, version = '' }: TemporalServer,
  to: ResolvedConnection,
  output: Output,
): void {
  const webUi = uiUrl === undefined ? '' : `, Web UI ${uiUrl}`;
  output.line(`${output.paint('green', '✓')} Temporal ${version} at ${address}${webUi}`);
  if (to.configured && portIn(to.address) !== portIn(address)) {
    output.line(`Other commands here go to ${to.address}; set TEMPORAL_ADDRESS=${address} for this one.`);
  }
  output.line('Press Ctrl-C to stop it; its history stays.');
}

/**
 * Where a server is to be on this machine: at `--port`, else where clients are told that it is; undefined where it is
 * elsewhere, or nothing says. Throws InputInvalid where two flags contradict each other.
 */
function portOf(flags: ServerFlags, { address, configured, tls }: ResolvedConnection): number | undefined {
  const local = /^(?:127\.0\.0\.1|localhost):\d+$/.test(address) && tls === undefined;
  const told = configured && local ? portIn(address) : undefined;
  if (flags.port === undefined || flags.port === told) return told;
  if (flags.address === undefined) return flags.port;
  throw inputInvalid('--port', `left out, or that of --address ${flags.address}`, flags.port);
}

function portIn(address: string): number {
  return Number(address.split(':').at(-1));
}

async function fetch(output: Output): Promise<number> {
  const options = { cacheFolder: cacheFolder(), say: (line: string) => output.line(line) };
  const server = await fetchServerBinary(options);
  const testServer = await fetchTestServerBinary(options);
  output.line(`server       ${server}`);
  output.line(`test server  ${testServer}`);
  output.value({ server, testServer });
  return EXIT.done;
}
