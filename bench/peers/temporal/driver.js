/**
 * Temporal's SDK without Cadre. Without a variant the server, the client and the workers as they come; `tuned`: the same
 * programs with the settings of Cadre's embedded server, its client's connection and its workers' options.
 */
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { Client, Connection } = require('@temporalio/client');
const { DefaultLogger, bundleWorkflowCode } = require('@temporalio/worker');
const { connect } = require('../../../dist/client');
const { FAN_OUT, KEYS, PAYLOAD, check, drive, failureOf, settledAt } = require('../driver');
const { Workers, startServer } = require('../children');

/** The server refuses more updates of one workflow at a time, and the SDK gives up on it after some seconds. */
const UPDATES_IN_FLIGHT = 10;

drive(async ({ folder, workers: count, onDisk, variant }) => {
  const tuned = variant === 'tuned';
  // Its name tells the workflows which they are.
  const taskQueue = tuned ? 'tuned' : 'bare';
  const server = await startServer({ folder, ours: tuned, onDisk });
  const { address } = server;
  const codePath = join(folder, 'bundle.js');
  const logger = new DefaultLogger('WARN');
  const { code } = await bundleWorkflowCode({ workflowsPath: require.resolve('./workflows'), logger });
  writeFileSync(codePath, code);
  const workers = new Workers(require.resolve('./worker'), {
    address,
    codePath,
    taskQueue,
    tuned,
  });
  for (let at = 0; at < count; at += 1) await workers.add();
  const client = await clientOf(address, tuned);
  const last = {};
  const execute = async (type, workflowId, args) => {
    last[type] = workflowId;
    return client.workflow.execute(type, { taskQueue, workflowId, args });
  };
  return {
    versions: {
      server: `Temporal ${server.version}`,
      sdk: `@temporalio ${require('@temporalio/client/package.json').version}`,
      durability: server.durability,
      updates: `at most ${UPDATES_IN_FLIGHT} in flight, the server's limit`,
    },
    processes: () => ({ server: [server.pid], worker: workers.pids }),
    works: {
      W1: async (id) => check('W1', await execute('threeSteps', id, [PAYLOAD]), PAYLOAD),
      W2: async (id) => check('W2', await execute('fanOut', id, ['goal']), FAN_OUT),
      W3: async (id) => {
        const error = await failureOf(execute('failingSteps', id, [PAYLOAD]));
        const undone =
          error.cause?.type === 'Undone' ? error.cause.details.join() : String(error.cause ?? error);
        check('W3 undid', undone, '2,1');
      },
    },
    entity: [await entity(client, taskQueue, 'update'), await entity(client, taskQueue, 'signal')],
    slow: (id, file) => execute('slowSteps', id, [id, file]),
    addWorker: () => workers.add(),
    facts: async (work) => {
      const { W1, W2, W3 } = { W1: 'threeSteps', W2: 'fanOut', W3: 'failingSteps' };
      const type = { W1, W2, W3 }[work];
      const { historyLength, historySize } = await client.workflow.getHandle(last[type]).describe();
      return { events: historyLength, bytes: historySize };
    },
    cannot: {},
    async stop() {
      await workers.stop();
      await client.connection.close();
      await server.stop();
    },
  };
});

async function clientOf(address, tuned) {
  if (tuned) return connect({ address, namespace: 'default', configured: true }, 20_000);
  return new Client({ connection: await Connection.connect({ address }) });
}

async function entity(client, taskQueue, kind) {
  const handle = await client.workflow.start('entity', {
    taskQueue,
    workflowId: `entity-${kind}`,
    args: [{}],
  });
  // Of whatever run: it continues as new.
  const { workflowId } = handle;
  const latest = client.workflow.getHandle(workflowId);
  const update = atMost(UPDATES_IN_FLIGHT, (key) => latest.executeUpdate('add', { args: [key] }));
  return {
    kind,
    send: async (number) => {
      const key = `key-${number % KEYS}`;
      await (kind === 'update' ? update(key) : latest.signal('tell', key));
    },
    settled: (total) => settledAt(total, () => latest.query('total')),
  };
}

/** A function like `work` that lets so many run at a time, and the others wait in line. */
function atMost(limit, work) {
  let running = 0;
  const line = [];
  return async (input) => {
    if (running >= limit) await new Promise((resolve) => line.push(resolve));
    else running += 1;
    try {
      return await work(input);
    } finally {
      const next = line.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
