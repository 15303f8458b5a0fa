import { z } from 'zod';
import { defineAgent } from '../define-agent';
import { locatorOf } from '../documents/locator';
import { runInThread } from '../threads';
import { countOf } from './count-of';
import { analysisSchema, questionSchema, shardFindingsSchema, statisticsSchema } from './schemas';

/** Weighs what all researchers found: what answers the question, where sources differ, what is missing. */
export const analysis = defineAgent({
  name: 'analysis',
  description: 'Weighs found passages: what answers the question, where sources differ, what is missing',
  skills: ['rank', 'compare'],
  input: z.object({
    question: questionSchema,
    shards: z.array(shardFindingsSchema),
    statistics: statisticsSchema.optional(),
  }),
  output: analysisSchema,
  policy: { startToClose: '1 minute' },
  async act(request, context) {
    const result = await runInThread('analyse', request, context.signal);
    for (const { left, right } of result.differences) {
      context.decide({
        type: 'sourcesDiffer',
        rationale: `${left.file} says ${left.says}, ${right.file} says ${right.says}`,
        evidence: { left, right },
      });
    }
    for (const gap of result.gaps) {
      context.decide({ type: 'gapFound', rationale: `no source answers "${gap.part}"`, evidence: gap });
    }
    context.decide({
      type: 'findingsChosen',
      rationale: [
        countOf(result.findings.length, 'finding'),
        `${countOf(result.differences.length, 'place')} where sources differ`,
        countOf(result.gaps.length, 'gap'),
      ].join(', '),
      evidence: result.findings.map(locatorOf),
    });
    return result;
  },
});
