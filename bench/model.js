/**
 * What it costs that the calls of a model agent are recorded: time beside the AI SDK alone, and history beside the same agent
 * with its transcript in a workflow. The model is scripted, in a process of its own, and answers at once.
 */
const { fork } = require('node:child_process');
const { once } = require('node:events');
const { mkdirSync, readdirSync, statSync } = require('node:fs');
const { join } = require('node:path');
const { createOpenAICompatible } = require('@ai-sdk/openai-compatible');
const { NativeConnection, Worker } = require('@temporalio/worker');
const { generateText, stepCountIs, tool } = require('ai');
const { modelAgent } = require('../dist');
const { CadreClient, FileArtifactStore } = require('../dist/client');
const { MemoryLedger } = require('../dist/storage/memory-ledger');
const { CadreWorker } = require('../dist/workers');
const { printTable, summary, time } = require('./measure');
const { INSTRUCTIONS, found, look, promptOf } = require('./model/look');
const { withServer } = require('./stack');

const BYTES_A_TOKEN = 4;
const LARGE_CONTEXT = 200_000 * BYTES_A_TOKEN;
const MEBIBYTE = 1024 * 1024;

const FULL = { calls: 20, rounds: 15, small: [10, 50, 100], large: [1, 10, 40], long: [100, 500] };
const QUICK = { calls: 20, rounds: 3, small: [10, 50], large: [1, 5], long: [50] };

async function run({ quick }) {
  const counts = quick ? QUICK : FULL;
  const provider = fork(require.resolve('./model/server'));
  try {
    const [url] = await once(provider, 'message');
    return await withAgents(url, async (agents) => ({
      overhead: await measureOverhead(agents, counts),
      histories: await measureHistories(agents, counts),
    }));
  } finally {
    provider.disconnect();
  }
}

/** Runs `work({ bare, cadre, transcript, kept })`: functions of what an agent is to do, and what the artifact store holds. */
function withAgents(url, work) {
  const model = createOpenAICompatible({ name: 'scripted', baseURL: url }).chatModel('scripted');
  return withServer({}, async ({ address, temporal, folder }) => {
    const connection = await NativeConnection.connect({ address });
    const artifacts = join(folder, 'artifacts');
    mkdirSync(artifacts);
    const store = new FileArtifactStore(artifacts);
    const ledger = new MemoryLedger();
    const worker = await CadreWorker.create({
      connection,
      agents: [agentOf(model)],
      artifacts: store,
      ledger,
    });
    const byHand = await transcriptWorker(connection, model);
    const client = new CadreClient(temporal, { artifacts: store });
    try {
      return await worker.runUntil(() =>
        byHand.runUntil(() =>
          work({
            bare: (asked) => runBare(model, asked),
            cadre: (asked) => runCadre(client, asked),
            transcript: (asked) => runTranscript(temporal, asked),
            kept: () => folderSize(artifacts),
          }),
        ),
      );
    } finally {
      await connection.close();
    }
  });
}

function agentOf(model) {
  return modelAgent({
    name: 'looker',
    description: 'looks at places',
    model,
    instructions: INSTRUCTIONS,
    tools: { look: { ...look, effect: 'read', trusted: true, maxResultBytes: Infinity, run: lookAt } },
    maxSteps: 1000,
    policy: { startToClose: '30 minutes' },
  });
}

/** When the tool was called. */
const looks = [];

function lookAt(input) {
  looks.push(performance.now());
  return found(input);
}

const aiLook = { description: look.description, inputSchema: look.input };

async function runBare(model, asked) {
  await generateText({
    model,
    system: INSTRUCTIONS,
    prompt: promptOf(asked),
    tools: { look: tool({ ...aiLook, execute: lookAt }) },
    stopWhen: stepCountIs(asked.calls + 1),
    maxRetries: 0,
  });
}

/** Returns the size of its history. */
async function runCadre(client, asked) {
  const step = { id: 'look', agent: 'looker', instruction: 'look', input: promptOf(asked) };
  const task = await client.start({ goal: 'look', plan: { steps: [step] } });
  await task.result();
  const { history } = await task.describe();
  return history;
}

