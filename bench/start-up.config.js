// The cadre of `bench/start-up.js`: one agent, which gives back what it gets.
const { defineConfig } = require('../dist');
const { echo } = require('./echo');

module.exports = defineConfig({ agents: [echo], embedded: false });
