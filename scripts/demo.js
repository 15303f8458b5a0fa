// `npm run demo:NAME`: makes the checkout ready and runs examples/NAME/demo.js.
const { existsSync } = require('node:fs');
const path = require('node:path');
const { ROOT, exitOnFailure, prepare } = require('./prepare');

async function main(name) {
  const demo = path.join(ROOT, 'examples', name, 'demo.js');
  if (!existsSync(demo)) throw new Error(`There is no demo "${name}".`);
  await prepare();
  require(demo);
}

exitOnFailure(main(process.argv[2]));
