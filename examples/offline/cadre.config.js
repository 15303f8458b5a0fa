const { defineConfig } = require('cadre');
const { notes } = require('./notes-agent');

module.exports = defineConfig({ cadre: 'offline-demo', agents: [notes] });
