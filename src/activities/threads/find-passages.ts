import { isCadreError } from '../../core/failures';
import { jsonBytes } from '../../core/json';
import { type Note, byCodeUnit } from '../documents/document';
import { extensionOf } from '../documents/readers';
import { type Listing, listDocuments } from '../documents/list-documents';
import {
  type CitedSentence,
  type Passage,
  citableSentences,
  linesOf,
  passagesOf,
} from '../documents/passages';
import { readDocument } from '../documents/read-document';
import { type Shard, isInShard } from '../documents/shards';
import { ConceptCounter } from '../text/concept-counter';
import { partWeights } from '../text/part-weights';
import { type Question, parseQuestion } from '../text/question';
import { type PassageStatistics, type RankedText, score } from '../text/rank';

/** A passage that may answer, with all that is needed to rank it among those of other shards. */
export interface Candidate extends RankedText {
  readonly file: string;
  readonly lines: [number, number];
  readonly headings: string[];
  readonly counts: number[];
  readonly sentences: CitedSentence[];
}

/** What one shard of a folder holds on a question. */
export interface ShardFindings {
  readonly filesRead: number;
  readonly candidates: Candidate[];
  /** Over all passages of the shard, also those that are no candidates. */
  readonly statistics: PassageStatistics & { readonly containing: number[] };
  readonly notes: Note[];
  /** Files of formats that are not read, by extension. */
  readonly otherFormats: Record<string, number>;
}

export type FindPassagesResult =
  | ({ readonly kind: 'found' } & ShardFindings)
  | { readonly kind: 'refused'; readonly message: string };

const CANDIDATES_MAXIMUM = 24;
/** So that a shard's findings usually stay in history and need no artifact. */
const CANDIDATES_MAXIMUM_BYTES = 28 * 1024;
/** Above it the least promising passages are dropped while reading: bounds memory, not results. */
const KEPT_MAXIMUM = 4000;
const NOTES_MAXIMUM = 20;
const HEADING_WEIGHT = 2;
const TITLE_WEIGHT = 1;
const PATH_WEIGHT = 1.5;

/** Reads the documents of a shard and returns the passages that name what the question is about. */
export async function findPassages(request: {
  readonly question: string;
  readonly docs: string;
  readonly shard: Shard;
}): Promise<FindPassagesResult> {
  try {
    const listing = await listDocuments(request.docs);
    return {
      kind: 'found',
      ...searchShard(request.docs, listing, parseQuestion(request.question), request.shard),
    };
  } catch (error) {
    if (isCadreError(error)) return { kind: 'refused', message: error.message };
    throw error;
  }
}

function searchShard(docs: string, listing: Listing, question: Question, shard: Shard): ShardFindings {
  const search = new ShardSearch(question);
  const notes = listing.notes.filter((note) => isInShard(note.file, shard));
  let filesRead = 0;
  for (const { file } of listing.documents.filter((document) => isInShard(document.file, shard))) {
    const document = readDocument(docs, file);
    if (document.kind === 'skipped') {
      notes.push({ file, problem: document.problem });
      continue;
    }
    filesRead++;
    if (document.flaw !== undefined) notes.push({ file, problem: document.flaw });
    const sentencesFound = search.add(file, passagesOf(document.blocks));
    if (sentencesFound === 0) notes.push({ file, problem: 'holds no sentence that can be cited' });
  }
  const otherFormats = countExtensions(listing.others.filter((file) => isInShard(file, shard)));
  return { filesRead, ...search.finish(), notes: shortened(notes), otherFormats };
}

class ShardSearch {
  private readonly counter: ConceptCounter;
  private readonly containing: number[];
  private kept: Candidate[] = [];
  private passages = 0;
  private words = 0;

  constructor(private readonly question: Question) {
    this.counter = new ConceptCounter(question.concepts);
    this.containing = question.concepts.map(() => 0);
  }

