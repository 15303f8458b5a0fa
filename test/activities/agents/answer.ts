import { composeReport } from '../../../src/activities/agents/report';
import { listDocuments } from '../../../src/activities/documents/list-documents';
import { planShards } from '../../../src/activities/documents/shards';
import { type Analysis, analyse } from '../../../src/activities/threads/analyse';
import { type ShardFindings, findPassages } from '../../../src/activities/threads/find-passages';
import type { Quote } from '../../../src/activities/threads/find-differences';

/** Answers a question as the embedded agents do, without threads, a plan or a server. */
export async function answer(
  question: string,
  docs: string,
  shards?: number,
): Promise<{ analysis: Analysis; report: string; cited: Quote[]; shards: ShardFindings[] }> {
  const { documents } = await listDocuments(docs);
  const found: ShardFindings[] = [];
  for (const { shard } of planShards(documents, shards)) {
    const result = await findPassages({ question, docs, shard });
    if (result.kind === 'refused') throw new Error(result.message);
    found.push(result);
  }
  const analysis = analyse({ question, shards: found });
  return { analysis, ...composeReport(question, analysis, []), shards: found };
}
