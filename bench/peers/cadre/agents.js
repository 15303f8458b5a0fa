const { ApplicationFailure } = require('@temporalio/common');
const { z } = require('zod');
const { defineAgent } = require('../../../dist');
const acts = require('../acts');
const { FAN_OUT, PAYLOAD } = require('../driver');

const step = defineAgent({
  name: 'step',
  description: 'gives back what it gets',
  input: z.string(),
  output: z.string(),
  act: (value) => value,
  compensate: () => undefined,
});

const refuse = defineAgent({
  name: 'refuse',
  description: 'fails for good',
  input: z.string(),
  output: z.string(),
  act: () => {
    throw ApplicationFailure.nonRetryable('It cannot be done', 'Refused');
  },
});

/** Has nothing to undo, so that a task's steps are plain ones. */
const echo = defineAgent({
  name: 'echo',
  description: 'gives back what it gets',
  input: z.string(),
  output: z.string(),
  act: (value) => value,
});

const planner = defineAgent({
  name: 'planner',
  description: 'plans as many steps as the benchmark has side by side',
  input: z.unknown(),
  output: z.unknown(),
  act: () => ({
    steps: Array.from({ length: FAN_OUT }, (_, at) => ({
      id: `part-${at}`,
      agent: 'echo',
      instruction: 'give it back',
      input: PAYLOAD,
    })),
  }),
});

const aggregator = defineAgent({
  name: 'aggregator',
  description: 'counts the outputs',
  input: z.object({ outputs: z.record(z.string(), z.string()) }),
  output: z.number(),
  act: ({ outputs }) => Object.values(outputs).filter((output) => output === PAYLOAD).length,
});

/** Heartbeats are Cadre's. */
const slow = defineAgent({
  name: 'slow',
  description: 'takes its time where it is the second step',
  input: z.object({ run: z.string(), number: z.number(), file: z.string() }),
  output: z.string(),
  policy: { heartbeatTimeout: '1 second', retry: { initialInterval: '10 ms' } },
  act: async ({ run, number, file }) => {
    await acts.slow({ run, step: number, file });
    return 'done';
  },
});

module.exports = { agents: [step, refuse, echo, planner, aggregator, slow] };
