// What a breaker costs while all is well, and what it spares an agent that is down.
const { once } = require('node:events');
const { createServer } = require('node:http');
const { setTimeout: delay } = require('node:timers/promises');
const cockatiel = require('cockatiel');
const CircuitBreaker = require('opossum');
const { NativeConnection } = require('@temporalio/worker');
const { z } = require('zod');
const { defineAgent } = require('../dist');
const { LocalBreaker } = require('../dist/activities/breaker/local-breaker');
const { CadreClient, FileArtifactStore } = require('../dist/client');
const { BREAKER_DEFAULTS } = require('../dist/core/breaker/settings');
const { MemoryLedger } = require('../dist/storage/memory-ledger');
const { CadreWorker } = require('../dist/workers');
const { pickPort } = require('../dist/workers/server');
const config = require('./breaker.config');
const { printTable, summary } = require('./measure');
const { METRICS_LAG, requests, withServer } = require('./stack');
const { Team } = require('./team');

const WORKERS = 4;
const IN_FLIGHT = 10;
const TASKS = 200;

async function run({ quick }) {
  const decision = await measureDecision(quick ? 100_000 : 1_000_000);
  const healthy = await measureHealthy(quick ? 50 : 300);
  const outages = [];
  for (const agent of ['guarded', 'bare']) outages.push(await measureOutage(agent, quick ? 15 : 60));
  printOutages(outages);
  return { decision, healthy, outages };
}

/** Each breaker around an async function that does nothing; a round is `count` calls, and the rounds go in turn. */
async function measureDecision(count) {
  const nothing = async () => undefined;
  const local = new LocalBreaker(BREAKER_DEFAULTS, () => Promise.reject(new Error('nobody is told')), {
    now: () => performance.now(),
    random: Math.random,
    later: () => undefined,
  });
  const ours = async (work) => {
    const admission = local.admit(false);
    const result = await work();
    local.record(admission, 'success');
    return result;
  };
  const policy = cockatiel.circuitBreaker(cockatiel.handleAll, {
    halfOpenAfter: 30_000,
    breaker: new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 60_000, minimumRps: 1 }),
  });
  const opossum = new CircuitBreaker(nothing, {
    timeout: false,
    errorThresholdPercentage: 50,
    rollingCountTimeout: 60_000,
    volumeThreshold: 10,
  });
  const calls = {
    'no breaker': () => nothing(),
    cadre: () => ours(nothing),
    [`cockatiel ${version('cockatiel')}`]: () => policy.execute(nothing),
    [`opossum ${version('opossum')}`]: () => opossum.fire(),
  };
  const times = Object.fromEntries(Object.keys(calls).map((name) => [name, []]));
  for (let round = 0; round < 11; round += 1) {
    for (const [name, call] of Object.entries(calls)) {
      const began = performance.now();
      for (let at = 0; at < count / 10; at += 1) await call();
      const each = ((performance.now() - began) * 1e6) / (count / 10);
      if (round > 0) times[name].push(each);
    }
  }
  opossum.shutdown();
  const alone = decisionAlone(local, count);
  const base = summary(times['no breaker']).p50;
  const rows = [['a call that does nothing', 'rounds', 'min ns', 'p50 ns', 'max ns', 'more than none, ns']];
  for (const [name, values] of Object.entries(times)) {
    const { min, p50, max } = summary(values);
    rows.push([name, values.length, ...[min, p50, max, p50 - base].map(Math.round)]);
  }
  rows.push(['cadre, the decision alone', 1, '-', Math.round(alone), '-', '-']);
  printTable(rows);
  return { times, alone };
}

/** To let a call through and to count it, in ns. */
function decisionAlone(local, count) {
  const began = performance.now();
  for (let at = 0; at < count; at += 1) local.record(local.admit(false), 'success');
  return ((performance.now() - began) * 1e6) / count;
}

function version(name) {
  return require(`${name}/package.json`).version;
}

