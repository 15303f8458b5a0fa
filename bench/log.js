// What reading a log costs: the fold, the projection, a file, a server; how it grows; and that a long history stays small.
// The long histories are synthetic: a plan of as many steps as there may be, each handed back again and again by workers
// that were told to stop. The one on the server is a task that ran.
const { execFile } = require('node:child_process');
const { createWriteStream, mkdtempSync, rmSync, statSync } = require('node:fs');
const { once } = require('node:events');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { promisify } = require('node:util');
const { z } = require('zod');
const { loadDataConverter } = require('@temporalio/common/lib/internal-non-workflow');
const { defineAgent } = require('../dist');
const { checkExport } = require('../dist/client/export-check');
const { eventFromJson } = require('../dist/client/history-decoder');
const { exportLines } = require('../dist/client/history-export');
const { fileSource } = require('../dist/client/history-file');
const { PLAN_MAXIMUM_STEPS } = require('../dist/core/plan');
const { TaskFold } = require('../dist/core/task-fold');
const { TaskProjection } = require('../dist/core/task-projection');
const { printTable } = require('./measure');
const { withStack } = require('./stack');

const STATE_HISTORY = 50_000;
const STATE_LIMIT = { seconds: 3, megabytes: 300 };
const RUN = '01a1fe6c-2920-7c04-ac4a-b7d05aca8e7f';
const BEGAN = Date.UTC(2026, 0, 31, 12);
const MEGABYTE = 1024 * 1024;

