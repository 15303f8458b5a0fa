import { modelAgent } from 'cadre';
import { z } from 'zod';

const ORDERS: Record<string, object> = {
  'A-17': { item: 'lighthouse lamp', dollars: 120, shipped: '2026-11-09', arrived: false },
  'B-2': { item: 'signal flag', dollars: 18, shipped: '2026-11-16', arrived: true },
};

/** Decides on a complaint with the model of CADRE_MODEL, and asks a person before it refunds much. */
export const clerk = modelAgent({
  name: 'clerk',
  description: 'Decides on a complaint',
  instructions:
    'Decide on the complaint. Look the order up first. Before you refund more than 50 dollars, ask a person.',
  input: z.object({ complaint: z.string() }),
  output: z.object({ decision: z.enum(['refund', 'resend', 'refuse']), reason: z.string() }),
  tools: {
    order: {
      description: 'What is known of an order',
      input: z.object({ id: z.string() }),
      effect: 'read',
      trusted: true,
      run: ({ id }) => ORDERS[id] ?? 'there is no such order',
    },
    askPerson: {
      description: 'Asks a person whether an amount may be refunded',
      input: z.object({ dollars: z.number(), why: z.string() }),
      effect: 'read',
      run: ({ dollars, why }, { ask }) =>
        ask({ name: 'refund', question: `Refund ${dollars} dollars? ${why}`, options: ['yes', 'no'] }),
    },
  },
  // A day, in all tasks together.
  budget: { money: 1, calls: 200 },
});
