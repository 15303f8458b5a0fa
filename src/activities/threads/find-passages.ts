import { isCadreError } from '../../core/failures';
import { type Note, byCodeUnit } from '../documents/document';
import type { IndexedDocument } from '../documents/indexed-document';
import { IndexedFolder, indexIn } from '../documents/indexed-folder';
import { type Listing, listDocuments } from '../documents/list-documents';
import { extensionOf } from '../documents/locator';
import type { Shard } from '../documents/shards';
import { type Question, parseQuestion } from '../text/question';
import type { PassageStatistics, RankedText } from '../text/rank';
import { type Candidate, byPlace } from './candidate';
import { PassageCounter, StatisticsCounter } from './passage-counter';
import { sampleStatistics } from './sample-statistics';
import { TopPassages } from './top-passages';

/** What one shard of a folder holds on a question. */
export interface ShardFindings {
  readonly filesRead: number;
  /** By file and place. */
  readonly candidates: Candidate[];
  /** Over all passages of the shard, also those that are no candidates. */
  readonly statistics: PassageStatistics & { readonly containing: number[] };
  readonly notes: Note[];
  /** Notes beyond those. */
  readonly notesOmitted: number;
  /** Files of formats that are not read, by extension. */
  readonly otherFormats: Record<string, number>;
}

export type FindPassagesResult =
  | ({ readonly kind: 'found' } & ShardFindings)
  | { readonly kind: 'refused'; readonly message: string };

/** What a search for passages is asked. */
export interface PassageRequest {
  readonly question: string;
  readonly docs: string;
  readonly shard: Shard;
  /** What passages are ranked by, the same for all shards of a folder. Default: of a sample of the shard. */
  readonly statistics?: PassageStatistics | undefined;
  /** Other words for the question: the best passages of each are candidates too. Default: none. */
  readonly searches?: readonly string[] | undefined;
  /** Folder of the index; without it there is none. */
  readonly index?: string | undefined;
  /** Two numbers that tell how far it is: documents read, and documents in all. */
  readonly progress?: Int32Array;
}

export const NOTES_MAXIMUM = 20;

/** Reads the documents of a shard and returns the passages that name what the question is about. */
export async function findPassages(request: PassageRequest): Promise<FindPassagesResult> {
  try {
    const listing = listDocuments(request.docs, request.shard);
    return { kind: 'found', ...(await searchShard(request, listing)) };
  } catch (error) {
    if (isCadreError(error)) return { kind: 'refused', message: error.message };
    throw error;
  }
}

async function searchShard(request: PassageRequest, listing: Listing): Promise<ShardFindings> {
  const { progress = new Int32Array(2) } = request;
  const question = parseQuestion(request.question);
  const index = await indexIn(request.index);
  const folder = new IndexedFolder(listing.root, index);
  const fits = request.statistics?.containing.length === question.concepts.length;
  const statistics =
    (fits ? request.statistics : undefined) ??
    (await sampleStatistics(question, listing.documents, folder)).statistics;
  const others = [];
  for (const text of request.searches ?? []) {
    const other = parseQuestion(text);
    const sampled = await sampleStatistics(other, listing.documents, folder);
    others.push({ counter: new PassageCounter(other), top: new TopPassages(other, sampled.statistics) });
  }
  const search = new ShardSearch(question, statistics, others);
  const notes = [...listing.notes];
  let filesRead = 0;
  progress[1] = listing.documents.length;
  for (const { file } of listing.documents) {
    const document = await folder.read(file);
    progress[0] = (progress[0] ?? 0) + 1;
    if (document.kind === 'skipped') {
      notes.push({ file, problem: document.problem });
      continue;
    }
    filesRead++;
    if (document.flaw !== undefined) notes.push({ file, problem: document.flaw });
    if (!search.add(file, document)) notes.push({ file, problem: 'holds no sentence that can be cited' });
  }
  index?.flush();
  const sorted = notes.sort((left, right) => byCodeUnit(left.file, right.file));
  return {
    filesRead,
    ...search.finish(),
    notes: sorted.slice(0, NOTES_MAXIMUM),
    notesOmitted: Math.max(0, sorted.length - NOTES_MAXIMUM),
    otherFormats: countExtensions(listing.others),
  };
}

/** A search by other words. */
interface OtherSearch {
  readonly counter: PassageCounter;
  readonly top: TopPassages;
}

class ShardSearch {
  private readonly counter: PassageCounter;
  private readonly sum: StatisticsCounter;
  private readonly top: TopPassages;

  constructor(
    question: Question,
    statistics: PassageStatistics,
    private readonly others: readonly OtherSearch[],
  ) {
    this.counter = new PassageCounter(question);
    this.sum = new StatisticsCounter(question);
    this.top = new TopPassages(question, statistics);
  }

  /** Returns whether the document holds a sentence that can be cited. */
  add(file: string, document: IndexedDocument): boolean {
    const passages = this.counter.count(file, document);
    passages.forEach((passage, at) => {
      this.sum.add(passage);
      if (isCandidate(passage, document, at)) this.top.add({ ...passage, file, document, at });
    });
    for (const { counter, top } of this.others) {
      counter.count(file, document).forEach((passage, at) => {
        const asked = passages[at];
        if (asked === undefined || !isCandidate(passage, document, at)) return;
        top.add({ ...passage, file, document, at, asked });
      });
    }
    return document.spans.some((span) => span.sentences > 0);
  }

  finish(): Pick<ShardFindings, 'candidates' | 'statistics'> {
    const found = [this.top, ...this.others.map(({ top }) => top)].flatMap((top) => top.candidates());
    const byStart = new Map(found.map((one) => [`${one.file}\n${one.lines[0]}\n${one.lines[1]}`, one]));
    const candidates = this.others.length === 0 ? found : [...byStart.values()].sort(byPlace);
    return { candidates, statistics: this.sum.sum() };
  }
}

function isCandidate({ counts }: RankedText, document: IndexedDocument, at: number): boolean {
  return document.spans[at]?.sentences !== 0 && counts.some((count) => count > 0);
}

function countExtensions(files: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const file of files) counts.set(extensionOf(file), (counts.get(extensionOf(file)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([left], [right]) => byCodeUnit(left, right)));
}