/** The same sagas of one step with a breaker and without: events of their histories, and requests that the server had. */
async function measureHealthy(count) {
  const agents = [undefined, {}].map((breaker) =>
    defineAgent({
      name: breaker === undefined ? 'plain' : 'guarded',
      description: 'gives back what it gets',
      input: z.unknown(),
      output: z.unknown(),
      ...(breaker === undefined ? {} : { policy: { breaker } }),
      act: () => 'done',
    }),
  );
  const metricsPort = await pickPort([]);
  return withServer({ metricsPort }, async ({ address, temporal, folder }) => {
    const connection = await NativeConnection.connect({ address });
    const artifacts = new FileArtifactStore(folder);
    const roles = ['workflows', 'agents'];
    const ledger = new MemoryLedger();
    const worker = await CadreWorker.create({ connection, agents, artifacts, ledger, roles });
    const client = new CadreClient(temporal, { artifacts });
    const one = async (agent) => {
      const task = await client.startSaga({ name: 'one step', steps: [{ id: 'a', agent, input: 'x' }] });
      await task.result();
      return task;
    };
    try {
      return await worker.runUntil(async () => {
        const results = [];
        for (const { name } of agents) {
          for (let at = 0; at < 20; at += 1) await one(name);
          await delay(METRICS_LAG);
          const before = await requests(metricsPort);
          const began = performance.now();
          let task;
          for (let at = 0; at < count; at += 1) task = await one(name);
          const seconds = (performance.now() - began) / 1000;
          await delay(METRICS_LAG);
          const after = await requests(metricsPort);
          const made = {};
          for (const [operation, total] of after) made[operation] = total - (before.get(operation) ?? 0);
          const { history } = await task.describe();
          results.push({ agent: name, count, seconds, events: history.events, made });
        }
        printHealthy(results);
        return results;
      });
    } finally {
      await connection.close();
    }
  });
}

/** What a worker that waits makes, whatever it runs: not per call. */
const BACKGROUND = /^(Poll|Describe|GetSystemInfo|RecordWorkerHeartbeat|GetClusterInfo|ShutdownWorker)/;

function printHealthy(results) {
  const operations = [...new Set(results.flatMap(({ made }) => Object.keys(made)))]
    .filter((operation) => !BACKGROUND.test(operation) && results.some(({ made }) => made[operation] > 0))
    .sort((a, b) => (a < b ? -1 : 1));
  const rows = [
    [`${results[0].count} calls that go well`, 'without breaker', 'with breaker'],
    ['history events a task', ...results.map(({ events }) => events)],
    ['seconds', ...results.map(({ seconds }) => seconds.toFixed(1))],
  ];
  for (const operation of operations)
    rows.push([operation, ...results.map(({ made }) => made[operation] ?? 0)]);
  printTable(rows);
}

/** `TASKS` at once while the service is down for `seconds`, then up; four processes. */
async function measureOutage(agent, seconds) {
  console.error(`  an outage of ${seconds} s, ${agent}`);
  const service = await startService();
  process.env.BENCH_AGENT = service.url;
  try {
    return await withServer({}, async ({ address, temporal, folder }) => {
      const { cadre } = config;
      const options = ['--concurrency', String(IN_FLIGHT)];
      const team = new Team({ address, temporal, folder, cadre, config: 'breaker.config.js', options });
      try {
        for (let at = 0; at < WORKERS; at += 1) await team.start(['workflows', 'agents']);
        const client = new CadreClient(temporal, { cadre });
        service.down = true;
        const input = { name: 'one call', steps: [{ id: 'a', agent }] };
        const tasks = await Promise.all(Array.from({ length: TASKS }, () => client.startSaga(input)));
        await delay(seconds * 1000);
        service.down = false;
        const back = performance.now();
        const { down: reached } = service.calls;
        const probes = agent === 'guarded' ? (await client.breaker('service')).state.granted : undefined;
        const ends = await Promise.all(tasks.map((task) => ended(task, back)));
        return { agent, seconds, reached, probes, ends: summary(ends) };
      } finally {
        await team.kill();
      }
    });
  } finally {
    service.stop();
  }
}

async function ended(task, since) {
  await task.result();
  return performance.now() - since;
}

/** A service that counts the calls that reach it while it is down. */
async function startService() {
  const calls = { down: 0, up: 0 };
  const service = { down: false, calls };
  const server = createServer((_request, response) => {
    calls[service.down ? 'down' : 'up'] += 1;
    response.statusCode = service.down ? 503 : 200;
    response.end('answered');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  service.url = `http://127.0.0.1:${server.address().port}`;
  service.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return service;
}

function printOutages(outages) {
  const rows = [
    [
      `${TASKS} tasks, ${WORKERS} workers, ${IN_FLIGHT} in flight each`,
      'down s',
      'calls while down',
      'probes',
      'at most',
      'holds',
      'p50 s',
      'last s after it was back',
    ],
  ];
  for (const { agent, seconds, reached, probes, ends } of outages) {
    const most = probes === undefined ? undefined : WORKERS * (IN_FLIGHT + 1) + probes;
    rows.push([
      agent === 'guarded' ? 'with a breaker' : 'without, retried without end',
      seconds,
      reached,
      probes ?? '-',
      most ?? '-',
      most === undefined ? '-' : reached <= most ? 'yes' : 'no',
      ...[ends.p50, ends.max].map((value) => (value / 1000).toFixed(1)),
    ]);
  }
  printTable(rows);
}

module.exports = { run };
