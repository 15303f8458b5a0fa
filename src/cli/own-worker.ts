import type { NativeConnection } from '@temporalio/worker';
import { taskQueue } from '../core/names';
import { buildId, parseIdentity } from '../workers/build-id';
import { CadreWorker } from '../workers/cadre-worker';
import { livePollers } from '../workers/live-pollers';
import type { Poller } from '../workers/queue-status';
import type { Output } from './output';
import type { Session } from './session';

/** A worker in this process; undefined, and said, where one runs already. */
export async function startOwnWorker(
  { client, config, at }: Session,
  connection: NativeConnection,
  output: Output,
): Promise<CadreWorker | undefined> {
  const { cadre, agents, workflowsPath, file } = config;
  const others = await livePollers(client.temporal, taskQueue(cadre));
  if (others.length > 0) {
    const names = others.map(({ identity }) => identity).join(', ');
    output.line(`${output.paint('green', '✓')} worker running already: ${names}`);
    warnOfOtherBuilds(others, taskQueue(cadre), output);
    return undefined;
  }
  const worker = await CadreWorker.create({
    connection,
    namespace: at.namespace,
    cadre,
    agents,
    artifacts: client.artifacts,
    ...(workflowsPath === undefined ? {} : { workflowsPath }),
  });
  const team = file === undefined ? 'the embedded agents, no model' : file;
  const names = agents.map(({ name }) => name).join(', ');
  output.line(
    `${output.paint('green', '✓')} worker ready on ${worker.queues.join(', ')}: ${names} (${team})`,
  );
  return worker;
}

/** Workers of two builds may not be able to go on with each other's workflows. */
export function warnOfOtherBuilds(pollers: readonly Poller[], queue: string, output: Output): void {
  const build = buildId();
  for (const { identity } of pollers) {
    const other = parseIdentity(identity)?.build;
    if (other === build) continue;
    const what =
      other === undefined ? 'which is no worker of Cadre' : `of build ${other}; this one is ${build}`;
    output.line(
      `${output.paint('yellow', '!')} ${queue} is also polled by ${identity}, ${what}. Stop one of them.`,
    );
  }
}
