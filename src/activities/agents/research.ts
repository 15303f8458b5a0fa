import { z } from 'zod';
import { CadreError } from '../../core/failures';
import type { AgentContext } from '../agent-context';
import { defineAgent } from '../define-agent';
import type { AgentKnowledge } from '../knowledge/learning';
import { runInThread } from '../threads';
import type { FindPassagesResult, PassageRequest, ShardFindings } from '../threads/find-passages';
import { countOf } from '../../core/count-of';
import { indexFolder } from './index-folder';
import { docsSchema, questionSchema, shardFindingsSchema, shardSchema, statisticsSchema } from './schemas';

/** What {@link research} takes. */
export const researchInput = z.object({
  question: questionSchema,
  docs: docsSchema,
  shard: shardSchema.default({ index: 0, of: 1 }),
  statistics: statisticsSchema.optional(),
  searches: z
    .array(questionSchema)
    .max(4)
    .optional()
    .describe('Other words for the question, which the documents may use'),
});

/** Reads a share of a folder and returns the passages that may answer the question, with their sentences. */
export const research = defineAgent({
  name: 'research',
  description: 'Finds the passages of Markdown, text, HTML, PDF and DOCX files that may answer a question',
  skills: ['read', 'search'],
  input: researchInput,
  output: shardFindingsSchema,
  policy: { startToClose: '30 minutes' },
  async act(request, context) {
    const findings = await findIn(request, context);
    tellOf(findings, context);
    return findings;
  },
});

/** What the share holds on the question. Throws DocumentsUnreadable. */
export async function findIn(
  request: z.output<typeof researchInput>,
  context: AgentContext,
): Promise<ShardFindings> {
  const result = await search(request, context);
  if (result.kind === 'refused') throw new CadreError('DocumentsUnreadable', result.message);
  const { kind: _, ...findings } = result;
  return findings;
}

/** Records what was chosen, and lets the cadre know of it. */
export function tellOf(findings: ShardFindings, { decide, knowledge }: AgentContext): void {
  const files = new Set(findings.candidates.map((candidate) => candidate.file));
  decide({
    type: 'passagesChosen',
    rationale: `${countOf(findings.candidates.length, 'passage')} from ${countOf(files.size, 'file')}`,
    evidence: {
      filesRead: findings.filesRead,
      passagesRead: findings.statistics.passages,
      files: [...files],
    },
  });
  share(findings, knowledge);
}

/** How often the heartbeats tell how far it is, in ms. */
const PROGRESS_INTERVAL = 1000;

async function search(
  request: Omit<PassageRequest, 'index' | 'progress'>,
  { signal, checkpoint }: AgentContext,
): Promise<FindPassagesResult> {
  const progress = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  const tell = setInterval(() => {
    const [documentsRead = 0, of = 0] = progress;
    checkpoint({ documentsRead, of });
  }, PROGRESS_INTERVAL);
  try {
    return await runInThread('findPassages', { ...request, index: indexFolder(), progress }, signal);
  } finally {
    clearInterval(tell);
  }
}

/** How many of a share's passages the cadre is told of: those that are most likely to answer. */
const PASSAGES_SHARED = 20;

/** What other agents may learn from, also after the task: the best passages, and how much was read. */
function share({ candidates, filesRead, statistics }: ShardFindings, knowledge: AgentKnowledge): void {
  for (const { file, lines, headings } of candidates.slice(0, PASSAGES_SHARED)) {
    knowledge.set('findings').add({ file, lines, heading: headings.at(-1) ?? '' });
  }
  if (filesRead > 0) knowledge.growOnlyCounter('filesRead').increment(filesRead);
  if (statistics.passages > 0) knowledge.growOnlyCounter('passagesRead').increment(statistics.passages);
}
