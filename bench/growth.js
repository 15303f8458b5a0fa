/**
 * Whether a task costs more the more there was before it: more tasks, more agents, more steps, a longer history. Each on a
 * server of its own on disk, with one worker process; this process is the client.
 */
const { mkdtempSync, rmSync, statSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const { CadreClient, FileArtifactStore, connect } = require('../dist/client');
const { readHistory } = require('../dist/client/history-reader');
const { agentId, breakerId, electionId } = require('../dist/core/names');
const { printTable, summary } = require('./measure');
const { cpuBetween, usage } = require('./peers/accounting');
const { Workers, startServer } = require('./peers/children');

const FULL = {
  marks: [10, 100, 1000, 3000, 10_000],
  sample: 40,
  agents: [1, 10, 50],
  steps: { 1: 40, 10: 20, 100: 8 },
  row: 1000,
};
const QUICK = {
  marks: [10, 100, 300],
  sample: 12,
  agents: [1, 50],
  steps: { 1: 10, 10: 5, 100: 2 },
  row: 300,
};
/** Tasks in flight between two marks. */
const FILLERS = 20;
/** After these a server still writes for some seconds what it shows in lists; its turn begins when that is over. */
const SETTLING = 15_000;
/** Turns that the runs of a line are divided into. */
const TURNS = 4;
/** What a server has left to do after a turn is done within it. */
const TURN_END = 1000;
/** Steps of a row that are one line of its table. */
const WINDOWS = 5;

const TIMES = ['runs', 'min ms', 'p50 ms', 'p99 ms', 'max ms'];
const CPU = ['CPU ms a task: server', 'worker', 'client'];

/** By name in the JSON. They run in this order. */
async function run({ quick }) {
  const counts = quick ? QUICK : FULL;
  return {
    tasks: await measureTasks(counts),
    agents: await measureAgents(counts),
    history: await measureHistory(counts),
  };
}

/**
 * Two works at so many tasks: a saga of three steps, and a task whose agent remembers it and is guarded by a breaker. In
 * turns with a server on which almost nothing was done, since the machine is not as fast at the last mark as at the first.
 */
async function measureTasks({ marks, sample }) {
  console.error(`  tasks: up to ${marks.at(-1)}`);
  const works = {
    saga: (client) => client.startSaga({ name: 'three steps', steps: rowOf(3) }),
    'task that is remembered': (client) =>
      client.start({ goal: 'one step', plan: { steps: [thought('a')] } }),
  };
  const measureMarks = async (cadre, fresh) => {
    const rows = [];
    const empty = cadre.diskBytes();
    let done = 0;
    for (const mark of marks) {
      const missing = Math.max(0, mark - done - sample);
      await fill(missing, () => works['task that is remembered'](cadre.client));
      done += missing;
      await delay(SETTLING);
      for (const [work, start] of Object.entries(works)) {
        const before = await servicesOf(cadre.client);
        const [measured, besides] = await inTurns([cadre, fresh], sample, start);
        const after = await servicesOf(cadre.client);
        rows.push({
          before: done,
          work,
          ...measured,
          fresh: besides,
          services: growth(before, after, measured.runs),
          disk: (cadre.diskBytes() - empty) / (done + measured.runs),
        });
        done += measured.runs;
      }
    }
    return rows;
  };
  const results = await withCadre({ agents: 1 }, (cadre) =>
    withCadre({ agents: 1 }, (fresh) => measureMarks(cadre, fresh)),
  );
  console.log(
    '\nAgainst the tasks that were done before; in brackets, in turns with it, a server that has just begun:\n',
  );
  const pair = (of, from) => (value) => `${of(value).toFixed(from)} (${of(value.fresh).toFixed(from)})`;
  printTable([
    [
      'work',
      'tasks before',
      'runs',
      'min ms',
      'p50 ms',
      'max ms',
      'CPU ms a task: server',
      'worker',
      'peak MiB: server',
      'worker',
      'KiB on disk a task',
    ],
    ...results.map((row) => [
      row.work,
      row.before,
      row.runs,
      ...['min', 'p50', 'max'].map((which) => pair((side) => side[which], 0)(row)),
      ...['server', 'worker'].map((role) => pair((side) => side.cpu[role], 1)(row)),
      ...['server', 'worker'].map((role) => (row.memory[role] / 1024).toFixed(0)),
      (row.disk / 1024).toFixed(1),
    ]),
  ]);
  console.log("\nWhat a task writes into others' histories:\n");
  const of = (services) =>
    ['remember', 'gossip', 'agent', 'breaker', 'election'].map((what) => services[what].toFixed(2));
  printTable([
    [
      'work',
      'tasks before',
      'remember signals',
      'gossip signals',
      'events of agents',
      'breakers',
      'election',
    ],
    ...results.map(({ work, before, services }) => [work, before, ...of(services)]),
  ]);
  return results;
}

/** Tasks of so many steps side by side, with so many agents registered, by which the steps are done in turn. */
async function measureAgents({ agents, steps }) {
  const results = [];
  for (const count of agents) {
    console.error(`  ${count} agent(s)`);
    results.push(
      ...(await withCadre({ agents: count }, async (cadre) => {
        const rows = [];
        for (const [size, runs] of Object.entries(steps)) {
          const plan = { steps: sideBySide(Number(size), count) };
          const measured = await cadre.measure(runs, () =>
            cadre.client.start({ goal: 'side by side', plan }),
          );
          rows.push({ agents: count, steps: Number(size), ...measured });
        }
        return rows;
      })),
    );
  }
  console.log('\nAgainst the agents that are registered, and the steps side by side:\n');
  printTable([
    ['agents', 'steps', ...TIMES, 'p50 ms a step', ...CPU, 'events'],
    ...results.map((row) => [
      row.agents,
      row.steps,
      row.runs,
      ...timeCells(row),
      (row.p50 / row.steps).toFixed(1),
      ...cpuCells(row.cpu),
      row.history.events,
    ]),
  ]);
  return results;
}

/** One saga of many steps in a row: what a step costs the longer the history is. */
async function measureHistory({ row }) {
  console.error(`  a row of ${row} steps`);
  const results = await withCadre({ agents: 1 }, async (cadre) => {
    const task = await cadre.client.startSaga({ name: 'a row', steps: rowOf(row) });
    const window = Math.floor(row / WINDOWS);
    const rows = [];
    let used = cadre.usage();
    let [steps, began] = [0, performance.now()];
    for await (const event of task.events({ follow: true })) {
      if (event.type !== 'stepCompleted' || ++steps % window !== 0) continue;
      const [now, next] = [performance.now(), cadre.usage()];
      const { server, worker } = cpuBetween(used, next);
      const cpu = { server: server / window, worker: worker / window };
      rows.push({ from: steps - window + 1, to: steps, milliseconds: (now - began) / window, cpu });
      [used, began] = [next, now];
    }
    await task.result();
    return rows;
  });
  console.log('\nOne saga of steps in a row, against its own history:\n');
  printTable([
    ['steps', 'ms a step', 'CPU ms a step: server', 'worker'],
    ...results.map(({ from, to, milliseconds, cpu }) => [
      `${from} to ${to}`,
      milliseconds.toFixed(1),
      cpu.server.toFixed(1),
      cpu.worker.toFixed(1),
    ]),
  ]);
  return results;
}

/** Starts a server and a worker with so many agents, runs `work(cadre)` when it is warm, and takes it all down. */
async function withCadre({ agents }, work) {
  const folder = mkdtempSync(join(tmpdir(), 'cadre-growth-'));
  const server = await startServer({ folder, ours: true, onDisk: true });
  const { address } = server;
  const workers = new Workers(
    require.resolve('./growth/worker'),
    { address, agents },
    { CADRE_DATA: folder },
  );
  const temporal = await connect({ address, namespace: 'default', configured: true }, 20_000);
  try {
    await workers.add();
    const client = new CadreClient(temporal, { artifacts: new FileArtifactStore(join(folder, 'artifacts')) });
    const cadre = new Cadre({ client, server, workers, folder });
    // The first waits for a leader.
    await cadre.measure(10, () => client.start({ goal: 'warm', plan: { steps: sideBySide(1, 1) } }));
    return await work(cadre);
  } finally {
    await workers.stop();
    await temporal.connection.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

class Cadre {
  constructor(parts) {
    Object.assign(this, parts);
  }

  /** `runs` tasks one at a time: their times, CPU ms a task, peak memory in KiB, and the history of the last. */
  async measure(runs, start) {
    const turn = await this.turn(runs, start);
    return resultOf([turn]);
  }

  /** As `measure`, but not added up yet. `settle`: ms that it waits at its end. */
  async turn(runs, start, settle = 0) {
    const before = this.usage();
    const times = [];
    let task;
    for (let at = 0; at < runs; at += 1) {
      const began = performance.now();
      task = await start();
      await task.result();
      times.push(performance.now() - began);
    }
    await delay(settle);
    const after = this.usage();
    const { history } = await task.describe();
    return { times, cpu: cpuBetween(before, after), memory: after.memory, history };
  }

  usage() {
    return usage({ server: [this.server.pid], worker: this.workers.pids, client: [process.pid] });
  }

  diskBytes() {
    const sizeOf = (name) => statSync(join(this.folder, name), { throwIfNoEntry: false })?.size ?? 0;
    return sizeOf('temporal.db') + sizeOf('temporal.db-wal');
  }
}

/** `runs` tasks, `start(client)`, of each of `cadres`, in turns; what `measure` gives, of each. */
async function inTurns(cadres, runs, start) {
  const turns = cadres.map(() => []);
  for (let turn = 0; turn < TURNS; turn += 1) {
    const order = [...cadres.keys()];
    for (const at of turn % 2 === 0 ? order : order.toReversed()) {
      const { client } = cadres[at];
      turns[at].push(await cadres[at].turn(Math.ceil(runs / TURNS), () => start(client), TURN_END));
    }
  }
  return turns.map(resultOf);
}

/** Of turns one after another. */
function resultOf(turns) {
  const times = turns.flatMap((turn) => turn.times);
  const { memory, history } = turns.at(-1);
  const cpu = {};
  for (const turn of turns)
    for (const [role, spent] of Object.entries(turn.cpu)) cpu[role] = (cpu[role] ?? 0) + spent / times.length;
  return { runs: times.length, ...summary(times), cpu, memory, history };
}

/** Events of the workflows that serve all tasks, and the signals of agents, since they began. */
async function servicesOf(client) {
  const { temporal, cadre } = client;
  const ids = {
    agent: agentId(cadre, 'thinker'),
    breaker: breakerId(cadre, 'thinker'),
    election: electionId(cadre),
  };
  const counts = { remember: 0, gossip: 0, agent: 0, breaker: 0, election: 0 };
  for (const [service, id] of Object.entries(ids)) {
    for await (const { event } of eventsOf(temporal, id)) {
      counts[service] += 1;
      const signal = event.workflowExecutionSignaledEventAttributes?.signalName;
      if (service === 'agent' && signal !== undefined) counts[signal] += 1;
    }
  }
  return counts;
}

/** None where there is no such workflow yet. */
async function* eventsOf(temporal, id) {
  try {
    yield* readHistory(temporal, id);
  } catch (error) {
    if (error.name !== 'WorkflowNotFoundError') throw error;
  }
}

function growth(before, after, tasks) {
  return Object.fromEntries(Object.keys(after).map((what) => [what, (after[what] - before[what]) / tasks]));
}

async function fill(count, start) {
  let next = 0;
  const loop = async () => {
    while (next++ < count) await (await start()).result();
  };
  await Promise.all(Array.from({ length: FILLERS }, loop));
}

function thought(id) {
  return { id, agent: 'thinker', instruction: id, input: id };
}

function rowOf(length) {
  return Array.from({ length }, (_, at) => ({ id: `step-${at}`, agent: 'agent-0', input: 'x' }));
}

function sideBySide(steps, agents) {
  return Array.from({ length: steps }, (_, at) => ({
    id: `step-${at}`,
    agent: `agent-${at % agents}`,
    instruction: 'give it back',
    input: 'x',
    needs: [],
  }));
}

function timeCells({ min, p50, p99, max }) {
  return [min, p50, p99, max].map((value) => value.toFixed(1));
}

function cpuCells(cpu) {
  return ['server', 'worker', 'client'].map((role) => cpu[role].toFixed(1));
}

module.exports = { run };
