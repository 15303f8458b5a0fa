import { type Command, InvalidArgumentError, Option } from 'commander';
import { NativeConnection } from '@temporalio/worker';
import { CadreError } from '../../core/failures';
import { MAIN, taskQueue } from '../../core/names';
import { ROLES, type Role } from '../../core/roles';
import { loadPrices } from '../../models/prices';
import { ledgerFile } from '../../storage/folders';
import { openArtifacts } from '../../storage/open-artifacts';
import { FileLedger } from '../../storage/file-ledger';
import { CadreWorker, servedPools } from '../../workers/cadre-worker';
import { installRuntime } from '../../workers/runtime';
import { livePollers } from '../../client/queue';
import { type CommonFlags, withCommonOptions } from '../connection-options';
import type { Execute } from '../execute';
import { EXIT } from '../exit';
import { onInterrupt } from '../interrupt';
import { logLevel } from '../log-level';
import { type Output, duration } from '../output';
import { wholeNumber } from '../whole-number';
import { warnOfOtherBuilds } from '../own-worker';
import { configOf, connectToServer } from '../session';
import { writeLack, writeTeam } from '../team-line';

interface WorkerFlags extends CommonFlags {
  readonly role?: readonly Role[];
  readonly pool?: readonly string[];
  readonly concurrency: number;
  readonly grace: number;
}

export function workerCommand(program: Command, execute: Execute): void {
  withCommonOptions(
    program
      .command('worker')
      .description('stand for leader, run workflows and agents, until stopped')
      .addOption(
        new Option('--role <role>', 'do only this (repeatable; default: all three)')
          .choices(ROLES)
          .argParser(collectRole),
      )
      .option(
        '--pool <name>',
        `run only the agents of this pool (repeatable; "${MAIN}" is those without a pool)`,
        collect,
      )
      .option(
        '--concurrency <n>',
        'agents that act at once, a queue, from 1 to 1,000',
        wholeNumber(1, 1000),
        100,
      )
      .option(
        '--grace <seconds>',
        'time for agents to finish after Ctrl-C, from 0 to 3,600',
        wholeNumber(0, 3600),
        10,
      ),
  ).action((flags: WorkerFlags) => execute(flags, (output) => serve(flags, output)));
}

async function serve(flags: WorkerFlags, output: Output): Promise<number> {
  const config = configOf(flags);
  const roles = flags.role ?? ROLES;
  if (flags.pool !== undefined && !roles.includes('agents')) {
    throw new CadreError(
      'InputInvalid',
      '--pool chooses among agents: add --role agents, or leave --pool out',
    );
  }
  // What cannot be read is found now, and not at the first call that costs something.
  loadPrices();
  writeTeam(config, output);
  writeLack(config, output);
  const serving = servedPools(config.agents, flags.pool);
  installRuntime(logLevel('WARN'));
  const { at, temporal } = await connectToServer(flags);
  const connection = await NativeConnection.connect(at);
  try {
    const { cadre, agents, workflowsPath, budget } = config;
    const worker = await CadreWorker.create({
      connection,
      client: temporal,
      namespace: at.namespace,
      cadre,
      agents,
      artifacts: openArtifacts(),
      ledger: new FileLedger(ledgerFile()),
      concurrency: flags.concurrency,
      shutdownGrace: flags.grace * 1000,
      roles,
      serve: serving,
      ...(budget === undefined ? {} : { budget }),
      onTerm: (term, leads) =>
        output.line(leads ? `Leads in term ${term}.` : `Leads no more (term ${term}).`),
      ...(workflowsPath === undefined ? {} : { workflowsPath }),
    });
    warnOfOtherBuilds(await livePollers(temporal, taskQueue(cadre)), taskQueue(cadre), output);
    const interrupt = onInterrupt(() => {
      output.line(
        `Stopping: takes no new work; agents that act have ${duration(flags.grace * 1000)}. Ctrl-C again stops at once.`,
      );
      worker.shutdown();
    });
    const names = agents.map(({ name }) => name);
    output.line(
      `${output.paint('green', '✓')} worker ready at ${at.address} as ${rolesText(worker)}: ${names.join(', ')}`,
    );
    const { identity, queues } = worker;
    output.value({ ready: true, identity, roles: worker.roles, queues, agents: names });
    await worker.run();
    interrupt.release();
    output.line('Stopped. What was not finished goes on at another worker.');
    return interrupt.signal.aborted ? EXIT.done : EXIT.failed;
  } finally {
    await connection.close();
    await temporal.connection.close();
  }
}

/** What it does, and on which queues. */
function rolesText({ roles, queues }: CadreWorker): string {
  const parts = roles.map((role) => (role === 'leader' ? 'candidate for leader' : role));
  return queues.length === 0 ? parts.join(', ') : `${parts.join(', ')} on ${queues.join(', ')}`;
}

function collectRole(value: string, before: readonly Role[] | undefined): readonly Role[] {
  const role = ROLES.find((known) => known === value);
  if (role === undefined) throw new InvalidArgumentError(`Expected one of ${ROLES.join(', ')}.`);
  return [...(before ?? []), role];
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
