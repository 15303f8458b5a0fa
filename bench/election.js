const { setTimeout: delay } = require('node:timers/promises');
const { CadreClient } = require('../dist/client');
const { readFacts } = require('../dist/client/history-reader');
const { ElectionProjection } = require('../dist/core/election-projection');
const { electionId } = require('../dist/core/names');
const { pickPort } = require('../dist/workers/server');
const { cadre } = require('./election.config');
const { printTable, summary } = require('./measure');
const { METRICS_LAG, requests, withServer } = require('./stack');
const { Team } = require('./team');

const input = { goal: 'one step', plan: { steps: [{ id: 'a', agent: 'echo', instruction: 'a' }] } };

/** Three that only lead beside one that does the rest; or three that do everything. */
const APART = [['leader'], ['leader'], ['leader'], ['workflows', 'agents']];
const TOGETHER = [[], [], []].map(() => ['leader', 'workflows', 'agents']);

/** `limit` is the p99's, in ms, as set when leadership was designed. */
const FAULTS = [
  {
    name: 'leader killed (SIGKILL)',
    team: APART,
    limit: 2000,
    cause: (team, { child }) => child.kill('SIGKILL'),
    mend: (team, leader) => team.replace(leader),
  },
  {
    name: 'leader paused (SIGSTOP)',
    team: APART,
    limit: 2500,
    cause: (team, { child }) => child.kill('SIGSTOP'),
    mend: (team, { child }) => child.kill('SIGCONT'),
  },
  {
    name: 'leader and workflow cache killed',
    team: TOGETHER,
    limit: 3500,
    cause: (team, { child }) => child.kill('SIGKILL'),
    mend: (team, leader) => team.replace(leader),
    withCache: true,
  },
  {
    name: 'leader asked to resign',
    team: APART,
    limit: 1000,
    cause: (team) => team.election.executeUpdate('resign'),
    mend: () => undefined,
  },
  {
    name: 'leader stopped (SIGTERM)',
    team: APART,
    cause: (team, { child }) => child.kill('SIGTERM'),
    mend: (team, leader) => team.replace(leader),
  },
];

/**
 * From a fault of the leader until a plan of the next leader's is completed, with default settings: the server on its
 * disk file, each worker a process of its own. Where the leaving leader still made the plan of the first task, the
 * clock goes on, and another task is started.
 */
async function run({ quick }) {
  const trials = quick ? 5 : 30;
  const results = [];
  for (const team of [APART, TOGETHER]) {
    const faults = FAULTS.filter((fault) => fault.team === team);
    results.push(...(await withTeam(team, (stage) => runTrials(stage, { faults, trials, quick }))));
  }
  printTimes(results.filter(({ fault }) => fault !== undefined));
  printPhases(results.filter(({ fault }) => fault !== undefined));
  printLoad(results.filter(({ load }) => load !== undefined));
  return results;
}

async function withTeam(processes, work) {
  const metricsPort = await pickPort([]);
  return withServer({ metricsPort }, async ({ address, temporal, folder }) => {
    const team = new Team({ address, temporal, folder, cadre, config: 'election.config.js' });
    try {
      for (const roles of processes) await team.start(roles);
      return await work({ team, client: new CadreClient(temporal, { cadre }), metricsPort });
    } finally {
      await team.kill();
    }
  });
}

async function runTrials(stage, { faults, trials, quick }) {
  const results = [await measureLoad(stage, quick ? 10 : 60)];
  for (const fault of faults) {
    console.error(`  ${fault.name}: ${trials} trials`);
    const measured = [];
    for (let trial = 0; trial < trials; trial += 1) measured.push(await runTrial(stage, fault));
    const { name, limit } = fault;
    const times = summary(measured.map(({ milliseconds }) => milliseconds));
    const nextTask = summary(measured.map((trial) => trial.nextTask));
    const holds = limit === undefined ? undefined : times.p99 <= limit;
    results.push({ fault: name, runs: trials, ...times, nextTask, limit, holds, trials: measured });
  }
  return results;
}

/** One fault and what it took; times in ms. Leaves the team as it was. */
async function runTrial({ team, client }, { cause, mend, withCache = false }) {
  await team.settled();
  await (await client.start(input)).result();
  const { leader, term } = withCache ? await team.settledWithCache() : await team.settled();
  const at = (leader.standsSince = Date.now());
  const began = performance.now();
  await cause(team, leader);
  const { task, plannedAt } = await nextLeadersPlan(client, term);
  const [nextTask, milliseconds] = [plannedAt[0] - began, plannedAt.at(-1) - began];
  const phases = await phasesOf({ team, task, term, at });
  await mend(team, leader);
  await task.result();
  return { milliseconds, nextTask, plansOfLeaving: plannedAt.length - 1, ...phases };
}

