// `npm run demo`, `npm run demo:NAME`: makes the checkout ready and runs the demo of an example.
const path = require('node:path');
const { ROOT, exitOnFailure, prepare } = require('./prepare');

/** The folder of examples/ that each demo is in. */
const DEMOS = { crash: 'crash', saga: 'publishing', offline: 'offline', all: 'one-system' };

async function main(name) {
  if (!Object.hasOwn(DEMOS, name)) {
    throw new Error(`There is no demo "${name}", only ${Object.keys(DEMOS).join(', ')}.`);
  }
  await prepare();
  require(path.join(ROOT, 'examples', DEMOS[name], 'demo.js'));
}

exitOnFailure(main(process.argv[2]));
