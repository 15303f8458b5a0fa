/** A PostgreSQL server of its own, from the machine's packages, with its defaults: fsync and synchronous_commit are on. */
const { execFileSync } = require('node:child_process');
const { chmodSync, chownSync, mkdirSync, readFileSync, statSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { dirname, join, sep } = require('node:path');
const { Client } = require('pg');
const { freePort, start } = require('../programs');
const { missing, postgresFolder } = require('./setup');

/**
 * Starts a server whose data is in a new folder within `folder`: `{ pid, url(database), settings, stop() }`. It listens on
 * 127.0.0.1 only and trusts who connects. `settings` is what decides what a commit promises, as the server tells it.
 */
async function startPostgres(folder) {
  const programs = postgresFolder();
  if (programs === undefined) throw new Error(missing());
  const data = join(folder, 'postgres');
  mkdirSync(data, { mode: 0o700 });
  const user = userFor(data);
  const initialize = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'];
  execFileSync(join(programs, 'initdb'), initialize, { ...user, cwd: data, stdio: 'pipe' });
  const port = await freePort();
  const url = (database) => `postgresql://postgres@127.0.0.1:${port}/${database}`;
  const settings = {};
  const args = ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-k', ''];
  const { pid, stop } = await start(join(programs, 'postgres'), args, {
    ...user,
    cwd: data,
    // A fast shutdown: it does not wait for its clients.
    signal: 'SIGINT',
    ready: async () => Object.assign(settings, await settingsOf(url('postgres'))),
  });
  return { pid, url, settings, stop };
}

/** PostgreSQL refuses to run as root: then somebody else, who gets `data` and may pass through the folders above it. */
function userFor(data) {
  if (process.getuid() !== 0) return {};
  const { uid, gid } = account('postgres') ?? account('nobody');
  chownSync(data, uid, gid);
  for (let above = dirname(data); above.startsWith(tmpdir() + sep); above = dirname(above))
    chmodSync(above, statSync(above).mode | 0o011);
  return { uid, gid };
}

function account(name) {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return line === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

async function settingsOf(url) {
  const names = ['server_version', 'fsync', 'synchronous_commit', 'wal_sync_method'];
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const read = async (name) => [name, (await client.query(`SHOW ${name}`)).rows[0][name]];
    const settings = [];
    for (const name of names) settings.push(await read(name));
    return Object.fromEntries(settings);
  } finally {
    await client.end();
  }
}

module.exports = { startPostgres };
