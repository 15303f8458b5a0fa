import { z } from 'zod';
import { analysisSchema } from '../../activities/agents/schemas';
import type { Dropped } from './support';

const count = z.int().min(0);

const droppedSchema = z.object({
  unknown: count,
  unsupported: count,
  sentences: count,
}) satisfies z.ZodType<Dropped>;

/** An analysis, with what only a model adds to it: the agents without one leave that out. */
export const weighedSchema = analysisSchema.extend({
  findings: z.array(
    analysisSchema.shape.findings.element.extend({
      claim: z.string().optional().describe('What the sentences say, in the words of the model'),
    }),
  ),
  dropped: droppedSchema.optional().describe('What was left out of the answer of the model'),
});

export type Weighed = z.output<typeof weighedSchema>;