  /** Returns the number of citable sentences; stops counting at the first passage that holds one. */
  add(file: string, passages: readonly Passage[]): number {
    const inPath = this.counter.count(file.replace(/[/_.-]+/g, ' ')).counts;
    let found = 0;
    passages.forEach((passage, index) => {
      const ranked = this.rank(passage, inPath);
      this.passages++;
      this.words += ranked.words;
      ranked.counts.forEach((count, concept) => {
        if (count > 0) this.containing[concept] = (this.containing[concept] ?? 0) + 1;
      });
      const matches =
        ranked.counts.some((count) => count > 0) || (this.question.concepts.length === 0 && index === 0);
      if (!matches && found > 0) return;
      const sentences = citableSentences(passage);
      found += sentences.length;
      if (!matches || sentences.length === 0) return;
      this.kept.push({
        file,
        lines: linesOf(passage),
        headings: [...passage.headings],
        ...ranked,
        sentences,
      });
    });
    if (this.kept.length > 2 * KEPT_MAXIMUM) this.drop();
    return found;
  }

  finish(): Pick<ShardFindings, 'candidates' | 'statistics'> {
    const statistics = { passages: this.passages, words: this.words, containing: this.containing };
    const orders = this.question.parts.map((part) => {
      const weights = partWeights(part, this.question, statistics);
      return inOrder(this.kept, (candidate) => score(candidate, weights, statistics));
    });
    return { candidates: interleave(orders.length > 0 ? orders : [this.kept]), statistics };
  }

  private rank(passage: Passage, inPath: readonly number[]): { counts: number[]; words: number } {
    const text = this.counter.count(passage.blocks.map((block) => block.text).join('\n'));
    const heading = this.counter.count(passage.headings.at(-1) ?? '').counts;
    const title = this.counter.count(passage.headings.slice(0, -1).join('\n')).counts;
    const counts = text.counts.map((count, index) => {
      const around = HEADING_WEIGHT * (heading[index] ?? 0) + TITLE_WEIGHT * (title[index] ?? 0);
      return count + around + PATH_WEIGHT * (inPath[index] ?? 0);
    });
    return { counts, words: text.words };
  }

  private drop(): void {
    const named = (candidate: Candidate): number => candidate.counts.filter((count) => count > 0).length;
    this.kept = inOrder(this.kept, named).slice(0, KEPT_MAXIMUM);
  }
}

/** Best first; ties by file and line. */
function inOrder(candidates: readonly Candidate[], scoreOf: (candidate: Candidate) => number): Candidate[] {
  return candidates
    .map((candidate) => ({ candidate, score: scoreOf(candidate) }))
    .sort((left, right) => right.score - left.score || byPlace(left.candidate, right.candidate))
    .map((scored) => scored.candidate);
}

/** Orders by file, then by line. */
export function byPlace(
  left: Pick<Candidate, 'file' | 'lines'>,
  right: Pick<Candidate, 'file' | 'lines'>,
): number {
  return (
    byCodeUnit(left.file, right.file) || left.lines[0] - right.lines[0] || left.lines[1] - right.lines[1]
  );
}

/** The best of each part in turn, each passage once, as many as the limits allow. */
function interleave(orders: readonly (readonly Candidate[])[]): Candidate[] {
  const chosen = new Set<Candidate>();
  const longest = Math.max(...orders.map((order) => order.length));
  let bytes = 0;
  for (let at = 0; at < longest; at++) {
    for (const order of orders) {
      const candidate = order[at];
      if (candidate === undefined || chosen.has(candidate)) continue;
      bytes += jsonBytes(candidate);
      if (chosen.size > 0 && (chosen.size === CANDIDATES_MAXIMUM || bytes > CANDIDATES_MAXIMUM_BYTES)) {
        return [...chosen];
      }
      chosen.add(candidate);
    }
  }
  return [...chosen];
}

function countExtensions(files: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const file of files) counts.set(extensionOf(file), (counts.get(extensionOf(file)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([left], [right]) => byCodeUnit(left, right)));
}

function shortened(notes: readonly Note[]): Note[] {
  const sorted = [...notes].sort((left, right) => byCodeUnit(left.file, right.file));
  if (sorted.length <= NOTES_MAXIMUM) return sorted;
  const more = sorted.length - NOTES_MAXIMUM;
  return [
    ...sorted.slice(0, NOTES_MAXIMUM),
    { file: '.', problem: `${more} more files have notes like these` },
  ];
}
