/** The agents of `own-saga.test.ts`. */
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { defineAgent } from '../../src/activities/define-agent';

/** What the agents did outside, in order. */
export const world: string[] = [];
/** By step: what its next compensations throw. */
export const throws = new Map<string, unknown[]>();

const once = { retry: { maximumAttempts: 1 } };

export const finder = defineAgent({
  name: 'finder',
  description: 'finds',
  input: z.object({ city: z.string() }),
  output: z.object({ temperature: z.number() }),
  policy: once,
  act: ({ city }) => ({ temperature: city.length }),
});

export const worker = defineAgent({
  name: 'worker',
  description: 'works',
  input: z.string(),
  output: z.string(),
  policy: once,
  compensation: once,
  act: (input, { step }) => {
    world.push(`do ${step}`);
    return `did ${input}`;
  },
  compensate: ({ outcome }, { step }) => {
    const error = throws.get(step)?.shift();
    if (error !== undefined) throw error;
    world.push(`undo ${step} ${outcome}`);
  },
});

export const undoer = defineAgent({
  name: 'undoer',
  description: 'undoes',
  input: z.unknown(),
  output: z.null(),
  act: (input, { step }) => {
    world.push(`undoer of ${step}: ${JSON.stringify(input)}`);
    return null;
  },
});

export const broken = defineAgent({
  name: 'broken',
  description: 'fails',
  input: z.null(),
  output: z.null(),
  act: () => {
    throw ApplicationFailure.nonRetryable('it is broken', 'Broken');
  },
});

export const slow = defineAgent({
  name: 'slow',
  description: 'waits until it is told to stop',
  input: z.null(),
  output: z.null(),
  policy: once,
  act: async (_input, { signal, step }) => {
    world.push(`do ${step}`);
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    throw signal.reason;
  },
  compensate: ({ outcome }, { step }) => void world.push(`undo ${step} ${outcome}`),
});

export const large = defineAgent({
  name: 'large',
  description: 'puts out too much for a workflow',
  input: z.null(),
  output: z.string(),
  act: () => 'x'.repeat(1_500_000),
});
