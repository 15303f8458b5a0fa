// What the agents of `bench/model.js` are told, and their tool: the same, whoever runs them.
const { z } = require('zod');

const INSTRUCTIONS = 'Look at each place.';
const look = { description: 'looks at a place', input: z.object({ place: z.number(), bytes: z.number() }) };

/** Asks for so many calls; with `context` the first brings so many bytes, which stand before the model from then on. */
function promptOf({ calls, context }) {
  return `Make ${calls} calls${context === undefined ? '' : `, the first of ${context} bytes`}.`;
}

/** What `look` finds at a place. */
function found({ place, bytes }) {
  return `place ${place} `.padEnd(bytes, '.');
}

module.exports = { INSTRUCTIONS, found, look, promptOf };
