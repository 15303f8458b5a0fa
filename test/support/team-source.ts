import { join } from 'node:path';
import { ROOT } from './cli';

/**
 * A configuration file for worker processes: the agents of a leader, and of its team. They write to `ledger` what they
 * do, and wait while `folder` has a file `hold-AGENT-TASK`.
 *
 * `planner` plans as many steps `s1`, `s2`, ... as the goal has a number for (default 1), one after the other; where the
 * goal has an address, it first adds `TERM` to the list that a fenced store has there, whatever its signal says.
 * `aggregator` puts out the outputs as they are. `echo` gives back its input; `gate` is told to wait.
 */
export function teamSource(folder: string, ledger: string): string {
  return `
const { appendFileSync, existsSync } = require('node:fs');
const { join } = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const { defineAgent, defineConfig } = require(${JSON.stringify(join(ROOT, 'dist', 'index.js'))});
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const write = (what, agent, { task, step, idempotencyKey, attempt, term }) =>
  appendFileSync(${JSON.stringify(ledger)}, JSON.stringify(
    { what, agent, task, step, key: idempotencyKey, attempt, term, pid: process.pid, at: Date.now() }) + '\\n');
const held = (agent, { task }) => existsSync(join(${JSON.stringify(folder)}, 'hold-' + agent + '-' + task));
const waitWhileHeld = async (agent, context, deaf) => {
  if (held(agent, context)) write('waits', agent, context);
  while (held(agent, context)) {
    if (context.signal.aborted && !deaf) {
      write('aborted', agent, context);
      throw context.signal.reason;
    }
    await pause(20);
  }
};
const make = (name, act, { deaf = () => false } = {}) =>
  defineAgent({
    name,
    description: 'the agent ' + name,
    input: anything,
    output: anything,
    policy: { heartbeatTimeout: '1s', retry: { initialInterval: '100ms', maximumAttempts: 20 } },
    async act(input, context) {
      write('began', name, context);
      const output = await act(input, context, () => waitWhileHeld(name, context, deaf(context)));
      write('ended', name, context);
      return output;
    },
  });
const addressIn = ({ goal }) => /http:\\S+/.exec(goal)?.[0];
const addTo = async (store, term, wait) => {
  const before = await (await fetch(store)).json();
  await wait();
  const body = JSON.stringify({ token: term, value: [...before, String(term)] });
  await fetch(store, { method: 'PUT', body });
};
const planner = async (_input, context, wait) => {
  const store = addressIn(context);
  if (store === undefined) await wait();
  else await addTo(store, context.term, wait);
  const count = Number(/\\b\\d+\\b/.exec(store === undefined ? context.goal : '')?.[0] ?? 1);
  const steps = Array.from({ length: count }, (_, index) => ({
    id: 's' + (index + 1),
    agent: 'echo',
    instruction: 'echo ' + (index + 1),
    input: index + 1,
    ...(index === 0 ? {} : { needs: ['s' + index] }),
  }));
  return { steps };
};
const afterWaiting = (value) => async (input, _context, wait) => {
  await wait();
  return value(input);
};
module.exports = defineConfig({
  embedded: false,
  agents: [
    make('planner', planner, { deaf: (context) => addressIn(context) !== undefined }),
    make('aggregator', afterWaiting(({ outputs }) => outputs)),
    make('echo', (input) => input),
    make('gate', afterWaiting(() => 'open')),
  ],
});
`;
}

/**
 * A program that runs a `CadreWorker` with the options that its first argument has as JSON, for what `cadre worker` has no
 * flag for; it stops on SIGTERM.
 */
export function workerSource(config: string, artifacts: string): string {
  return `
const { NativeConnection } = require(${JSON.stringify(join(ROOT, 'node_modules', '@temporalio', 'worker'))});
const { CadreWorker } = require(${JSON.stringify(join(ROOT, 'dist', 'workers', 'index.js'))});
const { FileArtifactStore } = require(${JSON.stringify(join(ROOT, 'dist', 'storage', 'artifact-store.js'))});
const { installRuntime } = require(${JSON.stringify(join(ROOT, 'dist', 'workers', 'runtime.js'))});
const { agents } = require(${JSON.stringify(config)});
void (async () => {
  installRuntime('ERROR');
  const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS });
  const artifacts = new FileArtifactStore(${JSON.stringify(artifacts)});
  const worker = await CadreWorker.create({ connection, artifacts, agents, ...JSON.parse(process.argv[2]) });
  process.once('SIGTERM', () => worker.shutdown());
  console.log('worker ready');
  await worker.run();
  await connection.close();
})();
`;
}
