// What a benchmark runs on: a server of its own, one worker and one client, all on this machine.
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { NativeConnection } = require('@temporalio/worker');
const { CadreClient, FileArtifactStore, connect } = require('../dist/client');
const { CadreWorker } = require('../dist/workers');
const { startServer } = require('./peers/children');

/** Starts it all, runs `work({ client, version })`, and takes it down. `tuned: false` is a dev server as it comes. */
function withStack({ agents, tuned = true, onDisk = true }, work) {
  return withServer({ tuned, onDisk }, async ({ address, version, temporal, folder }) => {
    const connection = await NativeConnection.connect({ address });
    try {
      const artifacts = new FileArtifactStore(join(folder, 'artifacts'));
      const worker = await CadreWorker.create({ connection, agents, artifacts });
      const client = new CadreClient(temporal, { artifacts });
      return await worker.runUntil(() => work({ client, version }));
    } finally {
      await connection.close();
    }
  });
}

/**
 * Starts a server, runs `work({ address, version, temporal, folder })`, and takes it down; `temporal` is a client of Temporal's,
 * `folder` goes with the server. With `metricsPort` it serves its metrics there, else on a port that it does not tell.
 */
async function withServer({ tuned = true, onDisk = true, metricsPort }, work) {
  const folder = mkdtempSync(join(tmpdir(), 'cadre-bench-'));
  const through =
    metricsPort === undefined ? {} : { through: (cli) => withMetrics(cli, metricsPort, folder) };
  const server = await startServer({ folder, ours: tuned, onDisk, ...through });
  const { address, version } = server;
  const temporal = await connect({ address, namespace: 'default', configured: true }, 20_000);
  try {
    return await work({ address, version, temporal, folder });
  } finally {
    await temporal.connection.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A command like `binary` whose server serves its metrics on `port`, which is none of our settings. */
function withMetrics(binary, port, folder) {
  const command = join(folder, 'temporal');
  writeFileSync(command, `#!/bin/sh\nexec "${binary}" "$@" --metrics-port=${port}\n`, { mode: 0o755 });
  return command;
}

/** The server's metrics are behind by up to a second, in ms. */
const METRICS_LAG = 2000;

/** Requests that the server's front end has had, by operation. */
async function requests(metricsPort) {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const counts = new Map();
  for (const line of text.split('\n')) {
    if (!line.startsWith('service_requests{') || !line.includes('service_name="frontend"')) continue;
    const operation = /operation="([^"]+)"/.exec(line)?.[1];
    counts.set(operation, (counts.get(operation) ?? 0) + Number(line.slice(line.lastIndexOf(' '))));
  }
  return counts;
}

module.exports = { METRICS_LAG, requests, withServer, withStack };
