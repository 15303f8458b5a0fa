const { z } = require('zod');
const { defineAgent } = require('../../dist');

/** `count` agents that give back what they get: `agent-0`, `agent-1`, … */
function agentsOf(count) {
  return Array.from({ length: count }, (_, at) =>
    defineAgent({
      name: `agent-${at}`,
      description: 'gives back what it gets',
      input: z.unknown(),
      output: z.unknown(),
      act: (value) => value,
    }),
  );
}

/** An agent that decides in each step, and so remembers each task, and that a breaker guards. */
const thinker = defineAgent({
  name: 'thinker',
  description: 'decides what it gets',
  input: z.unknown(),
  output: z.unknown(),
  policy: { breaker: {} },
  act: (value, { decide }) => {
    decide({ type: 'decided', rationale: 'as always' });
    return value;
  },
});

module.exports = { agentsOf, thinker };
