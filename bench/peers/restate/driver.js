/**
 * Restate: its server as it comes, workers behind one address, calls by its client over the ingress. Without a variant a step
 * is `ctx.run`; `calls`: each step is a call of another service. See README.md beside this folder.
 */
const cluster = require('node:cluster');
const { once } = require('node:events');
const { join } = require('node:path');
const { Opts, connect } = require('@restatedev/restate-sdk-clients');
const { FAN_OUT, KEYS, PAYLOAD, check, drive, failureOf, settledAt } = require('../driver');
const { freePort, start, versionOf } = require('../programs');

drive(async ({ folder, workers: count, variant }) => {
  const server = await startServer(folder);
  const workers = new Workers(await freePort());
  for (let at = 0; at < count; at += 1) await workers.add();
  await post(`${server.admin}/deployments`, { uri: `http://127.0.0.1:${workers.port}` });
  const ingress = connect({ url: server.ingress });
  const name = variant === 'calls' ? 'call' : 'run';
  const service = ingress.serviceClient({ name });
  const last = {};
  const execute = (handler, id, parameter) => {
    last[handler] = id;
    return service[handler](parameter, Opts.from({ idempotencyKey: id }));
  };
  return {
    versions: versionsOf(name === 'call' ? 'each a call of a service' : 'each a ctx.run'),
    processes: () => ({ server: [server.pid], worker: workers.pids }),
    works: {
      W1: async (id) => check('W1', await execute('W1', id, PAYLOAD), PAYLOAD),
      W2: async (id) => check('W2', await execute('W2', id, 'goal'), FAN_OUT),
      W3: async (id) => check('W3', messageOf(await failureOf(execute('W3', id, PAYLOAD))), 'Undone: 2,1'),
    },
    entity: [entity(ingress, 'call'), entity(ingress, 'signal')],
    slow: (id, file) => execute('slow', id, { run: id, file }),
    addWorker: () => workers.add(),
    facts: (work) => facts(server.admin, last[work]),
    cannot: {},
    async stop() {
      await workers.stop();
      await server.stop();
    },
  };
});

function versionsOf(steps) {
  return {
    server: `restate-server ${versionOf('restate', '@restatedev/restate-server')}`,
    sdk: `@restatedev/restate-sdk ${versionOf('restate', '@restatedev/restate-sdk')}`,
    node: process.version,
    durability: 'its defaults: RocksDB, an fdatasync of the log before a step counts as done',
    steps,
  };
}

/** The server, as it comes but for its ports, its folder and its telemetry: `{ pid, ingress, admin, stop() }`, both URLs. */
async function startServer(folder) {
  const [fabric, ingress, admin] = [await freePort(), await freePort(), await freePort()];
  const binary = require.resolve(
    `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
  );
  const args = ['--no-logo', '--listen-mode=tcp', '--bind-ip=127.0.0.1', '--node-name=bench'];
  const url = (port) => `http://127.0.0.1:${port}`;
  const { pid, stop } = await start(binary, args, {
    cwd: folder,
    env: {
      ...process.env,
      RESTATE_BASE_DIR: join(folder, 'restate-data'),
      RESTATE_BIND_PORT: String(fabric),
      RESTATE_INGRESS__BIND_PORT: String(ingress),
      RESTATE_ADMIN__BIND_PORT: String(admin),
      RESTATE_DISABLE_TELEMETRY: 'true',
      RESTATE_LOG_FILTER: 'warn',
      DO_NOT_TRACK: '1',
    },
    ready: async () => {
      await get(`${url(admin)}/health`);
      await get(`${url(ingress)}/restate/health`);
    },
  });
  return { pid, stop, ingress: url(ingress), admin: url(admin) };
}

/**
 * Processes that serve one address. Restate wants a load balancer before several of them; here it is Node's cluster module,
 * which hands each new connection to the next process and is not in the way of what the connection carries.
 */
class Workers {
  constructor(port) {
    this.port = port;
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({ exec: require.resolve('./worker'), args: [String(port)] });
  }

  get pids() {
    return Object.values(cluster.workers).map((worker) => worker.process.pid);
  }

  /** Starts one, and resolves with its pid when it listens. */
  async add() {
    const worker = cluster.fork({ NODE_ENV: 'production', RESTATE_LOGGING: 'ERROR' });
    await Promise.race([
      once(worker, 'listening'),
      once(worker, 'exit').then(([code]) => {
        throw new Error(`A worker ended with ${code} before it listened`);
      }),
    ]);
    return worker.process.pid;
  }

  async stop() {
    const workers = Object.values(cluster.workers);
    const ended = workers.map((worker) => once(worker, 'exit'));
    for (const worker of workers) worker.process.kill('SIGKILL');
    await Promise.all(ended);
  }
}

/** A virtual object: `call` waits for its answer, `signal` until the server has the message. */
function entity(ingress, kind) {
  const called = ingress.objectClient({ name: 'counters' }, kind);
  const told = ingress.objectSendClient({ name: 'counters' }, kind);
  return {
    kind,
    send: async (number) => {
      await (kind === 'call' ? called : told).add(`key-${number % KEYS}`);
    },
    settled: (total) => settledAt(total, () => called.total()),
  };
}

/** What the journal of the run holds: its entries, and their bytes. */
async function facts(admin, id) {
  const query = `SELECT COUNT(*) AS events, SUM(raw_length) AS bytes FROM sys_journal
    WHERE id IN (SELECT id FROM sys_invocation WHERE idempotency_key = '${id}')`;
  const { rows } = await post(`${admin}/query`, { query });
  return rows[0];
}

async function get(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response;
}

async function post(url, body) {
  const headers = { 'content-type': 'application/json', accept: 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** The message of the failure that a handler ended with. */
function messageOf(error) {
  try {
    return JSON.parse(error.responseText).message;
  } catch {
    return String(error);
  }
}
