import { isCadreError } from '../../core/failures';
import type { ListedDocument } from '../documents/document';
import { IndexedFolder, indexIn } from '../documents/indexed-folder';
import { type Listing, listDocuments } from '../documents/list-documents';
import { type PlannedShard, planShards, work } from '../documents/shards';
import { parseQuestion } from '../text/question';
import type { PassageStatistics } from '../text/rank';
import { sampleStatistics } from './sample-statistics';

/** What there is to read for a question. */
export interface Survey {
  readonly documents: number;
  /** Files of formats that are not read. */
  readonly others: number;
  /** None where there are no documents. */
  readonly shards: readonly PlannedShard[];
  /** What all shards rank passages by. */
  readonly statistics: PassageStatistics & { readonly containing: number[] };
  /** Documents that the index does not have, about. */
  readonly unindexed: number;
  /** How long one worker will read, about, in seconds. */
  readonly seconds: number;
}

export type SurveyResult =
  | ({ readonly kind: 'surveyed' } & Survey)
  | { readonly kind: 'refused'; readonly message: string };

/** Seconds for an indexed document, and for a byte of Markdown that is not, where it could not be measured. */
const SECONDS_A_DOCUMENT = 0.0002;
const SECONDS_A_BYTE = 1.5e-7;
/** So much of the sample must have been parsed for its time to tell, in bytes. */
const MEASURED_MINIMUM = 128 * 1024;

/** Looks what a folder holds, and plans who reads what. */
export async function survey(request: {
  readonly question: string;
  readonly docs: string;
  readonly index?: string | undefined;
  /** How many shards are read at a time. */
  readonly atOnce: number;
}): Promise<SurveyResult> {
  try {
    const listing = listDocuments(request.docs);
    return { kind: 'surveyed', ...(await surveyOf(request, listing)) };
  } catch (error) {
    if (isCadreError(error)) return { kind: 'refused', message: error.message };
    throw error;
  }
}

async function surveyOf(
  { question, index: cache, atOnce }: Parameters<typeof survey>[0],
  { root, documents, others }: Listing,
): Promise<Survey> {
  const index = await indexIn(cache);
  const indexed = Math.min(documents.length, index?.count(root) ?? 0);
  const folder = new IndexedFolder(root, index);
  const { statistics, parsed } = await sampleStatistics(parseQuestion(question), documents, folder);
  index?.flush();
  const measured = parsed.work >= MEASURED_MINIMUM ? parsed.seconds / parsed.work : SECONDS_A_BYTE;
  const unindexed = documents.length - indexed;
  const share = unindexed / Math.max(1, documents.length);
  const seconds = share * totalWork(documents) * measured + documents.length * SECONDS_A_DOCUMENT;
  return {
    documents: documents.length,
    others: others.length,
    shards: documents.length === 0 ? [] : planShards(documents),
    statistics,
    unindexed,
    seconds: seconds / atOnce,
  };
}

function totalWork(documents: readonly ListedDocument[]): number {
  return documents.reduce((sum, document) => sum + work(document), 0);
}
