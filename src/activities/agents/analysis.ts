import { z } from 'zod';
import type { AgentContext } from '../agent-context';
import { defineAgent } from '../define-agent';
import { locatorOf } from '../documents/locator';
import { runInThread } from '../threads';
import type { Analysis } from '../threads/analyse';
import { countOf } from '../../core/count-of';
import { analysisSchema, questionSchema, shardFindingsSchema, statisticsSchema } from './schemas';

/** What {@link analysis} takes. */
export const analysisInput = z.object({
  question: questionSchema,
  shards: z.array(shardFindingsSchema),
  statistics: statisticsSchema.optional(),
});

/** Weighs what all researchers found: what answers the question, where sources differ, what is missing. */
export const analysis = defineAgent({
  name: 'analysis',
  description: 'Weighs found passages: what answers the question, where sources differ, what is missing',
  skills: ['rank', 'compare'],
  input: analysisInput,
  output: analysisSchema,
  policy: { startToClose: '1 minute' },
  async act(request, context) {
    const result = await runInThread('analyse', request, context.signal);
    tellOfAnalysis(result, context);
    return result;
  },
});

/** Records what was made of the passages. */
export function tellOfAnalysis({ differences, gaps, findings }: Analysis, { decide }: AgentContext): void {
  for (const { left, right } of differences) {
    decide({
      type: 'sourcesDiffer',
      rationale: `${left.file} says ${left.says}, ${right.file} says ${right.says}`,
      evidence: { left, right },
    });
  }
  for (const gap of gaps) {
    decide({ type: 'gapFound', rationale: `no source answers "${gap.part}"`, evidence: gap });
  }
  decide({
    type: 'findingsChosen',
    rationale: [
      countOf(findings.length, 'finding'),
      `${countOf(differences.length, 'place')} where sources differ`,
      countOf(gaps.length, 'gap'),
    ].join(', '),
    evidence: findings.map(locatorOf),
  });
}
