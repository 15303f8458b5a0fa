import { NativeConnection } from '@temporalio/worker';
import { loadPrices } from '../models/prices';
import { CadreWorker } from '../workers/cadre-worker';
import { installRuntime } from '../workers/runtime';
import { logLevel } from './log-level';
import type { Output } from './output';
import type { Session } from './session';
import { writeLack } from './team-line';

/** Runs `work` with a worker in this process, of which `started` is told. */
export async function withWorkerHere<Result>(
  session: Session,
  output: Output,
  started: (worker: CadreWorker) => void,
  work: () => Promise<Result>,
): Promise<Result> {
  // What cannot be read is found now, and not at the first call that costs something.
  loadPrices();
  // The events of what it works on tell of failing attempts already; its own warnings would say it twice.
  installRuntime(logLevel('ERROR'));
  const connection = await NativeConnection.connect(session.at);
  try {
    const worker = await startWorker(session, connection, output);
    started(worker);
    return await worker.runUntil(work);
  } finally {
    await connection.close();
  }
}

async function startWorker(
  { client, config, at }: Session,
  connection: NativeConnection,
  output: Output,
): Promise<CadreWorker> {
  const { cadre, agents, workflowsPath, file, budget } = config;
  writeLack(config, output);
  const worker = await CadreWorker.create({
    connection,
    client: client.temporal,
    namespace: at.namespace,
    cadre,
    agents,
    artifacts: client.artifacts,
    ...(budget === undefined ? {} : { budget }),
    ...(workflowsPath === undefined ? {} : { workflowsPath }),
  });
  const from = file === undefined ? '' : ` (${file})`;
  const names = agents.map(({ name }) => name).join(', ');
  output.line(`${output.paint('green', '✓')} worker ready on ${worker.queues.join(', ')}: ${names}${from}`);
  return worker;
}
