/**
 * Calls that a worker must answer, where there may be none: the server keeps what is sent, and does not say that nobody
 * takes it. Owns when a worker counts as absent.
 *
 * 1. Nothing is sent while nobody is there.
 * 2. A worker that polls may take as long as it likes.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { CadreError, isCadreError } from '../core/failures';
import { answers } from './grpc-status';
import { livePollers } from './queue';

/** How often, in ms, it is looked who polls. */
const LOOK_INTERVAL = 1000;
/** For how long, in ms, nobody may be there: a worker that is started anew is back by then. */
const PATIENCE = 3000;

/** A workflow, and the queue that its workers poll. */
export interface Addressee {
  readonly id: string;
  readonly queue: string;
}

/**
 * What `send` comes to, which waits for a worker that runs the workflow `to`. Throws NoWorker where there is none, or none any
 * more, and what `send` throws.
 */
export async function answeredByWorker<Answer>(
  client: Client,
  to: Addressee,
  send: () => Promise<Answer>,
): Promise<Answer> {
  if (await isAbandoned(client, to)) {
    throw new CadreError('NoWorker', `No worker runs the workflows of "${to.queue}", so nothing was sent`);
  }
  const over = new AbortController();
  const { signal } = over;
  try {
    return await Promise.race([client.withAbortSignal(signal, send), abandoned(client, to, signal)]);
  } finally {
    over.abort();
  }
}

/** Rejects once nobody is there any more, or `signal` aborts. */
async function abandoned(client: Client, to: Addressee, signal: AbortSignal): Promise<never> {
  do {
    await delay(LOOK_INTERVAL, undefined, { signal });
  } while (!(await isAbandoned(client, to)));
  throw new CadreError(
    'NoWorker',
    `No worker runs the workflows of "${to.queue}" any more; what was sent may still arrive once one does`,
  );
}

/** Of a queue in several partitions the server may name none of its pollers: one that answers is there all the same. */
async function isAbandoned(client: Client, to: Addressee): Promise<boolean> {
  return !(await isPolled(client, to)) && !(await isAnswered(client, to));
}

/**
 * True also where the server does not say, such as the test server. One of another machine that was killed counts for up to 70 s
 * more: whoever asks it hears nothing, and that is how a slow one sounds too.
 */
async function isPolled(client: Client, { queue }: Addressee): Promise<boolean> {
  return livePollers(client, queue).then(
    (pollers) => pollers.length > 0,
    () => true,
  );
}

/** Asks what every worker of the SDK answers, and nothing comes of. */
async function isAnswered(client: Client, { id }: Addressee): Promise<boolean> {
  const ask = (): Promise<unknown> => client.workflow.getHandle(id).query('__temporal_workflow_metadata');
  return client.withDeadline(Date.now() + PATIENCE, ask).then(
    () => true,
    () => false,
  );
}

/** What it means that `what`, such as `the budget "cadre"`, did not answer in its time. */
export async function unanswered(error: unknown, client: Client, what: string, more = ''): Promise<unknown> {
  if (isCadreError(error)) return error;
  if (!(await answers(client))) {
    return new CadreError('ServerUnreachable', 'Lost the Temporal server', { cause: error });
  }
  const message = `No worker that runs workflows answers for ${what}${more}`;
  return new CadreError('NoWorker', message, { cause: error });
}
