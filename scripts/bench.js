/**
 * `npm run bench` runs all benchmarks, `npm run bench -- NAME` one. `--quick` runs fewer rounds, `--json` prints JSON too.
 * Full runs write `NAME.json` and `NAME.md` into bench/results, with the machine; others into its folder `latest`, unless
 * `--save`. For `peers`: `--only tuned,cadre` chooses contenders, `--works W1,failover` works, `--rounds 3` how many.
 */
const os = require('node:os');
const { parseArgs } = require('node:util');
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
  'start-up': ['two minutes', 'half a minute'],
  documents: ['three minutes', 'half a minute'],
  model: ['ten minutes', 'one minute'],
  growth: ['40 minutes', 'four minutes'],
  floor: ['ten minutes', 'two minutes'],
  peers: ['two hours', 'fifteen minutes'],
};

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  only: { type: 'string' },
  works: { type: 'string' },
  rounds: { type: 'string' },
  save: { type: 'boolean', default: false },
};

/** What `peers` is told beyond `quick`. */
function choiceOf({ only, works, rounds, save }) {
  return {
    save,
    ...(only === undefined ? {} : { only: only.split(',') }),
    ...(works === undefined ? {} : { works: works.split(',') }),
    ...(rounds === undefined ? {} : { rounds: Number(rounds) }),
  };
}

async function main() {
  const { values: options, positionals: names } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const unknown = names.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined)
    throw new Error(`There is no benchmark "${unknown}"; there are ${Object.keys(BENCHMARKS).join(', ')}.`);
  await prepare();
  require('../dist/workers/runtime').installRuntime('ERROR');
  const { aboutMachine, machine, writeResults } = require('../bench/machine');
  const { markdownTable, takeTables } = require('../bench/measure');
  const { quick } = options;
  console.log(
    `Node ${process.versions.node}, ${os.cpus().length} cores (${os.cpus()[0].model}), load ${os.loadavg()[0].toFixed(2)}`,
  );
  const results = {};
  for (const name of names.length === 0 ? Object.keys(BENCHMARKS) : names) {
    console.error(`\n${name}: up to ${BENCHMARKS[name][quick ? 1 : 0]}`);
    const before = machine();
    const result = await require(`../bench/${name}`).run({ quick, ...choiceOf(options) });
    results[name] = result;
    const markdown = `${[aboutMachine(before), ...takeTables().map(markdownTable)].join('\n\n')}\n`;
    const full = options.save || !quick;
    // The side-by-side benchmark writes its own, with its titles.
    if (name !== 'peers') writeResults(name, { full, markdown, machine: before, quick, results: result });
  }
  if (options.json) console.log(JSON.stringify(results));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
