const { z } = require('zod');
const { defineAgent } = require('../dist');

/** An agent that gives back what it gets. */
const echo = defineAgent({
  name: 'echo',
  description: 'gives back what it gets',
  input: z.unknown(),
  output: z.unknown(),
  act: (value) => value,
});

module.exports = { echo };
