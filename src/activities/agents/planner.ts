import { z } from 'zod';
import { CadreError } from '../../core/failures';
import { TIME_EXPECTED } from '../../core/decision';
import type { Json } from '../../core/json';
import type { Plan, Step } from '../../core/plan';
import type { Roster } from '../../core/policy';
import type { AgentContext } from '../agent-context';
import { defineAgent } from '../define-agent';
import { runInThread, threadCount } from '../threads';
import type { Survey } from '../threads/survey';
import { analysis } from './analysis';
import { countOf } from '../../core/count-of';
import { indexFolder } from './index-folder';
import { research } from './research';
import { writer } from './writer';

/** What {@link planner} takes. */
export const plannerInput = z.object({
  goal: z.string(),
  docs: z.string().optional(),
  roster: z.custom<Roster>((value) => typeof value === 'object' && value !== null),
});

/** Answers a question from a folder of documents: several researchers side by side, one analysis, one report. */
export const planner = defineAgent({
  name: 'planner',
  description: 'Plans how the team answers a question from a folder of documents',
  skills: ['plan'],
  input: plannerInput,
  output: z.custom<Plan>((value) => typeof value === 'object' && value !== null),
  policy: { startToClose: '5 minutes', retry: { maximumAttempts: 3 } },
  async act({ goal, docs }, context) {
    if (docs === undefined)
      throw new CadreError('DocumentsUnreadable', 'The task names no folder of documents');
    return planFor(goal, docs, await surveyFor(goal, docs, context));
  },
});

/** What there is to read, and what was decided of it. Throws DocumentsUnreadable where that is nothing. */
export async function surveyFor(
  goal: string,
  docs: string,
  { signal, decide }: AgentContext,
): Promise<Survey> {
  const found = await runInThread(
    'survey',
    { question: goal, docs, index: indexFolder(), atOnce: threadCount() },
    signal,
  );
  if (found.kind === 'refused') throw new CadreError('DocumentsUnreadable', found.message);
  const { documents, others, shards } = found;
  if (documents === 0) {
    const instead = others === 0 ? '' : `, only ${others} of other formats`;
    throw new CadreError(
      'DocumentsUnreadable',
      `The folder ${docs} holds no document that can be read${instead}`,
    );
  }
  decide({
    type: 'documentsDivided',
    rationale: `${countOf(documents, 'document')} for ${countOf(shards.length, 'researcher')}`,
    evidence: { documents, shards: shards.map(({ first, last }) => last - first + 1) },
  });
  const { seconds, unindexed } = found;
  if (seconds >= TOLD_SECONDS) {
    decide({
      type: TIME_EXPECTED,
      rationale: `about ${durationOf(seconds)} on one worker, ${unindexed} not indexed yet`,
      evidence: { seconds: Math.ceil(seconds) },
    });
  }
  return found;
}

/** Shorter work is not worth a word. */
const TOLD_SECONDS = 5;

function durationOf(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds / 5) * 5} s` : countOf(Math.ceil(seconds / 60), 'minute');
}

/** Several researchers side by side, one analysis, one report. */
export function planFor(question: string, docs: string, { documents, shards, statistics }: Survey): Plan {
  const reading = shards.map(({ shard, first, last }): Step => {
    const which = first === last ? `document ${first}` : `documents ${first}-${last}`;
    return {
      id: `research-${shard.index + 1}`,
      agent: research.name,
      instruction: `research ${which} of ${documents}`,
      input: { question, docs, shard, statistics } as unknown as Json,
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
        input: {
          question,
          shards: reading.map((step) => ({ $output: step.id })),
          statistics: statistics as unknown as Json,
        },
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
