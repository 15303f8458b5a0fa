// `npm run bench` runs all benchmarks, `npm run bench -- NAME` one; `--quick` runs fewer rounds, `--json` prints JSON too.
const os = require('node:os');
const { prepare } = require('./prepare');

const BENCHMARKS = ['main-job', 'server-settings'];

async function main() {
  const args = process.argv.slice(2);
  const names = args.filter((arg) => !arg.startsWith('--'));
  const unknown = names.find((name) => !BENCHMARKS.includes(name));
  if (unknown !== undefined)
    throw new Error(`There is no benchmark "${unknown}"; there are ${BENCHMARKS.join(', ')}.`);
  await prepare();
  require('../dist/workers/runtime').installRuntime('ERROR');
  const quick = args.includes('--quick');
  console.log(
    `Node ${process.versions.node}, ${os.cpus().length} cores (${os.cpus()[0].model}), load ${os.loadavg()[0].toFixed(2)}`,
  );
  const results = {};
  for (const name of names.length === 0 ? BENCHMARKS : names) {
    console.error(`\n${name}: up to ${quick ? 'half a minute' : 'two minutes'}`);
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
