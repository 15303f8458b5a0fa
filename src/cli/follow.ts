/** What the commands share that start something and follow it to its end: `run`, `saga run`, `saga resume`. */
import type { TaskHandle } from '../client/task-handle';
import type { CadreWorker } from '../workers/cadre-worker';
import type { TemporalServer } from '../workers/server';
import type { CommonFlags } from './connection-options';
import { EventLines } from './event-lines';
import { EXIT } from './exit';
import { onInterrupt } from './interrupt';
import type { Output } from './output';
import { withWorker } from './own-worker';
import { type Session, configOf, openSessionWithServer } from './session';
import { StreamLines } from './stream-lines';
import { writeTeam } from './team-line';
import { WithoutModel } from './without-model';

/** How often, in ms, it looks whether attempts fail. */
const LOOK_INTERVAL = 2000;

/**
 * Runs `work` with a server and workers: those there are, or, unless `worker` is false, one of its own. Ctrl-C aborts
 * `signal` once agents that act here may finish. Returns the exit code of `work`.
 */
export async function withTeam(
  flags: CommonFlags & { readonly worker: boolean },
  output: Output,
  work: (session: Session, signal: AbortSignal) => Promise<number>,
  needs: { readonly leader: boolean } = { leader: true },
): Promise<number> {
  let worker: CadreWorker | undefined;
  let server: TemporalServer | undefined;
  let ended = false;
  const interrupt = onInterrupt(
    () => {
      if (!ended) output.line('Stopping: agents that act may finish. Press Ctrl-C again to stop at once.');
      worker?.shutdown();
    },
    () => server?.kill(),
  );
  try {
    if (flags.worker && needs.leader) writeTeam(configOf(flags), output);
    const session = await openSessionWithServer(flags, output, interrupt.signal);
    server = session.server;
    output.line(serverLine(server, output));
    try {
      const workThenLinger = async () => {
        const code = await work(session, interrupt.signal);
        ended = true;
        if (server?.origin === 'started' && code !== EXIT.interrupted) {
          const stays = code === EXIT.done && process.stdout.isTTY;
          await lingerForLinks(output, stays, interrupt.signal);
        }
        return code;
      };
      const started = (own: CadreWorker) => void (worker = own);
      return await (flags.worker
        ? withWorker(session, output, started, workThenLinger, needs)
        : workThenLinger());
    } finally {
      await session.close();
    }
  } finally {
    await server?.stop();
    interrupt.release();
  }
}

/** Says which task it is, and where the Web UI shows it. */
export function writeTask({ id }: TaskHandle, link: string | undefined, output: Output): void {
  output.line(`  task    ${id}`);
  if (link !== undefined) output.line(`  Web UI  ${link}`);
}

/**
 * Follows a task to its end. Returns an exit code where it is not waited for, having said so: `detach`, or `signal`
 * aborted.
 */
export async function follow(
  task: TaskHandle,
  flags: { readonly follow?: boolean; readonly detach?: boolean },
  link: string | undefined,
  output: Output,
  signal: AbortSignal,
): Promise<number | undefined> {
  const webUi = link === undefined ? {} : { webUi: link };
  if (flags.detach) {
    output.value({ task: task.id, ...webUi });
    return EXIT.done;
  }
  await followEvents(task, flags.follow ?? false, output, signal);
  if (!signal.aborted) return undefined;
  output.line(
    `Not waited for: the task goes on when a worker runs (cadre worker). See cadre show ${task.id}, cadre cancel ${task.id}.`,
  );
  output.value({ task: task.id, status: 'running', ...webUi });
  return EXIT.interrupted;
}

/** Writes the events of a task as they happen: those that mark progress, or with `every` all, and what agents stream. */
async function followEvents(
  task: TaskHandle,
  every: boolean,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const lines = new EventLines(output, every, task.id);
  const withoutModel = new WithoutModel();
  const streams = new StreamLines(output);
  const ended = new AbortController();
  if (every) void writeStream(task, streams, output, AbortSignal.any([signal, ended.signal]));
  // History tells of a failing attempt only when the last one has ended.
  const look = setInterval(() => {
    void task.pending().then(
      (pending) => {
        lines.writeRetries(pending);
        lines.writeWaits(pending);
      },
      () => undefined,
    );
  }, LOOK_INTERVAL);
  try {
    for await (const event of task.events({ follow: true, signal })) {
      streams.end(event);
      lines.write(event);
      withoutModel.add(event);
      if (every) output.value(event);
    }
    withoutModel.write(output);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(look);
    ended.abort();
  }
}

/** Writes what agents stream until `signal` aborts. Never rejects. */
async function writeStream(
  task: TaskHandle,
  lines: StreamLines,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const streamed of task.stream({ signal })) {
      if (signal.aborted) return;
      if (lines.write(streamed)) output.value({ type: 'streamed', ...streamed });
    }
  } catch {
    // What became of the task or the server its events say.
  }
}

function serverLine(server: TemporalServer, output: Output): string {
  const how = server.origin === 'started' ? ', started for this run' : '';
  const version = server.version === undefined ? '' : ` ${server.version}`;
  return `${output.paint('green', '✓')} Temporal${version} at ${server.address}${how}`;
}

/**
 * A server of ours, and the worker that answers the Web UI's questions, stay for the link that was printed until Ctrl-C
 * where `stays`; else this says where its history is.
 */
async function lingerForLinks(output: Output, stays: boolean, signal: AbortSignal): Promise<void> {
  output.line();
  if (!stays) {
    output.line(
      'The server that was started for this run stops now; `cadre server` opens its history again.',
    );
    return;
  }
  output.line(
    'The server stays up for the link. Press Ctrl-C to stop it; `cadre server` opens its history again.',
  );
  await new Promise<void>((stop) => {
    if (signal.aborted) stop();
    signal.addEventListener('abort', () => stop(), { once: true });
  });
}
