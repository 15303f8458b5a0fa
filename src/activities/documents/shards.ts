import type { ListedDocument } from './document';
import { formatOf } from './readers';

/**
 * A share of a folder's documents: those whose path, compared by code unit, is at least `from` and less than
 * `before`. The shards of a plan leave no gap, so each file is in exactly one of them, also a file that came
 * or went after planning.
 */
export interface Shard {
  /** From 0. */
  readonly index: number;
  readonly of: number;
  /** Absent in the first shard. */
  readonly from?: string | undefined;
  /** Absent in the last shard. */
  readonly before?: string | undefined;
}

/** A shard of a plan and the documents that it held when it was planned. */
export interface PlannedShard {
  readonly shard: Shard;
  /** Positions in the folder's list, 1 for the first document. */
  readonly first: number;
  readonly last: number;
}

const SHARDS_MAXIMUM = 8;
const SMALL_SHARDS_MAXIMUM = 4;
const DOCUMENTS_A_SHARD = 4;
const BYTES_A_SHARD = 512 * 1024;
/** Opening a file costs about as much as reading so many bytes. */
const BYTES_A_FILE = 4096;

/**
 * Divides documents, given in order of their paths, into shards of about the same work: one for each four
 * documents up to four shards, one for each 512 KiB up to eight.
 */
export function planShards(
  documents: readonly ListedDocument[],
  count = shardCount(documents),
): PlannedShard[] {
  const total = documents.reduce((sum, document) => sum + work(document), 0);
  const ends: number[] = [];
  let done = 0;
  documents.forEach((document, index) => {
    done += work(document);
    const left = documents.length - index - 1;
    const open = count - ends.length - 1;
    if (open > 0 && left >= open && (done >= (total * (ends.length + 1)) / count || left === open))
      ends.push(index + 1);
  });
  return [...ends, documents.length].map((end, index) => {
    const begin = ends[index - 1] ?? 0;
    const from = index === 0 ? undefined : documents[begin]?.file;
    const before = documents[end]?.file;
    const shard = {
      index,
      of: count,
      ...(from === undefined ? {} : { from }),
      ...(before === undefined ? {} : { before }),
    };
    return { shard, first: begin + 1, last: end };
  });
}

export function isInShard(file: string, shard: Shard): boolean {
  return (
    (shard.from === undefined || file >= shard.from) && (shard.before === undefined || file < shard.before)
  );
}

/** False for a folder none of whose files can be in the shard. */
export function mayHoldShard(folder: string, { from, before }: Shard): boolean {
  const inside = `${folder}/`;
  if (before !== undefined && inside >= before) return false;
  return from === undefined || inside >= from || from.startsWith(inside);
}

function shardCount(documents: readonly ListedDocument[]): number {
  const bytes = documents.reduce((sum, document) => sum + document.bytes, 0);
  const byNumber = Math.min(SMALL_SHARDS_MAXIMUM, Math.ceil(documents.length / DOCUMENTS_A_SHARD));
  const bySize = Math.min(SHARDS_MAXIMUM, Math.ceil(bytes / BYTES_A_SHARD));
  return Math.max(1, Math.min(documents.length, Math.max(byNumber, bySize)));
}

/** What reading a document costs, in bytes of Markdown. */
export function work({ file, bytes }: ListedDocument): number {
  return bytes * (formatOf(file)?.effort ?? 1) + BYTES_A_FILE;
}
