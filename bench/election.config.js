// The cadre of `bench/election.js`: one agent, which gives back what it gets.
const { z } = require('zod');
const { defineAgent, defineConfig } = require('../dist');

const echo = defineAgent({
  name: 'echo',
  description: 'gives back what it gets',
  input: z.unknown(),
  output: z.unknown(),
  act: (value) => value,
});

module.exports = defineConfig({ cadre: 'election-bench', agents: [echo], embedded: false });
