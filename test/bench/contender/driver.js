// A contender whose worker is a process that writes what it does and can be killed; its CPU is spent on purpose.
const { spawn } = require('node:child_process');
const { drive } = require('../../../bench/peers/driver');

/** Spins for 300 ms of its own when told to, and says when it has. */
const SPINNER = `
process.stdin.on('data', () => {
  const until = process.cpuUsage().user + 300_000;
  while (process.cpuUsage().user < until) for (let at = 0; at < 1e6; at += 1);
  process.stdout.write('done');
});`;

drive(async ({ workers }) => {
  const spinner = spawn(process.execPath, ['-e', SPINNER], { stdio: ['pipe', 'pipe', 'inherit'] });
  let counted = 0;
  return {
    versions: { workers: String(workers), spinner: String(spinner.pid) },
    processes: () => ({ server: [spinner.pid], worker: [] }),
    works: {
      W1: () => Promise.resolve(),
      W2: () =>
        new Promise((resolve) => {
          spinner.stdout.once('data', resolve);
          spinner.stdin.write('spin');
        }),
      W3: () => Promise.reject(new Error('it was not undone')),
    },
    entity: {
      kind: 'call',
      send: async () => void (counted += 1),
      settled: async (total) => {
        if (counted !== total) throw new Error(`counted ${counted} of ${total}`);
      },
    },
    slow: async (run, file) => {
      const first = begin(run, file);
      await new Promise((resolve) => first.once('exit', resolve));
      const second = begin(run, file);
      await new Promise((resolve) => second.once('message', resolve));
      second.kill();
    },
    facts: async () => ({ events: 3 }),
    cannot: { failover: 'it is made up' },
    // Leaves its process to the harness.
    stop: async () => undefined,
  };
});

/** A process that begins the second step, and says so. */
function begin(run, file) {
  const script = `require(${JSON.stringify(require.resolve('../../../bench/peers/driver'))})
    .mark(${JSON.stringify(file)}, { run: ${JSON.stringify(run)}, step: 2, what: 'began' });
    process.send('began');
    setInterval(() => undefined, 1000);`;
  return spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}
