const { join } = require('node:path');
const { embeddedAgents } = require('../dist/workers');
const { printTable, summary, time } = require('./measure');
const { withStack } = require('./stack');

const input = {
  goal: 'When should the on-call engineer fail over the database, who has to approve it, and how often do we rehearse it?',
  docs: join(__dirname, '..', 'examples', 'handbook'),
};

/** The main job on the example folder, from a warm worker: from start to result, one at a time. */
async function run({ quick }) {
  const options = quick ? { count: 10, warmups: 3 } : { count: 100, warmups: 5 };
  const rows = [['main job', 'runs', 'min ms', 'p50 ms', 'p99 ms', 'max ms', 'events', 'history KiB']];
  const results = [];
  for (const onDisk of [true, false]) {
    const where = onDisk ? 'server on its disk file' : 'server in memory';
    const result = await withStack({ agents: embeddedAgents, onDisk }, async ({ client }) => {
      let last;
      const times = await time(async () => (last = await client.start(input)).result(), options);
      const { history } = await last.describe();
      return { where, runs: options.count, ...summary(times), ...history };
    });
    results.push(result);
    const { runs, min, p50, p99, max, events, bytes } = result;
    rows.push([where, runs, ...[min, p50, p99, max].map(Math.round), events, (bytes / 1024).toFixed(1)]);
  }
  printTable(rows);
  return results;
}

module.exports = { run };
