/**
 * `npm start`: makes the checkout ready and runs `cadre`. Without a command, `cadre run`: `npm start -- "a question"`
 * asks the team, `npm start -- doctor` runs another command.
 */
const { spawnSync } = require('node:child_process');
const { readdirSync } = require('node:fs');
const path = require('node:path');
const { ROOT, dependenciesAreInstalled, isBuilt } = require('./prepare');

/** In a process of its own: the compiler and the bundler are of no use afterwards. Standard output is the command's. */
function prepareApart() {
  const { status } = spawnSync(process.execPath, [path.join(__dirname, 'prepare.js')], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** What `cadre` gets: the arguments, after `run` where they begin with no command. */
function commandLine([first, ...rest]) {
  const commands = readdirSync(path.join(ROOT, 'dist', 'cli', 'commands')).map((file) => file.split('.')[0]);
  const own = [...commands, 'help', '--help', '-h', '--version', '-V'];
  if (first === undefined) return ['run'];
  return own.includes(first) ? [first, ...rest] : ['run', first, ...rest];
}

if (!dependenciesAreInstalled() || !isBuilt()) prepareApart();

// In this process: standard input and output, signals and the exit code need no passing on.
const main = path.join(ROOT, 'dist', 'cli', 'main.js');
process.argv.splice(1, Number.POSITIVE_INFINITY, main, ...commandLine(process.argv.slice(2)));
require(main);