async function run({ quick }) {
  const folder = mkdtempSync(join(tmpdir(), 'cadre-bench-log-'));
  try {
    const growth = [];
    for (const events of quick ? [1000, 50_000] : [1000, 50_000, 200_000]) {
      growth.push(await measure(events, join(folder, `${events}.json`)));
    }
    printTable([
      [
        'history of a task of 1000 steps',
        'MB',
        'projected/s',
        'folded/s',
        'read/s',
        'exported/s',
        'verified/s',
      ],
      ...growth.map(({ events, megabytes, ...rates }) => [
        `${events} events`,
        megabytes.toFixed(0),
        ...['projected', 'folded', 'read', 'exported', 'verified'].map((name) => Math.round(rates[name])),
      ]),
    ]);
    const states = await measureState(join(folder, `${STATE_HISTORY}.json`), quick ? 3 : 10);
    console.log(
      `\n  cadre state FILE --at N, ${STATE_HISTORY} events: ${states.map(({ at, slowest, megabytes }) => `at ${at} ${slowest.toFixed(2)} s, ${megabytes.toFixed(0)} MB`).join('; ')} (limits ${STATE_LIMIT.seconds} s, ${STATE_LIMIT.megabytes} MB)`,
    );
    const server = await measureServer(quick ? 100 : 1000);
    console.log(
      `  cadre state ID, from a server, ${server.events} events: ${server.slowest.toFixed(2)} s, ${server.megabytes.toFixed(0)} MB`,
    );
    return { growth, states, server };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Events a second of each way of reading; the export is left at `path`. */
async function measure(count, path) {
  const converter = loadDataConverter();
  const header = {
    format: 1,
    workflowId: 'long',
    workflowType: 'task',
    cadre: 'cadre',
    exportedAt: BEGAN,
    runs: [RUN],
  };
  const source = {
    header,
    converter,
    async *events() {
      for (const json of syntheticHistory(count)) yield eventFromJson(json);
    },
  };
  const exported = await seconds(() => write(exportLines(source), path));
  const facts = [];
  const read = await seconds(async () => {
    for await (const fact of (await fileSource(path)).facts()) facts.push(fact);
  });
  const logged = [];
  const projected = await seconds(async () => {
    const projection = new TaskProjection();
    for (const fact of facts) logged.push(...projection.next(fact));
  });
  const folded = await seconds(async () => {
    const fold = new TaskFold();
    for (const event of logged) fold.next(event);
  });
  const verified = await seconds(() => checkExport(path));
  return {
    events: count,
    logged: logged.length,
    megabytes: statSync(path).size / MEGABYTE,
    projected: facts.length / projected,
    folded: logged.length / folded,
    read: count / read,
    exported: count / exported,
    verified: count / verified,
  };
}

async function seconds(work) {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

async function write(lines, path) {
  const file = createWriteStream(path);
  for await (const line of lines) if (!file.write(`${line}\n`)) await once(file, 'drain');
  file.end();
  await once(file, 'finish');
}

/** `cadre state` at an early point and at the last one. */
async function measureState(path, rounds) {
  const found = [];
  for (const at of ['1000', 'last']) found.push({ at, ...(await stateProcess([path, '--at', at], rounds)) });
  return found;
}

/** The whole process of `cadre state`: its seconds, the slowest of `rounds`, and the most memory that it held. */
async function stateProcess(args, rounds, environment = {}) {
  const command = join(__dirname, '..', 'dist', 'cli', 'main.js');
  const times = [];
  let megabytes = 0;
  for (let round = 0; round < rounds; round += 1) {
    const began = performance.now();
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['-r', join(__dirname, 'memory.js'), command, 'state', ...args, '--json'],
      { env: { ...process.env, ...environment }, maxBuffer: 64 * MEGABYTE },
    );
    times.push((performance.now() - began) / 1000);
    if (!stdout.includes('"state"')) throw new Error(`cadre state said no state: ${stdout}${stderr}`);
    megabytes = Math.max(megabytes, Number(/memory=(\d+)/.exec(stderr)[1]) / 1024);
  }
  return { slowest: Math.max(...times), megabytes };
}

const echo = defineAgent({
  name: 'echo',
  description: 'gives back what it gets',
  input: z.number(),
  output: z.number(),
  act: (value) => value,
});

async function measureServer(count) {
  return withStack({ agents: [echo] }, async ({ client }) => {
    const steps = Array.from({ length: count }, (_, index) => ({
      id: `s${index}`,
      agent: 'echo',
      instruction: 'echo',
      input: index,
    }));
    await (await client.start({ goal: 'a long one', plan: { steps } }, { id: 'long' })).result();
    const { historyLength: events } = await client.temporal.workflow.getHandle('long').describe();
    const { address } = client.temporal.connection.options;
    return { events, ...(await stateProcess(['long'], 3, { TEMPORAL_ADDRESS: address })) };
  });
}

/** A history of `count` events in Temporal's JSON. */
function* syntheticHistory(count) {
  const steps = Array.from({ length: PLAN_MAXIMUM_STEPS }, (_, index) => ({
    id: `s${index}`,
    agent: 'echo',
    instruction: `do what step ${index} is there for`,
    input: { number: index },
  }));
  let eventId = 0;
  const event = (eventType, attributes, value) => {
    eventId += 1;
    const eventTime = new Date(BEGAN + eventId * 10).toISOString();
    return {
      eventId: String(eventId),
      eventTime,
      eventType: `EVENT_TYPE_${eventType}`,
      taskId: String(1_000_000 + eventId),
      [attributes]: value,
    };
  };
  yield event('WORKFLOW_EXECUTION_STARTED', 'workflowExecutionStartedEventAttributes', {
    workflowType: { name: 'task' },
    input: payloads({ goal: 'a long one', plan: { steps } }),
    firstExecutionRunId: RUN,
    originalExecutionRunId: RUN,
    attempt: 1,
  });
  yield* activity(
    'plan',
    'plan',
    { plan: { steps } },
    { completed: { plan: { steps }, policies: {}, term: 1, by: 'planner' } },
  );
  for (;;) {
    for (const { id } of steps) {
      for (const one of activity(id, 'act', { instruction: 'do it' }, { handedBack: eventId < count / 2 })) {
        if (eventId > count) return;
        yield one;
      }
    }
  }

  /** With the workflow task that it is scheduled by. */
  function* activity(step, kind, request, { completed, handedBack = false }) {
    const envelope = { root: 'long/1', step, kind, term: 1, version: 1 };
    yield event('WORKFLOW_TASK_SCHEDULED', 'workflowTaskScheduledEventAttributes', { attempt: 1 });
    yield event('WORKFLOW_TASK_STARTED', 'workflowTaskStartedEventAttributes', {
      scheduledEventId: String(eventId),
    });
    yield event('WORKFLOW_TASK_COMPLETED', 'workflowTaskCompletedEventAttributes', {
      startedEventId: String(eventId),
    });
    yield event('ACTIVITY_TASK_SCHEDULED', 'activityTaskScheduledEventAttributes', {
      activityType: { name: kind === 'act' ? 'echo' : 'plan' },
      input: payloads(envelope, request),
    });
    const scheduledEventId = String(eventId);
    yield event('ACTIVITY_TASK_STARTED', 'activityTaskStartedEventAttributes', {
      scheduledEventId,
      attempt: 1,
      identity: '17@host',
    });
    if (handedBack) {
      yield event('ACTIVITY_TASK_FAILED', 'activityTaskFailedEventAttributes', {
        scheduledEventId,
        failure: {
          message: 'the worker stops',
          applicationFailureInfo: { type: 'HandedBack', nonRetryable: true },
        },
      });
    } else {
      const result = completed ?? { output: { value: { text: `what ${step} put out`.padEnd(200, '.') } } };
      yield event('ACTIVITY_TASK_COMPLETED', 'activityTaskCompletedEventAttributes', {
        scheduledEventId,
        result: payloads(result),
      });
    }
  }
}

const encoding = Buffer.from('json/plain').toString('base64');

function payloads(...values) {
  return {
    payloads: values.map((value) => ({
      metadata: { encoding },
      data: Buffer.from(JSON.stringify(value)).toString('base64'),
    })),
  };
}

module.exports = { run };
