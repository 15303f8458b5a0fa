// Two processes share knowledge, and one of them is cut off: a cadre on Temporal, and a laptop that holds a replica in a
// file. Both write; when the laptop is back they exchange, and both know all. Run it with `npm run demo:offline`.
const { execFile, spawn } = require('node:child_process');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { promisify } = require('node:util');
const { CadreClient } = require('cadre/client');

const ROOT = join(__dirname, '..', '..');
const CLI = join(ROOT, 'dist', 'cli', 'main.js');
const CONFIG = join(__dirname, 'cadre.config.js');
const LAPTOP = join(__dirname, 'laptop.js');
const CADRE = 'offline-demo';
const run = promisify(execFile);
const children = new Set();

/** Starts a command of the CLI that goes on, and resolves with its first line of JSON. */
function start(...args) {
  const child = spawn(process.execPath, [CLI, ...args, '--json'], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.add(child);
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(JSON.parse(text.slice(0, end)));
    });
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code} before it was ready`)));
  });
}

/** The laptop; without an address it is cut off. */
async function laptop(address, file, ...args) {
  const { TEMPORAL_ADDRESS: _, ...env } = process.env;
  const reach = address === undefined ? {} : { TEMPORAL_ADDRESS: address };
  const { stdout } = await run(process.execPath, [LAPTOP, file, ...args], {
    env: { ...env, ...reach, CADRE },
  });
  const where = address === undefined ? 'laptop, cut off' : 'laptop, connected';
  console.log(`${where}: ${args.join(' ')}`);
  for (const line of stdout.trimEnd().split('\n')) console.log(`  ${line}`);
}

async function note(client, text) {
  const step = { id: 'note', agent: 'notes', instruction: 'write it down', input: { text } };
  await (await client.start({ goal: text, plan: { steps: [step] } })).result();
  console.log(`cadre: noted "${text}"`);
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'cadre-offline-'));
  const file = join(folder, 'replica.json');
  let client;
  try {
    const { address } = await start('server');
    await start('worker', '--config', CONFIG, '--address', address);
    client = await CadreClient.connect({ address, cadre: CADRE });
    await note(client, 'the depot opens at seven');
    await laptop(address, file, 'sync');
    await laptop(undefined, file, 'note', 'the north gate is closed');
    await laptop(undefined, file, 'forget', 'the depot opens at seven');
    await laptop(undefined, file, 'count', 'visits');
    await note(client, 'bring the spare key');
    await laptop(address, file, 'sync');
    const { crdts } = await client.knowledge();
    const notes = crdts.find(({ name }) => name === 'notes');
    const visits = crdts.find(({ name }) => name === 'visits');
    console.log('the cadre knows:');
    for (const { value, by } of notes.entries) console.log(`  ${JSON.stringify(value)} (${by})`);
    console.log(
      `  visits: ${JSON.stringify(visits.value)}, by ${[...new Set(visits.entries.map(({ by }) => by))].join(' and ')}`,
    );
    const { agree } = await client.checkKnowledge();
    const isRight = agree && visits.value >= 3 && notes.value.includes('the north gate is closed');
    console.log(isRight ? '✓ nothing that either wrote is lost' : '✗ something is lost');
    process.exitCode = isRight ? 0 : 1;
  } finally {
    await client?.close();
    for (const child of children) child.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
