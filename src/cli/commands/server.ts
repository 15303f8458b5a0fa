import type { Command } from 'commander';
import { resolveConnection } from '../../client/connection';
import { cacheFolder } from '../../storage/folders';
import { fetchServerBinary, fetchTestServerBinary } from '../../workers/server';
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
  const server = await startServer(to, output, interrupt.signal, {
    ...(flags.port === undefined ? {} : { port: flags.port }),
    ...(flags.uiPort === undefined ? {} : { uiPort: flags.uiPort }),
  });
  const { address, uiUrl, origin } = server;
  output.value({ address, namespace: server.namespace, origin, ...(uiUrl === undefined ? {} : { uiUrl }) });
  if (origin !== 'started') {
    output.line(`A Temporal server runs already at ${address}; nothing to start.`);
    return EXIT.done;
  }
  output.line(
    `${output.paint('green', '✓')} Temporal ${server.version ?? ''} at ${address}${uiUrl === undefined ? '' : `, Web UI ${uiUrl}`}`,
  );
  output.line('Press Ctrl-C to stop it; its history stays.');
  await new Promise<void>((resolve) => {
    if (interrupt.signal.aborted) resolve();
    interrupt.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.stop();
  output.line('Stopped.');
  interrupt.release();
  return EXIT.done;
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
