/**
 * DBOS Transact on PostgreSQL. With one worker it is what it is made to be, a library in the caller's process; with more, each
 * is a process with its own executor ID that runs the workflows it is asked for. See README.md beside this folder.
 */
const { fork } = require('node:child_process');
const { once } = require('node:events');
const { DBOS } = require('@dbos-inc/dbos-sdk');
const { Client } = require('pg');
const { FAN_OUT, KEYS, PAYLOAD, check, drive, failureOf, settledAt } = require('../driver');
const { versionOf } = require('../programs');
const { launch } = require('./executor');
const { startPostgres } = require('./postgres');
const workflows = require('./workflows');

drive(async ({ folder, workers: count }) => {
  const postgres = await startPostgres(folder);
  const url = postgres.url('bench');
  const inProcess = count === 1;
  const executors = inProcess ? [] : await startExecutors(url, count);
  const works = inProcess ? await launch(url, 'executor-1') : shared(executors);
  const database = new Client({ connectionString: url });
  await database.connect();
  const last = {};
  const execute = async (name, id, input) => {
    last[name] = id;
    return works[name](id, input);
  };
  return {
    versions: versionsOf(postgres.settings),
    processes: () => ({ server: [postgres.pid], worker: executors.map(({ pid }) => pid) }),
    works: {
      W1: async (id) => check('W1', await execute('W1', id, PAYLOAD), PAYLOAD),
      W2: async (id) => check('W2', await execute('W2', id, 'goal'), FAN_OUT),
      W3: async (id) => check('W3', (await failureOf(execute('W3', id, PAYLOAD))).message, 'Undone: 2,1'),
    },
    ...(inProcess ? { entity: await entity() } : {}),
    facts: (work) => facts(database, last[work]),
    cannot: {
      failover:
        'another executor takes over only with DBOS Conductor, a service of its own; without it the dead one is to be started again with its executor ID',
      calls: 'a workflow does not answer the messages that it receives',
    },
    async stop() {
      await database.end();
      if (inProcess) await DBOS.shutdown({ workflowCompletionTimeoutMS: 0 });
      await Promise.all(executors.map((executor) => executor.stop()));
      await postgres.stop();
    },
  };
});

function versionsOf({ server_version: version, ...settings }) {
  return {
    server: `PostgreSQL ${version}`,
    sdk: `@dbos-inc/dbos-sdk ${versionOf('dbos', '@dbos-inc/dbos-sdk')}`,
    node: process.version,
    durability: Object.entries(settings)
      .map(([name, value]) => `${name}=${value}`)
      .join(', '),
    workers: "one: a library in the client's process; more: executors of their own, called in turn",
    entity: 'one workflow without continue-as-new: its history grows with each message',
  };
}

/** The works of several executors: each run is asked of the next one. */
function shared(executors) {
  let next = 0;
  const run = (name) => (id, input) => executors[next++ % executors.length].run(name, id, input);
  return Object.fromEntries(Object.keys(workflows).map((name) => [name, run(name)]));
}

/** One after the other, since the first makes the tables. */
async function startExecutors(url, count) {
  const executors = [];
  for (let at = 1; at <= count; at += 1) executors.push(await startExecutor(url, `executor-${at}`));
  return executors;
}

async function startExecutor(url, executorID) {
  const child = fork(require.resolve('./executor'), [url, executorID]);
  const calls = new Map();
  let asked = 0;
  const ended = once(child, 'exit').then(([code]) => {
    for (const { reject } of calls.values()) reject(new Error(`${executorID} ended with ${code}`));
    return code;
  });
  const ready = await Promise.race([once(child, 'message').then(() => true), ended]);
  if (ready !== true) throw new Error(`${executorID} ended before it was ready`);
  child.on('message', ({ call, result, error }) => {
    const { resolve, reject } = calls.get(call);
    calls.delete(call);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  });
  return {
    pid: child.pid,
    run: (name, id, input) =>
      new Promise((resolve, reject) => {
        asked += 1;
        calls.set(asked, { resolve, reject });
        child.send({ call: asked, name, id, input });
      }),
    stop: async () => {
      child.disconnect();
      await ended;
    },
  };
}

/** A workflow that takes its messages one by one; `send` resolves when the message is in the database. */
async function entity() {
  const workflowID = 'entity';
  await DBOS.startWorkflow(workflows.counters, { workflowID })();
  return {
    kind: 'signal',
    send: (number) => DBOS.send(workflowID, { key: `key-${number % KEYS}` }, 'messages'),
    settled: (total) => {
      let asked = 0;
      return settledAt(total, async () => {
        const report = `report-${total}-${asked++}`;
        await DBOS.send(workflowID, { report }, 'messages');
        return DBOS.getEvent(workflowID, report, { timeoutSeconds: 600 });
      });
    },
  };
}

/** The rows of the run, its own and one for each step, and their bytes. */
async function facts(database, id) {
  const query = `SELECT COUNT(*)::int AS events, SUM(bytes)::int AS bytes FROM (
      SELECT pg_column_size(w.*) AS bytes FROM dbos.workflow_status w WHERE workflow_uuid = $1
      UNION ALL SELECT pg_column_size(o.*) FROM dbos.operation_outputs o WHERE workflow_uuid = $1) AS rows`;
  const { rows } = await database.query(query, [id]);
  return rows[0];
}
