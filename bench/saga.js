// What the class Saga costs beside a workflow by hand that calls the same activities, on one server and one worker.
const { randomUUID } = require('node:crypto');
const { join } = require('node:path');
const { NativeConnection } = require('@temporalio/worker');
const { z } = require('zod');
const { defineAgent } = require('../dist');
const { FileArtifactStore } = require('../dist/client');
const { taskQueue } = require('../dist/core/names');
const { FileLedger } = require('../dist/storage/file-ledger');
const { CadreWorker } = require('../dist/workers');
const { printTable, summary, time } = require('./measure');
const { withServer } = require('./stack');

/** An agent that gives back what it gets, and can undo that. */
const booking = defineAgent({
  name: 'booking',
  description: 'gives back what it gets',
  input: z.string(),
  output: z.string(),
  act: (value) => value,
  compensate: () => undefined,
});

const KIBIBYTE = 'x'.repeat(1024);
const STEPS = ['a', 'b', 'c'];
const declared = {
  name: 'three steps',
  steps: STEPS.map((id, at) => ({
    id,
    agent: 'booking',
    input: at === 0 ? KIBIBYTE : { $output: STEPS[at - 1] },
  })),
};

/** By workflow type. The first is what the others are compared with. */
const WORKFLOWS = {
  bareOfThree: { name: 'by hand', input: KIBIBYTE },
  sagaOfThree: { name: 'class Saga', input: KIBIBYTE },
  saga: { name: 'declared saga', input: declared },
};
const TYPES = Object.keys(WORKFLOWS);

/** Three steps of 1 KiB: from start to result one at a time, and how many a second where many are started at once. */
async function run({ quick }) {
  const options = quick ? { rounds: 5, count: 10, atOnce: 50 } : { rounds: 20, count: 15, atOnce: 100 };
  const { serial, rates, histories } = await withServer({}, (server) => measure(server, options));
  const rows = [
    [
      `three steps of 1 KiB, ${options.atOnce} at once`,
      'runs',
      'min ms',
      'p50 ms',
      'p99 ms',
      'max ms',
      '/ by hand',
      'a second',
      '/ by hand',
      'events',
      'history KiB',
    ],
  ];
  const results = TYPES.map((type) => ({
    type,
    runs: serial[type].length,
    ...summary(serial[type]),
    perSecond: summary(rates[type]).p50,
    ...histories[type],
  }));
  const [bare] = results;
  for (const result of results) {
    const { type, runs, min, p50, p99, max, perSecond, events, bytes } = result;
    Object.assign(result, { ratio: p50 / bare.p50, perSecondRatio: perSecond / bare.perSecond });
    rows.push([
      WORKFLOWS[type].name,
      runs,
      ...[min, p50, p99, max].map((value) => value.toFixed(1)),
      result.ratio.toFixed(2),
      perSecond.toFixed(0),
      result.perSecondRatio.toFixed(2),
      events,
      (bytes / 1024).toFixed(1),
    ]);
  }
  printTable(rows);
  return results;
}

/** Takes the workflows in turn, and their order too, since the machine's speed drifts. */
function measure(server, { rounds, count, atOnce }) {
  return withWorker(server, async (start) => {
    const serial = lists();
    const rates = lists();
    for (const type of TYPES) await time(async () => (await start(type)).result(), { count: 0, warmups: 20 });
    for (let round = 0; round < rounds; round += 1) {
      for (const type of rotated(TYPES, round)) {
        serial[type].push(...(await time(async () => (await start(type)).result(), { count, warmups: 1 })));
      }
      for (const type of rotated(TYPES, round)) rates[type].push(await rateOf(() => start(type), atOnce));
    }
    return { serial, rates, histories: await historiesOf(start) };
  });
}

/** Runs `work(start)` beside a worker that has all workflows; `start(type)` starts one. */
async function withWorker({ address, temporal, folder }, work) {
  const connection = await NativeConnection.connect({ address });
  const worker = await CadreWorker.create({
    connection,
    agents: [booking],
    artifacts: new FileArtifactStore(join(folder, 'artifacts')),
    ledger: new FileLedger(join(folder, 'ledger.db')),
    workflowsPath: require.resolve('./saga-workflows'),
  });
  const start = (type) =>
    temporal.workflow.start(type, {
      workflowId: `${type}-${randomUUID()}`,
      taskQueue: taskQueue('cadre'),
      args: [WORKFLOWS[type].input],
      workflowTaskTimeout: '3s',
    });
  try {
    return await worker.runUntil(() => work(start));
  } finally {
    await connection.close();
  }
}

async function rateOf(start, atOnce) {
  const began = performance.now();
  await Promise.all(Array.from({ length: atOnce }, async () => (await start()).result()));
  return (atOnce * 1000) / (performance.now() - began);
}

async function historiesOf(start) {
  const histories = {};
  for (const type of TYPES) {
    const handle = await start(type);
    await handle.result();
    const { historyLength: events, historySize: bytes } = await handle.describe();
    histories[type] = { events, bytes };
  }
  return histories;
}

function lists() {
  return Object.fromEntries(TYPES.map((type) => [type, []]));
}

function rotated(list, by) {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

module.exports = { run };
