/** Writes a workflow's history to a file that can be read, checked and gone on from without the server it is of. */
import type { Client } from '@temporalio/client';
import type { LoadedDataConverter } from '@temporalio/common';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { CadreError } from '../core/failures';
import { EXPORT_FORMAT, type ExportHeader, ExportLines } from '../core/log/export-format';
import { HashChain } from '../core/log/hash-chain';
import { logProjection } from '../core/log/logged-types';
import { isNotFound } from './grpc-status';
import { type HistoryEvent, factsOf } from './history-decoder';
import { findRuns, readRun } from './history-reader';

/** What an export is of, and what stands for all of it. */
export interface Exported {
  readonly header: ExportHeader;
  /** How many events of Temporal's are in it. */
  readonly events: number;
  /** How many of the log's. */
  readonly logged: number;
  /** The last hash of its chain, in hex; to be kept elsewhere. */
  readonly head: string;
}

/** What an export is made of. */
export interface ExportSource {
  readonly header: ExportHeader;
  /** Decodes payloads for the log. */
  readonly converter: LoadedDataConverter;
  /** The events of a run from the first on; asked for each run twice. */
  readonly events: (runId: string) => AsyncIterable<HistoryEvent>;
}

/** A workflow on a server, with the runs that it has now. Throws TaskNotFound. */
export async function serverSource(client: Client, cadre: string, workflowId: string): Promise<ExportSource> {
  const header = await readHeader(client, cadre, workflowId);
  return {
    header,
    converter: client.options.loadedDataConverter,
    events: (runId) => readRun(client, { workflowId, runId }),
  };
}

/**
 * The lines of an export, each without its line feed; returns what was exported. A history is read twice and never held;
 * of each item the 32 bytes of its hash are. Of a workflow that runs it has what was there when it was read first.
 */
export async function* exportLines(source: ExportSource): AsyncGenerator<string, Exported> {
  const { header } = source;
  const lines = new ExportLines();
  const chain = new HashChain(JSON.stringify(header));
  const hashes = new Hashes(chain.head);
  const counts = new Map<string, number>();
  let events = 0;
  yield* lines.header(header);
  for (const [index, runId] of header.runs.entries()) {
    const isLast = index === header.runs.length - 1;
    yield* isLast ? lines.begin('events') : lines.beginRun(runId);
    const before = events;
    for await (const event of source.events(runId)) {
      const text = eventText(event);
      hashes.push(chain.add({ kind: 'event', runId, text }));
      events += 1;
      yield* lines.item(text);
    }
    counts.set(runId, events - before);
    if (!isLast) yield* lines.endRun();
  }
  yield* lines.begin('log');
  let logged = 0;
  for await (const text of logTexts(source, counts)) {
    hashes.push(chain.add({ kind: 'log', text }));
    logged += 1;
    yield* lines.item(text);
  }
  yield* lines.begin('chain');
  for (const hash of hashes) yield* lines.item(JSON.stringify(hash));
  yield* lines.end(chain.head);
  return { header, events, logged, head: chain.head };
}

/** The log, an event a line of JSON, of as many events of each run as were exported. */
async function* logTexts(
  { header, converter, events }: ExportSource,
  counts: ReadonlyMap<string, number>,
): AsyncGenerator<string> {
  const { workflowId, workflowType, runs } = header;
  const projection = logProjection(workflowType);
  if (projection === undefined) return;
  for (const runId of runs) {
    let left = counts.get(runId) ?? 0;
    for await (const event of events(runId)) {
      if (left === 0) break;
      left -= 1;
      for (const fact of await factsOf(converter, event, { workflowId, runId })) {
        for (const logged of projection.next(fact)) yield JSON.stringify(logged);
      }
    }
  }
}

async function readHeader(client: Client, cadre: string, workflowId: string): Promise<ExportHeader> {
  try {
    const runs = await findRuns(client, workflowId);
    const { type } = await client.workflow.getHandle(workflowId, runs.at(-1)).describe();
    const exportedAt = Date.now();
    return { format: EXPORT_FORMAT, workflowId, workflowType: type, cadre, exportedAt, runs };
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new CadreError('TaskNotFound', `There is no task "${workflowId}"`, { cause: error });
  }
}

/** An event in Temporal's JSON, on one line. */
function eventText(event: HistoryEvent): string {
  const { events } = JSON.parse(historyToJSON({ events: [event] })) as { events: unknown[] };
  return JSON.stringify(events[0]);
}

const HASH_BYTES = 32;
const FIRST_CAPACITY = 1024;

/** Hashes in hex, held as bytes. */
class Hashes {
  private bytes = Buffer.alloc(FIRST_CAPACITY * HASH_BYTES);
  private length = 0;

  constructor(first: string) {
    this.push(first);
  }

  push(hash: string): void {
    if (this.length === this.bytes.length)
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(this.length)]);
    this.bytes.write(hash, this.length, 'hex');
    this.length += HASH_BYTES;
  }

  *[Symbol.iterator](): Generator<string> {
    for (let at = 0; at < this.length; at += HASH_BYTES)
      yield this.bytes.toString('hex', at, at + HASH_BYTES);
  }
}
