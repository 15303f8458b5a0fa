// All patterns in one run, on a real server with three worker processes: the leader is killed in the middle, a model goes
// bad and its breaker opens and recovers, a step fails for good and the saga is undone, and a laptop is cut off and merges
// back. Then it reads the log of it all, tells what happened, and checks what must hold. Run it with `npm run demo`;
// `--evidence FILE` writes what it read.
const { randomBytes } = require('node:crypto');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { parseArgs } = require('node:util');
const { CadreClient } = require('cadre/client');
const { Replica } = require('cadre/knowledge');
const { readEvidence } = require('./evidence');
const { Processes } = require('./processes');
const { tell } = require('./tell');
const { startWorld } = require('./world');

const CONFIG = join(__dirname, 'cadre.config.js');
const PRINTING = {
  name: 'the printing of the spring issue',
  steps: [
    { id: 'quote', agent: 'reporter', input: { fact: 'paper', title: 'Tides of spring' } },
    { id: 'reserve', agent: 'stock', input: { of: 'paper' } },
    { id: 'charge', agent: 'payment', input: { of: 'the paper' } },
    { id: 'print', agent: 'press', input: { of: '500 copies' } },
  ],
};
/** How long a part of the run may take, in ms. */
const PATIENCE = 60_000;

const say = (line) => void process.stderr.write(`${line}\n`);

async function until(what, holds) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`Not within ${PATIENCE / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The issue is planned; its leader is killed while it decides, and while workers wait for the answer to what they bought. */
async function killLeader({ client, world, processes, ids }) {
  const issue = await client.start({ goal: 'the spring issue' }, { id: ids.issue });
  const asked = await until('the leader is asked to decide', () => world.ledger.desk[0]);
  await until('five facts are bought', () => world.ledger.effects.length === 5);
  say(`✗ kills the leader, worker ${asked.worker}, with SIGKILL`);
  processes.kill(asked.worker);
  world.held.open();
  return issue;
}

/** The model comes back once the fleet has given it up. */
async function mendModel({ client, world }) {
  await until('the breaker opens', async () => (await client.breaker('model')).kind === 'open');
  world.modelIsDown = false;
}

async function failPrinting({ client, ids }) {
  const printing = await client.startSaga(PRINTING, { id: ids.printing });
  await printing.result().catch((error) => {
    if (error.type !== 'StepFailed') throw error;
  });
}

/** What a replica outside writes while it is cut off. */
function writeCutOff(laptop) {
  laptop.knowledge.set('facts').add('the north buoy is gone');
  laptop.knowledge.set('facts').remove('harbour');
  laptop.knowledge.multiValueRegister('title').assign('Buoys of spring');
}

async function agreeing({ client }, members) {
  await until('the replicas agree', async () => (await client.checkKnowledge({ members })).agree);
}

async function run(stage) {
  const { client } = stage;
  const issue = await killLeader(stage);
  await mendModel(stage);
  say('  the model is back; waits for the breaker to find out');
  await issue.result();
  const laptop = Replica.create('laptop');
  await agreeing(stage, ['reporter', 'reviewer']);
  await client.exchange(laptop, { agent: 'reporter' });
  writeCutOff(laptop);
  await failPrinting(stage);
  await agreeing(stage, ['reporter', 'reviewer']);
  await client.exchange(laptop, { agent: 'reporter' });
  await agreeing(stage, ['reporter', 'reviewer']);
  // What it wrote may have met what came meanwhile at another replica: once more, and it has that too.
  await client.exchange(laptop, { agent: 'reporter' });
  return laptop;
}

/** A server, three workers of a cadre of their own, and a client of it. */
async function setUp(processes, world) {
  say('  starts a server and three workers; all of it takes about half a minute');
  const { address } = await processes.start(['server'], { say });
  const id = randomBytes(3).toString('hex');
  const cadre = `one-system-${id}`;
  const worker = `worker --cadre ${cadre} --address ${address} --concurrency 2 --config`.split(' ');
  const more = { WORLD_URL: world.url };
  const workers = [1, 2, 3].map(() => processes.start([...worker, CONFIG], { more }));
  await Promise.all(workers);
  const client = await CadreClient.connect({ address, cadre });
  const ids = { issue: `issue-${id}`, printing: `printing-${id}` };
  return { client, world, processes, ids, workers: workers.length };
}

/** Runs it all, tells and checks it; resolves with whether all holds. */
async function demonstrate(processes, file) {
  const world = await startWorld();
  let stage;
  try {
    stage = await setUp(processes, world);
    const evidence = await readEvidence(stage, await run(stage));
    if (file !== undefined) writeFileSync(file, JSON.stringify(evidence));
    return tell(evidence);
  } finally {
    await stage?.client.close();
    await world.close();
  }
}

async function main() {
  const { values } = parseArgs({ options: { evidence: { type: 'string' } }, allowPositionals: true });
  const folder = mkdtempSync(join(tmpdir(), 'cadre-one-system-'));
  const processes = new Processes({ CADRE_DATA: folder });
  let ending;
  const end = (code) => {
    ending ??= processes.stop().then(() => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(code);
    });
  };
  process.once('SIGINT', () => end(130));
  // Nobody reads on, as behind `| head`.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => end(1));
  try {
    end((await demonstrate(processes, values.evidence)) ? 0 : 1);
  } catch (error) {
    // What is ended in the middle fails, which is no news.
    if (ending === undefined) for (const line of [...processes.lastWords(), error.message]) say(line);
    end(1);
  }
}

void main();
