// Tells and checks a run of the demo by the evidence that it read: `node tell.js FILE`, of `demo.js --evidence FILE`. Needs no
// server. Ends with 1 where something does not hold.
const { readFileSync } = require('node:fs');
const { INVARIANTS } = require('./invariants');
const { story } = require('./story');

/** Prints the story, and what holds; true where all does. */
function tell(evidence) {
  for (const line of story(evidence)) console.log(line);
  console.log('What must hold, by the log and by the ledger of the world outside:');
  const checked = Object.entries(INVARIANTS).map(([name, check]) => ({ name, ...check(evidence) }));
  for (const { name, problems, counted } of checked) {
    console.log(problems.length === 0 ? `✓ ${name}: ${counted}` : `✗ ${name}: ${problems.join('; ')}`);
  }
  return checked.every(({ problems }) => problems.length === 0);
}

module.exports = { tell };

if (require.main === module) {
  const [file] = process.argv.slice(2);
  process.exitCode = tell(JSON.parse(readFileSync(file, 'utf8'))) ? 0 : 1;
}
