// What shared knowledge costs. Each table is a function of its own below, in `TABLES`; what it gives back goes into `--json`.
const { measureGossip } = require('./knowledge/gossip');
const { measureReplicas } = require('./knowledge/replicas');
const { measureServer } = require('./knowledge/server');

/** By name in the JSON; each takes `{ quick }`, prints its table and returns the figures. They run in this order. */
const TABLES = {
  replicas: measureReplicas,
  gossip: measureGossip,
  server: measureServer,
};

async function run(options) {
  const results = {};
  for (const [name, measure] of Object.entries(TABLES)) results[name] = await measure(options);
  return results;
}

module.exports = { run };
