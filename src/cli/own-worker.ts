import { setTimeout } from 'node:timers/promises';
import type { CadreClient } from '../client/cadre-client';
import { type Poller, livePollers, parseIdentity } from '../client/queue';
import { taskQueue } from '../core/names';
import { buildId } from '../workers/build-id';
import type { CadreWorker } from '../workers/cadre-worker';
import type { Output } from './output';
import type { Session } from './session';

const LOOK_INTERVAL = 2000;

/**
 * Runs `work` with a worker: the ones that run already, or one in this process where there is none, or none is left
 * while `work` goes on. `started` is told of a worker of this process. Warns where nobody stands for leader and `work`
 * needs one.
 */
export async function withWorker<Result>(
  session: Session,
  output: Output,
  started: (worker: CadreWorker) => void,
  work: () => Promise<Result>,
  needs: { readonly leader: boolean } = { leader: true },
): Promise<Result> {
  const { client, config } = session;
  const queue = taskQueue(config.cadre);
  const others = await livePollers(client.temporal, queue);
  let working: Promise<Result> | undefined;
  if (others.length > 0) {
    const names = others.map(({ identity }) => identity).join(', ');
    output.line(`${output.paint('green', '✓')} worker running already: ${names}`);
    warnOfOtherBuilds(others, queue, output);
    if (needs.leader) await warnOfNoCandidate(client, output);
    working = work();
    if (!(await othersGone(working, () => livePollers(client.temporal, queue)))) return working;
    output.line('The other worker is gone; starting one here.');
  }
  // The worker library is most of what starting takes, and not needed beside a worker.
  const { withWorkerHere } = await import('./worker-here.js');
  return withWorkerHere(session, output, started, () => working ?? work());
}

/** Workers that only run agents and workflows wait for a leader for ever. */
async function warnOfNoCandidate(client: CadreClient, output: Output): Promise<void> {
  const { candidates, cadre } = await client.leader();
  if (candidates.length > 0) return;
  output.line(
    `${output.paint('yellow', '!')} Nobody stands for leader of ${cadre}: the task waits until one does (\`cadre worker --role leader\`).`,
  );
}

/** False when `working` ends; true when no other worker is left before. */
async function othersGone(
  working: Promise<unknown>,
  look: () => Promise<readonly Poller[]>,
): Promise<boolean> {
  const ended = working.then(
    () => true,
    () => true,
  );
  for (;;) {
    const pause = setTimeout(LOOK_INTERVAL, false, { ref: false });
    if (await Promise.race([ended, pause])) return false;
    if ((await look().catch(() => [undefined])).length === 0) return true;
  }
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
