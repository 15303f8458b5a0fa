const { echo } = require('./echo');
const { printTable, summary, time } = require('./measure');
const { withStack } = require('./stack');

const step = (id, needs) => ({ id, agent: 'echo', instruction: id, input: 'x'.repeat(1024), needs });
const input = { goal: 'three steps', plan: { steps: [step('a', []), step('b', ['a']), step('c', ['b'])] } };

/** A task of three steps in a row (four activities with the check of its plan): our server settings against a dev server as it comes. */
async function run({ quick }) {
  const [count, rounds] = quick ? [10, 1] : [40, 3];
  const times = { true: [], false: [] };
  // Interleaved, since the machine's speed drifts.
  for (let round = 0; round < rounds; round += 1) {
    for (const tuned of [true, false]) {
      const result = await withStack({ agents: [echo], tuned, onDisk: false }, ({ client }) =>
        time(async () => (await client.start(input)).result(), { count, warmups: 3 }),
      );
      times[tuned].push(...result);
    }
  }
  const rows = [['three steps, server in memory', 'runs', 'min ms', 'p50 ms', 'p99 ms', 'max ms']];
  const results = [true, false].map((tuned) => ({
    settings: tuned ? 'ours' : "Temporal's defaults",
    runs: times[tuned].length,
    ...summary(times[tuned]),
  }));
  for (const { settings, runs, min, p50, p99, max } of results)
    rows.push([settings, runs, ...[min, p50, p99, max].map(Math.round)]);
  printTable(rows);
  return results;
}

module.exports = { run };
