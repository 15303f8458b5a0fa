// How fast one agent's replica takes what tasks remember, on a real server with one worker, while two others gossip with it.
const { TemporalReplicas } = require('../../dist/client/agents');
const { withStack } = require('../stack');
const { printTable } = require('../measure');

const MEMBERS = ['busy', 'second', 'third'];
/** Operations a message: a task of one finding, one of ten, one of a hundred. */
const SIZES = [1, 10, 100];
/** Signals in flight. */
const SENDERS = 4;

async function measureServer({ quick }) {
  // A run of which the end never comes between two messages is refused at 10,000.
  const messages = quick ? 200 : 2000;
  const results = [];
  for (const size of SIZES) {
    console.error(`  server: ${messages} messages, ${size} operations each`);
    results.push(await withStack({ agents: [] }, ({ client }) => fill(client, { messages, size })));
  }
  console.log('\nInto one agent on a real server, two others beside it:\n');
  printTable([
    [
      'operations a message',
      'messages',
      'messages/s',
      'operations/s',
      'all equal after ms',
      'most events a run',
      'runs',
    ],
    ...results.map((row) => [
      row.size,
      row.messages,
      row.messagesPerSecond.toFixed(0),
      row.operationsPerSecond.toFixed(0),
      row.convergence.toFixed(0),
      row.mostEvents,
      row.runs,
    ]),
  ]);
  return results;
}

async function fill(client, { messages, size }) {
  const replicas = new TemporalReplicas(client.temporal, client.cadre, MEMBERS);
  for (const member of MEMBERS) await replicas.ensure(member);
  const operations = messages * size;
  let next = 0;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: SENDERS }, async () => {
      for (let index = next++; index < messages; index = next++) {
        await replicas.remember('busy', message(index, size));
      }
    }),
  );
  while (sumOf((await client.knowledge('busy')).crdts) < operations) await pause(20);
  const took = (performance.now() - began) / 1000;
  const applied = performance.now();
  while (!(await client.checkKnowledge()).agree) await pause(20);
  const convergence = performance.now() - applied;
  const { lengths } = await runsOf(client, 'busy');
  return {
    size,
    messages,
    operations,
    messagesPerSecond: messages / took,
    operationsPerSecond: operations / took,
    convergence,
    mostEvents: Math.max(...lengths),
    runs: lengths.length,
  };
}

/** One counts, the others find things; so the replica stays small. */
function message(index, size) {
  const operations = Array.from({ length: size }, () => ({ type: 'gCounter', name: 'operations', by: 1 }));
  return { version: 1, id: `task-${index}`, task: `task-${index}`, decisions: [], operations };
}

function sumOf(crdts) {
  return crdts.find(({ name }) => name === 'operations')?.value ?? 0;
}

async function runsOf(client, member) {
  const { readFacts } = require('../../dist/client/history-reader');
  const { agentId } = require('../../dist/core/names');
  const last = new Map();
  for await (const { runId, eventId } of readFacts(client.temporal, agentId(client.cadre, member))) {
    last.set(runId, eventId);
  }
  return { lengths: [...last.values()] };
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

module.exports = { measureServer };