/** Starts tasks until the plan of one is of a later term; `plannedAt` is when each was planned, that one the last. */
async function nextLeadersPlan(client, term) {
  for (const plannedAt = []; ; ) {
    const task = await client.start(input);
    const termOfIt = await termOfPlan(task);
    plannedAt.push(performance.now());
    if (termOfIt > term) return { task, plannedAt };
  }
}

async function termOfPlan(task) {
  for await (const event of task.events({ follow: true })) if (event.type === 'planned') return event.term;
  throw new Error(`The task ${task.id} ended without a plan`);
}

/** When what happened, in ms after the fault, by the histories; and how many terms were offered until the plan's. */
async function phasesOf({ team, task, term, at }) {
  const phases = {};
  const projection = new ElectionProjection();
  for await (const fact of readFacts(team.temporal, electionId(cadre))) {
    const event = projection.next(fact);
    if (event === undefined || fact.time < at) continue;
    if (event.type === 'termEnded' && event.term === term) {
      Object.assign(phases, { over: fact.time - at, how: event.how });
    } else if (event.type === 'termOffered') {
      phases.offered ??= fact.time - at;
      phases.terms = event.term - term;
    } else if (event.type === 'leaderElected' && event.term > term) phases.announced = fact.time - at;
  }
  for await (const fact of readFacts(team.temporal, task.id)) {
    if (fact.kind === 'activityScheduled' && fact.activityType === 'plan') phases.asked = fact.time - at;
    else if (fact.kind === 'activityStarted') phases.begun ??= fact.time - at;
    else if (fact.kind === 'activityFailed') phases.begun = undefined;
  }
  return phases;
}

/** The requests that a cadre without tasks makes, a second, by operation; counted by the server over `seconds`. */
async function measureLoad({ team, metricsPort }, seconds) {
  await team.settled();
  await delay(METRICS_LAG);
  const before = await requests(metricsPort);
  const began = performance.now();
  await delay(seconds * 1000);
  const after = await requests(metricsPort);
  const elapsed = (performance.now() - began) / 1000;
  const load = {};
  for (const [operation, count] of after) load[operation] = (count - (before.get(operation) ?? 0)) / elapsed;
  return { processes: [...team.members.values()].map(({ roles }) => roles.join('+')), seconds, load };
}

function printTimes(results) {
  const head = ['next leader’s plan after', 'runs', 'min ms', 'p50 ms', 'p99 ms', 'max ms', 'limit', 'holds'];
  const rows = results.map(({ fault, runs, min, p50, p99, max, nextTask, limit, holds }) => [
    fault,
    runs,
    ...[min, p50, p99, max].map(Math.round),
    limit ?? 'none',
    holds === undefined ? '-' : holds ? 'yes' : 'no',
    Math.round(nextTask.p99),
  ]);
  // The next task's plan may still be the leaving leader's.
  printTable([[...head, 'next task p99'], ...rows]);
}

const PHASES = ['over', 'offered', 'announced', 'asked', 'begun'];

function printPhases(results) {
  const head = ['ms after the fault', 'trial', ...PHASES, 'planned', 'terms', 'old plans'];
  const rows = results.flatMap(({ fault, trials }) => {
    const sorted = [...trials].sort((a, b) => a.milliseconds - b.milliseconds);
    const shown = { p50: sorted[Math.floor(sorted.length / 2)], slowest: sorted.at(-1) };
    return Object.entries(shown).map(([which, trial]) => [
      fault,
      which,
      ...[...PHASES, 'milliseconds'].map((phase) =>
        trial[phase] === undefined ? '-' : Math.round(trial[phase]),
      ),
      trial.terms ?? '-',
      trial.plansOfLeaving,
    ]);
  });
  printTable([head, ...rows]);
}

function printLoad(results) {
  for (const { processes, seconds, load } of results) {
    const rows = Object.entries(load)
      .filter(([, rate]) => rate > 0)
      .sort(([, a], [, b]) => b - a)
      .map(([operation, rate]) => [operation, rate.toFixed(2)]);
    printTable([[`${processes.join(', ')}: idle, over ${seconds} s`, 'requests/s'], ...rows]);
  }
}

module.exports = { run };
