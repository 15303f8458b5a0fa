// `npm run bench` runs all benchmarks, `npm run bench -- NAME` one; `--quick` runs fewer rounds, `--json` prints JSON too.
const os = require('node:os');
const { prepare } = require('./prepare');

/** By name: about how long it takes in full, and with `--quick`. */
const BENCHMARKS = {
  'main-job': ['two minutes', 'half a minute'],
  'server-settings': ['two minutes', 'half a minute'],
  breaker: ['six minutes', 'two minutes'],
  saga: ['two minutes', 'half a minute'],
  knowledge: ['ten minutes', 'half a minute'],
  election: ['15 minutes', 'two minutes'],
  log: ['two minutes', 'half a minute'],
};

async function main() {
  const args = process.argv.slice(2);
  const names = args.filter((arg) => !arg.startsWith('--'));
  const unknown = names.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined)
    throw new Error(`There is no benchmark "${unknown}"; there are ${Object.keys(BENCHMARKS).join(', ')}.`);
  await prepare();
  require('../dist/workers/runtime').installRuntime('ERROR');
  const quick = args.includes('--quick');
  console.log(
    `Node ${process.versions.node}, ${os.cpus().length} cores (${os.cpus()[0].model}), load ${os.loadavg()[0].toFixed(2)}`,
  );
  const results = {};
  for (const name of names.length === 0 ? Object.keys(BENCHMARKS) : names) {
    console.error(`\n${name}: up to ${BENCHMARKS[name][quick ? 1 : 0]}`);
    results[name] = await require(`../bench/${name}`).run({ quick });
  }
  if (args.includes('--json')) console.log(JSON.stringify(results));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
