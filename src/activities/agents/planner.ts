import { z } from 'zod';
import { CadreError } from '../../core/failures';
import type { Json } from '../../core/json';
import type { Plan, Step } from '../../core/plan';
import type { Roster } from '../../core/policy';
import { defineAgent } from '../define-agent';
import { listDocuments } from '../documents/list-documents';
import { type PlannedShard, planShards } from '../documents/shards';
import { analysis } from './analysis';
import { countOf } from './count-of';
import { research } from './research';
import { writer } from './writer';

const input = z.object({
  goal: z.string(),
  docs: z.string().optional(),
  roster: z.custom<Roster>((value) => typeof value === 'object' && value !== null),
});

/** Answers a question from a folder of documents: several researchers side by side, one analysis, one report. */
export const planner = defineAgent({
  name: 'planner',
  description: 'Plans how the team answers a question from a folder of documents',
  skills: ['plan'],
  input,
  output: z.custom<Plan>((value) => typeof value === 'object' && value !== null),
  policy: { startToClose: '1 minute', retry: { maximumAttempts: 3 } },
  async act({ goal, docs }, context) {
    if (docs === undefined)
      throw new CadreError('DocumentsUnreadable', 'The task names no folder of documents');
    const { documents, others } = await listDocuments(docs, context.signal);
    if (documents.length === 0) {
      const instead = others.length === 0 ? '' : `, only ${others.length} of other formats`;
      throw new CadreError(
        'DocumentsUnreadable',
        `The folder ${docs} holds no document that can be read${instead}`,
      );
    }
    const shards = planShards(documents);
    context.decide({
      type: 'documentsDivided',
      rationale: `${countOf(documents.length, 'document')} for ${countOf(shards.length, 'researcher')}`,
      evidence: { documents: documents.length, shards: shards.map(({ first, last }) => last - first + 1) },
    });
    return planFor(goal, docs, shards, documents.length);
  },
});

function planFor(question: string, docs: string, shards: readonly PlannedShard[], documents: number): Plan {
  const reading = shards.map(({ shard, first, last }): Step => {
    const which = first === last ? `document ${first}` : `documents ${first}-${last}`;
    return {
      id: `research-${shard.index + 1}`,
      agent: research.name,
      instruction: `research ${which} of ${documents}`,
      input: { question, docs, shard: shard as unknown as Json },
    };
  });
  return {
    steps: [
      ...reading,
      {
        id: 'analysis',
        agent: analysis.name,
        instruction:
          shards.length === 1 ? 'weigh what was found' : `weigh what ${shards.length} researchers found`,
        input: { question, shards: reading.map((step) => ({ $output: step.id })) },
      },
      {
        id: 'writer',
        agent: writer.name,
        instruction: 'write the report and check its citations',
        input: { question, docs, analysis: { $output: 'analysis' } },
      },
    ],
  };
}
