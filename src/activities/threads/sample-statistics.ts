import { type ListedDocument, byCodeUnit } from '../documents/document';
import type { IndexedFolder } from '../documents/indexed-folder';
import { work } from '../documents/shards';
import type { Question } from '../text/question';
import type { PassageStatistics } from '../text/rank';
import { PassageCounter, StatisticsCounter } from './passage-counter';

const SAMPLE = 128;
/** How much of them is read, as bytes of Markdown: about half a second of work. */
const SAMPLE_WORK = 4 * 1024 * 1024;
/** The first documents take longer than all others: the code is still warming up. */
const WARM_UP = 32;

/**
 * Statistics of passages that stand for those of all `documents`: of all of them where they are few, else of some that
 * their paths choose. They depend on the folder alone, so that all its shards rank alike.
 */
export async function sampleStatistics(
  question: Question,
  documents: readonly ListedDocument[],
  folder: IndexedFolder,
): Promise<Sample> {
  const counter = new PassageCounter(question);
  const sum = new StatisticsCounter(question);
  const parsed = { work: 0, seconds: 0 };
  let done = 0;
  for (const document of sampleOf(documents)) {
    if (done > 0 && done + work(document) > SAMPLE_WORK) continue;
    done += work(document);
    const before = folder.parsed;
    const began = performance.now();
    const indexed = await folder.read(document.file);
    if (folder.parsed > Math.max(before, WARM_UP)) {
      parsed.work += work(document);
      parsed.seconds += (performance.now() - began) / 1000;
    }
    if (indexed.kind === 'skipped') continue;
    for (const passage of counter.count(document.file, indexed)) sum.add(passage);
  }
  return { statistics: sum.sum(), parsed };
}

/** What a sample of documents tells. */
export interface Sample {
  readonly statistics: PassageStatistics & { readonly containing: number[] };
  /** How long reading took for how much work, as bytes of Markdown; of those that were not indexed. */
  readonly parsed: { readonly work: number; readonly seconds: number };
}

function sampleOf(documents: readonly ListedDocument[]): ListedDocument[] {
  if (documents.length <= SAMPLE) return [...documents];
  return documents
    .map((document) => ({ document, rank: hashOf(document.file) }))
    .sort((left, right) => left.rank - right.rank || byCodeUnit(left.document.file, right.document.file))
    .slice(0, SAMPLE)
    .map(({ document }) => document);
}

/** FNV-1a with 32 bits: spreads paths that differ in little. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash;
}
