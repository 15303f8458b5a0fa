// The processes of the CLI that a demo starts, and ends.
const { spawn } = require('node:child_process');
const { join } = require('node:path');
const { createInterface } = require('node:readline');

const CLI = join(__dirname, '..', '..', 'dist', 'cli', 'main.js');

const LAST_LINES = 5;

class Processes {
  /** The last started last. */
  running = [];
  isOver = false;

  /** `environment`: what all have beside this process's own. */
  constructor(environment) {
    this.environment = environment;
  }

  /**
   * Starts what goes on running; resolves with the line of JSON that it prints when it is ready. `say` is given what it says
   * until then, as of a server that has to be fetched.
   */
  async start(args, { more = {}, say = () => undefined } = {}) {
    if (this.isOver) throw new Error('The demo was interrupted.');
    const child = spawn(process.execPath, [CLI, ...args, '--json'], {
      env: { ...process.env, ...this.environment, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C is ours: we end them one by one.
      detached: true,
    });
    child.ended = new Promise((resolve) => child.once('close', resolve));
    this.running.push(child);
    const said = [];
    child.said = said;
    createInterface({ input: child.stderr }).on('line', (line) => {
      // The last thing that is said of a start.
      if (!said.some((one) => one.startsWith('✓'))) say(line);
      said.push(line);
    });
    const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
    child.stdout.resume();
    if (value === undefined)
      throw new Error(`cadre ${args[0]} ended before it was ready:\n${said.join('\n')}`);
    return JSON.parse(value);
  }

  /** Ends the process of that id with SIGKILL. */
  kill(pid) {
    const child = this.running.find((one) => one.pid === pid);
    if (child === undefined) throw new Error(`The process ${pid} is none of ours`);
    child.kill('SIGKILL');
  }

  /** What each said last, to find out what went wrong. */
  lastWords() {
    return this.running.flatMap(({ pid, said }) => said.slice(-LAST_LINES).map((line) => `${pid}: ${line}`));
  }

  /** Ends all: the workers with SIGKILL, then the server, which was started first and has a process of its own to end. */
  async stop() {
    this.isOver = true;
    const [server, ...workers] = this.running;
    for (const child of workers) child.kill('SIGKILL');
    await Promise.all(workers.map(({ ended }) => ended));
    server?.kill('SIGTERM');
    await server?.ended;
  }
}

module.exports = { Processes };
