/** What the steps of the works do, whatever runs them; the one that fails for good is each system's own. */
const { setTimeout: delay } = require('node:timers/promises');
const { FAN_OUT, PAYLOAD, SLOW, mark } = require('./driver');

module.exports = {
  step: async (input) => input,
  undo: async (number) => number,
  plan: async () => Array.from({ length: FAN_OUT }, () => PAYLOAD),
  count: async (outputs) => outputs.length,
  slow: async ({ run, step, file }) => {
    mark(file, { run, step, what: 'began' });
    if (step === 2) await delay(SLOW);
    mark(file, { run, step, what: 'ended' });
  },
};
