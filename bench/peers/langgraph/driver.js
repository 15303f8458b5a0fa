/**
 * LangGraph with its SQLite checkpointer, durability 'sync', all in the driver's process: it is a library and has no workers.
 * Variant `fsync`: the database's `synchronous` is FULL, so that a checkpoint survives a loss of power as the others' do.
 */
const { join } = require('node:path');
const { Annotation, Command, END, Send, START, StateGraph } = require('@langchain/langgraph');
const { SqliteSaver } = require('@langchain/langgraph-checkpoint-sqlite');
const Database = require('better-sqlite3');
const { FAN_OUT, KEYS, PAYLOAD, check, drive } = require('../driver');
const { versionOf } = require('../programs');

process.env.LANGSMITH_TRACING = 'false';
process.env.LANGCHAIN_TRACING_V2 = 'false';

drive(async ({ folder, onDisk, variant }) => {
  const database = new Database(onDisk ? join(folder, 'checkpoints.db') : ':memory:');
  const checkpointer = new SqliteSaver(database);
  checkpointer.setup();
  if (variant === 'fsync') database.pragma('synchronous = FULL');
  const graphs = { W1: threeSteps(), W2: fanOut(), W3: failingSteps(), entity: counters() };
  const compiled = Object.fromEntries(
    Object.entries(graphs).map(([name, graph]) => [name, graph.compile({ checkpointer })]),
  );
  const last = {};
  const execute = (name, thread, input) => {
    last[name] = thread;
    return compiled[name].invoke(input, { configurable: { thread_id: thread }, durability: 'sync' });
  };
  return {
    versions: versionsOf(database),
    processes: () => ({ server: [], worker: [] }),
    works: {
      W1: async (id) => check('W1', (await execute('W1', id, { value: PAYLOAD })).value, PAYLOAD),
      W2: async (id) => check('W2', (await execute('W2', id, { goal: 'goal' })).count, FAN_OUT),
      W3: async (id) => {
        const { failed, undone } = await execute('W3', id, { value: PAYLOAD });
        check('W3 failed', failed, 'It cannot be done');
        check('W3 undid', undone.join(), '2,1');
      },
    },
    entity: entity((input) => execute('entity', 'entity', input)),
    facts: async (work) => facts(database, last[work]),
    cannot: {
      workers: 'it has none: a graph runs in the process that calls it',
      failover: 'nobody takes over the run of a dead process: the caller must invoke its thread again',
    },
    async stop() {
      database.close();
    },
  };
});

function versionsOf(database) {
  const installed = (name) => versionOf('langgraph', name);
  const sqlite = database.prepare('SELECT sqlite_version() AS version').get().version;
  return {
    server: `SQLite ${sqlite}, by better-sqlite3 ${installed('better-sqlite3')}`,
    sdk: `@langchain/langgraph ${installed('@langchain/langgraph')}, langgraph-checkpoint-sqlite ${installed('@langchain/langgraph-checkpoint-sqlite')}`,
    node: process.version,
    durability: `durability 'sync', ${durability(database)}`,
    compensation:
      'nodes that an error handler goes to; the run ends as completed, with the failure in its state',
    entity: 'calls of one thread at the same time overwrite each other: the driver queues them, in memory',
  };
}

function durability(database) {
  const journal = database.pragma('journal_mode', { simple: true });
  const synchronous = database.pragma('synchronous', { simple: true });
  if (journal === 'memory') return 'in memory: a crash of the process loses all';
  return synchronous === 2
    ? `journal_mode=${journal}, synchronous=FULL: an fsync for each commit`
    : `journal_mode=${journal}, synchronous=${synchronous === 1 ? 'NORMAL' : synchronous}: survives a crash of the process, not each loss of power`;
}

async function step({ value }) {
  return { value };
}

function threeSteps() {
  return new StateGraph(Annotation.Root({ value: Annotation }))
    .addNode('one', step)
    .addNode('two', step)
    .addNode('three', step)
    .addEdge(START, 'one')
    .addEdge('one', 'two')
    .addEdge('two', 'three')
    .addEdge('three', END);
}

/** Each step of the plan is a node's run of its own, by `Send`; all of them are one superstep. */
function fanOut() {
  const state = Annotation.Root({
    goal: Annotation,
    inputs: Annotation,
    outputs: Annotation({ reducer: (all, more) => [...all, ...more], default: () => [] }),
    count: Annotation,
  });
  return new StateGraph(state)
    .addNode('plan', async () => ({ inputs: Array.from({ length: FAN_OUT }, () => PAYLOAD) }))
    .addNode('step', async ({ value }) => ({ outputs: [value] }))
    .addNode('gather', async ({ outputs }) => ({ count: outputs.length }))
    .addEdge(START, 'plan')
    .addConditionalEdges('plan', ({ inputs }) => inputs.map((value) => new Send('step', { value })), ['step'])
    .addEdge('step', 'gather')
    .addEdge('gather', END);
}

/** As the documentation of its error handlers has it: the handler of the node that failed goes to what undoes the others. */
function failingSteps() {
  const state = Annotation.Root({
    value: Annotation,
    failed: Annotation,
    undone: Annotation({ reducer: (all, more) => [...all, ...more], default: () => [] }),
  });
  const refuse = async () => {
    throw new Error('It cannot be done');
  };
  const errorHandler = (_, { error }) => new Command({ update: { failed: error.message }, goto: 'undo two' });
  return new StateGraph(state)
    .addNode('one', step)
    .addNode('two', step)
    .addNode('three', refuse, { errorHandler, ends: ['undo two'] })
    .addNode('undo two', async () => ({ undone: [2] }))
    .addNode('undo one', async () => ({ undone: [1] }))
    .addEdge(START, 'one')
    .addEdge('one', 'two')
    .addEdge('two', 'three')
    .addEdge('three', END)
    .addEdge('undo two', 'undo one')
    .addEdge('undo one', END);
}

/** A thread is the entity; each call adds to one counter of its state. */
function counters() {
  const counts = Annotation({ reducer: (all, more) => ({ ...all, ...more }), default: () => ({}) });
  return new StateGraph(Annotation.Root({ counts, key: Annotation }))
    .addNode('add', async (state) => ({ counts: { [state.key]: (state.counts[state.key] ?? 0) + 1 } }))
    .addEdge(START, 'add')
    .addEdge('add', END);
}

/** One call after the other, whoever sends. */
function entity(call) {
  let queue = Promise.resolve({ counts: {} });
  return {
    kind: 'call',
    send: async (number) => {
      queue = queue.then(() => call({ key: `key-${number % KEYS}` }));
      await queue;
    },
    settled: async (total) => {
      const { counts } = await queue;
      check(
        'The entity counts',
        Object.values(counts).reduce((sum, count) => sum + count, 0),
        total,
      );
    },
  };
}

/** The thread's rows, of checkpoints and of what nodes wrote, and their bytes. */
function facts(database, thread) {
  const count = (table, bytes) =>
    database
      .prepare(`SELECT COUNT(*) AS events, SUM(${bytes}) AS bytes FROM ${table} WHERE thread_id = ?`)
      .get(thread);
  const checkpoints = count('checkpoints', 'LENGTH(checkpoint) + LENGTH(metadata)');
  const writes = count('writes', 'LENGTH(value)');
  return { events: checkpoints.events + writes.events, bytes: checkpoints.bytes + writes.bytes };
}
