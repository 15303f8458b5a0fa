// A replica of a cadre's knowledge in a file: `node laptop.js FILE note TEXT`, `count NAME`, `forget KEY`, `show`, and, when
// a server can be reached again, `sync`. Only `sync` needs Temporal.
const { existsSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { Replica } = require('cadre/knowledge');

function open(file) {
  return existsSync(file) ? Replica.load(JSON.parse(readFileSync(file, 'utf8'))) : Replica.create('laptop');
}

/** Whole or not at all: a laptop may be closed at any moment. */
function save(file, replica) {
  writeFileSync(`${file}.new`, JSON.stringify(replica));
  renameSync(`${file}.new`, file);
}

async function sync(replica) {
  const { CadreClient } = require('cadre/client');
  const client = await CadreClient.connect({ cadre: process.env.CADRE });
  try {
    const { member, sent, received } = await client.exchange(replica);
    console.log(`exchanged with ${member}: ${sent} operations sent, ${received} received`);
  } finally {
    await client.close();
  }
}

const COMMANDS = {
  note: (replica, text) => replica.knowledge.set('notes').add(text),
  count: (replica, name) => replica.knowledge.counter(name).increment(),
  forget: (replica, text) => {
    if (!replica.knowledge.set('notes').remove(text)) throw new Error(`There is no note "${text}"`);
  },
  show: () => undefined,
  sync,
};

async function main(file, command, argument) {
  if (file === undefined || !Object.hasOwn(COMMANDS, command)) {
    throw new Error(`Expected FILE and one of ${Object.keys(COMMANDS).join(', ')}`);
  }
  const replica = open(file);
  await COMMANDS[command](replica, argument);
  save(file, replica);
  const { knowledge } = replica;
  console.log(`notes: ${JSON.stringify(knowledge.set('notes').values())}`);
  console.log(
    `findings: ${knowledge.set('findings').values().length}, visits: ${knowledge.counter('visits').value()}`,
  );
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message, error.fix ?? '');
  process.exitCode = 1;
});
