import type { Duration } from '@temporalio/common';
import { z } from 'zod';
import { defineAgent } from '../define-agent';

/** Asks a person what the plan says, and waits for the answer without holding a worker. */
export const person = defineAgent({
  name: 'person',
  description: 'Asks a person a question, or for a decision, and waits for the answer',
  // None that another agent may have: where a step fails, it is not to become a question by itself.
  skills: ['ask a person'],
  input: z.object({
    question: z.string().min(1).optional().describe("Default: the step's instruction"),
    options: z.array(z.string()).optional().describe('What may be answered. Default: any text'),
    about: z
      .unknown()
      .optional()
      .describe('JSON that is shown beside the question. Default: what the step needs'),
    answerWithin: z
      .union([z.number(), z.string()])
      .optional()
      .describe("How long the question stands, in ms or such as '2 hours'. Default: for ever"),
    from: z.array(z.string()).optional().describe('Who may answer. Default: anybody'),
    needs: z.record(z.string(), z.unknown()).default({}),
  }),
  output: z.object({
    answer: z.string(),
    by: z.string().describe('Who said so; empty where they did not say'),
    note: z.string().describe('Why; empty for none'),
  }),
  policy: { startToClose: '1 minute' },
  async act({ question, options, about, answerWithin, from, needs }, context) {
    const shown = about ?? (Object.keys(needs).length === 0 ? undefined : needs);
    const { answer, by, note } = await context.ask({
      name: 'question',
      question: question ?? context.instruction,
      ...(options === undefined ? {} : { options }),
      ...(shown === undefined ? {} : { about: shown }),
      ...(answerWithin === undefined ? {} : { answerWithin: answerWithin as Duration }),
      ...(from === undefined ? {} : { from }),
    });
    const who = by === '' ? 'A person' : by;
    context.decide({
      type: 'personAnswered',
      rationale: `${who} answered: ${answer}`,
      evidence: { by, note },
    });
    return { answer, by, note };
  },
});
