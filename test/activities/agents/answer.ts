import { composeReport } from '../../../src/activities/agents/report';
import { IndexedFolder, indexIn } from '../../../src/activities/documents/indexed-folder';
import { listDocuments } from '../../../src/activities/documents/list-documents';
import { planShards } from '../../../src/activities/documents/shards';
import { type Analysis, analyse } from '../../../src/activities/threads/analyse';
import { type ShardFindings, findPassages } from '../../../src/activities/threads/find-passages';
import { sampleStatistics } from '../../../src/activities/threads/sample-statistics';
import { parseQuestion } from '../../../src/activities/text/question';
import type { Quote } from '../../../src/activities/threads/find-differences';

/** Answers a question as the embedded agents do, without threads, a plan or a server. `index`: folder of the index. */
export async function answer(
  question: string,
  docs: string,
  shards?: number,
  index?: string,
): Promise<{ analysis: Analysis; report: string; cited: Quote[]; shards: ShardFindings[] }> {
  const { root, documents } = listDocuments(docs);
  const sampled = await sampleStatistics(
    parseQuestion(question),
    documents,
    new IndexedFolder(root, await indexIn(index)),
  );
  const { statistics } = sampled;
  const found: ShardFindings[] = [];
  for (const { shard } of planShards(documents, shards)) {
    const result = await findPassages({ question, docs, shard, statistics, index });
    if (result.kind === 'refused') throw new Error(result.message);
    found.push(result);
  }
  const analysis = analyse({ question, shards: found, statistics });
  return { analysis, ...composeReport(question, analysis, []), shards: found };
}