async function runTranscript(temporal, asked) {
  const handle = await temporal.workflow.start('transcript', {
    workflowId: `transcript-${process.hrtime.bigint()}`,
    taskQueue: 'transcript',
    args: [promptOf(asked)],
  });
  await handle.result();
  const { historyLength: events, historySize: bytes } = await handle.describe();
  return { events, bytes };
}

function transcriptWorker(connection, model) {
  return Worker.create({
    connection,
    taskQueue: 'transcript',
    workflowsPath: require.resolve('./model/transcript-workflow'),
    activities: {
      ask: async (messages) => {
        const tools = { look: tool(aiLook) };
        const said = await generateText({ model, system: INSTRUCTIONS, messages, tools, maxRetries: 0 });
        return { text: said.text, answer: said.response.messages, toolCalls: said.toolCalls };
      },
      look: (input) => Promise.resolve(lookAt(input)),
    },
  });
}

function folderSize(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
  return { files: files.length, bytes };
}

/** A turn is a call of the model and one of the tool: from the first time that the tool is called to the last. */
async function measureOverhead(agents, { calls, rounds }) {
  const kinds = ['bare', 'cadre', 'transcript'];
  const turns = Object.fromEntries(kinds.map((kind) => [kind, []]));
  const empty = Object.fromEntries(kinds.map((kind) => [kind, []]));
  // In turns, since the machine's speed drifts; the first two rounds warm up.
  for (let round = -2; round < rounds; round += 1) {
    for (const kind of kinds) {
      const [none] = await time(() => agents[kind]({ calls: 0 }), { count: 1, warmups: 0 });
      looks.length = 0;
      await agents[kind]({ calls });
      if (round < 0) continue;
      empty[kind].push(none);
      turns[kind].push((looks.at(-1) - looks[0]) / (calls - 1));
    }
  }
  const results = kinds.map((kind) => ({ kind, empty: summary(empty[kind]), turn: summary(turns[kind]) }));
  const [bare] = results;
  printTable([
    [
      `${calls} turns`,
      'runs',
      'one answer: p50 ms',
      'a turn: min ms',
      'p50 ms',
      'max ms',
      'over bare, p50 ms',
    ],
    ...results.map(({ kind, empty: one, turn }) => [
      NAMES[kind],
      rounds,
      ...[one.p50, turn.min, turn.p50, turn.max, turn.p50 - bare.turn.p50].map((value) => value.toFixed(1)),
    ]),
  ]);
  return results;
}

const NAMES = { bare: 'AI SDK alone', cadre: 'model agent', transcript: 'transcript in history' };

/** The same agent over a small and a large context; the large one for as long as a history may be, and then only recorded. */
async function measureHistories(agents, { small, large, long }) {
  const results = [];
  const measure = async (kind, asked) => {
    const before = agents.kept();
    const began = performance.now();
    const history = await agents[kind](asked);
    const ms = performance.now() - began;
    const { files, bytes } = agents.kept();
    const kept = { files: files - before.files, bytes: bytes - before.bytes };
    results.push({ kind, ...asked, ...history, ms, kept });
  };
  for (const kind of ['transcript', 'cadre']) {
    for (const calls of small) await measure(kind, { calls });
    for (const calls of kind === 'cadre' ? [...large, ...long] : large) {
      await measure(kind, { calls, context: LARGE_CONTEXT });
    }
  }
  console.log('');
  printTable([
    [
      'history',
      'context, tokens',
      'tool calls',
      'events',
      'MiB',
      'KiB a call',
      'seconds',
      'files',
      'their MiB',
    ],
    ...results.map(({ kind, context = 0, calls, events, bytes, ms, kept }) => [
      NAMES[kind],
      context / BYTES_A_TOKEN,
      calls,
      events,
      (bytes / MEBIBYTE).toFixed(3),
      (bytes / 1024 / calls).toFixed(1),
      (ms / 1000).toFixed(1),
      kept.files,
      (kept.bytes / MEBIBYTE).toFixed(2),
    ]),
  ]);
  return results;
}

module.exports = { run };
