// A saga whose last step fails, and what is left of it: nothing. Then once more without the failure. Run it with
// `npm run demo:saga`.
const { randomBytes } = require('node:crypto');
const { spawn } = require('node:child_process');
const { mkdirSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join, relative } = require('node:path');
const { createInterface } = require('node:readline');
const { startService } = require('./service');
const { fingerprint, lookAt, publishByHand } = require('./world');

const ROOT = join(__dirname, '..', '..');
const CLI = join(ROOT, 'dist', 'cli', 'main.js');
const SAGA = relative(ROOT, join(__dirname, 'publish.yaml'));
const id = randomBytes(3).toString('hex');
// A cadre of its own, so that no other worker takes part.
const CONFIG = relative(ROOT, join(__dirname, 'cadre.config.ts'));
const COMMON = ['--config', CONFIG, '--cadre', `publishing-${id}`];

const folder = mkdtempSync(join(tmpdir(), 'cadre-publishing-'));
const children = new Set();
let ending;

function spawnCadre(args, env, stdio) {
  if (ending !== undefined) throw new Error('The demo was interrupted.');
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio,
    // Ctrl-C is ours: we stop them one by one.
    detached: true,
  });
  children.add(child);
  child.ended = new Promise((resolve) => child.once('close', resolve)).finally(() => children.delete(child));
  return child;
}

/**
 * Starts what goes on running, and resolves with the line of JSON that it prints when it is ready. Shows what it says of
 * what takes time, such as a server that has to be fetched, up to the `✓` when it is done.
 */
async function start(args, env) {
  const child = spawnCadre([...args, '--json'], env, ['ignore', 'pipe', 'pipe']);
  const [line] = await Promise.all([
    linesUntil(child.stdout, () => true),
    linesUntil(child.stderr, (said) => said.startsWith('✓'), console.log),
  ]);
  if (line === undefined) throw new Error(`cadre ${args[0]} ended before it was ready.`);
  return JSON.parse(line);
}

/** The first line that `isLast`, after `each` has had it and those before; undefined where the stream ends without. */
async function linesUntil(stream, isLast, each = () => undefined) {
  for await (const line of createInterface({ input: stream })) {
    each(line);
    if (!isLast(line)) continue;
    stream.resume();
    return line;
  }
  return undefined;
}

/** Runs a command as a user would; resolves with its exit code. */
function type(args, env) {
  const all = [...args, ...COMMON];
  console.log(`\n$ npx cadre ${all.join(' ')}`);
  return spawnCadre(all, env, ['ignore', 'inherit', 'inherit']).ended;
}

function show(title, world) {
  console.log(`\n${title}`);
  for (const part of PARTS) {
    const count = String(world[part].length).padStart(3);
    console.log(`  ${part.padEnd(10)} ${count}   ${fingerprint(world[part])}`);
  }
}

const PARTS = ['files', 'rows', 'published'];

function same(part, one, other) {
  return fingerprint(one[part]) === fingerprint(other[part]);
}

/** `meanwhile`: the worlds that were seen when the service answered 503, each to come. */
async function fail(place, service, env, meanwhile) {
  const before = await lookAt(place);
  show('The world before: an article that somebody wrote by hand, its notes, a row, its publication', before);
  service.setTrouble('mute');
  console.log(
    '\nNow the saga. Its last step fails: the service publishes the new article, but answers 503 to each of the\n' +
      'three attempts (about 1 s), so that nobody knows. All is undone then, in reverse.',
  );
  const code = await type(['saga', 'run', SAGA, '--id', `failing-${id}`], env);
  await type(['saga', 'show', `failing-${id}`], env);
  const [during = before] = await Promise.all(meanwhile);
  show('The world when the service first answered 503', during);
  const after = await lookAt(place);
  show('The world after', after);
  const changed = PARTS.every((part) => !same(part, before, during));
  const whole = code !== 0 && changed && PARTS.every((part) => same(part, before, after));
  console.log(whole ? '✓ the same as before, by its hashes' : '✗ not changed and undone');
  return whole;
}

async function succeed(place, service, env) {
  service.setTrouble('none');
  console.log('\nOnce more, and the service is well.');
  const code = await type(['saga', 'run', SAGA, '--id', `published-${id}`], env);
  const world = await lookAt(place);
  show('The world then', world);
  const files = world.files.map((file) => file.split(' ')[0]).filter((file) => !file.includes('.before'));
  for (const file of files) console.log(`  ${file}`);
  const article = readFileSync(join(place.desk, 'articles', 'database-failover.md'), 'utf8');
  console.log(`\n${article.split('\n').slice(0, 6).join('\n')}\n...`);
  const latest = JSON.parse(world.published.at(-1));
  const online = code === 0 && latest.key.startsWith(`published-${id}/`) && latest.text === article;
  console.log(online ? '✓ the article is online' : '✗ the article is not online');
  return online;
}

async function main() {
  const desk = join(folder, 'desk');
  mkdirSync(desk);
  const place = { desk, url: '' };
  console.log('This takes about 10 seconds.');
  const data = { CADRE_DATA: join(folder, 'data') };
  const { address } = await start(['server'], data);
  const meanwhile = [];
  const say = (line) => {
    console.log(`  service   ${line}`);
    if (line.includes('503')) meanwhile.push(lookAt(place));
  };
  const service = await startService({ port: 0, file: join(folder, 'published.json'), say });
  console.log(`✓ publishing service at ${service.url}`);
  place.url = service.url;
  const env = { ...data, TEMPORAL_ADDRESS: address, PUBLISHING_DESK: desk, PUBLISHING_URL: service.url };
  await start(['worker', ...COMMON], env);
  await publishByHand(place);
  const undone = await fail(place, service, env, meanwhile);
  const published = await succeed(place, service, env);
  return undone && published ? 0 : 1;
}

/** Ends what still runs, the worker before the server, removes the folder, and ends the process. */
function end(code) {
  ending ??= cleanUp().then(() => process.exit(code));
  return ending;
}

async function cleanUp() {
  for (const child of [...children].toReversed()) {
    child.kill('SIGTERM');
    await child.ended;
  }
  rmSync(folder, { recursive: true, force: true });
}

process.once('SIGINT', () => void end(130));
// Nobody reads on, as behind `| head`.
process.stdout.on('error', () => void end(1));
main().then(end, (error) => {
  if (ending === undefined) console.error(error.message);
  return end(1);
});
