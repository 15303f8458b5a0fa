// The cadre of `bench/election.js`: one agent, which gives back what it gets.
const { defineConfig } = require('../dist');
const { echo } = require('./echo');

module.exports = defineConfig({ cadre: 'election-bench', agents: [echo], embedded: false });
