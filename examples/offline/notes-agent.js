const { defineAgent } = require('cadre');
const { z } = require('zod');

/** Writes down what it is told, for whoever shares the cadre's knowledge. */
exports.notes = defineAgent({
  name: 'notes',
  description: 'Writes a note into the knowledge that all agents share',
  skills: ['note'],
  input: z.object({ text: z.string().min(1) }),
  output: z.object({ notes: z.number() }),
  async act({ text }, { knowledge, decide }) {
    const notes = knowledge.set('notes');
    notes.add(text);
    knowledge.counter('visits').increment();
    decide({ type: 'noted', rationale: text });
    return { notes: (await notes.values()).length };
  },
});
